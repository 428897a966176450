"""A circuit breaker for each provider and key: what fails again and again is left alone for a while."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from pointsman.llm.errors import (
    CircuitOpenError,
    ProviderConnectionError,
    ProviderError,
    ProviderOverloadedError,
    ProviderTimeoutError,
)
from pointsman.llm.keys import OPERATOR
from pointsman.llm.types import Value


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """One call is let through, to see."""


class BreakerPolicy(Value):
    failures_max: int = Field(default=5, ge=1)
    """In a row; then the circuit opens."""
    open_seconds: float = Field(default=30.0, gt=0)


_FAULTS_OF_THE_PROVIDER = (ProviderOverloadedError, ProviderTimeoutError, ProviderConnectionError)


@dataclass
class _Circuit:
    failures: int = 0
    opened_at: float | None = None
    is_probing: bool = False


class Breakers:
    """All circuits of a process, by name (provider and key)."""

    def __init__(self, policy: BreakerPolicy | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy or BreakerPolicy()
        self._now = now
        self._circuits: dict[str, _Circuit] = {}

    def state(self, name: str) -> BreakerState:
        circuit = self._circuits.get(name)
        if circuit is None or circuit.opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._left(circuit) > 0 else BreakerState.HALF_OPEN

    def healthy(self, provider: str) -> bool:
        """Whether the provider, under the operator's key, is worth asking now."""
        return self.state(f"{provider}/{OPERATOR}") is not BreakerState.OPEN

    def troubled(self) -> Mapping[str, BreakerState]:
        """Those that are not closed."""
        states = {name: self.state(name) for name in self._circuits}
        return {name: state for name, state in states.items() if state is not BreakerState.CLOSED}

    def enter(self, name: str, provider: str) -> None:
        """Before a call.

        Raises:
            CircuitOpenError: the provider is left alone for now.
        """
        circuit = self._circuits.get(name)
        if circuit is None or circuit.opened_at is None:
            return
        left = self._left(circuit)
        if left <= 0 and not circuit.is_probing:
            circuit.is_probing = True
            return
        raise CircuitOpenError(
            f"{provider} failed {circuit.failures} times in a row and is left alone for {max(left, 1.0):.0f} s more. "
            "Nothing was sent.",
            provider=provider,
            retry_after=timedelta(seconds=max(left, 1.0)),
        )

    def succeeded(self, name: str) -> None:
        self._circuits.pop(name, None)

    def failed(self, name: str, error: ProviderError) -> None:
        """Only what is the provider's own fault counts: a wrong request says nothing of its health."""
        circuit = self._circuits.setdefault(name, _Circuit())
        circuit.is_probing = False
        if not isinstance(error, _FAULTS_OF_THE_PROVIDER):
            return
        circuit.failures += 1
        if circuit.failures >= self._policy.failures_max:
            circuit.opened_at = self._now()

    def abandoned(self, name: str) -> None:
        """The call was cancelled: it says nothing, and the next one may try."""
        if circuit := self._circuits.get(name):
            circuit.is_probing = False

    def _left(self, circuit: _Circuit) -> float:
        assert circuit.opened_at is not None, "only an open circuit has time left"
        return circuit.opened_at + self._policy.open_seconds - self._now()
