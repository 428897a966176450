"""How much an account may ask within a while: slowed down near the end of it, refused beyond, as the service does it.

The service counts units of work over five minutes; here each request is one unit.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.fault_kinds import words_of


class Allowance(BaseModel):
    """`slow_from` is the share of `units` from which answers ask to slow down. No units: as much as one likes."""

    model_config = ConfigDict(extra="forbid")

    units: int = Field(default=0, ge=0)
    window_seconds: float = Field(default=300.0, gt=0)
    slow_from: float = Field(default=0.8, ge=0, le=1)


@dataclass
class Meter:
    """What each account has taken, by the header that it proves itself with."""

    allowance: Allowance = field(default_factory=Allowance)
    _taken: dict[str, deque[datetime]] = field(default_factory=dict)

    def set(self, allowance: Allowance) -> None:
        """From now on, and nobody has taken anything yet."""
        self.allowance = allowance
        self._taken.clear()

    def take(self, account: str, now: datetime) -> Mapping[str, Json]:
        """A unit: nothing to say, headers for the answer, or the answer of a refusal, for which no unit is taken."""
        units = self.allowance.units
        if not units:
            return {}
        taken = self._taken.setdefault(account, deque())
        window = timedelta(seconds=self.allowance.window_seconds)
        while taken and taken[0] <= now - window:
            taken.popleft()
        if len(taken) >= units:
            return {**words_of("throttled"), "headers": self._headers(taken, now, 0)}
        taken.append(now)
        if len(taken) <= units * self.allowance.slow_from:
            return {}
        return {"headers": self._headers(taken, now, units - len(taken))}

    def _headers(self, taken: deque[datetime], now: datetime, remaining: int) -> dict[str, Json]:
        """The wait is until a unit comes back, in whole seconds."""
        back = taken[0] + timedelta(seconds=self.allowance.window_seconds)
        wait = max(math.ceil((back - now).total_seconds()), 1)
        return {
            "Retry-After": str(wait),
            "X-RateLimit-Resource": "core/TSTU",
            "X-RateLimit-Delay": str(wait),
            "X-RateLimit-Limit": str(self.allowance.units),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(math.ceil(back.timestamp())),
        }
