"""Bring back what service hooks lost: look after the subscriptions, read what the service remembers, keep the rest."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.hooks import HookWatch
from activities.recovery import Recovery
from pointsman.contracts.recovery import (
    HookProblem,
    ReadBatch,
    RecoverCarry,
    RecoverRequest,
    RecoverResult,
    Stage,
    Tally,
    Unrecovered,
    WatchHooks,
)
from pointsman.domain import recovery_story

BOOKS_TIME = timedelta(seconds=30)
BATCH_TIME = timedelta(minutes=30)  # 200 items, each with some requests, at a service that may slow us down
WATCH_ATTEMPTS = 5
SUBSCRIPTIONS = "subscriptions"
HEARTBEAT = timedelta(seconds=10)
PATIENT = RetryPolicy(maximum_interval=timedelta(minutes=5))  # for as long as the service is away


@workflow.defn
class RecoverEvents:
    """One run per organisation and project at a time: `starter.recovery.workflow_id`.

    Whatever kills it, it goes on behind the last batch that was kept.
    """

    @workflow.init
    def __init__(self, ask: RecoverRequest) -> None:
        self._carry = ask.carry or RecoverCarry()

    @workflow.run
    async def run(self, ask: RecoverRequest) -> RecoverResult:
        if ask.carry is None:
            await self._begin(ask)
        while not self._is_done():
            self._tell_story(ask)
            await self._read(ask)
            if workflow.info().is_continue_as_new_suggested() and not self._is_done():
                workflow.continue_as_new(ask.model_copy(update={"carry": self._carry}))
        if ask.watch:
            await self._watch(ask, self._carry.tally)
        self._tell_story(ask)
        result = self._result(ask)
        kept = await workflow.execute_activity_method(
            Recovery.finish, result, start_to_close_timeout=BOOKS_TIME, retry_policy=PATIENT
        )
        if kept is None:
            return result
        self._carry = self._carry.model_copy(update={"tally": kept.tally})
        self._tell_story(ask)
        return kept

    @workflow.query
    def progress(self) -> RecoverCarry:
        """How far it is, and what it has found."""
        return self._carry

    async def _begin(self, ask: RecoverRequest) -> None:
        self._carry = await workflow.execute_activity_method(
            Recovery.begin, ask, start_to_close_timeout=BOOKS_TIME, retry_policy=PATIENT
        )
        await self._read(ask)  # what the service kept of deliveries goes with the subscription that a repair replaces
        if ask.watch:
            await self._watch(ask)

    async def _watch(self, ask: RecoverRequest, tally: Tally | None = None) -> None:
        """Before the streams: so that no more is lost meanwhile. After them: what came back tells who is silent.

        Where subscriptions may not be read, what was lost comes back nevertheless.
        """
        watch = WatchHooks(
            organisation=ask.organisation,
            tenant=ask.tenant,
            repair=tally is None and not ask.dry_run,
            recovered=None if tally is None else tally.recovered,
            since=self._carry.floor,
            dry_run=ask.dry_run,
            deaf=self._carry.deaf,
        )
        try:
            found = await workflow.execute_activity_method(
                HookWatch.watch,
                watch,
                start_to_close_timeout=BATCH_TIME,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=RetryPolicy(maximum_attempts=WATCH_ATTEMPTS),
                summary="subscriptions before" if tally is None else "subscriptions after",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            reason = f"they were not looked after: {error.cause}"
            self._name(Unrecovered(what=SUBSCRIPTIONS, reason=reason, gap=SUBSCRIPTIONS, lasts=True))
            return
        deaf = {one.event_type for one in found.hooks if one.problem is not HookProblem.SILENT}
        self._carry = self._carry.model_copy(update={"deaf": tuple(sorted(deaf))})

    def _name(self, one: Unrecovered) -> None:
        """Once, however often it is found."""
        tally = self._carry.tally
        if any(one.what == named.what and one.gap == named.gap for named in tally.unrecovered):
            return
        named = {
            "unrecovered": (*tally.unrecovered, one),
            "unrecovered_count": tally.unrecovered_count + 1,
        }
        self._carry = self._carry.model_copy(update={"tally": tally.model_copy(update=named)})

    def _is_done(self) -> bool:
        return self._carry.stage is Stage.DONE

    async def _read(self, ask: RecoverRequest) -> None:
        self._carry = await workflow.execute_activity_method(
            Recovery.read,
            ReadBatch(request=ask, carry=self._carry),
            start_to_close_timeout=BATCH_TIME,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=PATIENT,
            summary=f"{self._carry.stage}, batch {self._carry.batches + 1}",
        )

    def _result(self, ask: RecoverRequest) -> RecoverResult:
        return RecoverResult(
            organisation=ask.organisation,
            project=ask.project,
            tenant=ask.tenant,
            since=self._carry.floor,
            until=self._carry.newest,
            dry_run=ask.dry_run,
            by=ask.by,
            reason=ask.reason,
            tally=self._carry.tally,
        )

    def _tell_story(self, ask: RecoverRequest) -> None:
        workflow.set_current_details(recovery_story.recovery(ask, self._carry))
