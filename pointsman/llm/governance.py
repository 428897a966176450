"""Which models may be used at all. Every request passes here before anything leaves, and every violation is told."""

import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from typing import Protocol

from pointsman.llm.errors import ModelNotAllowedError, ModelRetiredError
from pointsman.llm.registry import Model, Registry
from pointsman.llm.types import LLMRequest, Value

LOG = logging.getLogger("pointsman.llm.governance")
"""A logger of its own, so that violations can be kept longer than other lines."""
SERVICE_LOG = logging.getLogger("pointsman.llm")


class Violation(Value):
    """An attempt to use a model that may not be used. Tells whose attempt it was, and nothing of what was said."""

    at: datetime
    trace_id: str
    source_agent: str
    session_id: str
    tenant: str
    attempted_model: str
    reason: str


class Violations(Protocol):
    """Where violations are kept."""

    async def record(self, violation: Violation) -> None: ...


class LoggedViolations:
    """One JSON line for each, on the logger of this module."""

    async def record(self, violation: Violation) -> None:
        line = {
            "timestamp": violation.at.isoformat(),
            "event": "llm.governance_violation",
            **violation.model_dump(exclude={"at"}),
        }
        LOG.warning(json.dumps(line, sort_keys=True))


class Governance:
    """`allowed` names models, also by pattern (`gpt-6*`); nothing else is ever sent."""

    def __init__(
        self,
        registry: Registry,
        allowed: Sequence[str],
        violations: Violations | None = None,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._registry = registry
        self._allowed = tuple(allowed)
        self._violations = violations or LoggedViolations()
        self._today = today
        self._warned: dict[str, date] = {}

    def permits(self, name: str) -> bool:
        """Whether the list has the model. Says nothing of its lifecycle."""
        return any(fnmatchcase(name, pattern) for pattern in self._allowed)

    def usable(self, model: Model) -> bool:
        """Allowed, and not retired."""
        return self.permits(model.name) and not model.retired(self._today())

    def warning(self, model: Model) -> str:
        """What its users should hear of its end, if that is near. The log hears it once a day."""
        today = self._today()
        told = self._registry.check_lifecycle(model, today, self.permits)
        if told and self._warned.get(model.name) != today:
            self._warned[model.name] = today
            SERVICE_LOG.warning(told)
        return told

    def name_successor(self, error: ModelRetiredError, model: Model) -> None:
        """Complete what a provider says: that a model is gone, but seldom since when, and what takes its place."""
        today = self._today()
        error.since = error.since or min(today, model.shutdown_on or today)
        error.replacement = error.replacement or model.replacement
        successor = error.replacement
        then = f"use {successor}" if successor else "ask for a tier, and look for a successor: pointsman models refresh"
        first = ", and put it into ALLOWED_MODELS first" if successor and not self.permits(successor) else ""
        error.reason = f"{error.reason.rstrip('.')}. Since {error.since} at the latest: {then}{first}"

    async def admit(self, request: LLMRequest, name: str) -> Model:
        """The model, if it may be used.

        Raises:
            ModelNotAllowedError: it is unknown or not on the list. Told to the violations.
            ModelRetiredError: it is gone; names its successor and the day. Told to the violations.
        """
        model = self._registry.find(name)
        try:
            if model is not None:
                self._registry.check_lifecycle(model, self._today(), self.permits)
            if model is None or not self.permits(model.name):
                raise self._refusal(name, model)
        except (ModelNotAllowedError, ModelRetiredError) as error:
            await self._violations.record(self._violation(request, name, error.reason))
            raise
        return model

    def _refusal(self, name: str, model: Model | None) -> ModelNotAllowedError:
        why = "is not on the list of allowed models" if model else "is not among the known models"
        allowed = ", ".join(self._allowed) or "none"
        return ModelNotAllowedError(
            f"model {name!r} {why}; allowed are: {allowed}. Nothing was sent. Ask for one of them or for a tier, or "
            "add it to ALLOWED_MODELS and to the file of models.",
            provider=model.provider if model else "",
            model=name,
        )

    def _violation(self, request: LLMRequest, name: str, reason: str) -> Violation:
        return Violation(
            at=datetime.now(UTC),
            trace_id=request.trace_id,
            source_agent=request.source_agent,
            session_id=request.session_id,
            tenant=request.tenant,
            attempted_model=name,
            reason=reason,
        )
