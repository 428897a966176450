"""The governed way to a model: may it be used, which one, is there money, the call, and what it came to.

    async with LLMService(pool, rules) as service:
        response = await service.complete(LLMRequest(tier="fast", messages=(text_message(Role.USER, "Hello"),)))

`complete` and `stream` own their retries, with back-off. `attempt` makes exactly one attempt at one provider and never
sleeps: it is for those who have another owner of retries, as a workflow has.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from contextvars import copy_context
from datetime import timedelta
from decimal import Decimal
from typing import Self
from uuid import uuid4

from pointsman.llm import accounting
from pointsman.llm.attempts import Attempts
from pointsman.llm.breakers import BreakerState
from pointsman.llm.client import ListedModel
from pointsman.llm.errors import (
    AuthenticationError,
    ContextWindowExceededError,
    InvalidResponseError,
    LLMError,
    ModelNotAllowedError,
    ModelRetiredError,
    ProviderError,
    QueueFullError,
    RateLimitedError,
)
from pointsman.llm.events import Retrying, StreamEvent, StreamFinished
from pointsman.llm.limits import Gate
from pointsman.llm.pool import ClientPool
from pointsman.llm.registry import Model
from pointsman.llm.response_cache import key_of, may_be_kept
from pointsman.llm.retries import Retrier
from pointsman.llm.rules import Rules
from pointsman.llm.selector import Selection
from pointsman.llm.types import LLMRequest, LLMResponse, TokenUsage


class LLMService:
    """Safe to share between tasks of one event loop."""

    def __init__(self, pool: ClientPool, rules: Rules, now: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._rules = rules
        self._now = now
        self._gate = Gate(rules.limits)

    async def complete(self, request: LLMRequest, prefer: Sequence[str] = ()) -> LLMResponse:
        """The whole answer. `prefer` names providers in the order in which this caller wants them.

        Raises:
            LLMError: of the first model that was tried, typed alike for every provider. Nothing else is raised.
        """
        run = self._run(request)
        with run.told():
            selection = await run.select(prefer)
            kept = await run.kept(selection.model)
            return run.end(kept or await run.complete(selection))

    async def stream(self, request: LLMRequest, prefer: Sequence[str] = ()) -> AsyncGenerator[StreamEvent]:
        """The answer as it comes. After `Retrying` it begins again, and what was said before is void."""
        run = self._run(request)
        with run.told():
            selection = await run.select(prefer)
            async with aclosing(run.stream(selection)) as events:
                async for event in events:
                    if isinstance(event, StreamFinished):
                        event = StreamFinished(response=run.end(event.response))
                    yield event

    async def attempt(
        self,
        request: LLMRequest,
        prefer: Sequence[str] = (),
        avoid: Sequence[str] = (),
        chosen: Callable[[Selection], Awaitable[None]] | None = None,
    ) -> LLMResponse:
        """One attempt at the model that is selected: no retry, no fallback, no pause. Streamed, so that a cut is seen.

        `avoid` names models that have failed already. `chosen` is told which one it is before anything is sent.

        Raises:
            RateLimitedError: also where our own limit says so; `retry_after` tells when to come back.
            NoModelError: all that could answer are to be avoided.
            ProviderError: `others` names the models that may take over, where that can help.
        """
        run = self._run(request)
        with run.told():
            selection = (await run.select(prefer)).without(avoid)
            if chosen is not None:
                await chosen(selection)
            return run.end(await run.once(selection))

    async def select(self, request: LLMRequest, prefer: Sequence[str] = ()) -> Selection:
        """Which model would be asked now, which ones after it, and why. Nothing is sent, nothing reserved."""
        return await self._rules.selector.select(request, prefer)

    async def list_models(self, provider: str, tenant: str = "", user: str = "") -> Sequence[ListedModel]:
        """The models that the provider lists for this caller's key.

        Raises:
            ProviderError: there is no key, or it does not answer.
        """
        async with self._pool.lease(provider, tenant, user) as (_, client):
            return await client.list_models()

    def circuit(self, name: str) -> BreakerState:
        """State of the circuit of a provider and key (`openai/operator`)."""
        return self._rules.breakers.state(name)

    def circuits(self) -> Mapping[str, BreakerState]:
        """Circuits that are not closed, by provider and key."""
        return self._rules.breakers.troubled()

    def waiting(self, provider: str) -> int:
        """Calls that wait because the provider is limited, for whichever key."""
        return self._gate.waiting_for(provider)

    async def aclose(self) -> None:
        """Close every connection; calls under way fail."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _run(self, request: LLMRequest) -> "_Run":
        return _Run(self._pool, self._rules, self._gate, request, self._now)


class _Run:
    """One request, from its beginning to the line that is logged of it."""

    def __init__(
        self, pool: ClientPool, rules: Rules, gate: Gate, request: LLMRequest, now: Callable[[], float]
    ) -> None:
        self._rules = rules
        self._gate = gate
        # Without a name, neither the log nor the books nor the provider's support could find it again.
        request = request if request.trace_id else request.model_copy(update={"trace_id": uuid4().hex})
        self._request = request
        self._now = now
        self._started = now()
        self._started_ns = time.time_ns()
        # A stream that nobody reads to its end is closed wherever the collector runs: not in its caller's trace.
        self._context = copy_context()
        self._is_streamed = False
        self._attempts = Attempts(pool, rules, request)
        self._retrier = Retrier(rules.retries, now)
        self._selection: Selection | None = None
        self._notes: list[str] = []
        self._end: LLMResponse | None = None

    @contextmanager
    def told(self) -> Generator[None]:
        """However the request ends inside, it is told once."""
        try:
            yield
        except (LLMError, asyncio.CancelledError, GeneratorExit) as error:
            if self._end is None:
                self._tell(error)
            raise

    async def select(self, prefer: Sequence[str]) -> Selection:
        self._selection = await self._rules.selector.select(self._request, prefer)
        if warning := self._rules.governance.warning(self._selection.model):
            self._notes.append(warning)
        return self._selection

    async def kept(self, model: Model) -> LLMResponse | None:
        """The answer that the cache has."""
        if self._rules.cache is None:
            return None
        found = await self._rules.cache.get(key_of(self._request, model.name))
        if found is None:
            return None
        saved = f"from the cache: {found.cost_usd} USD saved"
        return found.model_copy(
            update={
                "usage": TokenUsage(),
                "cost_usd": Decimal(0),
                "latency_ms": self._ms(),
                "trace_id": self._request.trace_id,
                "notes": (*found.notes, saved),
            }
        )

    async def complete(self, selection: Selection) -> LLMResponse:
        failures: list[ProviderError] = []
        for model in (selection.model, *selection.fallbacks):
            try:
                response = await self._persist(model)
            except ProviderError as error:
                self._pass_on(error, failures)
            else:
                await self._keep(model, response)
                return response
        raise failures[0]

    async def once(self, selection: Selection) -> LLMResponse:
        model = selection.model
        try:
            if wait := await self._rules.limits.take(
                await self._attempts.limit(model), self._attempts.tokens_max(model)
            ):
                raise RateLimitedError(
                    f"the rate limit of {model.provider} is used up. Nothing was sent.",
                    provider=model.provider,
                    model=model.name,
                    retry_after=timedelta(seconds=wait),
                )
            return await self._streamed(model)
        except ProviderError as error:
            error.model = model.name  # as policy names it, which is not always what its provider calls it
            if isinstance(error, RateLimitedError) and error.retry_after is not None:
                self._rules.observer.waits(model.provider, error.retry_after.total_seconds())
            if error.retryable or isinstance(error, _OTHERS_MAY):
                error.others = tuple(other.name for other in selection.fallbacks)
            raise

    async def _streamed(self, model: Model) -> LLMResponse:
        self._is_streamed = True
        response: LLMResponse | None = None
        async with aclosing(self._attempts.stream(model)) as events:
            async for event in events:
                if isinstance(event, StreamFinished):
                    response = event.response
        if response is not None:
            return response
        raise InvalidResponseError("the stream ended without an answer", provider=model.provider, model=model.name)

    async def stream(self, selection: Selection) -> AsyncGenerator[StreamEvent]:
        self._is_streamed = True
        failures: list[ProviderError] = []
        models = (selection.model, *selection.fallbacks)
        for model in models:
            while True:
                try:
                    await self._enter(model)
                    async with aclosing(self._attempts.stream(model)) as events:
                        async for event in events:
                            yield event
                except ProviderError as error:
                    pause = self._retrier.wait(error)
                    if pause is None:
                        self._pass_on(error, failures)
                        if model is not models[-1]:  # what this one said may be out: the next begins again
                            yield self._retrying(error, timedelta(0))
                        break
                    yield self._retrying(error, pause)
                    await self._rest(error, pause)
                else:
                    return
        raise failures[0]

    def end(self, response: LLMResponse) -> LLMResponse:
        """The response as the caller gets it; told."""
        assert self._selection is not None, "an answer comes from a model that was selected"
        notes = (*response.notes, *self._attempts.notes, *self._notes)
        told: dict[str, object] = {"notes": notes, "rationale": self._selection.rationale}
        told["attempts"] = self._attempts.count
        self._end = response.model_copy(update=told)
        self._tell(self._end)
        return self._end

    async def _persist(self, model: Model) -> LLMResponse:
        while True:
            try:
                await self._enter(model)
                return await self._attempts.complete(model)
            except ProviderError as error:
                pause = self._retrier.wait(error)
                if pause is None:
                    raise
                await self._rest(error, pause)

    async def _enter(self, model: Model) -> None:
        tokens = self._attempts.tokens_max(model)
        await self._gate.enter(await self._attempts.limit(model), tokens, self._retrier.left)

    async def _rest(self, error: ProviderError, pause: timedelta) -> None:
        if isinstance(error, RateLimitedError):
            self._rules.observer.waits(error.provider, pause.total_seconds())
        await asyncio.sleep(pause.total_seconds())

    def _retrying(self, error: ProviderError, pause: timedelta) -> Retrying:
        return Retrying(attempt=self._attempts.count + 1, error=str(error), wait_seconds=pause.total_seconds())

    def _pass_on(self, error: ProviderError, failures: list[ProviderError]) -> None:
        """Let the next model have the request, if that can help."""
        if not error.retryable and not isinstance(error, _OTHERS_MAY):
            raise error
        failures.append(error)
        self._notes.append(f"{error.model or error.provider} did not answer: {error.reason}")

    async def _keep(self, model: Model, response: LLMResponse) -> None:
        if self._rules.cache is not None and may_be_kept(response):
            await self._rules.cache.put(key_of(self._request, model.name), response, self._request.tenant)

    def _tell(self, end: LLMResponse | BaseException) -> None:
        model = self._attempts.last or (self._selection.model if self._selection else None)
        record = accounting.record_of(
            self._request,
            end,
            self._ms(),
            self._attempts.tries,
            model.provider if model else end.provider if isinstance(end, ProviderError) else "",
            model.name if model else self._request.model,
            self._selection.rationale if self._selection else "",
            self._started_ns,
            self._is_streamed,
        )
        self._context.run(self._spread, record)

    def _ms(self) -> float:
        return round((self._now() - self._started) * 1000, 3)

    def _spread(self, record: accounting.CallRecord) -> None:
        accounting.log(record)
        self._rules.observer.told(record)


# Errors of an attempt that no repetition mends, but perhaps another model: it has another window, queue, key or life.
_OTHERS_MAY = (
    AuthenticationError,
    ContextWindowExceededError,
    ModelNotAllowedError,
    ModelRetiredError,
    QueueFullError,
)
