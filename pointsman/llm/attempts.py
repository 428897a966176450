"""One attempt at one provider with all that belongs around it: circuit, reservation, call, settlement."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal

from pointsman.llm.accounting import CANCELLED, Told, Try
from pointsman.llm.budgets import SUCCESS, Claim, Reservation, accounts_of, hosted_accounts_of
from pointsman.llm.client import LLMClient
from pointsman.llm.errors import (
    InvalidResponseError,
    ModelRetiredError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    TruncatedStreamError,
)
from pointsman.llm.estimates import estimate_tokens
from pointsman.llm.events import StreamEvent, StreamFinished
from pointsman.llm.keys import OPERATOR, limit_of
from pointsman.llm.pool import ClientPool
from pointsman.llm.prices import price
from pointsman.llm.registry import Model
from pointsman.llm.rules import Rules
from pointsman.llm.types import LLMRequest, LLMResponse, TokenUsage

# After these nobody but the provider knows what it did, and what it will bill.
_BILLING_UNKNOWN = (ProviderTimeoutError, TruncatedStreamError, InvalidResponseError)


class Attempts:
    """The attempts of one request. `count` is how many went out, `notes` what the response should say of them."""

    def __init__(self, pool: ClientPool, rules: Rules, request: LLMRequest) -> None:
        self.count = 0
        self.notes: list[str] = []
        self.last: Model | None = None
        self.tries: list[Try] = []
        self._pool = pool
        self._rules = rules
        self._request = request
        self._prompt_tokens = estimate_tokens(request)

    def tokens_max(self, model: Model) -> int:
        """The most that the call can take: the prompt, rather too many, and the answer at its limit."""
        return self._prompt_tokens + self._output_max(model)

    async def limit(self, model: Model) -> str:
        """What rate limits of this call at the model go by."""
        return await self._pool.limit(model.provider, self._request.tenant, self._request.user)

    async def complete(self, model: Model) -> LLMResponse:
        async with self._call(model) as (client, request, settle):
            response = await client.complete(request)
            await settle(response)
        return response

    async def stream(self, model: Model) -> AsyncGenerator[StreamEvent]:
        """Pieces as they come; the last is `StreamFinished`."""
        async with self._call(model) as (client, request, settle), aclosing(client.stream(request)) as events:
            async for event in events:
                if isinstance(event, StreamFinished):
                    await settle(event.response)
                yield event

    @asynccontextmanager
    async def _call(self, model: Model) -> AsyncGenerator[tuple[LLMClient, LLMRequest, "_Settle"]]:
        """Around one call: whatever happens inside, the reservation is settled and the circuit told."""
        request, rules = self._request, self._rules
        self.last = model
        async with self._pool.lease(model.provider, request.tenant, request.user) as (circuit, client):
            rules.breakers.enter(circuit, model.provider)
            try:
                reservation = await self._reserve(model, circuit)
            except BaseException:  # nothing is sent: whoever comes next may try a circuit that is half open
                rules.breakers.abandoned(circuit)
                raise
            settle = _Settle(rules, reservation, model, self.tries)
            self.count += 1
            rules.observer.started(model.provider)
            failure: ProviderError | None = None
            try:
                yield client, request.model_copy(update={"model": model.sent, "tier": None}), settle
                rules.breakers.succeeded(circuit)
            except ProviderError as error:
                failure = error
                if isinstance(error, ModelRetiredError):
                    rules.governance.name_successor(error, model)
                rules.breakers.failed(circuit, error)
                await settle.failed(error)
                if isinstance(error, RateLimitedError) and error.retry_after:
                    await rules.limits.limited(limit_of(circuit), error.retry_after)
                raise
            except BaseException:  # cancelled, or a stream that was closed: the provider may bill what it has done
                rules.breakers.abandoned(circuit)
                await asyncio.shield(settle.unknown())
                raise
            finally:
                rules.observer.ended(model.provider, model.name, failure)

    async def _reserve(self, model: Model, circuit: str) -> Reservation:
        hosted = hosted_accounts_of(self._request) if circuit == f"{model.provider}/{OPERATOR}" else ()
        output = self._output_max(model)
        usage = TokenUsage(prompt_tokens=self._prompt_tokens, completion_tokens=output)
        most = await price(model.provider, model.sent, usage)
        claim = Claim(
            accounts=(*accounts_of(self._request), *hosted),
            tokens=self._prompt_tokens + output,
            cost_usd=most.cost_usd,
            provider=model.provider,
            model=model.sent,
            price_version=most.version,
            trace_id=self._request.trace_id,
            source_agent=self._request.source_agent,
        )
        reservation = await self._rules.budgets.reserve(claim)
        self.notes += reservation.notes
        return reservation

    def _output_max(self, model: Model) -> int:
        return min(self._request.max_tokens or model.output_max, model.output_max)


class _Settle:
    """The end of a reservation: the first that is told stands."""

    def __init__(self, rules: Rules, reservation: Reservation, model: Model, tries: list[Try]) -> None:
        self._budgets = rules.budgets
        self._reservation = reservation
        self._model = model
        self._tries = tries
        self._is_told = False
        self._started_ns = time.time_ns()

    async def __call__(self, response: LLMResponse) -> None:
        told = Told(
            usage=response.usage,
            cost_usd=response.cost_usd,
            request_id=response.request_id,
            response_id=response.response_id,
            response_model=response.model,
            finish_reason=response.finish_reason.value,
        )
        self._tell(told)
        await self._budgets.settle(self._reservation, response.usage, response.cost_usd, SUCCESS)

    async def failed(self, error: ProviderError) -> None:
        claim, usage, cost_usd = self._reservation.claim, error.usage, Decimal(0)
        if usage is not None:
            cost_usd = (await price(claim.provider, claim.model, usage)).cost_usd
        kind = type(error).__name__
        self._tell(Told(error=kind, usage=usage or TokenUsage(), cost_usd=cost_usd, request_id=error.request_id))
        if usage is None and isinstance(error, _BILLING_UNKNOWN):
            await self._all(kind)
        else:
            await self._budgets.settle(self._reservation, usage, cost_usd, kind)

    async def unknown(self) -> None:
        """The call was left: its answer may come and be billed."""
        self._tell(Told(error=CANCELLED))
        await self._all(CANCELLED)

    async def _all(self, outcome: str) -> None:
        """All that was reserved counts as spent: the limit holds even if the provider billed the most."""
        claim = self._reservation.claim
        most = TokenUsage(total_tokens=claim.tokens)
        await self._budgets.settle(self._reservation, most, claim.cost_usd, outcome)

    def _tell(self, told: Told) -> None:
        if not self._is_told:
            self._is_told = True
            model = self._model
            self._tries.append(Try(model.provider, model.name, self._started_ns, time.time_ns(), told))
