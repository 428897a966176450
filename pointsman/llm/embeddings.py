"""The governed way to vectors: may the model be used, is there money, the call, and what it came to.

    async with make_embeddings(load_settings()) as embeddings:
        found = await embeddings.embed(EmbeddingRequest(texts=("a train",), kind=InputKind.QUERY))

A model is never replaced by another one: vectors of two models do not compare.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Self
from uuid import uuid4

from pydantic import Field

from pointsman.llm import accounting
from pointsman.llm.accounting import CallRecord, Told, Try
from pointsman.llm.budgets import SUCCESS, Claim, Reservation, accounts_of, hosted_accounts_of
from pointsman.llm.embedder import Embedder, Embeddings, InputKind, tokens_of, usage_of
from pointsman.llm.errors import (
    InvalidResponseError,
    LLMError,
    ModelNotAllowedError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
)
from pointsman.llm.governance import LoggedViolations, Violation, Violations
from pointsman.llm.keys import OPERATOR, limit_of
from pointsman.llm.limits import Gate
from pointsman.llm.pool import Pool
from pointsman.llm.prices import price
from pointsman.llm.retries import Retrier
from pointsman.llm.rules import Rules
from pointsman.llm.types import LLMRequest, Role, Value, text_message
from pointsman.observability import names

# The models that are known, and whose they are. Names of other deployments may be added where a service is made.
MODELS: Mapping[str, str] = {
    "text-embedding-3-small": "openai",
    "text-embedding-3-large": "openai",
    "text-embedding-ada-002": "openai",
    "gemini-embedding-2": "gemini",
    "gemini-embedding-001": "gemini",
    "mistral-embed": "mistral",
    "codestral-embed-2505": "mistral",
    "amazon.titan-embed-text-v2:0": "bedrock",
    "amazon.titan-embed-text-v1": "bedrock",
    "cohere.embed-v4:0": "bedrock",
    "cohere.embed-english-v3": "bedrock",
    "cohere.embed-multilingual-v3": "bedrock",
    "multilingual-e5-small-q4": "local",
}
_BILLING_UNKNOWN = (ProviderTimeoutError, InvalidResponseError)


class EmbeddingRequest(Value):
    """Texts to turn into vectors, and the context that it happens in."""

    texts: tuple[str, ...]
    kind: InputKind = InputKind.DOCUMENT
    model: str = ""
    """Empty: the service's default."""
    dimensions: int | None = Field(default=None, gt=0)
    """Fewer than the model makes by itself, where it can."""
    trace_id: str = ""
    source_agent: str = ""
    session_id: str = ""
    tenant: str = ""
    user: str = ""
    work_item: str = ""
    budget: str = ""

    def context(self, model: str) -> LLMRequest:
        """Whose call it is, as budgets and books know it."""
        return LLMRequest(
            model=model,
            messages=(text_message(Role.USER, ""),),
            trace_id=self.trace_id,
            source_agent=self.source_agent,
            session_id=self.session_id,
            tenant=self.tenant,
            user=self.user,
            work_item=self.work_item,
            budget=self.budget,
        )


class EmbeddingService:
    """`allowed` names models, also by pattern; nothing else is ever asked. Safe to share between tasks of one loop."""

    def __init__(
        self,
        pool: Pool[Embedder],
        rules: Rules,
        allowed: Sequence[str],
        default_model: str,
        models: Mapping[str, str] = MODELS,
        violations: Violations | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._rules = rules
        self._allowed = tuple(allowed)
        self._default_model = default_model
        self._models = dict(models)
        self._violations = violations or LoggedViolations()
        self._now = now
        self._gate = Gate(rules.limits)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """A vector for each text, with retries of what may pass.

        Raises:
            LLMError: typed alike for every provider. Nothing else is raised.
        """
        model = request.model or self._default_model
        request = request if request.trace_id else request.model_copy(update={"trace_id": uuid4().hex})
        context, started, retrier = request.context(model), self._now(), Retrier(self._rules.retries, self._now)
        begun_ns, tries = time.time_ns(), list[Try]()
        provider, limit = "", ""
        try:
            provider = await self._admit(context, model)
            while True:
                try:
                    limit = await self._pool.limit(provider, request.tenant, request.user)
                    await self._gate.enter(limit, _tokens(request), retrier.left)
                    found = await self._attempt(request, context, provider, tries)
                    break
                except ProviderError as error:
                    pause = retrier.wait(error)
                    if pause is None:
                        raise
                    await self._rest(error, pause, limit)
        except (LLMError, asyncio.CancelledError) as error:
            self._tell(context, provider, (begun_ns, started), tries, error)
            raise
        self._tell(context, provider, (begun_ns, started), tries, found)
        return found.model_copy(update={"trace_id": request.trace_id})

    async def aclose(self) -> None:
        """Close every connection; calls under way fail."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _admit(self, context: LLMRequest, model: str) -> str:
        """The provider of the model, if it may be used; else told to the violations."""
        known = self._models.get(model)
        if known is not None and any(fnmatchcase(model, pattern) for pattern in self._allowed):
            return known
        why = "is not on the list of allowed models" if known else "is not among the known models"
        refused = ModelNotAllowedError(
            f"embedding model {model!r} {why}; allowed are: {', '.join(self._allowed) or 'none'}. Nothing was sent. "
            "Ask for one of them, or add it to ALLOWED_EMBEDDING_MODELS.",
            provider=known or "",
            model=model,
        )
        violation = Violation(
            at=datetime.now(UTC),
            trace_id=context.trace_id,
            source_agent=context.source_agent,
            session_id=context.session_id,
            tenant=context.tenant,
            attempted_model=model,
            reason=refused.reason,
        )
        await self._violations.record(violation)
        raise refused

    async def _attempt(
        self, request: EmbeddingRequest, context: LLMRequest, provider: str, tries: list[Try]
    ) -> Embeddings:
        rules, model = self._rules, context.model
        async with self._pool.lease(provider, request.tenant, request.user) as (circuit, embedder):
            rules.breakers.enter(circuit, provider)
            try:
                reservation = await self._reserve(request, context, provider, circuit)
            except BaseException:  # nothing is sent: whoever comes next may try a circuit that is half open
                rules.breakers.abandoned(circuit)
                raise
            rules.observer.started(provider)
            begun_ns, failure, told = time.time_ns(), None, Told(error=accounting.CANCELLED)
            try:
                found = await embedder.embed(request.texts, request.kind, model, request.dimensions)
                rules.breakers.succeeded(circuit)
                told = Told(usage=found.usage, cost_usd=found.cost_usd, response_model=found.model)
                await rules.budgets.settle(reservation, found.usage, found.cost_usd, SUCCESS)
            except ProviderError as error:
                failure = error
                rules.breakers.failed(circuit, error)
                if isinstance(error, RateLimitedError) and error.retry_after:
                    await rules.limits.limited(limit_of(circuit), error.retry_after)
                told = await self._settle_failed(reservation, error)
                raise
            except BaseException:  # cancelled: the provider may bill what it has done
                rules.breakers.abandoned(circuit)
                await asyncio.shield(self._settle_all(reservation, accounting.CANCELLED))
                raise
            finally:
                tries.append(Try(provider, model, begun_ns, time.time_ns(), told))
                rules.observer.ended(provider, model, failure)
            return found

    async def _reserve(
        self, request: EmbeddingRequest, context: LLMRequest, provider: str, circuit: str
    ) -> Reservation:
        hosted = hosted_accounts_of(context) if circuit == f"{provider}/{OPERATOR}" else ()
        tokens = _tokens(request)
        most = await price(provider, context.model, usage_of(tokens))
        claim = Claim(
            accounts=(*accounts_of(context), *hosted),
            tokens=tokens,
            cost_usd=most.cost_usd,
            provider=provider,
            model=context.model,
            price_version=most.version,
            trace_id=context.trace_id,
            source_agent=context.source_agent,
        )
        return await self._rules.budgets.reserve(claim)

    async def _settle_failed(self, reservation: Reservation, error: ProviderError) -> Told:
        """What is known of the call's bill."""
        claim, outcome, usage, cost_usd = reservation.claim, type(error).__name__, error.usage, Decimal(0)
        if usage is not None:
            cost_usd = (await price(claim.provider, claim.model, usage)).cost_usd
        if usage is None and isinstance(error, _BILLING_UNKNOWN):
            await self._settle_all(reservation, outcome)
        else:
            await self._rules.budgets.settle(reservation, usage, cost_usd, outcome)
        return Told(outcome, usage or accounting.NOTHING, cost_usd, error.request_id)

    async def _settle_all(self, reservation: Reservation, outcome: str) -> None:
        """All that was reserved counts as spent: the limit holds even if the provider billed the most."""
        claim = reservation.claim
        await self._rules.budgets.settle(reservation, usage_of(claim.tokens), claim.cost_usd, outcome)

    async def _rest(self, error: ProviderError, pause: timedelta, limit: str) -> None:
        if isinstance(error, RateLimitedError):
            await self._rules.limits.limited(limit, pause)
            self._rules.observer.waits(error.provider, pause.total_seconds())
        await asyncio.sleep(pause.total_seconds())

    def _tell(
        self,
        context: LLMRequest,
        provider: str,
        begun: tuple[int, float],
        tries: Sequence[Try],
        end: Embeddings | BaseException,
    ) -> None:
        failed = type(end).__name__ if isinstance(end, LLMError) else accounting.CANCELLED
        used = end.usage if isinstance(end, Embeddings | ProviderError) else None
        record = CallRecord(
            trace_id=context.trace_id,
            source_agent=context.source_agent,
            session_id=context.session_id,
            tenant=context.tenant,
            provider=provider,
            model=context.model,
            outcome=SUCCESS if isinstance(end, Embeddings) else failed,
            started_ns=begun[0],
            latency_ms=round((self._now() - begun[1]) * 1000, 3),
            attempts=len(tries),
            tries=tuple(tries),
            usage=used or usage_of(0),
            cost_usd=sum((one.told.cost_usd for one in tries), Decimal(0)),
            response_model=end.model if isinstance(end, Embeddings) else "",
            operation=names.GEN_AI_EMBEDDINGS,
        )
        accounting.log(record)
        self._rules.observer.told(record)


def _tokens(request: EmbeddingRequest) -> int:
    return sum(tokens_of(text) for text in request.texts)
