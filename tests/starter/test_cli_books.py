"""Commands that read our books, on a real store: what they find, what they say when there is nothing."""

import json
from pathlib import Path

import pytest

from pointsman.contracts.records import DeliveryState
from pointsman.contracts.work_items import WorkItemKey, WorkItemState
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from starter.cli.errors import ExitCode
from tests.starter import cli_rig
from tests.starter.cli_rig import Rig


@pytest.fixture
def rig(
    tmp_path: Path, migrated_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Rig:
    return cli_rig.made(tmp_path / "data", migrated_file, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["items", "list"], "items"),
        (["escalations", "list", "--all"], "escalations"),
        (["inbox", "list"], "deliveries"),
        (["audit", "show"], "events"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_nothing_is_an_empty_list_and_no_error(rig: Rig, words: list[str], name: str) -> None:
    answer = rig.run(*words, "--json")
    assert answer.code == ExitCode.OK
    assert answer.document() == {"schema_version": 1, name: []}
    assert rig.run(*words).out == ""


def test_without_a_database_the_next_command_is_up(rig: Rig) -> None:
    rig.database.unlink()
    answer = rig.run("items", "list")
    assert answer.code == ExitCode.FAILURE
    assert answer.err.rstrip().endswith("pointsman up")
    assert not rig.database.exists()


def test_a_database_that_does_not_answer_is_told_without_a_trace(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("POINTSMAN_DATABASE_URL", f"postgresql+psycopg://ada:none@127.0.0.1:{free_port}/books")
    answer = rig.run("items", "list")
    assert answer.code == ExitCode.FAILURE
    assert answer.err.startswith("error: The database cannot do this now: connection failed")
    assert answer.err.count("\n") == 2
    assert answer.err.rstrip().endswith("See that the database runs: pointsman doctor")


def test_items_are_listed_with_state_agent_and_cost(rig: Rig) -> None:
    rig.fill(cli_rig.item)
    fields = rig.run("items", "list").out.rstrip("\n").split("\t")
    assert fields[:5] == ["fabrikam/42", "Bug", "working", "triage", "0.0125"]
    assert fields[6] == "Login fails"


def test_items_are_listed_by_state(rig: Rig) -> None:
    async def two(store: Store) -> None:
        await cli_rig.item(store)
        await cli_rig.item(store, WorkItemKey(organisation="fabrikam", project="Web", id=7), WorkItemState.DONE)

    rig.fill(two)
    assert rig.run("items", "list", "--state", "done").out.startswith("fabrikam/7\t")
    assert len(rig.run("items", "list", "--limit", "1").out.splitlines()) == 1
    wrong = rig.run("items", "list", "--state", "sleeping")
    assert wrong.code == ExitCode.USAGE
    assert "parked" in wrong.err


@pytest.mark.parametrize("named", ["42", "#42", "fabrikam/42", "Fabrikam/Web/42"])
def test_an_item_is_found_under_each_of_its_names(rig: Rig, named: str) -> None:
    rig.fill(cli_rig.item)
    item = rig.run("items", "show", named, "--json").document()["item"]
    assert isinstance(item, dict)
    assert item["id"] == "42"
    assert item["input_tokens"] == 1_000
    assert item["waited_seconds"] == 4.5
    assert item["first_at"].endswith("Z")
    assert item["temporal_ui"].endswith("/namespaces/default/workflows/ado%2Ffabrikam%2FWeb%2F42/0199-run/history")
    assert item["azure_devops"] == "https://ado.example/42"


def test_a_number_that_two_organisations_use_must_be_named_in_full(rig: Rig) -> None:
    async def two(store: Store) -> None:
        await cli_rig.item(store)
        await cli_rig.item(store, WorkItemKey(organisation="contoso", project="Web", id=42))

    rig.fill(two)
    answer = rig.run("items", "show", "42")
    assert answer.code == ExitCode.USAGE
    assert "contoso/42" in answer.err
    assert rig.run("items", "show", "contoso/42").code == ExitCode.OK


def test_a_configured_organisation_is_meant_where_none_is_named(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def two(store: Store) -> None:
        await cli_rig.item(store)
        await cli_rig.item(store, WorkItemKey(organisation="contoso", project="Web", id=42))

    rig.fill(two)
    monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_URL", "https://dev.azure.com/Contoso")
    assert "organisation\tcontoso\n" in rig.run("items", "show", "42").out


@pytest.mark.parametrize("words", [["items", "show", "5"], ["items", "timeline", "contoso/42"]], ids=" ".join)
def test_an_unknown_item_exits_3(rig: Rig, words: list[str]) -> None:
    rig.fill(cli_rig.item)
    answer = rig.run(*words, "--json")
    assert answer.code == ExitCode.NOT_FOUND
    assert answer.error()["hint"] == "See what there is: pointsman items list"


@pytest.mark.parametrize("named", ["x", "0", "-", "a/b/c/1", "1.5", "²"])
def test_what_names_no_item_exits_2(rig: Rig, named: str) -> None:
    assert rig.run("items", "show", "--", named).code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (WorkItemState.WAITING, ExitCode.PENDING),
        (WorkItemState.DONE, ExitCode.OK),
        (WorkItemState.PARKED, ExitCode.FAILURE),
    ],
)
def test_exit_status_says_how_an_item_stands(rig: Rig, state: WorkItemState, code: ExitCode) -> None:
    async def one(store: Store) -> None:
        await cli_rig.item(store, state=state)

    rig.fill(one)
    assert rig.run("items", "show", "42", "--exit-status").code == code
    assert rig.run("items", "show", "42").code == ExitCode.OK


def test_waiting_for_an_item_that_goes_on_exits_7(rig: Rig) -> None:
    rig.fill(cli_rig.item)
    answer = rig.run("items", "show", "42", "--wait", "--timeout", "0")
    assert answer.code == ExitCode.TIMED_OUT
    assert "it is working and goes on" in answer.err


def test_whoever_waits_for_an_item_that_waits_for_a_human_is_told_which_question(rig: Rig) -> None:
    async def waiting(store: Store) -> None:
        await cli_rig.question(store, workflow_id="process/question/VIO-1/escalation")
        await cli_rig.item(store, state=WorkItemState.WAITING)

    rig.fill(waiting)
    early = rig.run("items", "show", "42", "--wait", "--timeout", "0")
    assert early.err.rstrip().endswith("See what is asked: pointsman escalations list")
    rig.fill(cli_rig.question)
    answer = rig.run("items", "show", "42", "--wait", "--timeout", "0")
    assert answer.code == ExitCode.TIMED_OUT
    assert "it waits for a human. See what is asked, then decide: pointsman escalations show ESC-2" in answer.err
    assert answer.err.rstrip().endswith("See what is asked, then decide: pointsman escalations show ESC-2")


def test_waiting_for_an_item_that_has_ended_returns_at_once(rig: Rig) -> None:
    async def one(store: Store) -> None:
        await cli_rig.item(store, state=WorkItemState.DONE)

    rig.fill(one)
    assert "state\tdone\n" in rig.run("items", "show", "42", "--wait").out


def test_an_item_that_has_ended_cannot_be_cancelled(rig: Rig) -> None:
    async def one(store: Store) -> None:
        await cli_rig.item(store, state=WorkItemState.DONE)

    rig.fill(one)
    answer = rig.run("items", "cancel", "42", "--reason", "twice", "--yes")
    assert answer.code == ExitCode.CONFLICT
    assert "has ended already: done" in answer.err


def test_nobody_is_asked_without_a_terminal(rig: Rig) -> None:
    rig.fill(cli_rig.item)
    answer = rig.run("items", "cancel", "42", "--reason", "twice")
    assert answer.code == ExitCode.USAGE
    assert "--yes" in answer.err
    rehearsed = rig.run("items", "cancel", "42", "--reason", "twice", "--dry-run")
    assert rehearsed.code == ExitCode.OK
    assert "nothing was done" in rehearsed.err


def test_a_timeline_merges_every_book(rig: Rig) -> None:
    rig.fill(cli_rig.story)
    rig.fill(cli_rig.question)
    rig.fill(cli_rig.decided)
    rows = [line.split("\t") for line in rig.run("items", "timeline", "42").out.splitlines()]
    kinds = [row[1] for row in rows]
    assert kinds[:4] == ["delivery", "state", "routing", "state"]
    assert sorted(kinds[4:]) == ["decision", "escalation", "ledger", "model", "notice"]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert rows[-1][2] == "approve: looks right"


def test_escalations_that_wait_are_listed_and_decided_ones_on_request(rig: Rig) -> None:
    rig.fill(cli_rig.question)
    fields = rig.run("escalations", "list").out.split("\t")
    assert fields[:5] == ["ESC-1", "fabrikam/42", "approval", "high", "pending"]
    rig.fill(cli_rig.decided)
    assert rig.run("escalations", "list").out == ""
    assert rig.run("escalations", "list", "--all").out.split("\t")[4] == "approve"


@pytest.mark.parametrize("named", ["ESC-1", "esc-1", "1"])
def test_an_escalation_shows_what_is_asked_and_who_was_told(rig: Rig, named: str) -> None:
    rig.fill(cli_rig.question)
    answer = rig.run("escalations", "show", named, "--json")
    shown = answer.document()["escalation"]
    assert isinstance(shown, dict)
    assert (shown["title"], shown["url"]) == ("Bug 42: Login fails", "https://ado.example/42")
    assert shown["proposal"] == "System.State = Resolved"
    assert shown["told"] == ["2026-01-05T09:00:00+00:00 rung 1: team told in the log"]
    assert shown["subject"] == cli_rig.SUBJECT
    assert rig.run("escalations", "show", named, "--exit-status").code == ExitCode.PENDING


@pytest.mark.parametrize("noun", ["items", "inbox"])
def test_a_state_that_is_none_is_told_with_those_that_are(rig: Rig, noun: str) -> None:
    answer = rig.run(noun, "list", "--state", "nonsense")
    assert answer.code == ExitCode.USAGE
    assert "there is no state 'nonsense'; there are: " in answer.err
    assert answer.err.endswith(f"\nSee how it is used: pointsman {noun} list --help\n")


@pytest.mark.parametrize("named", ["ESC-9", "none"])
def test_an_unknown_escalation_exits_3(rig: Rig, named: str) -> None:
    assert rig.run("escalations", "show", named).code == ExitCode.NOT_FOUND
    assert rig.run("escalations", "approve", named).code == ExitCode.NOT_FOUND


def test_deliveries_are_listed_and_shown_by_the_beginning_of_their_id(rig: Rig) -> None:
    async def two(store: Store) -> None:
        inbox = Inbox(store)
        await inbox.accept(cli_rig.delivery("abc-1", body=b"{\xff"))
        await inbox.accept(cli_rig.delivery("abd-2", WorkItemKey(organisation="fabrikam", project="Web", id=7)))
        await inbox.settle("abc-1", DeliveryState.DEAD, "cannot be read")

    rig.fill(two)
    dead = rig.run("inbox", "list", "--state", "dead").out.split("\t")
    assert (dead[0], dead[3], dead[4], dead[6]) == ("abc-1", "fabrikam/42", "dead", "cannot be read\n")
    assert rig.run("inbox", "list", "--item", "7").out.startswith("abd-2\t")
    assert "body_bytes\t2\n" in rig.run("inbox", "show", "abc").out
    assert rig.run("inbox", "show", "ab").code == ExitCode.USAGE
    assert rig.run("inbox", "show", "x").code == ExitCode.NOT_FOUND
    assert rig.run("inbox", "list", "--state", "lost").code == ExitCode.USAGE


def test_a_delivery_is_shown_with_what_it_is_about(rig: Rig) -> None:
    push = b'{"eventType": "git.push", "resource": {"repository": {"id": "r-1", "name": "web"}, "pushedBy": "Ada"}}'

    async def one(store: Store) -> None:
        await Inbox(store).accept(cli_rig.delivery("abc-1", body=push))

    rig.fill(one)
    shown = rig.run("inbox", "show", "abc").out.splitlines()
    assert {"event\tCodePushed", "subject\trepository r-1 (web)", "repository\tweb", "by\tAda"} <= set(shown)


def test_the_audit_log_is_shown_by_item_chain_and_action(rig: Rig) -> None:
    rig.fill(cli_rig.story)
    events = rig.run("audit", "show", "--item", "fabrikam/42", "--json").document()["events"]
    assert isinstance(events, list)
    actions = [one["action"] for one in events]
    assert {"item.taken_in", "item.changed", "attempt.begun", "write.written"} <= set(actions)
    routed = rig.run("audit", "show", "--action", "item.changed").out.splitlines()
    assert len(routed) == 3
    assert json.loads(routed[0].split("\t")[5])
    assert rig.run("audit", "show", "--correlation-id", "nobody's").out == ""


def test_an_item_of_an_organisation_that_is_not_set_is_not_started(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_URL", "https://contoso.visualstudio.com,https://dev.azure.com/Fabrikam")
    answer = rig.run("items", "start", "fabricam", "Web", "42", "--dry-run")
    assert answer.code == ExitCode.USAGE
    assert "'fabricam' is none of the organisations of settings: contoso, fabrikam. Nothing was done." in answer.err
    rig.fill(cli_rig.item)
    assert "would start fabrikam/Web/42 at" in rig.run("items", "start", "Fabrikam", "web", "42", "--dry-run").err


def test_without_settings_it_is_said_which_organisation_was_taken(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POINTSMAN_AZURE_DEVOPS_URL", raising=False)
    rig.fill(cli_rig.item)
    told = rig.run("items", "start", "fabricam", "Web", "42", "--dry-run").err
    assert (
        "organisation 'fabricam' is taken as it was typed, because POINTSMAN_AZURE_DEVOPS_URL is not set here" in told
    )
    assert "Our books know others: fabrikam." in told
    assert "as it was typed" not in rig.run("items", "start", "Fabrikam", "Web", "43", "--dry-run").err


def test_an_export_never_replaces_a_file(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "evidence.zip").write_bytes(b"mine")
    answer = rig.run("audit", "export", str(tmp_path / "evidence.zip"))
    assert answer.code == ExitCode.CONFLICT
    assert answer.err.rstrip().endswith("evidence-2.zip")
