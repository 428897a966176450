"""The side effects of a turn that a remote agent service takes: messages to it, and looks at its task."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.outside import beating, caller, chain, outside
from pointsman.contracts.agents import (
    AT_WORK,
    ENDED,
    INTERRUPTED,
    CancelAtService,
    FollowedService,
    FollowService,
    RemoteMessage,
    RemoteState,
    RemoteTask,
    SayToService,
    SendToService,
    SentToService,
    SettledElsewhere,
    SettleElsewhere,
)
from pointsman.contracts.base import Json
from pointsman.contracts.policy import AgentService
from pointsman.contracts.records import Attempt, AttemptKind, Chain
from pointsman.contracts.turns import TurnRequest
from pointsman.domain import briefing, remote_turns
from pointsman.domain.answers import ANSWER_SCHEMA, read_answer
from pointsman.domain.proposals import InvalidAnswer, canonical, refer
from pointsman.domain.remote_turns import transcript_of
from pointsman.llm.types import Message, Role, text_message
from pointsman.ports import Attempts, Contents, Missing, Rejected, Transcripts, Unavailable
from pointsman.ports_agents import AgentServices

LOOK_SECONDS_MIN, LOOK_SECONDS_MAX = 0.1, 5.0
LOOKS_APART_SECONDS = 0.1
"""A service that tells each word of its answer is not asked after each."""
LISTEN_AGAIN_SECONDS = 5.0
SAID, BEGAN, ANSWERED = "say", "task", "answer"
"""Slots of a step: what was sent, the id of the task that came of it, and what that answered."""
EARLIER_MAX = 5
STOP = "stop"
"""Last part of what an attempt to stop a task is about."""
IN_DOUBT = ("", "Unavailable")
"""Outcomes of attempts that do not say whether the service has heard it."""


class RemoteTurns:
    """`worker.py` hands in the client and the books, tests hand in fakes."""

    def __init__(
        self, services: AgentServices, transcripts: Transcripts, contents: Contents, attempts: Attempts
    ) -> None:
        self._services = services
        self._transcripts = transcripts
        self._contents = contents
        self._attempts = attempts

    @activity.defn(name="agents.send")
    async def send(self, ask: SendToService) -> SentToService:
        """Give the service its task, or let one go on that waited. Sent once: a task whose answer was lost is found.

        Raises:
            ApplicationError: `InDoubt`, not retryable, where nobody can tell whether an earlier attempt was heard;
                `Rejected` where policy or the service refuses.
        """
        request = ask.request
        with outside(f"agent service {request.agent.name}, message {request.number}/{ask.step} of {request.key}"):
            async with beating():
                kept = await self._transcripts.find(transcript_of(request), _slot(request, ask.step, BEGAN))
                if kept is not None:
                    return SentToService(task=Message.from_bytes(kept.body).text)
                tasks = await self._tasks(request)
                task = await self._lost(ask, tasks) or await self._unanswered(ask, tasks)
                if task is None:
                    if not tasks:
                        await self._stop_left(request)
                    message = await self._message(ask, tasks)
                    await self._note(request, _slot(request, ask.step, SAID), Role.USER, message.text)
                    task = await self._deliver(ask, message)
                if not task.id:
                    await self._note(request, _slot(request, ask.step, ANSWERED), Role.ASSISTANT, task.answer)
                await self._note(request, _slot(request, ask.step, BEGAN), Role.SYSTEM, task.id)
                return SentToService(task=task.id)

    async def _message(self, ask: SendToService, tasks: Sequence[str]) -> RemoteMessage:
        request = ask.request
        words = [(await self._contents.get(one)).decode() for one in ask.instructions]
        waiting = await self._waiting(request, tasks)
        data: dict[str, Json] = {}
        if not waiting:
            fields: dict[str, Json] = json.loads(await self._contents.get(request.facts.snapshot))
            words.insert(0, briefing.told_service(request, fields, ANSWER_SCHEMA))
            data = {"answer_schema": ANSWER_SCHEMA, "may_change": list(request.agent.may_change)}
        return RemoteMessage(
            id=_message_id(ask),
            context=remote_turns.context_of(request),
            text="\n\n".join(words) or remote_turns.GO_ON,
            task=waiting,
            after=() if waiting else tuple(tasks[-1:]),
            data=data,
        )

    async def _waiting(self, request: TurnRequest, tasks: Sequence[str]) -> str:
        """The last task, where it goes on with a message. One still at work is that of a turn which nobody could call
        off: it is stopped, or two would work on the same."""
        last = await self._last(request, tasks)
        if last is None:
            return ""
        if last.state in AT_WORK:
            await self._stop(request, last.id)
        return last.id if last.state in INTERRUPTED else ""

    async def _unanswered(self, ask: SendToService, tasks: Sequence[str]) -> RemoteTask | None:
        """The last task, where it waits for an answer that nobody has given, as when a run was reset: it asks again."""
        last = None if ask.instructions else await self._last(ask.request, tasks)
        return last if last and last.state is RemoteState.INPUT_REQUIRED else None

    async def _last(self, request: TurnRequest, tasks: Sequence[str]) -> RemoteTask | None:
        with suppress(Missing):
            return await self._services.get(_service(request), tasks[-1]) if tasks else None
        return None

    async def _stop_left(self, request: TurnRequest) -> None:
        """Tasks that earlier runs of the item left open at the service: ended from outside, they could not call them
        off. That it refuses is in the books, and holds nothing up."""
        for task in await self._earlier(request):
            with suppress(Rejected):
                if (await self._services.get(_service(request), task)).state not in ENDED:
                    await self._stop(request, task)

    async def _earlier(self, request: TurnRequest) -> Sequence[str]:
        """The last tasks of the item at the service of which our books do not say that they were stopped."""
        told = [
            one
            for one in await self._attempts.of_item(request.key)
            if (one.kind, one.target) == (AttemptKind.AGENT, request.agent.name) and one.request_id
        ]
        stopped = {one.request_id for one in told if one.subject.endswith(f"/{STOP}")}
        begun = dict.fromkeys(one.request_id for one in reversed(told))
        return [task for task in begun if task not in stopped][:EARLIER_MAX]

    async def _lost(self, ask: SendToService, tasks: Sequence[str]) -> RemoteTask | None:
        """The task that heard what an earlier attempt has sent, of which nobody knows the outcome."""
        request = ask.request
        unknown = await self._unknown(request, _slot(request, ask.step, SAID))
        if not unknown:
            return None
        try:
            found = await self._heard(request, _message_id(ask), tasks)
        except (LookupError, Rejected) as error:
            raise ApplicationError(
                f"agent service {request.agent.name}: whether message {_message_id(ask)} of context "
                f"{remote_turns.context_of(request)} was heard is in doubt: {error}. It was not sent again. "
                "Look there, stop what it does, then approve to send it anew.",
                type="InDoubt",
                non_retryable=True,
            ) from error
        for one in unknown:
            await self._attempts.end(one, "found" if found else "not heard")
        return found

    async def _unknown(self, request: TurnRequest, subject: str) -> Sequence[Attempt]:
        """Attempts to say it that the service may have heard."""
        return [
            one
            for one in await self._attempts.of_item(request.key)
            if (one.kind, one.subject, one.caller.workflow_id) == (AttemptKind.AGENT, subject, caller().workflow_id)
            and one.outcome in IN_DOUBT
        ]

    async def _heard(self, request: TurnRequest, message: str, tasks: Sequence[str]) -> RemoteTask | None:
        if tasks:
            last = await self._services.get(_service(request), tasks[-1], whole=True)
            if message in last.messages:
                return last
        listed = await self._services.find(_service(request), remote_turns.context_of(request))
        return remote_turns.sent_before(listed, message, tasks)

    async def _deliver(self, ask: SendToService, message: RemoteMessage) -> RemoteTask:
        request = ask.request
        subject = _slot(request, ask.step, SAID)
        attempt = await self._attempts.begin(AttemptKind.AGENT, _chain(request), caller(), request.agent.name, subject)
        try:
            task = await self._services.send(_service(request), message)
        except (Rejected, Unavailable) as error:
            await self._attempts.end(attempt, type(error).__name__)
            raise
        await self._attempts.end(attempt, "ok", request_id=task.id)
        return task

    @activity.defn(name="agents.follow")
    async def follow(self, ask: FollowService) -> FollowedService:
        """Look at the task until it ended, waits, or has something to tell. Reads only, so it is safe to repeat."""
        request = ask.request
        with outside(f"agent service {request.agent.name}, task {ask.task} of {request.key}"):
            async with beating():
                if not ask.task:
                    slot = _slot(request, ask.step, ANSWERED)
                    kept = await self._transcripts.find(transcript_of(request), slot)
                    assert kept is not None, "an answer without a task is kept before it is looked for"
                    text = Message.from_bytes(kept.body).text
                    return await self._understood(ask, RemoteTask(id="", state=RemoteState.COMPLETED, answer=text))
                return await self._watched(ask)

    async def _watched(self, ask: FollowService) -> FollowedService:
        stirred = asyncio.Event()
        listening = asyncio.create_task(self._listen(ask, stirred))
        try:
            return await self._looked(ask, stirred)
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def _listen(self, ask: FollowService, stirred: asyncio.Event) -> None:
        """Until the service does not want it any more, or the look is over."""
        while True:
            try:
                await self._services.listen(_service(ask.request), ask.task, stirred.set)
            except Rejected:
                return  # looks without streams do, and say what is wrong if they do not
            except Unavailable:
                pass  # like one that was cut
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    async def _looked(self, ask: FollowService, stirred: asyncio.Event) -> FollowedService:
        """A look whenever the service says that something happened, and every few seconds in any case: so nothing is
        lost with a stream, and nothing told twice by it."""
        began, wait = monotonic(), LOOK_SECONDS_MIN
        pause, patience = ask.pause.total_seconds(), ask.patience.total_seconds()
        while True:
            stirred.clear()
            looked = monotonic()
            task = await self._services.get(_service(ask.request), ask.task)
            if task.state not in AT_WORK:
                return await self._understood(ask, task)
            news = bool(task.note) and remote_turns.seen_as(task) != ask.seen
            passed = monotonic() - began
            if (news and passed >= pause) or passed >= patience:
                return FollowedService(
                    state=task.state,
                    note=remote_turns.short(task.note),
                    seen=remote_turns.seen_as(task),
                    overdue=passed >= patience,
                )
            until = min(wait, patience - passed, pause - passed if news else wait)
            with suppress(TimeoutError):
                await asyncio.wait_for(stirred.wait(), until)
            await asyncio.sleep(max(0.0, min(until, LOOKS_APART_SECONDS - (monotonic() - looked))))
            wait = min(LOOK_SECONDS_MAX, wait * 1.5)

    async def _understood(self, ask: FollowService, task: RemoteTask) -> FollowedService:
        """What an ended or waiting task comes to. Its answer is kept, and checked as that of a model is."""
        request = ask.request
        followed = FollowedService(
            state=task.state, note=remote_turns.short(task.note), seen=remote_turns.seen_as(task)
        )
        if task.state is RemoteState.INPUT_REQUIRED:
            question = task.note[: remote_turns.QUESTION_CHARS_MAX] or "It waits for input, and does not say for which."
            return followed.model_copy(update={"question": question})
        if task.state is not RemoteState.COMPLETED:
            return followed
        await self._note(request, _slot(request, ask.step, ANSWERED), Role.ASSISTANT, task.answer)
        try:
            answer = read_answer(task.answer, request.agent, request.key)
        except InvalidAnswer as error:
            return followed.model_copy(update={"invalid": str(error)[:1_000]})
        await self._contents.put(canonical(answer.proposal))
        update = {"proposal": refer(answer.proposal), "question": answer.question, "dropped": answer.dropped}
        return followed.model_copy(update=update)

    @activity.defn(name="agents.say")
    async def say(self, ask: SayToService) -> bool:
        """One more message to a task at work; false where it is not known to have heard it. Sent once: servers keep
        messages for a task that is busy, and answer late, so whoever repeats it would say it as often.
        """
        request = ask.request
        with outside(f"agent service {request.agent.name}, task {ask.task} of {request.key}"):
            async with beating():
                message = RemoteMessage(
                    id=remote_turns.message_id(request, ask.instruction),
                    context=remote_turns.context_of(request),
                    task=ask.task,
                    text=(await self._contents.get(ask.instruction)).decode(),
                )
                before = await self._services.get(_service(request), ask.task, whole=True)
                subject = f"{request.number}/{ask.task}/{ask.instruction[:12]}"
                if message.id in before.messages:
                    return True
                if before.state not in AT_WORK or await self._unknown(request, subject):
                    return False
                attempt = await self._attempts.begin(
                    AttemptKind.AGENT, _chain(request), caller(), request.agent.name, subject
                )
                try:
                    after = await self._services.send(_service(request), message)
                except (Rejected, Unavailable) as error:
                    await self._attempts.end(attempt, type(error).__name__)
                    if isinstance(error, Unavailable):
                        raise
                    return False  # it ended meanwhile: what follows the task tells how
                await self._attempts.end(attempt, "ok", request_id=ask.task)
                if after.state in ENDED:
                    # A service may take a message to a task that ends, and never look at it.
                    after = await self._services.get(_service(request), ask.task, whole=True)
                    if message.id not in after.messages:
                        return False
                await self._note(request, subject, Role.USER, message.text)
                return True

    @activity.defn(name="agents.cancel")
    async def cancel(self, ask: CancelAtService) -> None:
        """Have the service stop what it does for the turn. Idempotent."""
        request = ask.request
        with outside(f"agent service {request.agent.name}, task {ask.task or 'unknown'} of {request.key}"):
            async with beating():
                for task in [ask.task] if ask.task else await self._strays(ask):
                    await self._stop(request, task)

    @activity.defn(name="agents.settle")
    async def settle(self, ask: SettleElsewhere) -> SettledElsewhere:
        """Have the service stop each task of the conversation that is open there. Idempotent: a repeated one looks
        again, and tells of those only that were open yet.
        """
        request = ask.request
        with outside(f"agent service {request.agent.name}, conversation about {request.key}"):
            async with beating():
                told = {task: await self._stop(request, task) for task in await self._open(request)}
                return SettledElsewhere(
                    stopped=tuple(task for task, state in told.items() if state in ENDED),
                    going_on=tuple(task for task, state in told.items() if state not in ENDED),
                )

    async def _stop(self, request: TurnRequest, task: str) -> RemoteState:
        """Once: who repeats it is the activity."""
        subject = f"{request.number}/{task}/{STOP}"
        attempt = await self._attempts.begin(AttemptKind.AGENT, _chain(request), caller(), request.agent.name, subject)
        try:
            state = await self._services.cancel(_service(request), task)
        except (Rejected, Unavailable) as error:
            await self._attempts.end(attempt, type(error).__name__)
            raise
        outcome = "stopped" if state is RemoteState.CANCELED else f"is {state}"
        await self._attempts.end(attempt, outcome, request_id=task)
        return state

    async def _open(self, request: TurnRequest) -> Sequence[str]:
        """Tasks of the conversation that have not ended, also those of which we never learned."""
        known, service = await self._tasks(request), _service(request)
        try:
            listed = list(await self._services.find(service, remote_turns.context_of(request)))
        except Rejected:
            listed = []  # it lists nothing
        seen = {one.id for one in listed}
        for task in known:
            if task not in seen:
                with suppress(Missing):
                    listed.append(await self._services.get(service, task))
        return [one.id for one in listed if one.state not in ENDED]

    async def _strays(self, ask: CancelAtService) -> Sequence[str]:
        """Tasks that a message may have begun whose answer never came."""
        known = await self._tasks(ask.request)
        found = await self._services.find(_service(ask.request), remote_turns.context_of(ask.request))
        return [task.id for task in found if task.id not in known]

    async def _tasks(self, request: TurnRequest) -> Sequence[str]:
        """Tasks of the conversation so far, oldest first."""
        stored = await self._transcripts.messages(transcript_of(request))
        named = [Message.from_bytes(one.body).text for one in stored if one.slot.endswith(f"/{BEGAN}")]
        return [task for task in dict.fromkeys(named) if task]

    async def _note(self, request: TurnRequest, slot: str, role: Role, text: str) -> None:
        body = text_message(role, text).to_bytes()
        await self._transcripts.append(transcript_of(request), _chain(request), slot, role, body)


def _slot(request: TurnRequest, step: int, what: str) -> str:
    return f"{request.number}/{step}/{what}"


def _message_id(ask: SendToService) -> str:
    return remote_turns.message_id(ask.request, str(ask.step))


def _chain(request: TurnRequest) -> Chain:
    return chain(request.tenant, request.correlation_id, request.key)


def _service(request: TurnRequest) -> AgentService:
    assert request.agent.service is not None, "only turns of services come here"
    return request.agent.service
