"""Runs of items as Temporal has them: which are over, how, and who ended them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
)
from temporalio.service import RPCError, RPCStatusCode

from pointsman.contracts.lifecycle import DeliverResult
from pointsman.contracts.reconciliation import RunEnd, RunStatus
from pointsman.ports import Unavailable
from pointsman.temporal import TemporalUnreachable

AT_ONCE = 10
"""Temporal has other callers, whose work is more urgent."""
CALL_TIME = timedelta(seconds=10)
STATUS = {
    WorkflowExecutionStatus.COMPLETED: RunStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED: RunStatus.FAILED,
    WorkflowExecutionStatus.CANCELED: RunStatus.CANCELED,
    WorkflowExecutionStatus.TERMINATED: RunStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: RunStatus.TIMED_OUT,
}
GONE = RunEnd(status=RunStatus.UNKNOWN)


class TemporalRuns:
    """`ports_reconciliation.ItemRuns` over a client. Each run is described by itself: unlike lists, which follow with a
    delay, that is always true."""

    def __init__(self, connect: Callable[[], Awaitable[Client]]) -> None:
        self._connect = connect

    async def ended(self, workflow_ids: Sequence[str]) -> Mapping[str, RunEnd]:
        """
        Raises:
            Unavailable: Temporal does not answer.
        """
        turns = asyncio.Semaphore(AT_ONCE)
        try:
            client = await self._connect()
            ends = await asyncio.gather(*(_end(client, name, turns) for name in workflow_ids))
        except (RPCError, TemporalUnreachable) as error:
            raise Unavailable(f"Temporal does not say which runs are over: {error}") from error
        return {name: end for name, end in zip(workflow_ids, ends, strict=True) if end is not None}

    async def is_over(self, workflow_id: str, run_id: str) -> bool:
        """
        Raises:
            Unavailable: Temporal does not answer.
        """
        try:
            client = await self._connect()
            asked = await client.get_workflow_handle(workflow_id, run_id=run_id).describe(rpc_timeout=CALL_TIME)
            if asked.status not in STATUS:
                return False
            last = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=CALL_TIME)
            return last.status in STATUS or _first(last) != _first(asked)
        except (RPCError, TemporalUnreachable) as error:
            if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                return True
            raise Unavailable(f"Temporal does not say whether {workflow_id} is over: {error}") from error


def _first(run: WorkflowExecutionDescription) -> str:
    """The run that its chain began with: one that takes the place of another, as by a reset, keeps it."""
    return run.raw_description.workflow_execution_info.first_run_id or run.run_id


async def _end(client: Client, name: str, turns: asyncio.Semaphore) -> RunEnd | None:
    async with turns:
        try:
            found = await client.get_workflow_handle(name).describe(rpc_timeout=CALL_TIME)
            status = STATUS.get(found.status) if found.status else None
            return await _told(client, found, status) if status else None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return GONE
            raise


async def _told(client: Client, found: WorkflowExecutionDescription, status: RunStatus) -> RunEnd:
    """With what the last event of its history says."""
    run: WorkflowHandle[object, object] = client.get_workflow_handle(found.id, run_id=found.run_id)
    end = RunEnd(status=status, at=found.close_time, history_length=found.history_length)
    closing = run.fetch_history_events(
        event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT, rpc_timeout=CALL_TIME
    )
    async for event in closing:
        return await _closed(client, end, event)
    return end


async def _closed(client: Client, end: RunEnd, event: HistoryEvent) -> RunEnd:
    if end.status is RunStatus.TERMINATED:
        terminated = event.workflow_execution_terminated_event_attributes
        return end.model_copy(update={"reason": terminated.reason, "by": terminated.identity})
    if end.status is RunStatus.FAILED:
        return end.model_copy(update={"reason": event.workflow_execution_failed_event_attributes.failure.message})
    if end.status is RunStatus.COMPLETED:
        payloads = event.workflow_execution_completed_event_attributes.result.payloads
        (result,) = await client.data_converter.decode(payloads, [DeliverResult])
        return end.model_copy(update={"state": result.state, "reason": result.reason})
    return end
