"""Commands that change something through Temporal: a real server, a real escalation, our own store."""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.worker import Worker

from activities.escalations import Asking
from pointsman import temporal
from pointsman.contracts.escalations import Escalation, EscalationKind, Verb
from pointsman.contracts.policy import Ladder, Rung, Severity
from pointsman.contracts.work_items import Facts, Proposal, WorkItemKey
from pointsman.domain.proposals import canonical, refer
from pointsman.store.contents import Contents
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.items import Items
from pointsman.temporal_server import DevServer
from starter.cli.errors import ExitCode
from tests.starter import cli_rig
from tests.starter.cli_rig import CALLER, KEY, Rig, chain
from workflows.escalations import ResolveEscalation

pytestmark = pytest.mark.slow

PROPOSAL = Proposal(comment="Fixed in 4.2.", fields={"System.State": "Resolved"})
LADDER = Ladder(severity=Severity.HIGH, rungs=(Rung(notify=("team",), wait=timedelta(hours=2)),))


class People:
    """Who can be told, and stays silent."""

    async def notify(self, target: str, subject: str, text: str) -> str:
        return f"{target} told"


@pytest.fixture
def rig(
    tmp_path: Path,
    migrated_file: Path,
    dev_server: DevServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Rig:
    made = cli_rig.made(tmp_path / "data", migrated_file, capsys, monkeypatch)
    monkeypatch.setenv("POINTSMAN_TEMPORAL_ADDRESS", dev_server.address)
    monkeypatch.setenv("USER", "ada")
    return made


async def asked(server: DevServer, store: Store, started: Callable[[], None], stop: asyncio.Event) -> None:
    """One open escalation, and the worker that serves it until `stop`."""
    client = await server.connect()
    queue = f"test-{uuid4()}"
    rooms = Asking(Escalations(store), Contents(store), People())
    await Contents(store).put(canonical(PROPOSAL))
    async with Worker(
        client,
        task_queue=queue,
        workflows=[ResolveEscalation],
        activities=temporal.activities_of(rooms),
        **temporal.worker_options(),
    ):
        await client.start_workflow(ResolveEscalation.run, question(), id=queue, task_queue=queue)
        while await Escalations(store).get("ESC-1") is None:  # noqa: ASYNC110 - the store tells nobody of new rows
            await asyncio.sleep(0.02)
        started()
        await stop.wait()


def question() -> Escalation:
    proposal = refer(PROPOSAL)
    return Escalation(
        key=KEY,
        tenant="default",
        correlation_id="c-1",
        number=1,
        kind=EscalationKind.APPROVAL,
        severity=Severity.HIGH,
        summary="Move it to Resolved?",
        allowed=tuple(Verb),
        subject=proposal.hash,
        proposal=proposal,
        ladder=LADDER,
        agent="closer",
    )


@contextmanager
def an_open_question(rig: Rig, server: DevServer) -> Generator[None]:
    """The service's part, in a thread of its own: command lines run a loop of their own."""
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    failures: list[BaseException] = []

    async def serve() -> None:
        async with Store.open(rig.url) as store:
            await asked(server, store, ready.set, stop)

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:  # told to the test's own thread
            failures.append(error)
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
    assert not failures, failures


def until_closed(rig: Rig) -> None:
    for _ in range(500):
        if rig.run("escalations", "show", "ESC-1", "--exit-status").code == ExitCode.OK:
            return
    raise AssertionError("ESC-1 stays open")


def test_the_first_decision_stands_and_the_second_is_told_whose(rig: Rig, dev_server: DevServer) -> None:
    with an_open_question(rig, dev_server):
        first = rig.run("escalations", "approve", "ESC-1", "--comment", "looks right", "--json")
        assert first.code == ExitCode.OK
        standing = first.document()["standing"]
        assert isinstance(standing, dict)
        assert (standing["accepted"], standing["verb"], standing["by"]) == (True, "approve", "ada")
        second = rig.run("escalations", "reject", "ESC-1", "--comment", "no", "--by", "bob", "--json")
        assert second.code == ExitCode.CONFLICT
        assert second.err.count("approve by ada at ") == 1
        until_closed(rig)
        third = rig.run("escalations", "respond", "ESC-1", "--comment", "hm")
        assert third.code == ExitCode.CONFLICT
        assert "approve by ada at " in third.err
        assert third.err.rstrip().endswith("pointsman escalations show ESC-1")
    assert "channel\tcli\n" in rig.run("escalations", "show", "ESC-1").out


def test_an_edit_says_what_is_written_instead(rig: Rig, dev_server: DevServer) -> None:
    with an_open_question(rig, dev_server):
        words = ("--set", "System.State=Closed", "--set", "Priority=2", "--comment-text", "By hand.", "--tag", "a")
        links = ("--link", "Related 17", "--link", "none")
        rehearsed = rig.run("escalations", "edit", "1", *words, *links, "--dry-run", "--json")
        decision = rehearsed.document()["decision"]
        assert isinstance(decision, dict)
        edits = {"System.State": "Closed", "Priority": 2, "comment": "By hand.", "tags": ["a"]}
        edits["links"] = ["Related 17"]
        assert decision["edits"] == edits
        assert "nothing was done" in rehearsed.err
        assert rig.run("escalations", "show", "1", "--exit-status").code == ExitCode.PENDING
        assert rig.run("escalations", "edit", "1", *words).code == ExitCode.OK
        until_closed(rig)
    assert "status\tedit\n" in rig.run("escalations", "show", "1").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["approve", "ESC-1", "--subject", "12345678"], ExitCode.POLICY, "stale"),
        (["approve", "ESC-1", "--subject", "1"], ExitCode.POLICY, "needs the subject"),
        (["reject", "ESC-1", "--comment", " "], ExitCode.POLICY, "needs a comment"),
        (["approve", "ESC-1", "--by", "x" * 201], ExitCode.USAGE, "by: "),
        (["edit", "ESC-1"], ExitCode.USAGE, "--comment-text"),
        (["edit", "ESC-1", "--set", "State"], ExitCode.USAGE, "not FIELD=VALUE"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_what_does_not_answer_the_question_is_refused_before_it_is_sent(
    rig: Rig, words: list[str], code: ExitCode, said: str
) -> None:
    rig.fill(cli_rig.question)
    answer = rig.run("escalations", *words)
    assert answer.code == code
    assert said in answer.err


def test_an_escalation_whose_workflow_is_gone_says_so(rig: Rig) -> None:
    rig.fill(cli_rig.question)
    answer = rig.run("escalations", "approve", "ESC-1", "--json")
    assert answer.code == ExitCode.CONFLICT
    assert answer.error()["code"] == "closed"
    assert answer.error()["correlation_id"] == "c-1"


def test_without_temporal_nothing_is_decided(rig: Rig, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("POINTSMAN_TEMPORAL_ADDRESS", f"127.0.0.1:{free_port}")
    rig.fill(cli_rig.question)
    answer = rig.run("escalations", "approve", "ESC-1", "--json")
    assert answer.code == ExitCode.FAILURE
    assert answer.error()["code"] == "temporal_unreachable"
    assert answer.error()["retryable"] is True
    assert answer.error()["hint"] == "See what is missing: pointsman doctor"


def test_a_namespace_that_is_not_there_is_no_closed_question(
    rig: Rig, dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_TEMPORAL_NAMESPACE", "nobodys")
    rig.fill(cli_rig.question)
    answer = rig.run("escalations", "approve", "ESC-1", "--json")
    assert answer.error()["code"] == "temporal_unreachable"
    assert "has no namespace 'nobodys'" in str(answer.error()["message"])


def test_an_item_started_by_hand_can_be_cancelled(
    rig: Rig, dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = f"P{uuid4().hex[:8]}"
    monkeypatch.setenv("POINTSMAN_TASK_QUEUE", f"nobody-polls-{project}")
    key = WorkItemKey(organisation="fabrikam", project=project, id=42)
    rehearsed = rig.run("items", "start", "Fabrikam", project, "42", "--dry-run")
    assert "nothing was done" in rehearsed.err
    told = rig.run("items", "start", "Fabrikam", project, "42", "--json")
    assert "it waits for a worker; start one: pointsman serve" in told.err
    started = told.document()["started"]
    assert isinstance(started, dict)
    workflow_id = f"ado/fabrikam/{project}/42"
    assert (started["workflow_id"], started["by"]) == (workflow_id, "ada")

    async def known(store: Store) -> None:
        facts = Facts(key=key, type="Bug", title="Login fails")
        await Items(store).take_in(facts, chain(key), CALLER.model_copy(update={"workflow_id": workflow_id}))

    rig.fill(known)
    again = rig.run("items", "start", "fabrikam", "Elsewhere", "42", "--json").document()["started"]
    assert isinstance(again, dict)
    assert (again["item"], again["workflow_id"]) == (str(key), workflow_id), "one item, one workflow"
    answer = rig.run("items", "cancel", "42", "--reason", "asked twice", "--yes")
    assert answer.code == ExitCode.OK, answer.err

    async def cancel_requested() -> bool:
        client = await dev_server.connect()
        history = await client.get_workflow_handle(workflow_id).fetch_history()
        begun = history.events[0].workflow_execution_started_event_attributes
        assert begun.task_queue.name == f"nobody-polls-{project}"
        await client.get_workflow_handle(workflow_id).terminate()  # no worker serves it
        reasons = [event.workflow_execution_cancel_requested_event_attributes.cause for event in history.events]
        return "ada: asked twice" in reasons

    assert asyncio.run(cancel_requested())
    late = rig.run("items", "cancel", "42", "--reason", "once more", "--yes")
    assert late.code == ExitCode.CONFLICT
    assert "Nothing runs" in late.err
