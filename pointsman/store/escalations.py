"""Questions to humans, the rungs that were climbed, and the decision that stands."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.chains import EdgeKind, ThingKind
from pointsman.contracts.escalations import Decision, Escalation, Refusal, Resolution
from pointsman.contracts.records import Caller, Chain, EscalationRow
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.chains import parent_run, thing
from pointsman.ports import Missing
from pointsman.store import audit, edges
from pointsman.store.engine import Store
from pointsman.store.locks import wait_turn
from pointsman.store.tables import EscalationEntry, EscalationRung, col

PREFIX = "ESC-"
LEFT_OPEN = "the run of its item was ended from outside, or reset, before anybody decided"
_ENDED = {
    "decided": Action.ESCALATION_DECIDED,
    "expired": Action.ESCALATION_EXPIRED,
    "withdrawn": Action.ESCALATION_WITHDRAWN,
}


class Escalations:
    """`ports.Escalations` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def open(self, escalation: Escalation, caller: Caller) -> EscalationRow:
        """Idempotent by (workflow, run). The row gets the next id, `ESC-n`."""

        def change(session: Session) -> EscalationRow:
            wait_turn(session, f"escalation:{caller.workflow_id}/{caller.run_id}")
            query = select(EscalationEntry).where(
                col(EscalationEntry.workflow_id) == caller.workflow_id, col(EscalationEntry.run_id) == caller.run_id
            )
            if (standing := session.scalar(query)) is not None:
                return _told(session, standing)
            row = EscalationEntry(
                workflow_id=caller.workflow_id,
                run_id=caller.run_id,
                tenant=escalation.tenant,
                correlation_id=escalation.correlation_id,
                organisation=escalation.key.organisation,
                item_id=escalation.key.id,
                body=escalation.model_dump_json(),
                opened_at=datetime.now(UTC),
                decision="",
                resolution="",
                closed_at=None,
            )
            session.add(row)
            session.flush()  # the database gives the number
            about: dict[str, Json] = {
                "kind": escalation.kind.value,
                "severity": escalation.severity.value,
                "subject": escalation.subject,
            }
            _tell(session, row, Action.ESCALATION_OPENED, audit.by(caller), about)
            _connect(session, row)
            return _told(session, row)

        return await self._store.write(change)

    async def notified(self, escalation_id: str, rung: int, line: str, caller: Caller) -> None:
        """Idempotent by (escalation, rung): the first line stands.

        Raises:
            Missing: there is no such escalation.
        """

        def change(session: Session) -> None:
            row = _held(session, escalation_id)
            assert row.number is not None, "a stored row has a number"
            if session.get(EscalationRung, (row.number, rung)) is not None:
                return
            now = datetime.now(UTC)
            session.add(EscalationRung(escalation=row.number, rung=rung, tenant=row.tenant, line=line, at=now))
            _tell(session, row, Action.ESCALATION_NOTIFIED, audit.by(caller), {"rung": rung}, once=(rung,))

        await self._store.write(change)

    async def settle(
        self, escalation_id: str, decision: Decision | None, resolution: Resolution, caller: Caller
    ) -> EscalationRow:
        """The first settlement stands and comes back.

        Raises:
            Missing: there is no such escalation.
        """

        def change(session: Session) -> EscalationRow:
            row = _held(session, escalation_id)
            if row.closed_at is not None:
                return _told(session, row)
            _close(session, row, decision, resolution, caller)
            return _told(session, row)

        return await self._store.write(change)

    async def refuse(self, escalation_id: str, refusal: Refusal, caller: Caller) -> None:
        """Leaves an event, so that a decision which could not be taken does not vanish. Idempotent by
        (run, refusal number).

        Raises:
            Missing: there is no such escalation.
        """

        def change(session: Session) -> None:
            row = _held(session, escalation_id)
            about: dict[str, Json] = {
                "number": refusal.number,
                "reason": refusal.reason,
                "channel": refusal.channel,
            }
            once = (caller.run_id, refusal.number)
            _tell(session, row, Action.ESCALATION_REFUSED, refusal.by or audit.by(caller), about, once)

        await self._store.write(change)

    async def get(self, escalation_id: str) -> EscalationRow | None:
        def look(session: Session) -> EscalationRow | None:
            row = session.get(EscalationEntry, _number(escalation_id))
            return _told(session, row) if row else None

        return await self._store.read(look)

    async def find(self, pending_only: bool = True, limit: int = 200) -> Sequence[EscalationRow]:
        """Newest first."""
        query = select(EscalationEntry).order_by(col(EscalationEntry.number).desc()).limit(limit)
        if pending_only:
            query = query.where(col(EscalationEntry.closed_at).is_(None))

        def look(session: Session) -> list[EscalationRow]:
            rows = session.scalars(query).all()
            lines = _lines(session, [row.number for row in rows if row.number is not None])
            return [_row(row, lines.get(row.number or 0, ())) for row in rows]

        return await self._store.read(look)


def close_left_open(session: Session, key: WorkItemKey, caller: Caller) -> None:
    """Withdraw the open questions of the item's own workflow. For its runs when they begin or end, and no child of
    theirs is open: what is open then was left by a run that was terminated, and its question with it, or was reset."""
    query = select(EscalationEntry).where(
        col(EscalationEntry.organisation) == key.organisation,
        col(EscalationEntry.item_id) == key.id,
        # A question about a rule that the item breaks outlives its runs.
        col(EscalationEntry.workflow_id).startswith(caller.workflow_id, autoescape=True),
        col(EscalationEntry.closed_at).is_(None),
    )
    for row in session.scalars(query.with_for_update()).all():
        left = Resolution(escalation_id=f"{PREFIX}{row.number}", outcome="withdrawn", reason=LEFT_OPEN)
        _close(session, row, None, left, caller)


def _connect(session: Session, row: EscalationEntry) -> None:
    asked = thing(ThingKind.ESCALATION, f"{PREFIX}{row.number}")
    parent = parent_run(row.workflow_id)
    about = [(asked, EdgeKind.ABOUT, edges.item(row.organisation, row.item_id))] if row.item_id else []
    edges.add(session, row.tenant, (edges.run(parent), EdgeKind.ASKED, asked), *about)


def _close(
    session: Session, row: EscalationEntry, decision: Decision | None, resolution: Resolution, caller: Caller
) -> None:
    row.decision = decision.model_dump_json() if decision else ""
    row.resolution, row.closed_at = resolution.model_dump_json(), datetime.now(UTC)
    about: dict[str, Json] = {
        "verb": resolution.verb.value if resolution.verb else None,
        "outcome": resolution.outcome,
        "proposal": resolution.proposal.hash if resolution.proposal else None,
        "channel": decision.channel if decision else "",
    }
    if resolution.reason:
        about["reason"] = resolution.reason
    action = _ENDED.get(resolution.outcome, Action.ESCALATION_DECIDED)
    _tell(session, row, action, resolution.by or audit.by(caller), about)


def _number(escalation_id: str) -> int:
    """The n of `ESC-n`, however it is written; 0, which no row has, for anything else."""
    digits = escalation_id.upper().removeprefix(PREFIX)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 18 else 0


def _held(session: Session, escalation_id: str) -> EscalationEntry:
    row = session.get(EscalationEntry, _number(escalation_id), with_for_update=True)
    if row is None:
        raise Missing(f"no escalation {escalation_id!r} in the store: nothing was changed")
    return row


def _lines(session: Session, numbers: Iterable[int]) -> dict[int, tuple[str, ...]]:
    query = (
        select(EscalationRung)
        .where(col(EscalationRung.escalation).in_(list(numbers)))
        .order_by(col(EscalationRung.escalation), col(EscalationRung.rung))
    )
    lines: dict[int, tuple[str, ...]] = {}
    for rung in session.scalars(query):
        lines[rung.escalation] = (*lines.get(rung.escalation, ()), rung.line)
    return lines


def _told(session: Session, row: EscalationEntry) -> EscalationRow:
    assert row.number is not None, "a stored row has a number"
    return _row(row, _lines(session, [row.number]).get(row.number, ()))


def _row(row: EscalationEntry, rungs: tuple[str, ...]) -> EscalationRow:
    return EscalationRow(
        id=f"{PREFIX}{row.number}",
        workflow_id=row.workflow_id,
        escalation=Escalation.model_validate_json(row.body),
        opened_at=row.opened_at,
        rungs=rungs,
        decision=Decision.model_validate_json(row.decision) if row.decision else None,
        resolution=Resolution.model_validate_json(row.resolution) if row.resolution else None,
        closed_at=row.closed_at,
    )


def _tell(
    session: Session,
    row: EscalationEntry,
    action: Action,
    actor: str,
    told: dict[str, Json],
    once: tuple[object, ...] = (),
) -> None:
    escalation = Escalation.model_validate_json(row.body)
    chain = Chain(tenant=row.tenant, correlation_id=row.correlation_id, key=escalation.key)
    about: dict[str, Json] = {"escalation": f"{PREFIX}{row.number}", **told}
    audit.add(session, audit.event_of(action, actor, chain, about, once=(row.workflow_id, row.run_id, *once)))
