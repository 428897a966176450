"""Checks of processes load as written, or not at all; a team's file replaces, extends or leaves out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pointsman.contracts.process import Linked, Unchanged
from pointsman.policies.document import PolicyError
from pointsman.policies.process_rules import load_processes

Write = Callable[..., Path]
CHECK = "{id: X, practice: p, source: s, title: t, rule: %s}"
OWN = "name: own\nversion: '1'\nchecks:\n  - "


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "processes").mkdir()

    def file(text: str, name: str = "own") -> Path:
        (tmp_path / "processes" / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return file


def refused(folder: Path) -> str:
    with pytest.raises(PolicyError) as error:
        load_processes(folder)
    return str(error.value).replace(str(folder), "")


def test_our_processes_have_checks_with_a_source_each() -> None:
    for policy in load_processes().values():
        assert policy.checks
        assert policy.processes
        assert policy.levels
        assert all(check.source and check.practice and check.title for check in policy.checks)


def test_each_practice_of_the_process_is_checked() -> None:
    practices = {check.practice.split()[0] for check in load_processes()["cmmi"].checks}
    assert practices == {"RDM", "CM", "PQA", "VV", "PR", "MC", "RSK", "MPM", "EST", "PLAN", "CAR", "GOV"}


def test_a_file_of_the_same_name_replaces_ours(write: Write) -> None:
    folder = write("{name: agile, version: '2', checks: [" + CHECK % "{kind: tested}" + "]}")
    assert [check.id for check in load_processes(folder)["agile"].checks] == ["X"]
    assert load_processes()["agile"].version == "1"


def test_a_file_extends_ours_and_leaves_out_what_it_names(write: Write) -> None:
    folder = write(
        "{name: ours, version: '1', extends: agile, without: [DONE-1], checks: ["
        "{id: FLOW-2, practice: p, source: s, title: t, rule: {kind: age, days: 3}}, "
        + CHECK % "{kind: own_name}"
        + "]}"
    )
    known = load_processes(folder)
    ours, agile = known["ours"], known["agile"]
    assert [check.id for check in ours.checks] == [one.id for one in agile.checks if one.id != "DONE-1"] + ["X"]
    assert next(check for check in ours.checks if check.id == "FLOW-2").rule.kind == "age"
    assert (ours.processes, ours.levels) == (agile.processes, agile.levels)


def test_links_may_have_the_names_that_people_see(write: Write) -> None:
    unless = "unless: {kind: linked, relations: [System.LinkTypes.Related, Our.Link-Forward]}"
    rules = (
        "{kind: linked, relations: [Parent, tested by, Pull Request, Branch]}",
        f"{{kind: unchanged, fields: [System.Title], states: [Active], {unless}}}",
    )
    folder = write(OWN + "\n  - ".join(CHECK.replace("X", f"X{number}") % rule for number, rule in enumerate(rules)))
    linked, unchanged = (check.rule for check in load_processes(folder)["own"].checks)
    assert isinstance(linked, Linked)
    assert linked.relations[:2] == ("System.LinkTypes.Hierarchy-Reverse", "Microsoft.VSTS.Common.TestedBy-Forward")
    assert linked.relations[2:] == ("Pull Request", "Branch")
    assert isinstance(unchanged, Unchanged)
    assert unchanged.unless is not None
    assert unchanged.unless.relations == ("System.LinkTypes.Related", "Our.Link-Forward")


def test_without_a_folder_of_its_own_a_policy_has_our_processes(tmp_path: Path) -> None:
    assert load_processes(tmp_path) == load_processes()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: own", "own.yaml:1: version: null: is required"),
        (
            OWN + CHECK % "{kind: tested, on: x}",
            "own.yaml:4: checks.0.rule.on: x: there is no such key here",
        ),
        (
            OWN + CHECK % "{kind: nope}",
            "own.yaml:4: checks.0.rule: {kind: nope}: must be one of: 'filled', 'one_of'",
        ),
        (
            OWN + CHECK % "{kind: any_of, rules: [{kind: tested}, {kind: age, days: 0}]}",
            "own.yaml:4: checks.0.rule.rules.1.days: 0: input should be greater than or equal to 1",
        ),
        ("name: own\nversion: '1'\nextends: none", "own.yaml:3: extends: none: allowed: agile, basic, cmmi, scrum"),
        ("name: own\nversion: '1'\nextends: agile\nwithout: [Y]", "own.yaml:4: without: [Y]: allowed: AGENT-1"),
        (
            OWN + CHECK % "{kind: tested}" + "\n  - " + CHECK % "{kind: tested}",
            "own.yaml:5: checks.1.id: X: is given twice",
        ),
        (
            OWN + CHECK % "{kind: all_of, rules: [{kind: tested}, {kind: ratio, types: [a], of: [b], per: 1}]}",
            "own.yaml:4: checks.0.rule: all_of: a rule about a project cannot stand inside another",
        ),
        (
            OWN + CHECK % "{kind: filled, fields: [Severity]}",
            "own.yaml:4: checks.0.rule.fields: Severity: must be a reference name, for example Microsoft.VSTS",
        ),
        (
            OWN + CHECK % "{kind: all_of, rules: [{kind: tested}, {kind: linked, relations: [Parrent]}]}",
            "own.yaml:4: checks.0.rule.rules.1.relations: Parrent: must be a reference name, for example System.Link",
        ),
        (
            OWN + CHECK % "{kind: linked, relations: [Parent], values: {State: [New]}}",
            "own.yaml:4: checks.0.rule.values: State: must be a reference name",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_key_value_and_what_is_allowed(write: Write, text: str, told: str) -> None:
    assert f"/processes/{told}" in refused(write(text))
