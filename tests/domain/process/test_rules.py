"""What each rule of a process says: held, broken, or no data; never held where nothing is known."""

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.process import (
    Change,
    Check,
    Finding,
    ItemFacts,
    Planned,
    ProcessPolicy,
    ProjectFacts,
    Rule,
    Standing,
)
from pointsman.domain.process.evaluation import Around, fields_asked, judge, of_item, of_project
from pointsman.domain.process.values import said
from pointsman.domain.process.verdicts import Verdict, all_of, any_of
from pointsman.policies.process_rules import load_processes
from tests.domain.process.items import (
    ADA,
    BOB,
    BOT,
    CASES,
    GRAPH,
    NEW,
    NOW,
    PARENT,
    PROJECTS,
    change,
    closed,
    item,
    linked,
    lived,
    proved,
    with_fields,
)

CMMI = load_processes()["cmmi"]
AROUND = Around(NOW, frozenset({BOT}))


def found(check: str, facts: ItemFacts) -> list[Finding]:
    return [one for one in of_item(CMMI, facts, AROUND) if one.check == check]


def standings(check: str, facts: ItemFacts) -> set[Standing]:
    return {one.standing for one in found(check, facts)}


def checked(rule: dict[str, object]) -> Rule:
    return Check.model_validate({"id": "X", "practice": "", "source": "", "title": "", "rule": rule}).rule


def test_each_check_of_cmmi_has_a_case_that_holds_and_one_that_does_not() -> None:
    assert {check.id for check in CMMI.checks} == {*CASES, *PROJECTS}


@pytest.mark.parametrize("check", CASES)
def test_check_holds_of_one_item_and_is_broken_by_another(check: str) -> None:
    good, bad = CASES[check]
    assert standings(check, good) == {Standing.HELD}
    assert standings(check, bad) == {Standing.VIOLATED}


@pytest.mark.parametrize("check", PROJECTS)
def test_check_holds_of_one_project_and_is_broken_by_another(check: str) -> None:
    good, bad, nothing = (
        {one.standing for one in of_project(CMMI, facts) if one.check == check}
        for facts in (*PROJECTS[check], ProjectFacts(name="p"))
    )
    assert (good, bad, nothing) == ({Standing.HELD}, {Standing.VIOLATED}, {Standing.NO_DATA})


@pytest.mark.parametrize("check", CASES)
def test_what_could_not_be_read_is_never_held(check: str) -> None:
    good, _ = CASES[check]
    parts = ("links", "changes", "graph", "pull_requests", "outcomes", "planned")
    unread = good.model_copy(update={**dict.fromkeys(parts), "fields": {}})
    assert Standing.HELD not in standings(check, unread)


def test_a_broken_rule_names_the_entry_of_the_history_and_the_reason() -> None:
    _, bad = CASES["PQA-2"]
    (finding,) = found("PQA-2", bad)
    found_text, expected, mend = finding.evidence.split(". ")
    assert (finding.update, found_text) == (2, "it went from Proposed to Resolved")
    assert expected == "Expected: from Proposed to Active or Closed"
    assert mend.endswith("the next time; this stays in the history, so waive it for a reason")
    wrong = lived("Requirement", NEW, change(4, state="Active", reason="Because"))
    (finding,) = found("PQA-2", wrong.model_copy(update={"graph": GRAPH}))
    assert (
        finding.update,
        "for the reason 'Because'. Expected: for the reason Accepted or Investigate" in finding.evidence,
    ) == (4, True)


@pytest.mark.parametrize("check", [*CASES, *PROJECTS])
def test_what_is_broken_is_told_with_what_was_expected_and_what_mends_it_under_names_of_the_form(check: str) -> None:
    if check in CASES:
        evidence = [one.evidence for one in found(check, CASES[check][1])]
    else:
        evidence = [one.evidence for one in of_project(CMMI, PROJECTS[check][1]) if one.check == check]
    assert evidence
    for one in evidence:
        assert [part.partition(":")[0] for part in one.split(". ")[-2:]] == ["Expected", "To mend it"], one
        assert not re.search(r"System\.|Microsoft\.|-Forward|-Reverse|[0-9a-f]{8}-", one), one


def test_what_an_item_breaks_of_one_check_at_once_is_told_together() -> None:
    empty = with_fields("Requirement", "Active", {})
    (finding,) = found("RDM-2", empty)
    assert finding.evidence.startswith("Description is empty and Assigned To is empty; Acceptance Criteria is empty; ")
    assert "Committed is Yes" in finding.evidence


def test_each_step_that_was_not_allowed_is_a_finding_of_its_own() -> None:
    twice = lived("Bug", NEW, change(2, state="Resolved"), change(3, state="Proposed"))
    assert [one.update for one in found("PQA-2", twice.model_copy(update={"graph": GRAPH}))] == [2, 3]


def test_a_state_that_the_process_no_longer_knows_is_no_data() -> None:
    old = lived("Bug", change(1, state="Idea"), change(2, state="Active"))
    graph = GRAPH.model_copy(update={"steps": {**GRAPH.steps, "": {"Idea": ()}}})
    (finding,) = found("PQA-2", old.model_copy(update={"graph": graph}))
    assert (finding.standing, "'Idea'" in finding.evidence) == (Standing.NO_DATA, True)


@pytest.mark.parametrize("field", ["System.WorkItemType", "System.TeamProject"])
def test_what_it_did_as_another_type_or_elsewhere_is_not_judged_by_the_ways_of_today(field: str) -> None:
    moved = Change(update=3, at=NOW, by=ADA, after={"System.State": "Active", field: "Other"})
    before = (change(1, state="To Do"), change(2, state="Doing"), moved)
    graphed = {"graph": GRAPH}
    (told,) = found("PQA-2", lived("Issue", *before).model_copy(update=graphed))
    assert (told.standing, "before its type or project was changed" in told.evidence) == (Standing.NO_DATA, True)
    wrong = lived("Issue", *before, change(4, state="Proposed")).model_copy(update=graphed)
    assert [(one.update, one.standing) for one in found("PQA-2", wrong)] == [(4, Standing.VIOLATED)]


def test_who_brings_back_own_work_to_closed_is_named_with_each_time() -> None:
    again = lived(
        "Bug",
        change(1, BOB, owner=ADA, state="Proposed"),
        change(2, ADA, state="Resolved"),
        change(3, ADA, state="Closed"),
        change(4, BOB, state="Active"),
        change(5, BOB, state="Resolved"),
        change(6, BOB, state="Closed"),
    )
    assert [one.update for one in found("SEG-1", again)] == [3, 6]


def test_an_agent_may_not_close_even_what_others_did() -> None:
    (finding,) = found("SEG-1", closed("Task", BOT.upper(), author=BOB))
    assert "agent account" in finding.evidence


def test_closing_work_of_nobody_is_no_data() -> None:
    orphan = lived("Bug", NEW, change(2, BOB, state="Closed"))
    assert standings("SEG-1", orphan) == {Standing.NO_DATA}
    nobody = lived("Bug", change(1, owner=ADA, state="Proposed"), change(2, "", state="Closed"))
    assert standings("SEG-1", nobody) == {Standing.NO_DATA}


def test_an_item_made_in_a_state_was_not_brought_into_it_by_somebody_else() -> None:
    assert found("SEG-1", lived("Bug", change(1, owner=ADA, state="Closed"))) == []


def test_tests_are_one_proof_and_acceptance_is_another() -> None:
    accepted = proved(None, **{"Microsoft.VSTS.CMMI.UserAcceptanceTest": "Pass"})
    assert standings("VV-1", accepted) == {Standing.HELD}
    assert standings("VV-1", proved(None)) == {Standing.NO_DATA}
    assert standings("VV-1", proved({})) == {Standing.VIOLATED}
    (finding,) = found("VV-1", proved({9: "", 8: "Passed"}))
    assert "test case 9: never ran" in finding.evidence


def test_changes_of_what_is_asked_for_count_only_where_the_text_differs() -> None:
    same = lived("Requirement", NEW, change(2, state="Active"), change(3, title="  Distance "))
    assert standings("RDM-3", same) == {Standing.HELD}
    unread = lived("Requirement", NEW, change(2, state="Active"), change(3, title="D")).model_copy(
        update={"links": None}
    )
    assert standings("RDM-3", unread) == {Standing.NO_DATA}


def test_a_check_does_not_apply_outside_its_types_states_and_conditions() -> None:
    assert found("RDM-2", item("Requirement", "Proposed")) == []
    assert found("MC-2.escalated", with_fields("Issue", "Active", {})) == []
    assert found("CAR-1", with_fields("Bug", "Closed", {"Microsoft.VSTS.Common.Severity": "3 - Medium"})) == []
    assert found("PR-1", ItemFacts(id=1, type="Bug", state="Active", pull_requests=())) == []
    assert found("EST-1", lived("Requirement", NEW)) == []


def test_dates_that_are_not_told_are_no_data() -> None:
    assert standings("MC-1.fresh", with_fields("Task", "Active", {})) == {Standing.NO_DATA}
    assert standings("MC-1.date", with_fields("Task", "Active", {})) == {Standing.NO_DATA}


def test_who_was_authorised_must_be_told_before_a_name_counts_as_own() -> None:
    silent = lived("Bug", NEW.model_copy(update={"authorised_as": ""}))
    assert standings("CM-3", silent) == {Standing.NO_DATA}


def test_a_project_without_what_is_counted_is_no_violation() -> None:
    empty = ProjectFacts(name="p", counts={}, filled={}, policies={})
    assert {one.check: one.standing for one in of_project(CMMI, empty)} == {
        "CM-1.branch": Standing.NO_DATA,
        "CM-1.item": Standing.NO_DATA,
        "CM-3.policy": Standing.NO_DATA,
        "PQA-1.share": Standing.HELD,
    }


@pytest.mark.parametrize(
    ("rule", "links", "standing"),
    [
        ({"types": ["Feature"], "only": True}, [""], Standing.NO_DATA),
        ({"types": ["Feature"], "only": True}, ["", "Epic"], Standing.VIOLATED),
        ({"types": ["Feature"], "only": True}, ["", "Feature"], Standing.NO_DATA),
        ({"types": ["Feature"]}, ["", "Feature"], Standing.HELD),
        ({"types": ["Feature"]}, ["Epic", ""], Standing.NO_DATA),
        ({"types": ["Feature"], "at_least": 2}, [""], Standing.VIOLATED),
        ({}, [""], Standing.HELD),
    ],
)
def test_an_item_that_may_not_be_seen_at_the_other_end_of_a_link_decides_nothing(
    rule: dict[str, object], links: list[str], standing: Standing
) -> None:
    told = item("Requirement", "Active", *(linked(PARENT, kind) for kind in links))
    (verdict,) = judge(checked({"kind": "linked", "relations": [PARENT], **rule}), told, AROUND)
    assert verdict.standing is standing


def test_fields_of_linked_items_that_rules_ask_for_are_known_beforehand() -> None:
    assert fields_asked(CMMI) == {"Microsoft.VSTS.CMMI.TaskType"}
    unless = {"kind": "linked", "relations": ["x"], "values": {"A.B": ["y"]}}
    rule = checked({"kind": "unchanged", "fields": ["a"], "states": ["b"], "unless": unless})
    policy = ProcessPolicy(
        name="own", version="1", checks=(Check(id="X", practice="", source="", title="", rule=rule),)
    )
    assert fields_asked(policy) == {"A.B"}


def test_a_rule_of_projects_inside_another_is_refused() -> None:
    ratio = checked({"kind": "ratio", "types": ["Review"], "of": ["Bug"], "per": 1})
    with pytest.raises(ValueError, match="'ratio' is about a project"):
        judge(ratio, item("Bug", "New"), AROUND)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "Yes"),
        (False, "No"),
        (2.0, "2"),
        (2.5, "2.5"),
        ("<p>a&amp;b</p>", "a&b"),
        ("<img src='x'>", "a picture"),
        ({"displayName": "Ada", "uniqueName": ADA}, ADA),
        (["a", 1], "a, 1"),
    ],
)
def test_values_are_compared_as_people_read_them(value: object, text: str) -> None:
    assert said(value) == text  # type: ignore[arg-type]  # the parameters are JSON


VERDICTS = st.builds(Verdict, st.sampled_from(Standing), st.text(max_size=3), st.integers(0, 9))
PARTS = st.lists(st.lists(VERDICTS, max_size=3), min_size=1, max_size=4)


@given(PARTS)
def test_all_of_is_held_only_if_every_part_is(parts: list[list[Verdict]]) -> None:
    every = {one.standing for part in parts for one in part}
    told = {one.standing for one in all_of(parts)}
    expected = next(
        ({one} for one in (Standing.VIOLATED, Standing.NO_DATA, Standing.HELD) if one in every), set[Standing]()
    )
    assert told == expected


@given(PARTS)
def test_any_of_is_broken_only_if_every_part_is_known_and_none_holds(parts: list[list[Verdict]]) -> None:
    applying = [{one.standing for one in part} for part in parts if part]
    told = {one.standing for one in any_of(parts)}
    if {Standing.HELD} in applying:
        assert told == {Standing.HELD}
    elif any(Standing.NO_DATA in part for part in applying):
        assert told == {Standing.NO_DATA}
    else:
        assert told == ({Standing.VIOLATED} if applying else set())


@pytest.mark.parametrize(
    ("start", "finish", "standing"),
    [
        (NOW, NOW, Standing.HELD),
        (NOW, NOW - timedelta(days=1), Standing.VIOLATED),
        (NOW - timedelta(days=9), NOW - timedelta(days=1), Standing.VIOLATED),
        (None, NOW, Standing.VIOLATED),
        (NOW, None, Standing.VIOLATED),
    ],
)
def test_an_iteration_has_dates_in_order_and_is_not_over(
    start: datetime | None, finish: datetime | None, standing: Standing
) -> None:
    facts = ItemFacts(id=1, type="Bug", state="Active", planned=Planned(path="p\\1", start=start, finish=finish))
    assert standings("MC-1.iteration", facts) == {standing}
