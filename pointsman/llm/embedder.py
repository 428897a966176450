"""The base of whatever turns texts into vectors: providers' models, and one that runs here.

    async with OpenAIEmbedder(key) as embedder:
        found = await embedder.embed(["a train", "a tram"], InputKind.DOCUMENT)

Vectors of one model compare with each other only, and all have length 1, so that their product is their similarity.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from enum import StrEnum
from math import hypot, isfinite
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

from pydantic import Field

from pointsman.llm.errors import InvalidRequestError, InvalidResponseError, ProviderError
from pointsman.llm.estimates import BYTES_PER_TOKEN
from pointsman.llm.prices import price
from pointsman.llm.structured import clean
from pointsman.llm.types import TokenUsage, Value

CALLS_AT_ONCE = 4
"""Batches of one request that are under way together."""
LENGTH_TOLERANCE = 1e-3


class InputKind(StrEnum):
    """What a text is: models that know the difference find documents by queries, not by documents."""

    QUERY = "query"
    DOCUMENT = "document"


class Limits(NamedTuple):
    """What fits into one call of the provider."""

    texts_max: int
    tokens_max: int
    """Of all texts together, as we estimate them: rather too many."""


class Asked(NamedTuple):
    """What all batches of a request have in common."""

    model: str
    kind: InputKind
    dimensions: int | None


class Embedded(NamedTuple):
    """One batch, in the order of its texts. `tokens` is None where the provider does not count."""

    vectors: Sequence[Sequence[float]]
    tokens: int | None
    request_id: str = ""
    model: str = ""


class Embeddings(Value):
    """Vectors in the order of the texts, and what they cost."""

    vectors: tuple[tuple[float, ...], ...]
    model: str
    provider: str
    usage: TokenUsage = TokenUsage()
    cost_usd: Decimal = Decimal(0)
    price_version: str = ""
    calls: int = Field(default=1, ge=0)
    """Of the provider: one for each batch."""
    latency_ms: float = 0.0
    trace_id: str = ""
    notes: tuple[str, ...] = ()

    @property
    def dimensions(self) -> int:
        return len(self.vectors[0]) if self.vectors else 0


class Embedder(ABC):
    """One provider under one key. Asks once for each batch: whoever calls owns the retries.

    Every failure is a `ProviderError`; its `usage` is what the batches before it were billed. A failed or cancelled
    request ends the batches that are under way.
    """

    provider: str
    default_model: str

    async def embed(
        self,
        texts: Sequence[str],
        kind: InputKind = InputKind.DOCUMENT,
        model: str = "",
        dimensions: int | None = None,
    ) -> Embeddings:
        """A vector for each text. `dimensions` asks for shorter ones than the model makes by itself.

        Raises:
            InvalidRequestError: a text is empty; names its place. Nothing was sent.
            ProviderError: a batch failed. No vector is returned then.
        """
        asked = Asked(model or self.default_model, kind, dimensions)
        texts = [clean(text) for text in texts]
        self._check(texts, asked)
        started = perf_counter()
        batches = list(batched(texts, self.limits(asked.model)))
        answers = await self._all(batches, asked)
        return await self._whole(texts, asked, answers, perf_counter() - started)

    @abstractmethod
    def limits(self, model: str) -> Limits:
        """What the provider takes at once."""

    @abstractmethod
    async def ask(self, batch: Sequence[str], asked: Asked) -> Embedded:
        """One call of the provider. Raises `ProviderError`, and nothing else."""

    @abstractmethod
    async def aclose(self) -> None:
        """Give the connections back. Calls under way fail."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _check(self, texts: Sequence[str], asked: Asked) -> None:
        empty = next((place for place, text in enumerate(texts) if not text.strip()), None)
        if empty is not None:
            raise self._refused(f"text {empty} of {len(texts)} is empty", asked.model)
        if asked.dimensions is not None and asked.dimensions < 1:
            raise self._refused(f"dimensions is {asked.dimensions}, at least 1 is needed", asked.model)

    def _refused(self, reason: str, model: str) -> InvalidRequestError:
        return InvalidRequestError(f"{reason}. Nothing was sent.", provider=self.provider, model=model)

    async def _all(self, batches: Sequence[Sequence[str]], asked: Asked) -> Sequence[Embedded]:
        """The batches' answers, in their order, a few of them asked for at a time."""
        places = asyncio.Semaphore(CALLS_AT_ONCE)

        async def one(batch: Sequence[str]) -> Embedded:
            async with places:
                return self._checked(await self.ask(batch, asked), batch, asked)

        tasks = [asyncio.ensure_future(one(batch)) for batch in batches]
        try:
            return await asyncio.gather(*tasks)
        except ProviderError as error:
            done = [task.result() for task in tasks if task.done() and not task.cancelled() and not task.exception()]
            if error.usage is None and done:
                error.usage = usage_of(sum(answer.tokens or 0 for answer in done))
            raise
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError, ProviderError):
                    await task

    def _checked(self, answer: Embedded, batch: Sequence[str], asked: Asked) -> Embedded:
        """The batch, if it has a vector of numbers for each text, all of one size."""
        sizes = {len(vector) for vector in answer.vectors}
        wrong = ""
        if len(answer.vectors) != len(batch):
            wrong = f"{len(answer.vectors)} vectors for {len(batch)} texts"
        elif len(sizes) != 1 or 0 in sizes:
            wrong = f"vectors of {sorted(sizes)} numbers"
        elif not all(all(map(isfinite, vector)) for vector in answer.vectors):
            wrong = "a vector with something in it that is no finite number"
        elif not all(any(vector) for vector in answer.vectors):
            wrong = "a vector of zeros, which points nowhere"
        if wrong:
            raise InvalidResponseError(
                wrong,
                provider=self.provider,
                model=asked.model,
                request_id=answer.request_id,
                usage=usage_of(answer.tokens) if answer.tokens else None,
            )
        return answer

    async def _whole(
        self, texts: Sequence[str], asked: Asked, answers: Sequence[Embedded], seconds: float
    ) -> Embeddings:
        vectors = tuple(unit(vector) for answer in answers for vector in answer.vectors)
        counted = [answer.tokens for answer in answers if answer.tokens is not None]
        notes: list[str] = []
        tokens = sum(counted)
        if len(counted) < len(answers):
            tokens = sum(tokens_of(text) for text in texts)
            notes.append(f"{self.provider} counts no tokens here: {tokens} is our estimate")
        model = next((answer.model for answer in answers if answer.model), asked.model)
        cost = await self._cost(model, usage_of(tokens))
        return Embeddings(
            vectors=vectors,
            model=model,
            provider=self.provider,
            usage=usage_of(tokens),
            cost_usd=cost.cost_usd,
            price_version=cost.version,
            calls=len(answers),
            latency_ms=round(seconds * 1000, 3),
            notes=(*notes, cost.note) if cost.note else tuple(notes),
        )

    async def _cost(self, model: str, usage: TokenUsage) -> "Cost":
        told = await price(self.provider, model, usage)
        return Cost(told.cost_usd, told.version, told.note)


class Cost(NamedTuple):
    cost_usd: Decimal
    version: str = ""
    note: str = ""


def usage_of(tokens: int) -> TokenUsage:
    """Texts are all that a model of vectors reads, and it writes nothing."""
    return TokenUsage(prompt_tokens=max(0, tokens), total_tokens=max(0, tokens))


def tokens_of(text: str) -> int:
    """Estimated, rather too many."""
    return len(text.encode(errors="replace")) // BYTES_PER_TOKEN + 1


def batched(texts: Sequence[str], limits: Limits) -> Iterator[Sequence[str]]:
    """The texts in order, in as few batches as the limits allow; one that is too long for any goes alone."""
    batch: list[str] = []
    held = 0
    for text in texts:
        tokens = tokens_of(text)
        if batch and (len(batch) == limits.texts_max or held + tokens > limits.tokens_max):
            yield batch
            batch, held = [], 0
        batch.append(text)
        held += tokens
    if batch:
        yield batch


def unit(vector: Sequence[float]) -> tuple[float, ...]:
    """The vector with length 1; one that has it stays as it came."""
    length = hypot(*vector)
    if abs(length - 1) <= LENGTH_TOLERANCE:
        return tuple(vector)
    return tuple(number / length for number in vector)
