"""The stand-in of the model providers from inside: what tests tell it, and what it saw."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from pointsman.llm.errors import ProviderError
from pointsman.sandbox.models.control import Control, Fault, FaultKind, Script, Seen
from pointsman.sandbox.models.replies import Reply

KEY = "sk-test-4f1d0c7a9b2e"
LIMITS = [timedelta(seconds=seconds) for seconds in (0.15, 1, 20)]
LATE_SECONDS = 0.5
"""Within these a question comes whose asker has given up: it must not be taken for the next one."""


@dataclass
class Provider:
    """As tests get it. `root` is its URL."""

    root: str
    control: Control

    @property
    def url(self) -> str:
        """Of OpenAI's API."""
        return f"{self.root}/v1"

    def says(self, *replies: Reply) -> None:
        self.control.scripts.append(Script(replies=list(replies)))

    def fails(self, kind: FaultKind, **details: object) -> None:
        self.control.faults.append(Fault.model_validate({"kind": kind, **details}))

    async def falls_silent(
        self, ask: Callable[[timedelta], Awaitable[object]], kind: FaultKind = FaultKind.SILENCE, **details: object
    ) -> None:
        """Have `ask` meet a silence under the limit that it is given: a short one, for nobody shall wait for it.

        On a busy machine that may pass before the question was heard, which is another error: then it is asked anew,
        with more time.
        """
        scripts = list(self.control.scripts)
        for limit in LIMITS:
            self.control.reset()
            self.control.scripts.extend(scripts)
            self.fails(kind, **details)
            try:
                await ask(limit)
                assert len(self.control.seen) == 1, "it is asked once"
                return
            except (AssertionError, ProviderError):
                if limit == LIMITS[-1]:
                    raise
                await asyncio.sleep(LATE_SECONDS)

    @property
    def last(self) -> Seen:
        return self.control.seen[-1]
