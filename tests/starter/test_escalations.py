"""A decision sent to a real escalation on a real server: what stands, what is refused, and what is no longer asked."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.escalations import Asking
from pointsman import temporal
from pointsman.contracts.escalations import Decision, Escalation, EscalationKind, Resolution, Verb
from pointsman.contracts.policy import Ladder, Rung, Severity
from pointsman.contracts.work_items import WorkItemKey
from pointsman.ports import Missing, Rejected
from pointsman.temporal_server import DevServer
from starter import escalations
from starter.cli.errors import ExitCode, translated
from starter.escalations import Unanswered
from tests.books import MemoryContents, MemoryEscalations
from tests.worlds import FakePeople
from workflows.escalations import ResolveEscalation

pytestmark = pytest.mark.slow

SUBJECT = "ab" * 32
QUESTION = Escalation(
    key=WorkItemKey(organisation="fabrikam", project="Web", id=42),
    tenant="north",
    correlation_id="c-1",
    number=1,
    kind=EscalationKind.APPROVAL,
    severity=Severity.HIGH,
    summary="Move it to Resolved?",
    allowed=(Verb.APPROVE, Verb.REJECT),
    subject=SUBJECT,
    ladder=Ladder(severity=Severity.HIGH, rungs=(Rung(notify=("team",), wait=timedelta(hours=2)),)),
    agent="closer",
)
APPROVAL = Decision(verb=Verb.APPROVE, by="ada", subject=SUBJECT[:12], channel="cli")
ANSWER = Decision(verb=Verb.RESPOND, by="ada", comment="hm", channel="cli")
REFUSAL = Decision(verb=Verb.REJECT, by="bob", comment="no", channel="cli")


@asynccontextmanager
async def asked(server: DevServer) -> AsyncGenerator[tuple[Client, str]]:
    client, queue = await server.connect(), f"test-{uuid4()}"
    rooms = Asking(MemoryEscalations(), MemoryContents(), FakePeople())
    async with Worker(
        client,
        task_queue=queue,
        workflows=[ResolveEscalation],
        activities=temporal.activities_of(rooms),
        **temporal.worker_options(),
    ):
        handle = await client.start_workflow(ResolveEscalation.run, QUESTION, id=queue, task_queue=queue)
        yield client, queue
        await handle.result()


async def test_a_decision_is_refused_with_its_reason_until_a_valid_one_stands(dev_server: DevServer) -> None:
    async with asked(dev_server) as (client, workflow_id):
        with pytest.raises(Rejected, match="cdcdcdcd"):
            await escalations.decide(client, workflow_id, APPROVAL.model_copy(update={"subject": "cd" * 6}))
        with pytest.raises(Rejected, match="respond"):
            await escalations.decide(client, workflow_id, ANSWER)
        standing = await escalations.decide(client, workflow_id, APPROVAL)
        assert (standing.accepted, standing.verb, standing.by) == (True, Verb.APPROVE, "ada")
    resolution = await client.get_workflow_handle(workflow_id, result_type=Resolution).result()
    assert (resolution.verb, resolution.by) == (Verb.APPROVE, "ada")
    with pytest.raises(Missing, match="is closed or does not exist"):
        await escalations.decide(client, workflow_id, REFUSAL)


async def test_an_escalation_that_never_was_is_missing(dev_server: DevServer) -> None:
    client = await dev_server.connect()
    with pytest.raises(Missing, match="no-such-escalation"):
        await escalations.decide(client, "no-such-escalation", APPROVAL)


@asynccontextmanager
async def asked_of_nobody(server: DevServer) -> AsyncGenerator[tuple[Client, str]]:
    """An open escalation that no worker serves."""
    client, queue = await server.connect(), f"test-{uuid4()}"
    await client.start_workflow(ResolveEscalation.run, QUESTION, id=queue, task_queue=queue)
    yield client, queue


async def test_a_decision_that_no_worker_takes_says_so_and_can_be_repeated(dev_server: DevServer) -> None:
    async with asked_of_nobody(dev_server) as (client, workflow_id):
        with pytest.raises(Unanswered) as told:
            await escalations.decide(client, workflow_id, APPROVAL, timedelta(milliseconds=300))
        for words in (workflow_id, "within 0.3 s", "Nothing is known to have changed", "pointsman worker", "signal"):
            assert words in str(told.value)
        meaning = translated(told.value)
        assert meaning is not None
        assert (meaning.exit_code, meaning.retryable) == (ExitCode.TIMED_OUT, True)
        assert meaning.hint.endswith("pointsman worker")
        async with Worker(
            client,
            task_queue=workflow_id,
            workflows=[ResolveEscalation],
            activities=temporal.activities_of(Asking(MemoryEscalations(), MemoryContents(), FakePeople())),
            **temporal.worker_options(),
        ):
            repeated = await escalations.decide(client, workflow_id, APPROVAL)
            await client.get_workflow_handle(workflow_id).result()
    # Whether the first one was taken late or only this one: it is the decision of the same person, and it stands.
    assert (repeated.accepted, repeated.by) == (True, "ada")


async def test_whoever_stops_waiting_for_an_answer_is_not_told_of_workers(dev_server: DevServer) -> None:
    async with asked_of_nobody(dev_server) as (client, workflow_id):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await escalations.decide(client, workflow_id, APPROVAL)
        await client.get_workflow_handle(workflow_id).terminate()
