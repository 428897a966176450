"""What a write would break is known before it is sent; what was broken before is no reason to hold it back."""

from pointsman.contracts.base import Json
from pointsman.contracts.process import Check, CheckSeverity, ItemFacts, LinkedItem, ProcessPolicy
from pointsman.domain.process.evaluation import Around
from pointsman.domain.process.foresight import PROVED_BY, at_least, broken_by, changed, end_of, unlinked
from pointsman.policies.process_rules import load_processes
from tests.domain.process.items import (
    ADA,
    BOT,
    CMMI,
    GRAPH,
    NEW,
    NOW,
    OWNER,
    REQUIREMENT,
    STATE,
    change,
    days_ago,
    item,
    lived,
    with_fields,
)

RULES = load_processes()["cmmi"]
AROUND = Around(NOW, frozenset({BOT}))
MINOR = CheckSeverity.MINOR
PARENT = "System.LinkTypes.Hierarchy-Reverse"


def checks(facts: ItemFacts, fields: dict[str, Json], by: str = BOT, limit: CheckSeverity = MINOR) -> set[str]:
    return {one.check for one in broken_by(RULES, facts, fields, by, AROUND, limit)}


def resolved() -> ItemFacts:
    made = change(1, owner=ADA, state="Proposed")
    return lived("Bug", made, change(2, state="Active"), change(3, state="Resolved")).model_copy(
        update={"fields": {STATE: "Resolved", OWNER: ADA, "System.ChangedDate": days_ago(1)}, "graph": GRAPH}
    )


def test_an_agent_that_would_close_work_is_held_back() -> None:
    found = broken_by(RULES, resolved(), {STATE: "Closed"}, BOT, AROUND, CheckSeverity.CRITICAL)
    (one,) = found
    assert (one.check, one.severity, one.practice) == ("SEG-1", CheckSeverity.CRITICAL, "GOV duties are segregated")
    assert "the agent account agent@fabrikam.com brought it into Closed" in one.evidence
    assert one.evidence.endswith("To mend it: have a person look at it and bring it into Closed")  # no waiver: not sent
    assert "SEG-1" not in checks(resolved(), {STATE: "Closed"}, by="cy@fabrikam.com")


def test_a_way_that_the_process_does_not_know_is_foreseen() -> None:
    new = lived("Requirement", NEW).model_copy(update={"graph": GRAPH})
    assert "PQA-2" in checks(new, {STATE: "Resolved"})
    assert "PQA-2" not in checks(new, {STATE: "Active"})


def test_what_is_broken_already_and_what_is_below_the_limit_count_for_nothing() -> None:
    lonely = item("Task", "Active")
    assert checks(lonely, {f"{CMMI}.TaskType": "Planned"}) == set()
    unread = with_fields("Bug", "Resolved", {STATE: "Resolved"})
    closing: dict[str, Json] = {STATE: "Closed"}
    assert "CM-1.build" in checks(unread, closing)
    assert "CM-1.build" not in checks(unread, closing, limit=CheckSeverity.MAJOR)


def test_what_is_broken_already_hides_nothing_else_of_the_same_check() -> None:
    old = with_fields("Requirement", "Active", {STATE: "Active", **REQUIREMENT, "System.Description": ""})
    for field, value in ((OWNER, ""), (f"{CMMI}.Committed", "No")):
        (told,) = [one for one in broken_by(RULES, old, {field: value}, BOT, AROUND, MINOR) if one.check == "RDM-2"]
        assert told.evidence.startswith("Description is empty")
        assert field.rpartition(".")[2][:8] in told.evidence
    for field, value in (("System.Title", "Again"), ("System.Description", "<p>Distance</p>")):
        assert "RDM-2" not in checks(old, {field: value})


def test_a_write_that_mends_is_let_pass() -> None:
    old = with_fields("Task", "Active", {STATE: "Active", "System.ChangedDate": days_ago(30)})
    assert checks(old, {"System.Title": "Again"}) == set()


def test_what_cannot_be_known_holds_nothing_back() -> None:
    unread = ItemFacts(id=1, type="Bug", state="Resolved", fields={STATE: "Resolved"})
    assert checks(unread, {STATE: "Active"}) <= {"PLAN-1"}
    assert "SEG-1" not in checks(unread, {STATE: "Closed"})


def test_the_item_is_as_the_service_would_make_it() -> None:
    before = resolved()
    after = changed(before, {STATE: "Closed", "System.Title": "Done"}, BOT, NOW)
    assert (after.state, after.rev, after.fields["System.Title"]) == ("Closed", before.rev + 1, "Done")
    assert after.fields["Microsoft.VSTS.Common.StateChangeDate"] == NOW.isoformat()
    assert before.changes is not None
    assert after.changes is not None
    (added,) = after.changes[len(before.changes) :]
    assert (added.update, added.by, added.authorised_as, added.before[STATE]) == (4, BOT, BOT, "Resolved")
    stays = changed(before, {STATE: "Resolved"}, BOT, NOW)
    assert "Microsoft.VSTS.Common.StateChangeDate" not in stays.fields


def test_severities_have_an_order() -> None:
    assert at_least(CheckSeverity.CRITICAL, CheckSeverity.INFO)
    assert at_least(CheckSeverity.MAJOR, CheckSeverity.MAJOR)
    assert not at_least(CheckSeverity.MINOR, CheckSeverity.MAJOR)


def test_a_policy_without_checks_foresees_nothing() -> None:
    nothing = ProcessPolicy(name="n", version="1", checks=tuple[Check, ...]())
    assert broken_by(nothing, resolved(), {STATE: "Closed"}, BOT, AROUND, MINOR) == ()


def test_links_that_a_write_adds_are_seen_and_what_they_would_bring_to_light_is_not_known() -> None:
    lonely = item("Task", "Active").model_copy(update={"links": (), "pull_requests": (), "outcomes": {}})
    parent = end_of(item("Requirement", "Active").model_copy(update={"id": 9}), PARENT)
    after = changed(lonely, {}, BOT, NOW, [parent])
    assert (after.links, after.rev) == ((parent,), lonely.rev)
    assert (after.pull_requests, after.outcomes) == ((), {})
    code = changed(lonely, {}, BOT, NOW, [LinkedItem(relation="Pull Request"), LinkedItem(relation=PROVED_BY, id=3)])
    assert (code.pull_requests, code.outcomes) == (None, None)
    assert unlinked(after, {(PARENT, 9)}).links == ()
    assert changed(lonely.model_copy(update={"links": None}), {}, BOT, NOW, [parent]).links is None
