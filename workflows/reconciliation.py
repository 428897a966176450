"""Compare what Azure DevOps has of a project with our books, page by page, and keep what came of it."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.ended_runs import EndedRuns
from activities.reconciliation import Reconciling
from pointsman.contracts.reconciliation import (
    CloseEnded,
    EndedRun,
    ReconcileCarry,
    ReconcileReport,
    ReconcileRequest,
    ReconcileResult,
    ReconcileTally,
)
from pointsman.domain import ended_runs, reconciliation_story
from workflows import elsewhere

BOOKS_TIME = timedelta(seconds=30)
PAGE_TIME = timedelta(minutes=30)  # 200 items, some of them with some requests, at a service that may slow us down
HEARTBEAT = timedelta(seconds=10)
REPORTS_MAX, FINDINGS_CARRIED_MAX = 20, 20  # each step carries them through the history; the books have them all
PATIENT = RetryPolicy(maximum_interval=timedelta(minutes=5))  # for as long as the service is away
SWEEP_TIME = timedelta(minutes=5)  # 200 runs, a few at a time
SWEEPS = "close-ended-runs"
"""Comparisons that began before this take what our books have open for open."""


@workflow.defn
class ReconcileProject:
    """One run per organisation and project at a time: `starter.reconciliation.workflow_id`. Without a project each of
    the organisation is compared, one after another.

    Whatever kills it, it goes on behind the last page. Its memory does not grow with the project.
    """

    @workflow.init
    def __init__(self, ask: ReconcileRequest) -> None:
        self._carry = ask.carry

    @workflow.run
    async def run(self, ask: ReconcileRequest) -> ReconcileResult:
        if not self._carry.is_begun:
            self._carry = await workflow.execute_activity_method(
                Reconciling.begin,
                ask,
                start_to_close_timeout=PAGE_TIME,
                retry_policy=PATIENT,
                summary=f"projects of {ask.organisation}",
            )
        while self._carry.project:
            self._tell_story(ask)
            if self._carry.is_swept or not workflow.patched(SWEEPS):
                await self._compare(ask)
            else:
                await self._sweep(ask)
            if self._carry.is_compared:
                await self._finish(ask)
            if workflow.info().is_continue_as_new_suggested() and self._carry.project:
                workflow.continue_as_new(ask.model_copy(update={"carry": self._carry}))
        self._tell_story(ask)
        return ReconcileResult(reports=self._carry.reports)

    @workflow.query
    def progress(self) -> ReconcileCarry:
        """How far it is, and what it has found."""
        return self._carry

    async def _sweep(self, ask: ReconcileRequest) -> None:
        """Find what our books have open and Temporal does not, and close it."""
        found = await workflow.execute_activity_method(
            EndedRuns.find,
            ask.model_copy(update={"carry": self._carry}),
            start_to_close_timeout=SWEEP_TIME,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=PATIENT,
            summary=f"{self._carry.project}, open items above {self._carry.swept_to}"[:150],
        )
        closed = found.ended if ask.dry_run or not found.ended else await self._close(found.ended)
        tally = ended_runs.counted_ended(self._carry.tally, closed, closed=not ask.dry_run)
        self._carry = self._carry.model_copy(
            update={"is_swept": found.after == 0, "swept_to": found.after, "tally": tally}
        )

    async def _close(self, ended: tuple[EndedRun, ...]) -> tuple[EndedRun, ...]:
        """Agents elsewhere are told first: of an item that is closed nobody would ask what it has open there."""
        said = await asyncio.gather(*(self._stop_elsewhere(one) for one in ended))
        told = tuple(ended_runs.also(one, words) for one, words in zip(ended, said, strict=True))
        closed = await workflow.execute_activity_method(
            EndedRuns.close,
            CloseEnded(ended=told),
            start_to_close_timeout=BOOKS_TIME,
            retry_policy=PATIENT,
            summary=f"close {len(told)} items in the books",
        )
        return tuple(one for one in told if one.item.key.id in closed.items)

    async def _stop_elsewhere(self, ended: EndedRun) -> str:
        return "".join([(await elsewhere.stop(turn))[1] for turn in ended.turns])

    async def _compare(self, ask: ReconcileRequest) -> None:
        self._carry = await workflow.execute_activity_method(
            Reconciling.compare,
            ask.model_copy(update={"carry": self._carry}),
            start_to_close_timeout=PAGE_TIME,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=PATIENT,
            summary=f"{self._carry.project}, items above {self._carry.after}"[:150],
        )

    async def _finish(self, ask: ReconcileRequest) -> None:
        """Keep the project's report, and go on with the next."""
        carry = self._carry
        report = ReconcileReport(
            organisation=ask.organisation,
            project=carry.project,
            tenant=ask.tenant,
            dry_run=ask.dry_run,
            by=ask.by,
            reason=ask.reason,
            tally=carry.tally,
        )
        await workflow.execute_activity_method(
            Reconciling.finish, report, start_to_close_timeout=BOOKS_TIME, retry_policy=PATIENT
        )
        short = carry.tally.model_copy(update={"findings": carry.tally.findings[:FINDINGS_CARRIED_MAX]})
        told = report.model_copy(update={"tally": short})
        self._carry = carry.model_copy(
            update={
                "project": carry.waiting[0] if carry.waiting else "",
                "waiting": carry.waiting[1:],
                "after": 0,
                "is_swept": False,
                "swept_to": 0,
                "tally": ReconcileTally(),
                "is_compared": False,
                "reports": (*carry.reports, told)[-REPORTS_MAX:],
            }
        )

    def _tell_story(self, ask: ReconcileRequest) -> None:
        workflow.set_current_details(reconciliation_story.reconciliation(ask, self._carry))
