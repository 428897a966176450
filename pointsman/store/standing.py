"""Where the books stand: a few counts that a scrape every few seconds may ask for, each over an index."""

from collections import Counter
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pointsman.contracts.escalations import Escalation
from pointsman.contracts.records import DeliveryState, ReconciledCount, Tally, ViolationCount
from pointsman.contracts.recovery import HookState
from pointsman.contracts.violations import ProcessViolation, ViolationState
from pointsman.domain.process.violations import as_of
from pointsman.store.engine import Store
from pointsman.store.reconciliations import newest
from pointsman.store.tables import (
    AuditCheckpoint,
    AuditPending,
    ConflictRow,
    EscalationEntry,
    HookStateRow,
    InboxRow,
    QuarantineRow,
    ViolationRow,
    col,
)

WATCHED = (DeliveryState.PENDING, DeliveryState.DEAD)


class Standings:
    """Called by gauges and pages."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self) -> Tally:
        """Raises `Unavailable` when the database cannot say."""
        return await self._store.read(_standing)


def _standing(session: Session) -> Tally:
    by_state = select(col(InboxRow.state), func.count()).where(col(InboxRow.state).in_(WATCHED))
    oldest = select(col(InboxRow.received_at)).where(col(InboxRow.state) == DeliveryState.PENDING)
    sizes = select(func.max(col(AuditCheckpoint.size))).group_by(col(AuditCheckpoint.tenant))
    conflicts = select(func.count()).select_from(ConflictRow).where(col(ConflictRow.closed_at).is_(None))
    quarantined = select(func.count()).select_from(QuarantineRow).where(col(QuarantineRow.released_at).is_(None))
    return Tally(
        inbox={str(state): count for state, count in session.execute(by_state.group_by(col(InboxRow.state)))},
        oldest_pending_at=session.scalar(oldest.order_by(col(InboxRow.sequence)).limit(1)),
        escalations=_open_escalations(session),
        hooks=_hooks_in_trouble(session),
        violations=_violations(session),
        sync_conflicts=session.scalar(conflicts) or 0,
        sync_quarantined=session.scalar(quarantined) or 0,
        reconciled=_reconciled(session),
        audit_pending=session.scalar(select(func.count()).select_from(AuditPending)) or 0,
        audit_size=sum(session.scalars(sizes)),
    )


def _reconciled(session: Session) -> tuple[ReconciledCount, ...]:
    return tuple(
        ReconciledCount(
            organisation=report.organisation,
            project=report.project,
            counts=report.tally.counts,
            trouble=report.tally.trouble,
            at=at,
        )
        for at, report in newest(session)
    )


def _open_escalations(session: Session) -> dict[str, int]:
    query = select(col(EscalationEntry.body)).where(col(EscalationEntry.closed_at).is_(None))
    return dict(Counter(Escalation.model_validate_json(body).severity.value for body in session.scalars(query)))


def _hooks_in_trouble(session: Session) -> dict[str, int]:
    states = [HookState.model_validate_json(body) for body in session.scalars(select(col(HookStateRow.body)))]
    return dict(Counter(str(state.problem) for state in states if state.problem))


def _violations(session: Session) -> tuple[ViolationCount, ...]:
    """One for each check of a project, however many items break it. What the check is, one violation tells. Each that
    is waived is looked at by itself: it is open again once that has ended."""
    by = (
        col(ViolationRow.organisation),
        col(ViolationRow.project),
        col(ViolationRow.check_id),
        col(ViolationRow.state),
    )
    stands, waived = col(ViolationRow.closed_at).is_(None), col(ViolationRow.state) == ViolationState.WAIVED.value
    rows = session.execute(select(func.count(), func.max(col(ViolationRow.body))).where(stands, ~waived).group_by(*by))
    found = [(count, _violation(body)) for count, body in rows]
    found += [(1, _violation(body)) for body in session.scalars(select(col(ViolationRow.body)).where(stands, waived))]
    return tuple(_count(one, count) for count, one in found)


def _violation(body: str) -> ProcessViolation:
    return as_of(ProcessViolation.model_validate_json(body), datetime.now(UTC))


def _count(one: ProcessViolation, count: int) -> ViolationCount:
    return ViolationCount(
        organisation=one.key.organisation,
        project=one.key.project,
        check=one.check,
        practice=one.practice,
        severity=one.severity,
        state=one.state,
        count=count,
    )
