"""Runs as Temporal tells them: which are over, how, and who ended them."""

from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from pointsman.contracts.lifecycle import DeliverResult
from pointsman.contracts.reconciliation import RunStatus
from pointsman.contracts.work_items import WorkItemKey, WorkItemState
from pointsman.ports import Unavailable
from pointsman.temporal_server import DevServer
from starter.connection import Connection
from starter.item_runs import TemporalRuns

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=42)
DONE = DeliverResult(key=KEY, state=WorkItemState.DONE, reason="written, revision 4")


@workflow.defn(name="DeliverWorkItem", sandboxed=False)
class Ending:
    """Ends as it is asked to."""

    @workflow.run
    async def run(self, how: str) -> DeliverResult:
        if how == "failed":
            raise ApplicationError("no route", non_retryable=True)
        return DONE


async def ended(client: Client, queue: str, how: str) -> str:
    run = await client.start_workflow("DeliverWorkItem", how, id=f"{how}-{uuid4()}", task_queue=queue)
    if how not in ("terminated", "running"):
        async for _ in run.fetch_history_events(wait_new_event=True):
            pass
    if how == "terminated":
        await run.terminate(reason="stuck")
    return run.id


async def test_each_end_comes_with_what_temporal_tells_of_it(dev_server: DevServer) -> None:
    client, queue = await dev_server.connect(), f"test-{uuid4()}"
    runs = TemporalRuns(Connection(dev_server.address).client)
    async with Worker(client, task_queue=queue, workflows=[Ending]):
        over = {how: await ended(client, queue, how) for how in ("completed", "failed")}
    over |= {how: await ended(client, "nobody-polls", how) for how in ("terminated", "running")}
    told = await runs.ended([*over.values(), "never-was"])
    assert set(told) == {over["completed"], over["failed"], over["terminated"], "never-was"}
    done, failed, terminated = (told[over[how]] for how in ("completed", "failed", "terminated"))
    assert (done.status, done.state, done.reason) == (RunStatus.COMPLETED, WorkItemState.DONE, DONE.reason)
    assert (failed.status, failed.reason) == (RunStatus.FAILED, "no route")
    assert (terminated.status, terminated.reason) == (RunStatus.TERMINATED, "stuck")
    assert terminated.by != ""
    assert terminated.at is not None
    assert terminated.history_length >= 3
    assert told["never-was"].status is RunStatus.UNKNOWN
    described = {how: await client.get_workflow_handle(over[how]).describe() for how in over}
    asked = {how: await runs.is_over(one.id, one.run_id) for how, one in described.items()}
    assert asked == {"completed": True, "failed": True, "terminated": True, "running": False}
    assert await runs.is_over("never-was", str(uuid4()))
    await client.get_workflow_handle(over["running"]).terminate()


async def test_a_server_that_does_not_answer_says_nothing_of_any_run(free_port: int) -> None:
    with pytest.raises(Unavailable, match="does not say which runs are over"):
        await TemporalRuns(Connection(f"127.0.0.1:{free_port}").client).ended(["a"])
    with pytest.raises(Unavailable, match="does not say whether a is over"):
        await TemporalRuns(Connection(f"127.0.0.1:{free_port}").client).is_over("a", str(uuid4()))
