"""Whole answers kept by what was asked, for those who want that. Off unless a cache is given."""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Protocol

from pointsman.llm.types import FinishReason, LLMRequest, LLMResponse

LIFE = timedelta(hours=1)
# Who asks, and for what, does not change the answer. The tenant does: nobody may learn from another's answers.
_CONTEXT = {"trace_id", "source_agent", "session_id", "user", "work_item", "budget", "metadata"}


class ResponseCache(Protocol):
    """Answers by key; a key binds the tenant."""

    async def get(self, key: str) -> LLMResponse | None: ...

    async def put(self, key: str, response: LLMResponse, tenant: str = "") -> None: ...


class MemoryResponseCache:
    """The `entries_max` answers that were wanted last, each for `life`."""

    def __init__(
        self, entries_max: int = 1_000, life: timedelta = LIFE, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries_max = entries_max
        self._life = life.total_seconds()
        self._now = now
        self._kept: OrderedDict[str, tuple[float, LLMResponse]] = OrderedDict()

    async def get(self, key: str) -> LLMResponse | None:
        until, response = self._kept.get(key, (0.0, None))
        if response is None or until < self._now():
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return response

    async def put(self, key: str, response: LLMResponse, tenant: str = "") -> None:
        self._kept[key] = (self._now() + self._life, response)
        self._kept.move_to_end(key)
        while len(self._kept) > self._entries_max:
            self._kept.popitem(last=False)


def key_of(request: LLMRequest, model: str) -> str:
    """Hash of all that decides the answer: content, model and tenant."""
    content = request.model_dump_json(exclude=_CONTEXT | {"model", "tier"})
    return sha256(f"{model}\n{content}".encode()).hexdigest()


def may_be_kept(response: LLMResponse) -> bool:
    """Only whole answers are: one that was cut, refused or paused may be another the next time."""
    return response.finish_reason in (FinishReason.STOP, FinishReason.TOOL_CALLS)
