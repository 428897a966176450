"""One run of a work item: its state, its transitions, and what it hears while it works."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ChildWorkflowError,
    FailureError,
    TerminatedError,
    is_cancelled_exception,
)

from activities.escalations import Asking
from activities.inspections import Inspections
from activities.status import StatusComments
from activities.work_items import WorkItems
from pointsman.contracts.escalations import Close, Escalation, Resolution
from pointsman.contracts.lifecycle import (
    Classify,
    DeliverRequest,
    DeliverResult,
    End,
    Intake,
    Narrow,
    RecordTransition,
    Stage,
    TellStatus,
)
from pointsman.contracts.policy import AgentPolicy
from pointsman.contracts.turns import TurnResult
from pointsman.contracts.violations import ActOn, Inspected, InspectItem
from pointsman.contracts.work_items import ENDED, Judgement, Transition, Verdict, WorkItemEvent, WorkItemState
from pointsman.domain import lifecycle, story
from workflows import attributes, violations
from workflows.children import Child, Question, stop
from workflows.hearing import BEAT, TRACKER_TIME, at_once
from workflows.listening import Listening

BOOKS_TIME = timedelta(seconds=30)
# Without a limit on attempts: an outage of Azure DevOps or of our store is waited out, not escalated.
PATIENT = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(minutes=1))

INSPECTING = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=4)

TOLD = frozenset({WorkItemState.WORKING, WorkItemState.WAITING, WorkItemState.PUBLISHING})
"""What an item's status comment is about, beside how the run ends."""
TERMINATED = "terminated in Temporal"
CLOSES_QUESTIONS = "close-broken-question"
"""Runs that began before this fail the item when a question is ended from outside, and leave its row open."""
HEARS_ITSELF = "hear-own-echo"
"""Runs that began before this take a new turn when it is the echo of an earlier run's write that starts them."""
HEARS_OTHER_ENDS = "hear-other-ends"
"""Runs that began before this take up an item of which nothing is heard but the other end of a link of ours."""
GIVES_UP = "give-up-unread"
"""Runs that began before this ask once more about an item that cannot be read, when events of it are waiting."""
NARROWS, NARROWS_LINKS = "leave-out-no-ops", "leave-out-links-there"
"""Runs that began before these ask people about a field that is to be set to what it is, and about links alone."""
MOVES = "route-moved-anew"
"""Runs that began before this go on with the same agent when they read that the item has moved."""
INSPECTS_RULED = "inspect-only-ruled"
"""Runs that began before this check items out of scope of projects that policy does not name, too."""


class ItemRun(Listening):
    """What `DeliverWorkItem` keeps between its stages, all of it in `Carry`, and does in each of them."""

    def __init__(self, request: DeliverRequest) -> None:
        super().__init__(request)
        self._deaf = False
        self._only_echoes = False
        self._handed: tuple[str, ...] = ()

    def _keep_facts(self, intake: Intake) -> None:
        """The item as it was read. One that has moved since the last time is routed anew."""
        carry = self._carry
        moved = carry.agent and carry.facts and lifecycle.is_elsewhere(carry.facts, intake.facts)
        if moved and workflow.patched(MOVES):
            self._keep(agent="", proposal=None)
        self._request = self._request.model_copy(update={"key": intake.facts.key})
        self._keep(
            moved_to=None,
            facts=intake.facts,
            turns=max(carry.turns, intake.turns),
            escalations=max(carry.escalations, intake.escalations),
        )

    async def _enter(self, state: WorkItemState, reason: str) -> None:
        """Make a transition: seen in Temporal's UI at once, kept in the books before the next stage."""
        before = self._carry.state
        number = self._carry.transitions + 1
        self._keep(state=state, reason=reason, transitions=number)
        attributes.show(self._carry)
        self._show(story.item(self._request, self._carry))
        await workflow.execute_local_activity_method(
            WorkItems.record,
            RecordTransition(
                key=self._request.key,
                tenant=self._request.tenant,
                correlation_id=self._request.correlation_id,
                transition=Transition(
                    number=number,
                    before=before,
                    after=state,
                    reason=reason,
                    at=workflow.now(),
                    agent=self._carry.agent,
                    history_length=workflow.info().get_current_history_length(),
                ),
                usage=self._carry.usage,
                waited_seconds=self._carry.waited_seconds,
            ),
            start_to_close_timeout=BOOKS_TIME,
            retry_policy=PATIENT,
            summary=story.summary(f"{state}: {reason}"),
        )
        if self._request.policy.sync.status_comment:
            await self._tell_status(state, reason)

    async def _tell_status(self, state: WorkItemState, reason: str) -> None:
        """Say it on the item, once it is worked on. That it cannot be said stops nothing."""
        carry = self._carry
        if state not in TOLD and not (carry.status_told and state in ENDED):
            return
        self._keep(status_told=state in TOLD)
        try:
            await workflow.execute_activity_method(
                StatusComments.tell,
                TellStatus(
                    key=self._request.key,
                    tenant=self._request.tenant,
                    correlation_id=self._request.correlation_id,
                    operation=f"{workflow.info().first_execution_run_id}/status.{carry.transitions}",
                    text=story.status(state, reason),
                ),
                start_to_close_timeout=TRACKER_TIME,
                heartbeat_timeout=BEAT,
                retry_policy=INSPECTING,
                summary=f"say on the item: {state}",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise

    async def _attend(self, child: Child, tell: Callable[[str], Awaitable[None]] | None = None) -> bool:
        """Take in what happens while a child is open. True when the item was deleted, or moved to where others handle
        it: the child is cancelled, and `_stopped` says how it goes on.

        `tell` hands an instruction to the child; what it can no longer hear stays for the next turn.
        """
        self._deaf = False
        try:
            while True:
                # The child has limits and rungs of its own, so this wait ends without a timeout.
                await workflow.wait_condition(lambda: child.done() or (bool(self._carry.queue) and not self._deaf))
                if child.done():
                    return False
                if await self._hear() or self._is_in_vain():
                    await stop(child)
                    return True
                if tell is not None:
                    await self._pass_on(tell)
        except (asyncio.CancelledError, FailureError):
            await stop(child)
            raise

    def _is_in_vain(self) -> bool:
        """Whether the item has moved to where what is done for it now is nobody's wish."""
        moved_to = self._carry.moved_to
        if moved_to is None:
            return False
        elsewhere = lifecycle.leads_elsewhere(self._request.policy, moved_to, self._carry.agent)
        if not elsewhere:
            self._keep(moved_to=None)
        return elsewhere

    def _stopped(self) -> Stage | End:
        """How a run goes on whose child was stopped: the item is gone, or is read and routed anew."""
        if self._carry.moved_to is None:
            return self._withdrawn()
        self._keep(agent="", ask=None, proposal=None, moved_to=None)
        return Stage.INTAKE

    def _withdrawn(self) -> End:
        return End(state=WorkItemState.WITHDRAWN, reason="deleted in Azure DevOps")

    async def _hear_out(self, question: Question, escalation: Escalation) -> Resolution | None:
        """Wait for what becomes of a question. None when it was stopped."""
        try:
            stopped = await self._attend(question)
        except (asyncio.CancelledError, FailureError):
            with suppress(ChildWorkflowError):
                await self._resolution(question, escalation)
            raise
        if not stopped:
            return await self._resolution(question, escalation)
        with suppress(ChildWorkflowError):
            await self._resolution(question, escalation)
        return None

    async def _resolution(self, question: Question, escalation: Escalation) -> Resolution:
        """How it ended. One that was terminated, or failed, cannot close its books: that is done here.

        A decision that was in the books by then stands, and is followed.
        """
        try:
            return await question
        except ChildWorkflowError as error:
            # A cancelled one closes them itself.
            if is_cancelled_exception(error) or not workflow.patched(CLOSES_QUESTIONS):
                raise
            try:
                resolution = await self._close(question, escalation, error)
            except ActivityError as refused:
                if is_cancelled_exception(refused):
                    raise
                raise error from None  # what ended the question says more than why its books cannot be closed
            if resolution.outcome == "decided":
                return resolution
            raise

    async def _close(self, question: Question, escalation: Escalation, error: ChildWorkflowError) -> Resolution:
        return await workflow.execute_activity_method(
            Asking.close,
            Close(
                escalation=escalation.model_copy(update={"open_elsewhere": ()}),
                workflow_id=question.id,
                run_id=question.first_execution_run_id or "",
                reason=TERMINATED if was_terminated(error) else "its own run failed",
            ),
            start_to_close_timeout=BOOKS_TIME,
            retry_policy=PATIENT,
            summary=f"close question {escalation.number}",
        )

    async def _hear(self) -> bool:
        try:
            return await self._sift()
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._deaf = True  # the events stay queued for the next stage, where a human can be asked
            return False

    async def _pass_on(self, tell: Callable[[str], Awaitable[None]]) -> None:
        for instruction in self._carry.instructions:
            with suppress(FailureError):
                await tell(instruction)
                self._handed = (*self._handed, instruction)
                self._keep(instructions=tuple(one for one in self._carry.instructions if one != instruction))
            if workflow.cancellation_reason() is not None:
                # A signal under way cannot be called back, so the wait for it hides that we are cancelled.
                raise asyncio.CancelledError

    async def _sift(self, *, also_covered: bool = False) -> bool:
        """Judge the events that wait. News becomes instructions. True when the item is deleted.

        Events that the facts cover are no news; `also_covered` has them judged nevertheless, to know whose they are.
        """
        carry = self._carry
        known = carry.facts.rev if carry.facts else 0
        events = tuple(event for event in carry.queue if also_covered or not lifecycle.covered(event, known))
        self._keep(queue=(), unjudged=0)
        if not events:
            return False
        try:
            judgements = await self._classify(known, events)
        except ActivityError:
            self._keep(queue=(*events, *self._carry.queue), unjudged=len(events))
            raise
        self._only_echoes = all(one.verdict is Verdict.ECHO for one in judgements)
        news = [one.instruction for one in judgements if one.instruction]
        self._keep(news_rev=max([self._carry.news_rev, *(one.rev for one in judgements if one.instruction)]))
        fresh, told = lifecycle.tell_once(self._carry.told, news)
        self._keep(instructions=(*self._carry.instructions, *fresh), told=told)
        # Each of these was true when it was judged, so the last one is true now.
        present = [one.verdict for one in judgements if one.verdict in (Verdict.DELETED, Verdict.RESTORED)]
        if present:
            self._keep(restored=present[-1] is Verdict.RESTORED)
        deleted = present[-1:] == [Verdict.DELETED]
        moved = [one.moved_to for one in judgements if one.moved_to is not None]
        self._keep(moved_to=None if deleted else moved[-1] if moved else self._carry.moved_to)
        read_anew = self._carry.stage is Stage.INTAKE  # and checked after that
        if deleted or not (self._only_echoes or read_anew):
            await self._inspect(gone=deleted)
        return deleted

    async def _narrow(self, result: TurnResult) -> TurnResult:
        """A turn's result without what the item says already: policy and people look at what would change."""
        proposal, request = result.proposal, self._request
        self._keep(unchanged=())
        patch = NARROWS if proposal and (proposal.fields or proposal.tags) else NARROWS_LINKS
        if proposal is None or not (patch == NARROWS or proposal.links) or not workflow.patched(patch):
            return result
        ask = Narrow(
            key=request.key, tenant=request.tenant, correlation_id=request.correlation_id, proposal=proposal.hash
        )
        narrowed = await at_once(WorkItems.narrow, ask, retry=PATIENT, summary="leave out what is so already")
        self._keep(proposal=narrowed.proposal, unchanged=narrowed.unchanged)
        return result.model_copy(update={"proposal": narrowed.proposal, "unchanged": narrowed.unchanged})

    def _is_ruled(self) -> bool:
        return lifecycle.is_ruled(self._request.policy, self._carry) or not workflow.patched(INSPECTS_RULED)

    async def _inspect(self, *, gone: bool = False) -> None:
        """Have the item checked against the rules of its process, where policy wants that as things happen.

        A check that comes to nothing holds nothing up: the next event and the check on schedule make up for it.
        """
        request, control = self._request, self._request.policy.process
        if not control.on_events:
            return
        try:
            found = await at_once(
                Inspections.inspect,
                InspectItem(
                    key=request.key,
                    tenant=request.tenant,
                    correlation_id=request.correlation_id,
                    on_open=control.on_open,
                    gone=gone,
                ),
                retry=INSPECTING,
                summary="check the rules of its process",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return
        await self._tell_of(found)

    async def _tell_of(self, found: Inspected) -> None:
        request, control = self._request, self._request.policy.process
        await violations.call_off(found.called_off)
        if found.act:
            ask = ActOn(
                tenant=request.tenant,
                correlation_id=request.correlation_id,
                organisation=request.key.organisation,
                project=request.key.project,
                items=(request.key.id,),
                on_open=control.on_open,
                breaker=request.policy.sync.breaker,
            )
            await violations.follow(ask, request.policy.ladders)

    async def _classify(self, known_rev: int, events: tuple[WorkItemEvent, ...]) -> list[Judgement]:
        return await at_once(
            WorkItems.classify,
            Classify(
                key=self._request.key,
                tenant=self._request.tenant,
                correlation_id=self._request.correlation_id,
                known_rev=known_rev,
                events=events,
                reread=self._request.policy.hooks.reread,
                fresh=not (self._carry.turns or self._carry.escalations),
            ),
            retry=PATIENT,
            summary=f"judge {len(events)} events",
        )

    def _agent(self) -> AgentPolicy:
        agent = self._request.policy.agent(self._carry.agent)
        assert agent is not None, "routes and choices name agents of the same policy"
        return agent

    def _result(self, end: End) -> DeliverResult:
        carry = self._carry
        started = carry.started_at or workflow.now()
        return DeliverResult(
            key=self._request.key,
            state=end.state,
            reason=end.reason,
            agent=carry.agent,
            turns=carry.turns,
            usage=carry.usage,
            waited_seconds=carry.waited_seconds,
            seconds=(workflow.now() - started).total_seconds(),
            rev=max(carry.facts.rev if carry.facts else 0, carry.written_rev),
        )


def was_terminated(error: BaseException) -> bool:
    """Whether an operator ended the child without letting it close its books."""
    return isinstance(error, ChildWorkflowError) and isinstance(error.cause, TerminatedError)
