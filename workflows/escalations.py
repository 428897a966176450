"""One question to humans: it waits on a ladder of rungs, and the first valid decision stands."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.escalations import Asking
from pointsman.contracts.escalations import (
    Decision,
    Escalation,
    Notify,
    Opened,
    Refusal,
    Refuse,
    Resolution,
    Settle,
    Standing,
    Verb,
    Whose,
)
from pointsman.domain import decisions, story
from workflows import elsewhere
from workflows.showing import Showing

BEAT = timedelta(seconds=10)
BOOKS_TIME = timedelta(seconds=10)  # without heartbeat: so long is a dead worker waited for
NOTIFY_TIME = timedelta(seconds=30)
DECIDE = "decide"
NOTIFY_ATTEMPTS = 5  # a decision waits behind these
NOTHING = RawValue(Payload())  # what a signal without input brings
CLOSED = "nobody decided in time, or the item was withdrawn: nothing is asked any more"
EXPIRED, WITHDRAWN = "nobody decided in time", "withdrawn"
REFUSALS_MAX = 50  # a script gone wild must not fill the history


@workflow.defn
class ResolveEscalation(Showing):
    """Child of `DeliverWorkItem`. Silence climbs the ladder and never approves; out of rungs it expires."""

    @workflow.init
    def __init__(self, escalation: Escalation) -> None:
        self._asked = escalation.model_copy(update={"open_elsewhere": ()})
        self._open_elsewhere = escalation.open_elsewhere
        self._whose = Whose(key=escalation.key, tenant=escalation.tenant, correlation_id=escalation.correlation_id)
        self._opened: Opened | None = None
        self._rung = 0
        self._decision: Decision | None = None
        self._standing: Standing | None = None
        self._refusals: list[Refusal] = []
        self._kept = 0
        self._closed = ""
        """Why nobody is asked any more."""

    @workflow.run
    async def run(self, escalation: Escalation) -> Resolution:
        self._tell_story()
        try:
            await self._open()
            await self._climb()
            self._closed = EXPIRED
            waited = (workflow.now() - workflow.info().workflow_start_time).total_seconds()
            resolution = await self._settle(self._resolution(waited))
            await self._keep_refusals()
        except BaseException as error:
            # The item was deleted or cancelled: nobody needs to decide any more, and the books say so.
            if is_cancelled_exception(error):
                await self._withdraw()
            raise
        self._tell_story()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return resolution

    @workflow.update(name=DECIDE, description="approve, edit, reject or respond; the first valid decision stands")
    def decide(self, decision: Decision) -> Standing:
        """Take the decision, or say whose stands. Safe to send twice: the first one stands."""
        if self._standing is None:
            return self._take(decision)
        first = self._standing
        note = f"already decided: {first.verb} by {first.by} at {first.at.isoformat(timespec='seconds')}"
        return first.model_copy(update={"accepted": False, "note": note})

    @decide.validator
    def _check(self, decision: Decision) -> None:
        try:
            decisions.check(self._asked, decision)
        except decisions.Undecidable as error:
            raise ApplicationError(str(error), type="Undecidable", non_retryable=True) from error
        if self._closed and self._standing is None:
            raise ApplicationError(CLOSED, type="Undecidable", non_retryable=True)

    @workflow.signal(name=DECIDE)
    def decide_by_signal(self, raw: RawValue = NOTHING) -> None:
        """The same for people who work from Temporal's UI or CLI. What cannot be taken is kept and shown."""
        try:
            decision = decisions.read(raw.payload.data)
            decisions.check(self._asked, decision)
        except decisions.Undecidable as error:
            self._refuse(str(error))
            return
        if self._standing is not None:
            self._refuse(f"late: {self._standing.verb} by {self._standing.by} stands", decision.by)
            return
        if self._closed:
            self._refuse(f"late: {CLOSED}", decision.by)
            return
        self._take(decision if decision.channel else decision.model_copy(update={"channel": "temporal"}))

    def misfit(self, signal: str, inputs: int, *, known: bool) -> None:
        """A decision that does not fit is kept, as any that cannot be taken."""
        if known:
            self._refuse(f"one JSON object is wanted, {inputs} inputs came")
        else:
            super().misfit(signal, inputs, known=known)

    @workflow.query
    def standing(self) -> Standing | None:
        """The decision that stands, if any."""
        return self._standing

    def _take(self, decision: Decision) -> Standing:
        self._decision = decision
        self._standing = Standing(
            escalation_id=self._id(), accepted=True, verb=decision.verb, by=decision.by, at=workflow.now()
        )
        self._tell_story()
        return self._standing

    def _refuse(self, reason: str, by: str = "") -> None:
        if len(self._refusals) < REFUSALS_MAX:
            number = len(self._refusals) + 1
            self._refusals.append(Refusal(number=number, reason=reason[:500], by=by, channel="temporal"))
        self._tell_story()

    async def _open(self) -> None:
        self._opened = await workflow.execute_activity_method(
            Asking.open, self._asked, start_to_close_timeout=BOOKS_TIME, summary=story.summary(self._asked.summary)
        )

    async def _withdraw(self) -> None:
        """Close the question in the books. The first settlement stands, so a decision that was kept stays."""
        self._closed = WITHDRAWN
        self._tell_story()
        if self._opened is None:
            await self._open()  # the attempt that was cancelled may have opened it
        await self._settle(Resolution(escalation_id=self._id(), outcome="withdrawn"))
        for turn in self._open_elsewhere:
            await elsewhere.stop_left(turn)

    async def _climb(self) -> None:
        """Tell each rung's people, and wait there for a decision."""
        for rung in self._asked.ladder.rungs:
            if self._decision is not None:
                return
            self._rung += 1
            self._tell_story()
            for target in rung.notify:
                await self._notify(target)
            deadline = workflow.now() + rung.wait
            while self._decision is None and workflow.now() < deadline:
                with suppress(TimeoutError):
                    await workflow.wait_condition(
                        lambda: self._decision is not None or len(self._refusals) > self._kept,
                        timeout=deadline - workflow.now(),
                        timeout_summary=f"rung {self._rung} of {len(self._asked.ladder.rungs)}",
                    )
                await self._keep_refusals()

    async def _notify(self, target: str) -> None:
        asked = self._asked
        try:
            await workflow.execute_activity_method(
                Asking.notify,
                Notify(
                    escalation_id=self._id(),
                    rung=self._rung,
                    target=target,
                    subject=f"{self._id()} ({asked.severity}): {story.item_name(asked.key)}",
                    text=story.notification(asked, self._id(), workflow.info().workflow_id),
                    whose=self._whose,
                ),
                start_to_close_timeout=NOTIFY_TIME,
                heartbeat_timeout=BEAT,
                retry_policy=RetryPolicy(maximum_attempts=NOTIFY_ATTEMPTS),
                summary=f"rung {self._rung}: tell {target}",
            )
        except ActivityError as error:
            # Others are told, and everybody can decide without having been told; the history keeps the fault.
            if is_cancelled_exception(error):
                raise

    async def _keep_refusals(self) -> None:
        while self._kept < len(self._refusals):
            refusal = self._refusals[self._kept]
            self._kept += 1
            await workflow.execute_activity_method(
                Asking.refuse,
                Refuse(escalation_id=self._id(), refusal=refusal, whose=self._whose),
                start_to_close_timeout=BOOKS_TIME,
                summary=story.summary(f"not taken: {refusal.reason}"),
            )

    async def _settle(self, resolution: Resolution) -> Resolution:
        decision = self._decision if resolution.outcome == "decided" else None
        return await workflow.execute_activity_method(
            Asking.settle,
            Settle(decision=decision, resolution=resolution, whose=self._whose),
            start_to_close_timeout=BOOKS_TIME,
            summary=story.summary(self._outcome() if decision else resolution.outcome),
        )

    def _resolution(self, waited: float) -> Resolution:
        decision = self._decision
        if decision is None:
            return Resolution(escalation_id=self._id(), outcome="expired", waited_seconds=waited)
        approved = decision.verb in (Verb.APPROVE, Verb.EDIT)
        return Resolution(
            escalation_id=self._id(),
            verb=decision.verb,
            by=decision.by,
            comment=decision.comment,
            proposal=self._asked.proposal if approved else None,
            waited_seconds=waited,
        )

    def _outcome(self) -> str:
        return f"{self._decision.verb} by {self._decision.by}" if self._decision else "nobody decided"

    def _id(self) -> str:
        return self._opened.id if self._opened else ""

    def _tell_story(self) -> None:
        self._show(
            story.escalation(
                workflow.info().workflow_id,
                self._asked,
                self._id(),
                self._rung,
                self._refusals,
                self._decision,
                self._closed,
            )
        )
