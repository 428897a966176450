"""One turn of an agent: model and tools alternate until there is an answer, a question, or a limit."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from activities.turns import Turns
from pointsman.contracts.turns import (
    CallTool,
    Fallback,
    Tell,
    Think,
    Thought,
    ToolCallRef,
    TurnEnd,
    TurnRequest,
    TurnResult,
)
from pointsman.contracts.work_items import Usage
from pointsman.domain import limits, story
from workflows.reasons import reason_of
from workflows.showing import Showing

BEAT = timedelta(seconds=10)
THINK_TIME = timedelta(minutes=10)
THINK_ATTEMPTS = 10  # the provider bills every attempt
TOOL_TIME = timedelta(minutes=2)
TOOL_ATTEMPTS = 5
INSTRUCT = "instruct"
"""The signal of every kind of turn."""
FALLS_BACK = "fall-back"
"""Runs that began before this end where their model does not answer."""
REPAIRS_MAX = 1  # a model that misses the schema twice needs a human more than a third bill


@workflow.defn
class TakeTurn(Showing):
    """Child of `DeliverWorkItem`, one per turn. The conversation is in the store; here are references."""

    @workflow.init
    def __init__(self, request: TurnRequest) -> None:
        self._request = request
        self._unread = list(request.instructions)
        self._used = Usage()
        self._made: list[ToolCallRef] = []
        self._step = 0
        self._repairs = 0
        self._avoid: tuple[str, ...] = ()

    @workflow.run
    async def run(self, request: TurnRequest) -> TurnResult:
        try:
            return await self._alternate()
        except ActivityError as error:
            return self._end(TurnEnd.FAILED, reason_of(error))

    @workflow.signal
    def instruct(self, instruction: str) -> None:
        """Tell the agent at its next step. `instruction` is a content hash."""
        self._unread.append(instruction)

    async def _alternate(self) -> TurnResult:
        while True:
            elapsed = workflow.now() - workflow.info().workflow_start_time
            reached = limits.before_model_call(self._request.agent.limits, self._used, elapsed)
            if reached is not None:
                return self._end(TurnEnd.LIMIT, str(reached))
            thought = await self._think()
            if thought.tool_calls:
                wanted = thought.tool_calls
                reached = limits.before_tool_calls(self._request.agent.limits, self._used, self._made, wanted)
                if reached is not None:
                    return self._end(TurnEnd.LIMIT, str(reached))
                await self._call_tools(wanted)
            elif thought.invalid:
                if self._repairs == REPAIRS_MAX:
                    return self._end(TurnEnd.INVALID, thought.invalid)
                await self._repair(thought)
            elif not self._unread:
                # What came in while the model answered is told first: the answer did not know of it.
                return self._answer(thought)

    async def _think(self) -> Thought:
        self._step += 1
        instructions, self._unread = tuple(self._unread), []
        self._tell_story("the model thinks")
        try:
            thought = await self._ask(
                Think(request=self._request, step=self._step, instructions=instructions, falls_back=True)
            )
        except ActivityError:
            self._unread = [*instructions, *self._unread]  # the next turn is told what has no answer yet
            raise
        self._used = limits.add(self._used, thought.usage)
        return thought

    async def _ask(self, think: Think) -> Thought:
        """Ask one model, or another where it does not answer: each in an activity of its own."""
        while True:
            think = think.model_copy(update={"avoid": self._avoid})
            without = f" without {', '.join(self._avoid)}" if self._avoid else ""
            try:
                return await workflow.execute_activity_method(
                    Turns.think,
                    think,
                    start_to_close_timeout=THINK_TIME,
                    heartbeat_timeout=BEAT,
                    retry_policy=RetryPolicy(maximum_attempts=THINK_ATTEMPTS, maximum_interval=timedelta(minutes=1)),
                    # A cancelled turn ends when the provider's connection is closed and the outcome is kept.
                    cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                    summary=story.summary(f"step {self._step}: {self._request.agent.model}{without}"),
                )
            except ActivityError as error:
                fallback = _fallback(error)
                if fallback is None or not workflow.patched(FALLS_BACK):
                    raise
                # Models run out: each that is asked is one that was not avoided.
                self._avoid = (*self._avoid, fallback.gave_up)

    async def _call_tools(self, calls: tuple[ToolCallRef, ...]) -> None:
        """All calls of one reply together."""
        self._tell_story("calls " + ", ".join(call.name for call in calls))
        outcomes = await asyncio.gather(*(self._call_tool(call) for call in calls), return_exceptions=True)
        for outcome in outcomes:  # only now: a result that came in after the turn would stand in the wrong place
            if outcome is not None:
                raise outcome
        self._made += calls
        self._used = limits.add(self._used, Usage(tool_calls=len(calls)))

    async def _call_tool(self, call: ToolCallRef) -> None:
        await workflow.execute_activity_method(
            Turns.call_tool,
            CallTool(request=self._request, step=self._step, call=call),
            start_to_close_timeout=TOOL_TIME,
            heartbeat_timeout=BEAT,
            retry_policy=RetryPolicy(maximum_attempts=TOOL_ATTEMPTS),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=story.summary(f"step {self._step}: {call.name}"),
        )

    async def _repair(self, thought: Thought) -> None:
        self._repairs += 1
        words = Tell(text=f"Your answer cannot be used: {thought.invalid}. Answer again as the schema says.")
        self._unread.append(
            await workflow.execute_activity_method(
                Turns.tell, words, start_to_close_timeout=timedelta(seconds=30), summary="ask for a valid answer"
            )
        )

    def _answer(self, thought: Thought) -> TurnResult:
        if thought.question:
            return self._end(TurnEnd.QUESTION, thought.question)
        return self._end(TurnEnd.ANSWERED, "").model_copy(
            update={"proposal": thought.proposal, "dropped": thought.dropped}
        )

    def _end(self, end: TurnEnd, reason: str) -> TurnResult:
        self._tell_story(f"{end} {reason}".strip())
        return TurnResult(
            end=end,
            reason=reason[:2_000],
            usage=self._used,
            steps=self._step,
            seconds=(workflow.now() - workflow.info().workflow_start_time).total_seconds(),
            unread=tuple(self._unread),
        )

    def _tell_story(self, doing: str) -> None:
        self._show(story.turn(self._request, self._step, self._used, doing))


def _fallback(error: ActivityError) -> Fallback | None:
    """What the activity says about others that may answer."""
    cause = error.cause
    details = cause.details if isinstance(cause, ApplicationError) else ()
    if len(details) == 1 and isinstance(details[0], dict) and "gave_up" in details[0]:
        return Fallback.model_validate(details[0])
    return None
