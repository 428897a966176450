"""The life of one work item, from its first event to its written outcome."""

from typing import assert_never

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, is_cancelled_exception

from activities.turns import Turns
from activities.work_items import WorkItems
from pointsman.contracts.escalations import Escalation, EscalationKind, Resolution, Verb
from pointsman.contracts.lifecycle import (
    Ask,
    DeliverRequest,
    DeliverResult,
    End,
    Published,
    Stage,
    TakeIn,
)
from pointsman.contracts.turns import Tell, TurnEnd, TurnResult
from pointsman.contracts.work_items import WorkItemState
from pointsman.domain import lifecycle, limits, linking, routing, story, writes
from pointsman.domain.process import questions
from workflows import attributes, elsewhere
from workflows.children import IN_PLACE
from workflows.escalations import ResolveEscalation
from workflows.hearing import BEAT, TRACKER_TIME
from workflows.item_runs import (
    BOOKS_TIME,
    CLOSES_QUESTIONS,
    GIVES_UP,
    HEARS_ITSELF,
    HEARS_OTHER_ENDS,
    PATIENT,
    TERMINATED,
    ItemRun,
    was_terminated,
)
from workflows.reasons import reason_of, why_cancelled
from workflows.turns import INSTRUCT

INSPECTS_ALL = "inspect-out-of-scope"
"""Runs that began before this leave an item that is out of scope to the check on schedule."""
HEARS_UNUSED = "hear-what-was-not-used"
"""Runs that began before this leave out, as known already, what comes while they end without any work."""
NO_NEWS = "nothing but the echo of our own write, a comment that was taken back or a card moved on a board"


@workflow.defn
class DeliverWorkItem(ItemRun):
    """One run per item at a time: `starter.work_items.workflow_id` leads all its deliveries to the same one.

    The run goes from stage to stage. Between two stages no child is open, and all state is in `Carry`: that is
    where it may continue as new.
    """

    @workflow.init
    def __init__(self, request: DeliverRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: DeliverRequest) -> DeliverResult:
        try:
            if self._carry.started_at is None:
                self._keep(started_at=workflow.now())
                await self._enter(WorkItemState.RECEIVED, "first event")
            while True:
                move = await self._step()
                if isinstance(move, Stage):
                    self._keep(stage=move)
                else:
                    if move != self._carry.end or move.state is not self._carry.state:
                        move = End(state=move.state, reason=f"{move.reason}{await self._leave()}")
                        await self._enter(move.state, move.reason)
                    if not self._carry.queue:
                        # Nothing is awaited between this look and the end, so no event can slip in between.
                        return self._result(move)
                    self._keep(stage=Stage.SETTLING, end=move)
                # After a stage, never before one: a run whose first task is already over the limit gets on.
                await self._continue_as_new_if_due()
        except BaseException as error:
            # Cancelled by an operator: the books say so before the run ends.
            if is_cancelled_exception(error):
                await self._enter(WorkItemState.WITHDRAWN, f"{why_cancelled()}{await self._leave()}")
            raise

    async def _continue_as_new_if_due(self) -> None:
        if workflow.info().is_continue_as_new_suggested():
            await workflow.wait_condition(workflow.all_handlers_finished)
            carry = self._carry.model_copy(update={"runs": self._carry.runs + 1})
            workflow.continue_as_new(self._request.model_copy(update={"carry": carry}))

    async def _step(self) -> Stage | End:
        """Do one stage. What no retry mends becomes a question to a human."""
        stage = self._carry.stage
        try:
            return await self._do(stage)
        except (ActivityError, ChildWorkflowError) as error:
            cancelled = is_cancelled_exception(error)
            if cancelled and workflow.cancellation_reason() is not None:
                raise
            if cancelled and stage is Stage.WAITING:
                return End(state=WorkItemState.WITHDRAWN, reason="the question was cancelled in Temporal")
            if was_terminated(error) and stage is Stage.WAITING and workflow.patched(CLOSES_QUESTIONS):
                return End(state=WorkItemState.PARKED, reason=f"the question was {TERMINATED}")
            if stage is Stage.WAITING:
                return End(state=WorkItemState.FAILED, reason=f"the question could not be asked: {reason_of(error)}")
            proposal = self._carry.proposal if stage is Stage.PUBLISHING else None
            return self._ask(lifecycle.ask_failure(stage, reason_of(error), retry=stage, proposal=proposal))

    async def _do(self, stage: Stage) -> Stage | End:
        match stage:
            case Stage.INTAKE:
                return await self._take_in()
            case Stage.ROUTING:
                return await self._route()
            case Stage.WORKING:
                return await self._work()
            case Stage.WAITING:
                return await self._wait()
            case Stage.PUBLISHING:
                return await self._publish()
            case Stage.SETTLING:
                return await self._settle()
            case _:
                assert_never(stage)

    async def _take_in(self) -> Stage | End:
        request, is_first = self._request, not self._carry.turns
        intake = await workflow.execute_activity_method(
            WorkItems.take_in,
            TakeIn(key=request.key, tenant=request.tenant, correlation_id=request.correlation_id),
            start_to_close_timeout=TRACKER_TIME,
            heartbeat_timeout=BEAT,
            retry_policy=PATIENT,
            summary=f"read {story.item_name(request.key)}",
        )
        self._keep_facts(intake)
        end = lifecycle.after_intake(request.policy, intake.facts)
        if end is not None:
            if intake.facts.deleted:
                await self._inspect(gone=True)
            elif request.policy.process.on_events and workflow.patched(INSPECTS_ALL) and self._is_ruled():
                await self._inspect()  # it may have left the scope, and follows the rules of its project still
            return end
        await self._enter(WorkItemState.ANALYSED, f"revision {intake.facts.rev} read")
        # A run that follows others may have been started by the echo of their last write, which came as they ended.
        follows = is_first and intake.turns > 0 and workflow.patched(HEARS_ITSELF)
        # And a first run by the other end of a link that was written to another item.
        linked = is_first and not follows and any(one.links_changed or one.untold for one in self._carry.queue)
        follows = follows or (linked and workflow.patched(HEARS_OTHER_ENDS))
        if await self._sift(also_covered=follows):
            return self._withdrawn()
        await self._inspect()
        if self._carry.moved_to is not None:
            return Stage.INTAKE  # it moved between the look at it and now
        if follows and self._only_echoes:
            return End(state=WorkItemState.DONE, reason=NO_NEWS)
        return Stage.WORKING if self._carry.agent else Stage.ROUTING

    async def _route(self) -> Stage | End:
        policy = self._request.policy
        assert self._carry.facts is not None, "facts are read before routing"
        decision = routing.route(policy, routing.match_facts(self._carry.facts))
        if not decision.agent:
            return self._ask(lifecycle.ask_routing(policy, decision, self._carry.facts))
        await self._routed(decision.agent, decision.reason)
        return Stage.WORKING

    async def _routed(self, agent: str, reason: str) -> None:
        self._keep(agent=agent)
        await self._enter(WorkItemState.ROUTED, reason)

    async def _work(self) -> Stage | End:
        agent = self._agent()
        await self._leave(stay=agent.name)
        request, carry = self._request, self._carry
        number = carry.turns + 1
        self._keep(turns=number, **writes.UNDECIDED)
        turn = elsewhere.turn_of(request, self._carry, agent)
        opened = (agent.name,) if agent.service and agent.name not in carry.open_elsewhere else ()
        self._keep(instructions=(), open_elsewhere=(*carry.open_elsewhere, *opened))
        self._handed = carry.instructions
        await self._enter(WorkItemState.WORKING, f"turn {number} of agent {agent.name}")
        child = await workflow.start_child_workflow(
            "DelegateTurn" if agent.service else "TakeTurn",
            turn,
            result_type=TurnResult,
            id=f"{workflow.info().workflow_id}/turn-{number}",
            id_reuse_policy=IN_PLACE,
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,  # it has a service to stop
            search_attributes=attributes.of_child(request, self._carry),
            priority=attributes.AFTER_ITEMS,
            static_summary=story.summary(f"turn {number} of {agent.name} on {story.item_name(request.key)}"),
        )
        if await self._attend(child, lambda instruction: child.signal(INSTRUCT, instruction)):
            if self._carry.moved_to is not None:
                self._keep(instructions=(*self._handed, *self._carry.instructions))
            return self._stopped()
        try:
            result = await child
        except ChildWorkflowError:
            # Nobody knows what a turn that broke off had read: told twice is better than never.
            self._keep(instructions=(*self._handed, *self._carry.instructions))
            raise
        self._keep(
            usage=limits.add(self._carry.usage, result.usage),
            instructions=(*self._carry.instructions, *result.unread),
            proposal=result.proposal,
            dropped=result.dropped,
            proposed_at=workflow.now(),
        )
        if result.end is TurnEnd.ANSWERED:
            self._keep(open_elsewhere=carry.open_elsewhere)  # its task has ended; one of an earlier turn may not have
        if not self._carry.instructions:
            self._keep(heard_rev=self._carry.news_rev)  # nothing came that the agent has not read
        result = await self._narrow(result)
        if (end := lifecycle.nothing_left(result)) is not None:
            return Stage.INTAKE if self._carry.instructions else end
        ask = lifecycle.after_turn(agent, result)
        return Stage.PUBLISHING if ask is None else self._ask(ask)

    async def _wait(self) -> Stage | End:
        request, ask = self._request, self._carry.ask
        assert ask is not None, "something is asked before it is waited for"
        number = self._carry.escalations + 1
        self._keep(escalations=number)
        await self._enter(WorkItemState.WAITING, f"{ask.kind}: {ask.summary}"[:500])
        escalation = self._escalation(ask, number)
        question = await workflow.start_child_workflow(
            ResolveEscalation.run,
            escalation,
            id=f"{workflow.info().workflow_id}/escalation-{number}",
            id_reuse_policy=IN_PLACE,
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,  # it has a row to close
            search_attributes=attributes.of_child(request, self._carry, ask.severity),
            priority=attributes.AFTER_ITEMS,
            static_summary=story.summary(f"{ask.kind}: {ask.summary}"),
        )
        resolution = await self._hear_out(question, escalation)
        if resolution is None:
            return self._stopped()
        self._keep(waited_seconds=self._carry.waited_seconds + resolution.waited_seconds, ask=None)
        return await self._decided(ask, resolution)

    def _escalation(self, ask: Ask, number: int) -> Escalation:
        request, facts = self._request, self._carry.facts
        subject = ask.proposal.hash if ask.proposal else lifecycle.question_hash(ask, number)
        return Escalation(
            key=request.key,
            tenant=request.tenant,
            correlation_id=request.correlation_id,
            number=number,
            kind=ask.kind,
            severity=ask.severity,
            summary=ask.summary,
            details=ask.details,
            allowed=ask.allowed,
            subject=subject,
            proposal=ask.proposal,
            choices=ask.choices,
            fields=ask.fields,
            checks=ask.checks,
            ladder=lifecycle.ladder_for(request.policy, ask.severity),
            agent=self._carry.agent,
            title=f"{facts.type} {facts.key.id}: {facts.title}" if facts else "",
            url=facts.url if facts else "",
            open_elsewhere=elsewhere.left_open(request, self._carry),
        )

    async def _decided(self, ask: Ask, resolution: Resolution) -> Stage | End:
        move = lifecycle.after_decision(ask, resolution)
        if isinstance(move, End) and ask.retry is Stage.SETTLING:
            # What cannot be judged is given up: asked about it again and again, the run would never end.
            self._keep(queue=self._carry.queue[self._carry.unjudged :], unjudged=0)
        if isinstance(move, End) and ask.retry is Stage.INTAKE and self._carry.queue and workflow.patched(GIVES_UP):
            # What is told of an item that cannot be read cannot be judged either, and nobody wants to be asked again.
            self._keep(queue=(), unjudged=0)
        if resolution.proposal is not None:
            self._keep(proposal=resolution.proposal)
        if resolution.verb is Verb.EDIT:
            self._keep(despite="", let_pass=(), allowed_breaches=())  # who let it pass has not seen what it says now
        if resolution.verb is Verb.APPROVE and ask.kind is not EscalationKind.FAILURE:
            self._keep(approved_by=resolution.by)
        if resolution.verb is Verb.APPROVE and ask.leave_out:
            self._keep(leave_out=(*self._carry.leave_out, *ask.leave_out))
        if resolution.verb is Verb.APPROVE and ask.kind is EscalationKind.RULE:
            self._carry = writes.allowed(self._carry, ask, resolution.by)
        self._keep_decided(ask, resolution)
        if resolution.verb is Verb.RESPOND and ask.kind is EscalationKind.ROUTING:
            await self._routed(resolution.comment.strip(), f"chosen by {resolution.by}")
        elif resolution.verb is Verb.RESPOND:
            words = Tell(text=f"{resolution.by} answers: {resolution.comment}")
            instruction = await workflow.execute_activity_method(
                Turns.tell, words, start_to_close_timeout=BOOKS_TIME, summary=f"answer of {resolution.by}"[:150]
            )
            self._keep(instructions=(*self._carry.instructions, instruction))
        return move

    def _keep_decided(self, ask: Ask, resolution: Resolution) -> None:
        """What a decision on a conflict or a quarantine means for the write that follows."""
        decided = resolution.verb in (Verb.APPROVE, Verb.EDIT)
        if decided and ask.kind is EscalationKind.CONFLICT and self._carry.conflicts:
            self._keep(decided_by=resolution.by)
        elif decided and ask.kind is EscalationKind.CONFLICT:
            self._keep(force=ask.proposal.fields if ask.proposal else ())
        if decided and self._carry.quarantine:
            self._keep(released_by=resolution.by)
        self._keep(quarantine="")

    async def _publish(self) -> Stage | End:
        request, carry = self._request, self._carry
        assert carry.facts is not None, "facts are read before a write"
        assert carry.proposal is not None, "there is a proposal before a write"
        left_out = f"; left out, because the agent may not: {', '.join(carry.dropped)}"[:200] if carry.dropped else ""
        left_out += lifecycle.told_unchanged(carry.unchanged)
        await self._enter(WorkItemState.PUBLISHING, f"{carry.proposal.summary[:400]}{left_out}")
        published = await workflow.execute_activity_method(
            WorkItems.publish,
            writes.write_of(request, carry, workflow.info().first_execution_run_id),
            start_to_close_timeout=TRACKER_TIME,
            heartbeat_timeout=BEAT,
            retry_policy=PATIENT,
            summary=story.summary(f"write {carry.proposal.summary}"),
        )
        self._carry = writes.after(self._carry, published)
        if published.status == "gone":
            return self._withdrawn()
        if published.quarantine:
            return self._ask(lifecycle.ask_quarantine(published.quarantine, carry.proposal))
        if published.broken or published.impossible:
            return await self._held_back(published)
        if published.conflicts:
            return self._ask(lifecycle.ask_conflict(published.conflicts, carry.proposal))
        return await self._published(published)

    async def _held_back(self, published: Published) -> Stage | End:
        """The agent is told why and proposes again, so often as policy says; then people are asked.

        What people have let pass is for them again."""
        proposal, again = self._carry.proposal, self._carry.held_back
        assert proposal is not None, "there is a proposal before it is held back"
        if self._carry.approved_by or again >= self._request.policy.process.rewrites:
            self._keep(held_back=0)
            if published.impossible:
                return self._ask(linking.ask_links(published.impossible, proposal))
            return self._ask(questions.ask_rule(published.broken, proposal))
        why = linking.why_held_back(published.impossible) if published.impossible else ""
        words = Tell(text=why or questions.why_held_back(published.broken))
        instruction = await workflow.execute_activity_method(
            Turns.tell, words, start_to_close_timeout=BOOKS_TIME, summary="why nothing was written"
        )
        told = (*self._carry.instructions, instruction)
        self._keep(instructions=told, held_back=again + 1, proposal=None)
        return Stage.WORKING

    async def _published(self, published: Published) -> Stage | End:
        facts = self._carry.facts
        assert facts is not None, "facts are read before a write"
        if published.rev == facts.rev + 1:
            # Only then is the revision ours alone. Else somebody's change lies between, and its event is news.
            facts = facts.model_copy(update={"rev": published.rev})
        self._keep(facts=facts, written_rev=published.rev, proposal=None, held_back=0)
        if published.status == "written":
            await self._inspect()  # its event is known for an echo before it gets here
        if self._carry.instructions:
            return Stage.INTAKE
        return End(state=WorkItemState.DONE, reason=f"{published.status}, revision {published.rev}")

    async def _settle(self) -> Stage | End:
        """Look at what came in while the run was about to end."""
        end = self._carry.end
        assert end is not None, "the run has an end before it settles"
        self._keep(restored=False)  # what came back while the item was worked on needs no second look
        # What was read is taken into account only where it was worked on.
        unused = end.reason == NO_NEWS and workflow.patched(HEARS_UNUSED)
        if await self._sift(also_covered=unused):
            return self._withdrawn()
        if self._carry.instructions or self._carry.restored or (unused and not self._only_echoes):
            self._keep(end=None)
            return Stage.INTAKE
        return end

    async def _leave(self, stay: str = "") -> str:
        """Nothing of ours stays open at services elsewhere, but for that of the agent which goes on. What is to be said
        of it."""
        gone = tuple(one for one in self._carry.open_elsewhere if one != stay)
        if not gone or not workflow.patched(elsewhere.SETTLES):
            return ""
        failed, said = await elsewhere.settle(self._request, self._carry, gone)
        self._keep(open_elsewhere=tuple(one for one in self._carry.open_elsewhere if one == stay or one in failed))
        return said

    def _ask(self, ask: Ask) -> Stage:
        self._keep(ask=ask)
        return Stage.WAITING
