"""Calls to the outside: a row before, the outcome after. What has no outcome is in doubt, and is seen to be."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.chains import EdgeKind
from pointsman.contracts.records import Attempt, AttemptKind, Caller, Chain, Chosen
from pointsman.contracts.work_items import Usage, WorkItemKey
from pointsman.domain.chains import parent_run
from pointsman.ports import Missing
from pointsman.store import audit, edges
from pointsman.store.chains import chain_of, columns_of
from pointsman.store.engine import Store
from pointsman.store.ids import new_id
from pointsman.store.tables import AttemptRow, col

NO_USAGE = Usage()
UNCHOSEN = Chosen()


class Attempts:
    """`ports.Attempts` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(
        self, kind: AttemptKind, chain: Chain, caller: Caller, target: str, subject: str, chosen: Chosen = UNCHOSEN
    ) -> Attempt:
        """Not idempotent: each call to the outside is one row."""

        def change(session: Session) -> Attempt:
            row = AttemptRow(
                id=new_id(),
                **columns_of(chain),
                kind=kind.value,
                workflow_id=caller.workflow_id,
                run_id=caller.run_id,
                activity=caller.activity,
                attempt=caller.attempt,
                target=target,
                subject=subject,
                started_at=datetime.now(UTC),
                ended_at=None,
                outcome="",
                usage=Usage().model_dump_json(),
                request_id="",
                provider=chosen.provider,
                rationale=chosen.rationale,
            )
            session.add(row)
            _connect(session, row)
            why = chosen.model_dump(exclude_defaults=True)
            _tell(session, row, Action.ATTEMPT_BEGUN, {"number": caller.attempt, "subject": subject, **why})
            return _attempt(row)

        return await self._store.write(change)

    async def end(self, attempt: Attempt, outcome: str, usage: Usage = NO_USAGE, request_id: str = "") -> None:
        """The first outcome stands.

        Raises:
            Missing: there is no such attempt.
        """

        def change(session: Session) -> None:
            row = session.get(AttemptRow, attempt.id, with_for_update=True)
            if row is None:
                raise Missing(f"no attempt {attempt.id!r} in the store: nothing was changed")
            if row.ended_at is not None:
                return
            row.ended_at, row.outcome = datetime.now(UTC), outcome
            row.usage, row.request_id = usage.model_dump_json(), request_id
            told: dict[str, Json] = {"outcome": outcome, "request_id": request_id, **usage.model_dump()}
            _tell(session, row, Action.ATTEMPT_ENDED, told)

        await self._store.write(change)

    async def of_item(self, key: WorkItemKey) -> Sequence[Attempt]:
        """Oldest first."""
        query = (
            select(AttemptRow)
            .where(col(AttemptRow.organisation) == key.organisation, col(AttemptRow.item_id) == key.id)
            .order_by(col(AttemptRow.started_at), col(AttemptRow.id))
        )
        return await self._store.read(lambda session: [_attempt(row) for row in session.scalars(query)])


def _connect(session: Session, row: AttemptRow) -> None:
    """The workflow at work to the one that started it. Its calls are attempts, and no things of a chain."""
    parent = parent_run(row.workflow_id)
    if parent != row.workflow_id:
        edges.add(session, row.tenant, (edges.run(parent), EdgeKind.STARTED, edges.run(row.workflow_id)))


def _attempt(row: AttemptRow) -> Attempt:
    return Attempt(
        id=row.id,
        kind=AttemptKind(row.kind),
        chain=chain_of(row),
        caller=_caller(row),
        target=row.target,
        subject=row.subject,
        started_at=row.started_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
        usage=Usage.model_validate_json(row.usage),
        request_id=row.request_id,
        chosen=Chosen(provider=row.provider, rationale=row.rationale),
    )


def _caller(row: AttemptRow) -> Caller:
    return Caller(workflow_id=row.workflow_id, run_id=row.run_id, activity=row.activity, attempt=row.attempt)


def _tell(session: Session, row: AttemptRow, action: Action, told: dict[str, Json]) -> None:
    about: dict[str, Json] = {"attempt": row.id, "kind": row.kind, "target": row.target, **told}
    audit.add(session, audit.event_of(action, audit.by(_caller(row)), chain_of(row), about, once=(row.id,)))
