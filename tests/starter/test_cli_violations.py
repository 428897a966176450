"""Violations on the command line: those of items and those of projects as a whole, listed and decided on."""

import os
import pwd
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pointsman.contracts.escalations import EscalationKind
from pointsman.contracts.process import CheckSeverity, Finding, Standing
from pointsman.contracts.records import Caller
from pointsman.contracts.violations import Inspection
from pointsman.contracts.work_items import ProjectKey, WorkItemKey
from pointsman.domain.process.questions import about
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.inbox import Inbox
from pointsman.store.process_violations import ProcessViolations
from starter.cli.errors import ExitCode
from tests.starter import cli_rig
from tests.starter.cli_rig import Rig

ITEM = WorkItemKey(organisation="fabrikam", project="Web Shop", id=42)
WHOLE = ProjectKey(organisation="fabrikam", project="Web Shop")


def inspection(key: WorkItemKey, *checks: str) -> Inspection:
    found = (
        Finding(check=one, standing=Standing.VIOLATED, severity=CheckSeverity.MINOR, about="main", evidence="so it is")
        for one in checks
    )
    return Inspection(
        tenant="default",
        process="cmmi",
        key=key,
        rev=key.id and 3,
        at=datetime.now(UTC),
        checks=("A", "B"),
        findings=tuple(found),
    )


async def kept(store: Store) -> None:
    """VIO-1 of an item, VIO-2 of the project, about which somebody is asked; VIO-3 of the project is resolved."""
    violations = ProcessViolations(store)
    await violations.settle(inspection(ITEM, "A"))
    await violations.settle(inspection(WHOLE, "A", "B"))
    await violations.settle(inspection(WHOLE, "A"))
    (asked,) = await violations.find(whole=True)
    question = about(asked, cli_rig.LADDER)
    await Escalations(store).open(question, Caller(workflow_id="process/question/VIO-2/escalation", run_id="r"))


async def told(store: Store) -> None:
    await Inbox(store).accept(cli_rig.delivery("d-1"))


@pytest.fixture
def rig(
    tmp_path: Path, migrated_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Rig:
    monkeypatch.setenv("USER", "ada")
    made = cli_rig.made(tmp_path / "data", migrated_file, capsys, monkeypatch)
    made.fill(kept)
    return made


def test_a_project_as_a_whole_stands_in_the_place_of_its_item(rig: Rig) -> None:
    lines = [line.split("\t") for line in rig.run("process", "violations").out.splitlines()]
    assert [line[:5] for line in lines] == [
        ["VIO-2", "fabrikam/Web Shop", "A", "minor", "open"],
        ["VIO-1", "fabrikam/42", "A", "minor", "open"],
    ]
    listed = rig.run("process", "violations", "--whole", "--all", "--json").document()["violations"]
    assert isinstance(listed, list)
    assert [(one["violation"], one["about"]) for one in listed] == [("VIO-3", "main"), ("VIO-2", "main")]
    assert (listed[0]["state"], str(listed[0]["standing"])[:14]) == ("resolved", "resolved on 20")


def test_the_timeline_tells_what_an_item_broke_on_which_nobody_works(rig: Rig) -> None:
    assert "A: broken" in rig.run("items", "timeline", "42").out
    rig.fill(told)
    assert "workitem" in rig.run("items", "timeline", "fabrikam/42").out
    assert rig.run("items", "timeline", "other/42").code == ExitCode.NOT_FOUND


def test_they_are_chosen_by_state_severity_check_and_item(rig: Rig) -> None:
    def names(*options: str) -> list[str]:
        return [line.split("\t")[0] for line in rig.run("process", "violations", *options).out.splitlines()]

    assert names("--state", "resolved") == ["VIO-3"]
    assert names("--check", "A", "--severity", "minor", "--item", "fabrikam/42") == ["VIO-1"]
    assert names("--item", "other/42") == names("--severity", "critical") == []


def test_a_name_that_does_not_exist_is_told_with_those_that_do(rig: Rig) -> None:
    refused = [
        rig.run("process", "violations", "--state", "opened"),
        rig.run("process", "violations", "--severity", "high"),
        rig.run("inbox", "list", "--state", "nowhere"),
        rig.run("items", "list", "--state", "nowhere"),
        rig.run("events", "search", "--state", "nowhere"),
        rig.run("audit", "show", "--action", "violation.open"),
    ]
    assert [answer.code for answer in refused] == [ExitCode.USAGE] * len(refused)
    assert "no state 'opened'; is 'open' meant? there are: open, acknowledged, waived, resolved" in refused[0].err
    assert "is 'violation.opened' meant?" in refused[-1].err


def test_a_name_that_anybody_may_make_up_is_looked_for_and_told_with_those_seen(rig: Rig) -> None:
    empty = rig.run("process", "violations", "--check", "Z")
    assert (empty.code, empty.err) == (ExitCode.OK, "nothing of check 'Z'; seen so far: A, B\n")
    assert (
        "nothing of project 'Nowhere'; seen so far: Web Shop"
        in rig.run("process", "violations", "--project", "Nowhere").err
    )
    assert "nothing of kind 'x'; none has been seen so far" in rig.run("events", "search", "--kind", "x").err
    rig.fill(told)
    assert "seen so far: workitem.created" in rig.run("events", "search", "--kind", "x").err
    assert rig.run("events", "search", "--kind", "workitem.", "--quiet").err == ""


def test_it_is_decided_on_by_its_name_or_number(rig: Rig) -> None:
    for name in ("vio-2", "2"):
        told = rig.run("process", "acknowledge", name, "--dry-run", "--json").document()["would"]
        assert isinstance(told, dict)
        assert (told["violation"], told["by"]) == ("VIO-2", "ada")
    resolved = rig.run("process", "waive", "VIO-3", "--until", "2999-01-01", "-r", "why")
    assert (resolved.code, "VIO-3 was resolved on 20" in resolved.err) == (ExitCode.CONFLICT, True)
    assert rig.run("process", "acknowledge", "VIO-9").code == ExitCode.NOT_FOUND


def test_without_a_name_in_the_environment_the_account_says_who_decides(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("USER")
    monkeypatch.delenv("LOGNAME", raising=False)
    rehearsed = rig.run("process", "acknowledge", "VIO-2", "--dry-run", "--json")
    assert rehearsed.err == "would acknowledge VIO-2; nothing was done\n"
    told = rehearsed.document()["would"]
    assert isinstance(told, dict)
    assert told["by"] == pwd.getpwuid(os.getuid()).pw_name


def test_a_question_about_it_names_the_project(rig: Rig) -> None:
    listed = rig.run("escalations", "list", "--json").document()["escalations"]
    assert isinstance(listed, list)
    assert [(one["kind"], one["item"], one["project"]) for one in listed] == [
        (EscalationKind.VIOLATION, str(WHOLE), "Web Shop")
    ]
    shown = rig.run("escalations", "show", "ESC-1")
    assert "VIO-2: fabrikam/Web Shop breaks A" in shown.out


def test_nothing_would_be_kept_without_keep(rig: Rig) -> None:
    answer = rig.run("process", "check", "42", "--dry-run")
    assert (answer.code, "--dry-run goes with --keep" in answer.err) == (ExitCode.USAGE, True)
