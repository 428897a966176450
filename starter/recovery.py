"""Start, schedule and follow `RecoverEvents`. Owns its workflow ids, and knows when Pointsman was away."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    WorkflowHandle,
)
from temporalio.common import (
    WorkflowIDConflictPolicy,
)
from temporalio.service import RPCError

from pointsman.contracts.policy import Policy
from pointsman.contracts.recovery import RecoverRequest, RecoverResult
from pointsman.domain.routing import tenant_of
from pointsman.ports import Recoveries, Unavailable
from pointsman.temporal import TASK_QUEUE, TemporalUnreachable
from starter import schedules
from starter.connection import Connection
from workflows.attributes import of_place
from workflows.recovery import RecoverEvents

LOG = structlog.get_logger(__name__)
PREFIX = "recover/"
ALL = "*"
RECEIVER = "receiver"
BEAT = timedelta(seconds=20)
AGAIN = timedelta(seconds=5)

Running = WorkflowHandle[RecoverEvents, RecoverResult]


def workflow_id(organisation: str, project: str) -> str:
    """`recover/fabrikam/Web`; `recover/fabrikam/*` for a whole organisation. A schedule adds the time."""
    return f"{PREFIX}{organisation}/{project or ALL}"


def projects_of(policy: Policy, organisation: str) -> tuple[str, ...]:
    """Projects to recover events of: those that the hooks of policy name, or all together where one names none."""
    rules = [
        rule
        for rule in policy.hooks.subscriptions
        if not rule.organisations or organisation in {name.lower() for name in rule.organisations}
    ]
    if not rules or any(not rule.projects for rule in rules):
        return ("",)
    names = {name.lower(): name for rule in rules for name in rule.projects}
    return tuple(names[name] for name in sorted(names))


def requests(policy: Policy, organisations: Sequence[str]) -> list[RecoverRequest]:
    """What the schedule asks for."""
    return [
        RecoverRequest(organisation=organisation, project=project, tenant=tenant_of(policy, organisation), watch=True)
        for organisation in organisations
        for project in projects_of(policy, organisation)
    ]


async def start(client: Client, ask: RecoverRequest, task_queue: str = TASK_QUEUE) -> Running:
    """Start a recovery. One for a reason that comes by itself joins the one that runs; a person gets one of their own.

    Raises:
        RPCError: Temporal did not take it, or its answer was lost.
    """
    own = ask.since is not None or ask.dry_run
    name = workflow_id(ask.organisation, ask.project)
    return await client.start_workflow(
        RecoverEvents.run,
        ask,
        id=f"{name}/{uuid4()}" if own else name,
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"{ask.organisation}/{ask.project or ALL}: {ask.reason}",
        search_attributes=of_place(ask.tenant, ask.project),
    )


async def ensure_schedules(
    client: Client, asks: Sequence[RecoverRequest], every: timedelta, task_queue: str = TASK_QUEUE
) -> None:
    """One schedule for each request, as it is to be now; those of organisations and projects that nobody asks for any
    more go. With no time between runs all go."""
    wanted = {workflow_id(ask.organisation, ask.project): _schedule(ask, every, task_queue) for ask in asks if every}
    await schedules.keep(client, PREFIX, wanted, task_queue)


def _schedule(ask: RecoverRequest, every: timedelta, task_queue: str) -> Schedule:
    action = ScheduleActionStartWorkflow(
        RecoverEvents.run,
        ask,
        id=workflow_id(ask.organisation, ask.project),
        task_queue=task_queue,
        static_summary=f"{ask.organisation}/{ask.project or ALL}: {ask.reason}",
        typed_search_attributes=of_place(ask.tenant, ask.project),
    )
    return schedules.at_intervals(action, every)


class Pulse:
    """The receiver's heartbeat in the books. Whoever finds it old was away, and looks for what was lost meanwhile."""

    def __init__(
        self,
        recoveries: Recoveries,
        connection: Connection,
        asks: Sequence[RecoverRequest],
        away: timedelta,
        task_queue: str = TASK_QUEUE,
    ) -> None:
        self._recoveries = recoveries
        self._connection = connection
        self._asks = asks
        self._away = away
        self._task_queue = task_queue

    async def run(self, every: timedelta = BEAT) -> None:
        """Until cancelled."""
        while True:
            if gap := await self._beat():
                await self._recover(gap)
            await asyncio.sleep(every.total_seconds())

    async def _beat(self) -> timedelta | None:
        """How long nobody was there, if that is too long."""
        try:
            last = await self._recoveries.beat(RECEIVER)
        except Unavailable as error:
            LOG.warning("heartbeat not kept", error=str(error))
            return None
        gap = datetime.now(UTC) - last if last else timedelta()
        return gap if gap > self._away else None

    async def _recover(self, gap: timedelta) -> None:
        LOG.warning("was away; lost events are looked for", seconds=round(gap.total_seconds()))
        reason = f"away for {round(gap.total_seconds())} s"
        for ask in self._asks:
            while not await self._started(ask.model_copy(update={"reason": reason})):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(AGAIN.total_seconds())

    async def _started(self, ask: RecoverRequest) -> bool:
        try:
            await start(await self._connection.client(), ask, self._task_queue)
        except (TemporalUnreachable, RPCError) as error:
            LOG.warning("recovery waits for Temporal", error=str(error))
            return False
        return True
