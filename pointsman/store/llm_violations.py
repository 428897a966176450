"""Violations of the rules for models, in the audit log beside the line that is logged of each."""

import logging

from pointsman.contracts.actions import Action
from pointsman.contracts.records import Chain
from pointsman.llm.governance import LoggedViolations, Violation, Violations
from pointsman.ports import Audit, Unavailable
from pointsman.store.audit import event_of

LOG = logging.getLogger(__name__)
TEXT_CHARS_MAX = 500
NOBODY, DEFAULT_TENANT = "unknown", "default"


class AuditedViolations:
    """`llm.governance.Violations` over the audit log."""

    def __init__(self, audit: Audit, logged: Violations | None = None) -> None:
        self._audit = audit
        self._logged = logged or LoggedViolations()

    async def record(self, violation: Violation) -> None:
        """Tell both. The request is refused in any case: where the database cannot now, the logged line stands alone,
        and another says so."""
        await self._logged.record(violation)
        told = {
            "attempted_model": _cut(violation.attempted_model),
            "reason": _cut(violation.reason),
            "source_agent": _cut(violation.source_agent),
            "session_id": _cut(violation.session_id),
        }
        chain = Chain(tenant=violation.tenant or DEFAULT_TENANT, correlation_id=_cut(violation.trace_id))
        event = event_of(Action.MODEL_REFUSED, _cut(violation.source_agent) or NOBODY, chain, {**told})
        try:
            await self._audit.append(event.model_copy(update={"at": violation.at}))
        except Unavailable as error:
            LOG.error("a violation of the rules for models is not in the audit log: %s", error)


def _cut(text: str) -> str:
    """A caller may name a model as they like, also at length."""
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[:TEXT_CHARS_MAX]}…"
