"""One call of a provider while it is under way: its clock, what has arrived of it, and how it ends."""

import json
from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter

from pointsman.llm.errors import InvalidResponseError, ProviderError, ProviderTimeoutError, TruncatedStreamError
from pointsman.llm.prices import price
from pointsman.llm.schemas import violation
from pointsman.llm.types import (
    FinishReason,
    LLMRequest,
    LLMResponse,
    Message,
    Part,
    Role,
    TokenUsage,
    ToolCallPart,
)


class Attempt:
    """Made when the request goes out. Adapters say what arrives; `answer` makes the response of it."""

    def __init__(self, provider: str, request: LLMRequest, notes: Sequence[str] = ()) -> None:
        self.request_id = ""
        self.usage = TokenUsage()
        """What the provider has reported until now: a call that fails was billed that much."""
        self.notes = list(notes)
        self._provider = provider
        self._request = request
        self._schemas = {tool.name: tool.parameters for tool in request.tools}
        self._started = perf_counter()
        self._first_token: float | None = None
        self._text: list[str] = []

    def token(self) -> None:
        """Something of the answer has arrived."""
        if self._first_token is None:
            self._first_token = perf_counter()

    def note(self, text: str) -> None:
        """Tell the caller something of the answer, once."""
        if text not in self.notes:
            self.notes.append(text)

    def text(self, piece: str) -> str:
        """A piece of the answer's text has arrived. Returns it."""
        self.token()
        self._text.append(piece)
        return piece

    def checked(self, call: ToolCallPart) -> ToolCallPart:
        """The call, marked as invalid where its arguments are against the schema of its tool."""
        schema = self._schemas.get(call.name)
        if call.invalid or schema is None:
            return call
        wrong = violation(schema, call.arguments)
        return call.model_copy(update={"invalid": wrong}) if wrong else call

    async def answer(
        self,
        parts: Sequence[Part],
        finish_reason: FinishReason,
        *,
        model: str = "",
        response_id: str = "",
        streamed: bool = False,
        message: Message | None = None,
    ) -> LLMResponse:
        """The whole answer, priced. Tool calls are checked, and a stop with calls in it is `tool_calls`."""
        checked = tuple(self.checked(part) if isinstance(part, ToolCallPart) else part for part in parts)
        if finish_reason is FinishReason.STOP and any(isinstance(part, ToolCallPart) for part in checked):
            finish_reason = FinishReason.TOOL_CALLS
        model = model or self._request.model
        cost = await price(self._provider, model, self.usage)
        whole = message or Message(role=Role.ASSISTANT, parts=())
        return LLMResponse(
            message=whole.model_copy(update={"parts": checked}),
            finish_reason=finish_reason,
            usage=self.usage,
            model=model,
            provider=self._provider,
            response_id=response_id,
            request_id=self.request_id,
            cost_usd=cost.cost_usd,
            price_version=cost.version,
            latency_ms=self._ms(perf_counter()),
            time_to_first_token_ms=self._ms(self._first_token) if streamed and self._first_token else None,
            trace_id=self._request.trace_id,
            notes=tuple(note for note in (*self.notes, *self._shape_note(checked), cost.note) if note),
        )

    def invalid(self, reason: str) -> ProviderError:
        """The provider broke its protocol."""
        return self._error(InvalidResponseError, reason)

    def silent(self, timeout: timedelta) -> ProviderError:
        return self._error(ProviderTimeoutError, f"nothing more arrived for {timeout.total_seconds():g} s")

    def truncated(self, reason: str) -> ProviderError:
        """The stream ended without its terminal event."""
        received = "".join(self._text)
        return TruncatedStreamError(
            f"{reason}, after {len(received)} characters of text",
            received=received,
            provider=self._provider,
            model=self._request.model,
            request_id=self.request_id,
            usage=self._reported(),
        )

    def billed(self, error: ProviderError) -> ProviderError:
        """The error, with what was reported as used before it."""
        if error.usage is None:
            error.usage = self._reported()
        return error

    def _error(self, kind: type[ProviderError], reason: str) -> ProviderError:
        model, usage = self._request.model, self._reported()
        return kind(reason, provider=self._provider, model=model, request_id=self.request_id, usage=usage)

    def _reported(self) -> TokenUsage | None:
        """None where the provider has told nothing: then nobody knows what it bills."""
        return self.usage if self.usage.total_tokens else None

    def _shape_note(self, parts: Sequence[Part]) -> Sequence[str]:
        """Says where a structured answer is not what was asked for: the caller decides what to do about it."""
        schema, text = self._request.response_schema, "".join(part.text for part in parts if part.kind == "text")
        if schema is None or not text:
            return ()
        try:
            wrong = violation(schema, json.loads(text))
        except (ValueError, RecursionError):
            wrong = "it is not JSON"
        return (f"the answer is against the schema that was asked for: {wrong}",) if wrong else ()

    def _ms(self, moment: float) -> float:
        return round((moment - self._started) * 1000, 3)
