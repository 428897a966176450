"""One turn of an agent that works elsewhere: a task is given to its service, and followed until it ends or asks."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from activities.agents import RemoteTurns
from activities.status import StatusComments
from activities.turns import Turns
from pointsman.contracts.agents import (
    AT_WORK,
    CancelAtService,
    FollowedService,
    FollowService,
    RemoteState,
    SayToService,
    SendToService,
)
from pointsman.contracts.lifecycle import TellStatus
from pointsman.contracts.policy import AgentService, LimitReached
from pointsman.contracts.turns import Tell, TurnEnd, TurnRequest, TurnResult
from pointsman.contracts.work_items import Usage, WorkItemState
from pointsman.domain import limits, remote_turns, story
from workflows.reasons import reason_of
from workflows.showing import Showing

BEAT = timedelta(seconds=10)
BOOKS_TIME = timedelta(seconds=30)
SEND_TIME = timedelta(minutes=5)  # one call, and what has to be looked up when its answer was lost
SEND_ATTEMPTS = 10
SLACK = timedelta(seconds=30)
STOPPING = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=4)
FOLLOWING = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=20))
REFUSED = "Rejected"
"""Type of the error of a message that surely began nothing."""
REPAIRS_MAX = 1
TOLD_BEFORE_SLOWER = 20
"""So often progress is told before the pause between two notes grows: histories stay small over days."""


@workflow.defn
class DelegateTurn(Showing):
    """Child of `DeliverWorkItem` in place of `TakeTurn`. What is said to the service and by it is in the store."""

    @workflow.init
    def __init__(self, request: TurnRequest) -> None:
        self._request = request
        self._unread = list(request.instructions)
        self._step = 0
        self._repairs = 0
        self._task = ""
        self._sending = False
        self._deaf = False
        self._note = ""
        self._told = 0

    @workflow.run
    async def run(self, request: TurnRequest) -> TurnResult:
        try:
            return await self._exchange()
        except ActivityError as error:
            if is_cancelled_exception(error):
                await self._call_off()
                raise
            return self._end(TurnEnd.FAILED, f"{reason_of(error)}{await self._call_off()}")
        except BaseException as error:
            if is_cancelled_exception(error):
                await self._call_off()
            raise

    @workflow.signal
    def instruct(self, instruction: str) -> None:
        """Tell the agent while it works. `instruction` is a content hash."""
        self._unread.append(instruction)

    async def _exchange(self) -> TurnResult:
        while True:
            reached = limits.before_model_call(
                self._request.agent.limits, Usage(model_calls=self._step), self._elapsed()
            )
            if reached is not None:
                return self._end(TurnEnd.LIMIT, str(reached))
            await self._send()
            found = await self._follow()
            if found.overdue:
                return self._end(TurnEnd.LIMIT, f"{self._overdue()}{await self._call_off()}")
            heard = found.state is RemoteState.COMPLETED and not found.invalid and await self._heard_all()
            self._task, task = "", self._task
            if found.state is RemoteState.INPUT_REQUIRED:
                return self._end(TurnEnd.QUESTION, found.question)
            if found.state is not RemoteState.COMPLETED:
                why = remote_turns.why_ended(found.state, found.note, task, self._note)
                return self._end(TurnEnd.FAILED, why)
            if found.invalid:
                if self._repairs == REPAIRS_MAX:
                    return self._end(TurnEnd.INVALID, found.invalid)
                await self._repair(found.invalid)
            elif heard:
                # What came in too late for the task is told first: the answer did not know of it.
                return self._answer(found)

    async def _send(self) -> None:
        self._step += 1
        instructions, self._unread = tuple(self._unread), []
        self._tell_story("gives the service its task")
        self._sending = True
        try:
            sent = await workflow.execute_activity_method(
                RemoteTurns.send,
                SendToService(request=self._request, step=self._step, instructions=instructions),
                start_to_close_timeout=SEND_TIME,
                heartbeat_timeout=BEAT,
                retry_policy=RetryPolicy(maximum_attempts=SEND_ATTEMPTS, maximum_interval=timedelta(minutes=1)),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=story.summary(f"step {self._step}: to {self._request.agent.name}"),
            )
        except ActivityError as error:
            self._unread = [*instructions, *self._unread]  # the next turn is told what nobody is known to have heard
            refused = isinstance(error.cause, ApplicationError) and error.cause.type == REFUSED
            self._sending = not refused
            raise
        self._task, self._sending = sent.task, False

    async def _follow(self) -> FollowedService:
        """What the task came to. Its progress is told on the way, and it is told what comes in."""
        seen = ""
        while True:
            found = await self._look(seen)
            if found.state not in AT_WORK:
                return found
            seen, self._note = found.seen, found.note or self._note
            if found.overdue:
                return found
            self._told += 1
            self._tell_story(f"says: {found.note}")
            await self._tell_status(found.note)

    async def _look(self, seen: str) -> FollowedService:
        left = max(timedelta(), self._request.agent.limits.wall_time - self._elapsed())
        pause = self._service().progress_every * (self._told // TOLD_BEFORE_SLOWER + 1) if self._told else timedelta()
        looking = workflow.start_activity_method(
            RemoteTurns.follow,
            FollowService(
                request=self._request, step=self._step, task=self._task, seen=seen, pause=pause, patience=left
            ),
            schedule_to_close_timeout=left + SLACK,
            heartbeat_timeout=BEAT,
            retry_policy=FOLLOWING,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=story.summary(f"step {self._step}: follow {self._request.agent.name}"),
        )
        self._deaf = False
        try:
            while True:
                # It has a timeout of its own, so this wait ends without one.
                await workflow.wait_condition(lambda: looking.done() or (bool(self._unread) and not self._deaf))
                if looking.done():
                    return await looking
                self._deaf = not await self._say()
        except (asyncio.CancelledError, FailureError):
            looking.cancel()
            with suppress(ActivityError):
                await looking
            raise

    async def _heard_all(self) -> bool:
        """Whether the task has heard all that came in, as far as its service tells."""
        while self._unread and await self._say():
            pass
        return not self._unread

    async def _say(self) -> bool:
        """Pass one instruction on. False where the task no longer hears it: then the next one is told."""
        instruction = self._unread[0]
        try:
            heard = bool(self._task) and await workflow.execute_activity_method(
                RemoteTurns.say,
                SayToService(request=self._request, task=self._task, instruction=instruction),
                start_to_close_timeout=SEND_TIME,
                heartbeat_timeout=BEAT,
                retry_policy=STOPPING,
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary="tell the service what happened meanwhile",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            heard = False
        if heard:
            self._unread.remove(instruction)
        return heard

    async def _repair(self, invalid: str) -> None:
        self._repairs += 1
        words = Tell(text=f"Your answer cannot be used: {invalid}. Answer again as the schema says.")
        self._unread.append(
            await workflow.execute_activity_method(
                Turns.tell, words, start_to_close_timeout=BOOKS_TIME, summary="ask for a valid answer"
            )
        )

    async def _tell_status(self, note: str) -> None:
        """Say it on the item. That it cannot be said stops nothing."""
        request = self._request
        if not request.tells_status:
            return
        try:
            await workflow.execute_activity_method(
                StatusComments.tell,
                TellStatus(
                    key=request.key,
                    tenant=request.tenant,
                    correlation_id=request.correlation_id,
                    operation=f"{workflow.info().run_id}/status.{self._told}",
                    text=story.status(WorkItemState.WORKING, f"{request.agent.name} says: {note}"),
                ),
                start_to_close_timeout=timedelta(minutes=2),
                heartbeat_timeout=BEAT,
                retry_policy=STOPPING,
                summary="say its progress on the item",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise

    async def _call_off(self) -> str:
        """Have the service stop what it still does for the turn. Returns what is to be said if that cannot be done."""
        if not self._task and not self._sending:
            return ""
        task, self._task, self._sending = self._task, "", False
        try:
            await workflow.execute_activity_method(
                RemoteTurns.cancel,
                CancelAtService(request=self._request, step=self._step, task=task),
                start_to_close_timeout=SEND_TIME,
                schedule_to_close_timeout=SEND_TIME,
                heartbeat_timeout=BEAT,
                retry_policy=STOPPING,
                summary=f"stop {self._request.agent.name}"[:150],
            )
        except ActivityError as error:
            return f"; the service could not be told to stop: {reason_of(error)}"
        return ""

    def _answer(self, found: FollowedService) -> TurnResult:
        if found.question:
            return self._end(TurnEnd.QUESTION, found.question)
        return self._end(TurnEnd.ANSWERED, "").model_copy(update={"proposal": found.proposal, "dropped": found.dropped})

    def _end(self, end: TurnEnd, reason: str) -> TurnResult:
        self._tell_story(f"{end} {reason}".strip())
        return TurnResult(
            end=end,
            reason=reason[:2_000],
            steps=self._step,
            seconds=self._elapsed().total_seconds(),
            unread=tuple(self._unread),
        )

    def _overdue(self) -> str:
        limit, took = self._request.agent.limits.wall_time.total_seconds(), self._elapsed().total_seconds()
        said = f"; its last word: {self._note}" if self._note else "; it said nothing on the way"
        return f"{LimitReached(name='wall_time', value=f'{took:.0f} s', limit=f'{limit:.0f} s')}{said}"

    def _elapsed(self) -> timedelta:
        return workflow.now() - workflow.info().workflow_start_time

    def _service(self) -> AgentService:
        assert self._request.agent.service is not None, "only turns of services are delegated"
        return self._request.agent.service

    def _tell_story(self, doing: str) -> None:
        self._show(story.turn(self._request, self._step, Usage(), doing))
