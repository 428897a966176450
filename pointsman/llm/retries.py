"""When a call that failed is tried again, outside a workflow: exponential back-off with full jitter.

In a workflow this is not used: there one attempt is one activity attempt, and Temporal is the owner of retries.
"""

import random
from collections.abc import Callable
from datetime import timedelta

from pydantic import Field

from pointsman.llm.errors import CircuitOpenError, ProviderError, RateLimitedError
from pointsman.llm.types import Value


class RetryPolicy(Value):
    """Retries beyond the first attempt, and the waits between them in seconds."""

    retries_max: int = Field(default=3, ge=0)
    """After transient errors."""
    rate_limit_retries_max: int = Field(default=5, ge=0)
    """After rate limits."""
    base: float = Field(default=2.0, ge=1)
    wait_seconds_max: float = Field(default=32.0, gt=0)
    """Also the longest `Retry-After` that is waited for: a longer one fails at once."""
    deadline_seconds: float = Field(default=300.0, gt=0)
    """From the first attempt to the last answer."""


class Retrier:
    """The retries of one call: asks `wait` after each failure, and gets the pause or the error back."""

    def __init__(
        self, policy: RetryPolicy, now: Callable[[], float], jitter: Callable[[float], float] | None = None
    ) -> None:
        self._policy = policy
        self._now = now
        self._jitter = jitter or _full_jitter
        self._ends = now() + policy.deadline_seconds
        self._transient = 0
        self._limited = 0

    @property
    def left(self) -> timedelta:
        """Until the deadline."""
        return timedelta(seconds=max(0.0, self._ends - self._now()))

    def wait(self, error: ProviderError) -> timedelta | None:
        """The pause before the next attempt; None where there must be none."""
        if not error.retryable or isinstance(error, CircuitOpenError):
            return None
        if isinstance(error, RateLimitedError):
            self._limited += 1
            tried, allowed = self._limited, self._policy.rate_limit_retries_max
        else:
            self._transient += 1
            tried, allowed = self._transient, self._policy.retries_max
        if tried > allowed:
            return None
        pause = self._pause(tried, error.retry_after)
        return pause if pause is not None and pause < self.left else None

    def _pause(self, tried: int, retry_after: timedelta | None) -> timedelta | None:
        longest = self._policy.wait_seconds_max
        if retry_after is not None:
            return retry_after if retry_after.total_seconds() <= longest else None
        return timedelta(seconds=self._jitter(min(longest, self._policy.base**tried)))


def _full_jitter(most: float) -> float:
    return random.uniform(0, most)  # noqa: S311 - it spreads calls, it hides nothing
