"""The side effects of a turn: a paid model call, and a tool call. Both keep their result before they return it."""

import asyncio
import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import TypedDict

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.outside import beating, caller, chain, outside
from pointsman.contracts.base import Json
from pointsman.contracts.records import Attempt, AttemptKind, Chain, Chosen, StoredMessage
from pointsman.contracts.turns import CallTool, Fallback, Tell, Think, Thought, ToolCallRef, ToolOutcome, TurnRequest
from pointsman.contracts.work_items import Usage
from pointsman.domain import briefing
from pointsman.domain.answers import ANSWER_SCHEMA, ANSWER_SCHEMA_NAME, read_answer
from pointsman.domain.proposals import InvalidAnswer, canonical, refer
from pointsman.llm.errors import CircuitOpenError, ProviderError
from pointsman.llm.selector import Selection
from pointsman.llm.service import LLMService
from pointsman.llm.types import (
    FinishReason,
    ImagePart,
    LLMRequest,
    LLMResponse,
    Message,
    ModelTier,
    ReasoningEffort,
    Role,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    text_message,
)
from pointsman.ports import Attempts, Contents, Rejected, Toolbox, ToolImage, Transcripts, Unavailable

NOTHING = Usage()
ATTEMPTS_BEFORE_FALLBACK = 3
"""Attempts at a model before another one is asked, where there is one."""
WAIT_MAX = timedelta(seconds=30)
"""Longer than this nobody waits for a model while another one may answer."""


class Turns:
    """`worker.py` hands in the model service, the tools and the books, tests hand in fakes."""

    def __init__(
        self, models: LLMService, toolbox: Toolbox, transcripts: Transcripts, contents: Contents, attempts: Attempts
    ) -> None:
        self._models = models
        self._toolbox = toolbox
        self._transcripts = transcripts
        self._contents = contents
        self._attempts = attempts

    @activity.defn(name="turns.think")
    async def think(self, ask: Think) -> Thought:
        """One attempt at one model over the conversation so far. The provider bills every attempt.

        Safe to repeat: a reply that was kept is taken instead of asking again.

        Raises:
            ApplicationError: an `LLMError` by its class name, not retryable where no attempt can succeed, for
                example `ContextWindowExceededError`, `BudgetExceededError`, `ModelNotAllowedError`; and where another
                model may take over, with `Fallback` as its detail.
        """
        request = ask.request
        what = f"model {request.agent.model}, step {ask.step} of {request.key}"
        with outside(what), falling_back(ask, what):
            async with beating():
                kept = await self._transcripts.find(request.transcript, _reply_slot(request, ask.step))
                if kept is not None:
                    return await self._understand(request, kept, LLMResponse.model_validate_json(kept.body))
                await self._tell(ask)
                kept, response = await self._ask_model(ask)
                return await self._understand(request, kept, response)

    async def _tell(self, ask: Think) -> None:
        """Put what the agent has not been told yet into the transcript; slots make that idempotent."""
        request = ask.request
        if await self._transcripts.find(request.transcript, "open/item") is None:
            prompt = (await self._contents.get(request.agent.prompt)).decode()
            fields: dict[str, Json] = json.loads(await self._contents.get(request.facts.snapshot))
            await self._say(request, "open/prompt", Role.SYSTEM, prompt)
            await self._say(request, "open/item", Role.USER, briefing.opening(request.facts, fields))
        waiting = await self._unanswered(request) if ask.instructions else ()
        for number, instruction in enumerate(ask.instructions, 1):
            text = (await self._contents.get(instruction)).decode()
            if text not in waiting:
                await self._say(request, f"{request.number}/{ask.step}/say/{number}", Role.USER, text)

    async def _unanswered(self, request: TurnRequest) -> Sequence[str]:
        """What was said since the last reply: a call that failed had told it already."""
        said: list[str] = []
        for stored in await self._transcripts.messages(request.transcript):
            if stored.role == Role.ASSISTANT:
                said.clear()
            elif stored.role == Role.USER:
                said.append(_message(stored).text)
        return said

    async def _say(self, request: TurnRequest, slot: str, role: Role, text: str) -> None:
        body = text_message(role, text).to_bytes()
        await self._transcripts.append(request.transcript, _chain(request), slot, role, body)

    async def _keep(self, request: TurnRequest, slot: str, role: Role, response: LLMResponse) -> StoredMessage:
        body = response.model_dump_json(exclude_none=True).encode()
        return await self._transcripts.append(request.transcript, _chain(request), slot, role, body)

    async def _ask_model(self, ask: Think) -> tuple[StoredMessage, LLMResponse]:
        """The reply, kept. Its attempt ends after that: a process that dies in between leaves the attempt in doubt,
        which is why the call is made again.
        """
        request = ask.request
        slot = _reply_slot(request, ask.step)
        begun: list[Attempt] = []

        async def chosen(selection: Selection) -> None:
            model, why = selection.model, selection.rationale
            begun.append(
                await self._attempts.begin(
                    AttemptKind.MODEL,
                    _chain(request),
                    caller(),
                    model.name,
                    slot,
                    Chosen(provider=model.provider, rationale=why),
                )
            )

        async def end(outcome: str, usage: Usage = NOTHING, request_id: str = "") -> None:
            for attempt in begun:
                await self._attempts.end(attempt, outcome, usage, request_id)

        try:
            response = await self._models.attempt(await self._request(ask), avoid=ask.avoid, chosen=chosen)
            kept = await self._keep(request, slot, Role.ASSISTANT, response)
        except ProviderError as error:
            await end(type(error).__name__, request_id=error.request_id)
            raise
        except asyncio.CancelledError:
            await end("cancelled")
            raise
        await end("ok", _usage(response), response.request_id)
        return kept, response

    async def _request(self, ask: Think) -> LLMRequest:
        request = ask.request
        agent = request.agent
        stored = await self._transcripts.messages(request.transcript)
        definitions = await self._toolbox.definitions(agent.tools)
        return LLMRequest(
            **asked_for(agent.model),
            messages=close_calls([_message(one) for one in stored]),
            temperature=agent.temperature,
            max_tokens=agent.max_output_tokens,
            reasoning_effort=ReasoningEffort(agent.reasoning_effort) if agent.reasoning_effort else None,
            tools=tuple(
                ToolSpec(name=one.name, description=one.description, parameters=dict(one.parameters))
                for one in definitions
            ),
            response_schema=ANSWER_SCHEMA,
            response_schema_name=ANSWER_SCHEMA_NAME,
            metadata={
                "correlation_id": request.correlation_id,
                "item": str(request.key),
                "step": f"{request.number}/{ask.step}",
            },
            trace_id=request.correlation_id,
            source_agent=agent.name,
            session_id=request.transcript,
            tenant=request.tenant,
            work_item=str(request.key),
        )

    async def _understand(self, request: TurnRequest, kept: StoredMessage, response: LLMResponse) -> Thought:
        """What the reply comes to: tool calls, an answer, a question, or none of these with the reason."""
        thought = Thought(
            message=kept.hash,
            finish=response.finish_reason,
            tool_calls=tuple(_call_ref(call) for call in response.tool_calls),
            usage=_usage(response),
            model=response.model,
            provider=response.provider,
            rationale=response.rationale,
        )
        if thought.tool_calls:
            return thought
        if response.finish_reason is not FinishReason.STOP:
            return thought.model_copy(update={"invalid": f"the model stopped with {response.finish_reason}"})
        try:
            answer = read_answer(response.text, request.agent, request.key)
        except InvalidAnswer as error:
            return thought.model_copy(update={"invalid": str(error)})
        await self._contents.put(canonical(answer.proposal))
        update = {"proposal": refer(answer.proposal), "question": answer.question, "dropped": answer.dropped}
        return thought.model_copy(update=update)

    @activity.defn(name="turns.tell")
    async def tell(self, words: Tell) -> str:
        """Keep what an agent is to be told, and return its content hash. Idempotent by content."""
        with outside("words for the agent"):
            return await self._contents.put(words.text.encode())

    @activity.defn(name="turns.call_tool")
    async def call_tool(self, ask: CallTool) -> ToolOutcome:
        """One tool call of a reply. A tool's own error is a result, which the model gets to read.

        At least once: an attempt that dies after the tool answered calls it again, so tools that change anything
        must be safe to repeat. A result that was kept is taken instead of calling again.
        """
        request, call = ask.request, ask.call
        slot = f"{request.number}/{ask.step}/tool/{call.call_id}"
        with outside(f"tool {call.name}, step {ask.step} of {request.key}"):
            async with beating():
                kept = await self._transcripts.find(request.transcript, slot)
                if kept is None:
                    kept = await self._call(ask, slot)
        part = _tool_result(kept)
        return ToolOutcome(call_id=call.call_id, ok=not part.is_error, message=kept.hash, chars=len(part.text))

    async def _call(self, ask: CallTool, slot: str) -> StoredMessage:
        request = ask.request
        wanted = await self._wanted(ask)
        attempt = await self._attempts.begin(AttemptKind.TOOL, _chain(request), caller(), ask.call.name, slot)
        images: Sequence[ToolImage] = ()
        if wanted.invalid:
            ok, text = False, f"The arguments are not a JSON object: {wanted.invalid}"
        else:
            try:
                result = await self._toolbox.call(request.agent.tools, wanted.name, wanted.arguments)
            except (Unavailable, Rejected) as error:
                await self._attempts.end(attempt, type(error).__name__)
                raise
            except asyncio.CancelledError:
                await self._attempts.end(attempt, "cancelled")
                raise
            ok, text, images = result.ok, result.text, result.images
        part = ToolResultPart(
            call_id=wanted.call_id,
            name=wanted.name,
            text=text,
            is_error=not ok,
            images=tuple(ImagePart(data=one.data, media_type=one.media_type) for one in images) or None,
        )
        body = Message(role=Role.TOOL, parts=(part,)).to_bytes()
        kept = await self._transcripts.append(request.transcript, _chain(request), slot, Role.TOOL, body)
        await self._attempts.end(attempt, "ok" if ok else "tool_error", Usage(tool_calls=1))
        return kept

    async def _wanted(self, ask: CallTool) -> ToolCallPart:
        """The call as the model wrote it: its arguments stay out of the history."""
        slot = _reply_slot(ask.request, ask.step)
        reply = await self._transcripts.find(ask.request.transcript, slot)
        assert reply is not None, f"{slot} is kept before its tool calls are scheduled"
        response = LLMResponse.model_validate_json(reply.body)
        return next(call for call in response.tool_calls if call.call_id == ask.call.call_id)


class AskedFor(TypedDict, total=False):
    """What `LLMRequest` calls a model, or a tier."""

    model: str
    tier: ModelTier


def asked_for(wanted: str) -> AskedFor:
    """What an agent's policy asks for: a tier by its name, or a model."""
    return {"tier": ModelTier(wanted)} if wanted in set(ModelTier) else {"model": wanted}


@contextmanager
def falling_back(ask: Think, what: str) -> Generator[None]:
    """Give up where another model may take over and this one is not worth another attempt.

    Raises:
        ApplicationError: not retryable, with `Fallback` as its detail.
    """
    try:
        yield
    except ProviderError as error:
        if not ask.falls_back or not error.others or _worth_waiting(error):
            raise
        raise ApplicationError(
            f"{what}: {error}",
            Fallback(gave_up=error.model, others=error.others),
            type=type(error).__name__,
            non_retryable=True,
            category=ApplicationErrorCategory.BENIGN,
        ) from error


def _worth_waiting(error: ProviderError) -> bool:
    wait = error.retry_after or timedelta()
    if isinstance(error, CircuitOpenError):
        return False
    return error.retryable and activity.info().attempt < ATTEMPTS_BEFORE_FALLBACK and wait <= WAIT_MAX


def _reply_slot(request: TurnRequest, step: int) -> str:
    return f"{request.number}/{step}/reply"


def _chain(request: TurnRequest) -> Chain:
    return chain(request.tenant, request.correlation_id, request.key)


def _message(stored: StoredMessage) -> Message:
    if stored.role == Role.ASSISTANT:
        return LLMResponse.model_validate_json(stored.body).message
    return Message.from_bytes(stored.body)


def close_calls(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation with each tool call answered: providers refuse one that is left open.

    A limit or a cancellation between a reply and its tool results leaves calls open; they were never made.
    """
    answered = {part.call_id for one in messages for part in one.parts if isinstance(part, ToolResultPart)}
    closed: list[Message] = []
    for message in messages:
        closed.append(message)
        never = [call for call in message.tool_calls if call.call_id not in answered]
        results = tuple(
            ToolResultPart(call_id=call.call_id, name=call.name, text="This call was not made.", is_error=True)
            for call in never
        )
        if results:
            closed.append(Message(role=Role.TOOL, parts=results))
    return tuple(closed)


def _tool_result(stored: StoredMessage) -> ToolResultPart:
    return next(part for part in Message.from_bytes(stored.body).parts if isinstance(part, ToolResultPart))


def _call_ref(call: ToolCallPart) -> ToolCallRef:
    readable = json.dumps(call.arguments, sort_keys=True, separators=(",", ":"))
    arguments = call.raw_arguments if call.invalid else readable  # else all that cannot be read looks the same
    return ToolCallRef(call_id=call.call_id, name=call.name, arguments_hash=sha256(arguments.encode()).hexdigest()[:16])


def _usage(response: LLMResponse) -> Usage:
    return Usage(
        model_calls=1,
        input_tokens=response.usage.prompt_tokens,
        output_tokens=response.usage.completion_tokens,
        cost_usd=str(response.cost_usd),
    )
