"""Violations of process rules, each with its life, and an audit event for each turn of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.process import Finding
from pointsman.contracts.records import Chain
from pointsman.contracts.violations import Checked, Inspection, ProcessViolation, Settlement, ViolationState
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.process.violations import (
    as_of,
    opened_by,
    resolution,
    retired,
    retirement,
    settle,
    settlement,
)
from pointsman.ports import Missing, Rejected
from pointsman.store import audit
from pointsman.store.engine import Store
from pointsman.store.locks import wait_turn
from pointsman.store.tables import ViolationRow, col

PREFIX = "VIO-"
CHECKS = "process checks"
ROWS_AT_ONCE = 500


class ProcessViolations:
    """`ports.ProcessViolations` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def settle(self, inspection: Inspection) -> Settlement:
        """Open, resolve and bring back what an inspection says. Idempotent: the same one changes nothing twice."""

        def change(session: Session) -> Settlement:
            key = inspection.key
            wait_turn(session, f"process:{key.organisation}/{key.id}{_whole(key)}")
            steps = settle(standing(session, key), inspection)
            opened = [_open(session, inspection, one) for one in steps.opened]
            for one in steps.resolved:
                _keep(session, one, Action.VIOLATION_RESOLVED, CHECKS, {"rev": one.resolved_rev})
            for one in steps.returned:
                _keep(session, one, Action.VIOLATION_RETURNED, CHECKS, {})
            for one in steps.kept:
                _write(session, one)
            return settlement(opened, steps)

        return await self._store.write(change)

    async def broken_items(self, organisation: str, project: str, after: int, until: int | None) -> Sequence[int]:
        """Items above `after`, up to `until`, of which violations stand."""
        return await self._store.read(lambda session: broken_items(session, organisation, project, after, until))

    async def retire(self, inspection: Inspection) -> Settlement:
        """Resolve what is broken of checks that the process has no longer. Idempotent."""

        def change(session: Session) -> Settlement:
            resolved = retired(of_other_checks(session, inspection), inspection)
            for one in resolved:
                _keep(session, one, Action.VIOLATION_RESOLVED, CHECKS, {"reason": "the process has no such check now"})
            return retirement(resolved)

        return await self._store.write(change)

    async def checked(self, check: Checked) -> None:
        """An event of the audit log: a report tells from it what could not be decided."""
        data = check.model_dump(mode="json", exclude={"tenant", "by", "at"})
        chain = Chain(tenant=check.tenant, correlation_id="", key=None)
        event = audit.event_of(Action.PROCESS_CHECKED, check.by or CHECKS, chain, data)
        await self._store.write(lambda session: audit.add(session, event))

    async def untold(self, organisation: str, items: Sequence[int], project: str = "") -> Sequence[ProcessViolation]:
        """Open violations of these items that nobody was told of yet, oldest first; 0 is the project as a whole."""
        query = (
            select(ViolationRow)
            .where(col(ViolationRow.organisation) == organisation, col(ViolationRow.item_id).in_(items))
            .where(col(ViolationRow.whole).in_(["", project.casefold()]))
            .where(col(ViolationRow.state) == ViolationState.OPEN.value)
            .order_by(col(ViolationRow.number))
        )
        found = await self._store.read(lambda session: [_violation(row) for row in session.scalars(query)])
        return [one for one in found if not one.told]

    async def told(self, ids: Sequence[str], asked: Sequence[str] = ()) -> None:
        """What policy wants when they open was done; of `asked` people are asked who takes them on. Idempotent."""

        def change(session: Session) -> None:
            for name in ids:
                row = session.get(ViolationRow, _number(name), with_for_update=True)
                if row is not None and row.closed_at is None:
                    update = {"told": True, "asked": name in asked}
                    _write(session, _violation(row).model_copy(update=update))

        await self._store.write(change)

    async def acknowledge(self, violation_id: str, by: str, reason: str = "") -> ProcessViolation:
        """Somebody takes it on. Raises `Missing`, and `Rejected` for one that is resolved."""
        told: dict[str, object] = {"state": ViolationState.ACKNOWLEDGED, "by": by, "reason": reason, "until": None}
        return await self._decide(violation_id, told, Action.VIOLATION_ACKNOWLEDGED)

    async def waive(self, violation_id: str, by: str, reason: str, until: datetime) -> ProcessViolation:
        """Let it stand for a reason, until a moment. Raises as `acknowledge`, and `Rejected` for a moment that has
        passed."""
        if until <= datetime.now(UTC):
            raise Rejected(f"{violation_id}: a waiver until {until.isoformat()} is over already: nothing was changed")
        told: dict[str, object] = {"state": ViolationState.WAIVED, "by": by, "reason": reason, "until": until}
        return await self._decide(violation_id, told, Action.VIOLATION_WAIVED)

    async def get(self, violation_id: str) -> ProcessViolation | None:
        """By `VIO-7`, however it is written, or its number."""

        def look(session: Session) -> ProcessViolation | None:
            row = session.get(ViolationRow, _number(violation_id))
            return None if row is None else _violation(row)

        return await self._store.read(look)

    async def find(
        self,
        *,
        organisation: str = "",
        project: str = "",
        item_id: int = 0,
        every: bool = False,
        whole: bool = False,
        state: str = "",
        severity: str = "",
        check: str = "",
        limit: int = 200,
    ) -> Sequence[ProcessViolation]:
        """Newest first; those that are resolved only with `every`, with `whole` only those of projects as a whole. A
        project is meant in any case, and a violation whose waiver has ended is open."""
        query = select(ViolationRow).order_by(col(ViolationRow.number).desc())
        if organisation:
            query = query.where(col(ViolationRow.organisation) == organisation)
        if project:
            named = col(ViolationRow.project)  # SQLite lowers ASCII alone
            query = query.where(or_(named == project, func.lower(named) == project.lower()))
        if item_id:
            query = query.where(col(ViolationRow.item_id) == item_id)
        if whole:
            query = query.where(col(ViolationRow.item_id) == 0)
        if not every:
            query = query.where(col(ViolationRow.closed_at).is_(None))
        if state:
            ended = [ViolationState.WAIVED.value] if state == ViolationState.OPEN else []
            query = query.where(col(ViolationRow.state).in_([state, *ended]))
        if check:
            query = query.where(col(ViolationRow.check_id) == check)

        def look(session: Session) -> list[ProcessViolation]:
            now, rows = datetime.now(UTC), session.scalars(query.execution_options(yield_per=min(limit, ROWS_AT_ONCE)))
            told = (as_of(_violation(row), now) for row in rows)
            wanted = (one for one in told if severity in ("", one.severity) and state in ("", one.state))
            return list(islice(wanted, limit))

        return await self._store.read(look)

    async def _decide(self, violation_id: str, told: dict[str, object], action: Action) -> ProcessViolation:
        def change(session: Session) -> ProcessViolation:
            row = session.get(ViolationRow, _number(violation_id), with_for_update=True)
            if row is None:
                raise Missing(f"no violation {violation_id!r} in the store: nothing was changed")
            standing = _violation(row)
            if standing.state is ViolationState.RESOLVED:
                raise Rejected(f"{standing.id} was {resolution(standing)}: nothing was changed")
            decided = standing.model_copy(update=told)
            if decided != standing:
                until = decided.until.isoformat() if decided.until else None
                _keep(session, decided, action, decided.by, {"reason": decided.reason, "until": until})
            return decided

        return await self._store.write(change)


def _whole(key: WorkItemKey) -> str:
    """Names of projects are the same in any case."""
    return "" if key.id else key.project.casefold()


def broken_items(session: Session, organisation: str, project: str, after: int, until: int | None) -> Sequence[int]:
    query = (
        select(col(ViolationRow.item_id), col(ViolationRow.project))
        .distinct()
        .where(col(ViolationRow.organisation) == organisation, col(ViolationRow.closed_at).is_(None))
        .where(col(ViolationRow.item_id) > after)
        .order_by(col(ViolationRow.item_id))
    )
    if until is not None:
        query = query.where(col(ViolationRow.item_id) <= until)
    return [number for number, name in session.execute(query) if name.casefold() == project.casefold()]


def of_other_checks(session: Session, inspection: Inspection) -> list[ProcessViolation]:
    """Standing violations of the project by checks that the inspection does not name."""
    query = (
        select(ViolationRow)
        .where(col(ViolationRow.organisation) == inspection.key.organisation, col(ViolationRow.closed_at).is_(None))
        .where(col(ViolationRow.check_id).not_in(inspection.checks))
        .order_by(col(ViolationRow.number))
    )
    found = [_violation(row) for row in session.scalars(query)]
    return [one for one in found if one.key.project.casefold() == inspection.key.project.casefold()]


def standing(session: Session, key: WorkItemKey) -> list[ProcessViolation]:
    """Violations of the item, or of the project as a whole, that are not resolved."""
    query = select(ViolationRow).where(
        col(ViolationRow.organisation) == key.organisation,
        col(ViolationRow.item_id) == key.id,
        col(ViolationRow.whole) == _whole(key),
        col(ViolationRow.closed_at).is_(None),
    )
    return [_violation(row) for row in session.scalars(query)]


def _open(session: Session, inspection: Inspection, finding: Finding) -> ProcessViolation:
    violation = opened_by(inspection, finding)
    row = ViolationRow(
        tenant=violation.tenant,
        organisation=violation.key.organisation,
        project=violation.key.project,
        item_id=violation.key.id,
        check_id=violation.check,
        update_number=violation.update,
        whole=_whole(violation.key),
        about=violation.about,
        state=violation.state.value,
        body="",
        opened_at=violation.opened_at,
        closed_at=None,
    )
    session.add(row)
    session.flush()  # the database gives the number
    opened = violation.model_copy(update={"id": f"{PREFIX}{row.number}"})
    _keep(session, opened, Action.VIOLATION_OPENED, CHECKS, {"evidence": opened.evidence})
    return opened


def _keep(session: Session, violation: ProcessViolation, action: Action, actor: str, told: dict[str, Json]) -> None:
    _write(session, violation)
    about: dict[str, Json] = {"violation": violation.id, "check": violation.check, "update": violation.update, **told}
    if not violation.key.id:  # an event has no other place for it
        about |= {"organisation": violation.key.organisation, "project": violation.key.project}
    chain = Chain(tenant=violation.tenant, correlation_id="", key=violation.key)
    audit.add(session, audit.event_of(action, actor, chain, about))


def _write(session: Session, violation: ProcessViolation) -> None:
    row = session.get(ViolationRow, _number(violation.id))
    assert row is not None, "whoever changes a violation has read it in this transaction"
    row.state, row.closed_at, row.project = violation.state.value, violation.resolved_at, violation.key.project
    row.body = violation.model_dump_json()


def _violation(row: ViolationRow) -> ProcessViolation:
    return ProcessViolation.model_validate_json(row.body)


def _number(violation_id: str) -> int:
    """The n of `VIO-n`, however it is written; 0, which no row has, for anything else."""
    digits = violation_id.upper().removeprefix(PREFIX)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 18 else 0
