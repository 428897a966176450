"""Items that are not over in our books, and how one is closed whose run ended without saying so."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.reconciliation import Conversation, EndedRun, OpenItem
from pointsman.contracts.records import Caller, Chain
from pointsman.contracts.work_items import ENDED, Facts, Transition, Usage, WorkItemKey, WorkItemState
from pointsman.store import audit
from pointsman.store.engine import Store
from pointsman.store.escalations import close_left_open
from pointsman.store.items import transition_row
from pointsman.store.locks import wait_turn
from pointsman.store.tables import Message, TransitionRow, WorkItem, col

BEGAN = "/task"
"""How the slot of a message ends that names a task at an agent elsewhere."""
NOTHING = Usage()


class OpenItems:
    """`ports_reconciliation.OpenItems` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(
        self, organisation: str, project: str, after: int, before: datetime, limit: int
    ) -> Sequence[OpenItem]:
        query = (
            select(WorkItem)
            .where(
                col(WorkItem.organisation) == organisation,
                func.lower(col(WorkItem.project)) == project.lower(),
                col(WorkItem.item_id) > after,
                col(WorkItem.state).not_in([state.value for state in ENDED]),
                col(WorkItem.changed_at) < before,
            )
            .order_by(col(WorkItem.item_id))
            .limit(limit)
        )
        return await self._store.read(lambda session: [_open(row) for row in session.scalars(query)])

    async def conversations(self, item: OpenItem, limit: int) -> Sequence[Conversation]:
        query = (
            select(col(Message.transcript), col(Message.slot))
            .where(
                col(Message.organisation) == item.key.organisation,
                col(Message.item_id) == item.key.id,
                col(Message.transcript).startswith(f"{item.workflow_id}@", autoescape=True),
                col(Message.slot).endswith(BEGAN, autoescape=True),
            )
            .order_by(col(Message.at).desc())
        )
        rows = await self._store.read(lambda session: session.execute(query).all())
        last: dict[str, int] = {}
        for transcript, slot in rows:
            last.setdefault(transcript, int(slot.partition("/")[0]))
        return [Conversation(transcript=name, turn=turn) for name, turn in last.items()][:limit]

    async def close(self, ended: EndedRun, caller: Caller) -> bool:
        def change(session: Session) -> bool:
            found = ended.item
            wait_turn(session, f"item:{found.key.organisation}/{found.key.id}")
            row = session.get(WorkItem, (found.key.organisation, found.key.id))
            if row is None or _stands(row) != (found.run_id, found.state.value, found.changed_at):
                return row is not None and _stands(row) == (found.run_id, ended.state.value, ended.at)
            _close(session, row, ended, caller)
            return True

        return await self._store.write(change)


def _stands(row: WorkItem) -> tuple[str, str, datetime]:
    return row.run_id, row.state, row.changed_at


def _close(session: Session, row: WorkItem, ended: EndedRun, caller: Caller) -> None:
    found = ended.item
    chain = Chain(tenant=row.tenant, correlation_id=row.correlation_id, key=found.key)
    run = Caller(workflow_id=row.workflow_id, run_id=row.run_id)
    last = _last(session, run)
    before = Transition.model_validate_json(last.body) if last else None
    transition = Transition(
        number=before.number + 1 if before else 1,
        before=found.state,
        after=ended.state,
        reason=ended.reason,
        at=ended.at,
        agent=row.agent,
        history_length=max(ended.end.history_length, before.history_length + 1 if before else 0),
    )
    usage = Usage.model_validate_json(last.usage) if last else NOTHING
    session.add(transition_row(transition, chain, run, usage, last.waited_seconds if last else 0.0))
    row.state, row.reason, row.changed_at = ended.state.value, ended.reason, ended.at
    told: dict[str, Json] = {
        "number": transition.number,
        "before": found.state.value,
        "after": ended.state.value,
        "agent": row.agent,
        "status": ended.end.status.value,
        "by": ended.end.by,
    }
    once = (run.workflow_id, run.run_id, transition.number)
    audit.add(session, audit.event_of(Action.ITEM_ENDED_OUTSIDE, audit.by(caller), chain, told, once=once))
    close_left_open(session, found.key, run)


def _last(session: Session, run: Caller) -> TransitionRow | None:
    query = (
        select(TransitionRow)
        .where(col(TransitionRow.workflow_id) == run.workflow_id, col(TransitionRow.run_id) == run.run_id)
        .order_by(col(TransitionRow.number).desc())
        .limit(1)
    )
    return session.scalar(query)


def _open(row: WorkItem) -> OpenItem:
    return OpenItem(
        key=WorkItemKey(organisation=row.organisation, project=row.project, id=row.item_id),
        tenant=row.tenant,
        correlation_id=row.correlation_id,
        workflow_id=row.workflow_id,
        run_id=row.run_id,
        state=WorkItemState(row.state),
        changed_at=row.changed_at,
        agent=row.agent,
        facts=Facts.model_validate_json(row.facts) if row.facts else None,
    )
