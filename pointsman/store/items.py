"""Where items stand, and every step that led there."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce

from sqlalchemy import Select, bindparam, func, or_, select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.chains import EdgeKind
from pointsman.contracts.records import Caller, Chain, ItemRow, ItemTransition
from pointsman.contracts.work_items import ENDED, Facts, Transition, Usage, WorkItemKey, WorkItemState
from pointsman.domain import limits
from pointsman.store import audit, edges
from pointsman.store.chains import needed_key
from pointsman.store.engine import Store
from pointsman.store.escalations import close_left_open
from pointsman.store.locks import wait_turn
from pointsman.store.tables import EscalationEntry, Message, TransitionRow, WorkItem, col


def _recorded() -> Select[TransitionRow]:
    """What is kept of a run, from a number on."""
    query = select(TransitionRow).where(
        col(TransitionRow.workflow_id) == bindparam("workflow_id"),
        col(TransitionRow.run_id) == bindparam("run_id"),
        col(TransitionRow.number) >= bindparam("number"),
    )
    return query.order_by(col(TransitionRow.number))


def _last_of_runs() -> Select[str, float]:
    """Usage and waits of an item as the last transition of each of its runs tells them."""
    following = func.lead(col(TransitionRow.number)).over(order_by=col(TransitionRow.sequence)).label("following")
    told = (
        select(col(TransitionRow.usage), col(TransitionRow.waited_seconds), following)
        .where(
            col(TransitionRow.organisation) == bindparam("organisation"),
            col(TransitionRow.item_id) == bindparam("item_id"),
        )
        .subquery()
    )
    return select(told.c.usage, told.c.waited_seconds).where(or_(told.c.following.is_(None), told.c.following == 1))


# Made once: making them takes longer than running them, and every step of an item runs both.
_RECORDED, _LAST_OF_RUNS = _recorded(), _last_of_runs()

REASONED = (WorkItemState.ROUTED, WorkItemState.WITHDRAWN)
"""Why is evidence here: by which rule, or by whose word. Reasons of other states may quote an item or a model, and the
log is kept for ever."""
REASON_CHARS_MAX = 500


class Items:
    """`ports.Items` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take_in(self, facts: Facts, chain: Chain, caller: Caller) -> ItemRow:
        """Keep the facts as read, and close the questions that an earlier run left open. Idempotent: the same snapshot
        leaves one event for a run."""

        def change(session: Session) -> ItemRow:
            row = _held(session, facts.key, chain, caller)
            row.project, row.facts, row.run_id = facts.key.project, facts.model_dump_json(), caller.run_id
            row.workflow_id = caller.workflow_id
            told: dict[str, Json] = {"rev": facts.rev, "snapshot": facts.snapshot, "deleted": facts.deleted}
            once = (caller.workflow_id, caller.run_id, facts.rev, facts.snapshot, facts.deleted)
            audit.add(session, audit.event_of(Action.ITEM_TAKEN_IN, audit.by(caller), chain, told, once=once))
            close_left_open(session, facts.key, caller)
            worked_on = (edges.run(caller.workflow_id), EdgeKind.WORKED_ON, edges.item_of(facts.key))
            edges.add(session, chain.tenant, worked_on)
            return _item(row)

        return await self._store.write(change)

    async def record(
        self, transition: Transition, chain: Chain, caller: Caller, usage: Usage, waited_seconds: float
    ) -> None:
        """Idempotent by (workflow, run, number): told again, nothing changes.

        One that was made in a workflow task that was lost gives way to the one that was made instead; the log has both.
        """

        def change(session: Session) -> None:
            row = _held(session, needed_key(chain), chain, caller)
            near = _recorded_from(session, caller, transition.number - 1)
            if any(_stands(one, transition) for one in near):
                return
            lost = [one for one in near if _is_lost(one, transition)]
            for one in lost:
                session.delete(one)
            if lost:
                session.flush()
            session.add(transition_row(transition, chain, caller, usage, waited_seconds))
            session.flush()
            # The row is changed behind that, so that it is written once.
            total, row.waited_seconds = _used(session, needed_key(chain))
            row.usage = total.model_dump_json()
            row.workflow_id, row.run_id = caller.workflow_id, caller.run_id
            row.state, row.reason = transition.after.value, transition.reason
            row.agent = transition.agent or row.agent
            row.changed_at = transition.at
            if transition.after in ENDED:
                close_left_open(session, needed_key(chain), caller)
            told: dict[str, Json] = {
                "number": transition.number,
                "before": transition.before.value if transition.before else None,
                "after": transition.after.value,
                "agent": transition.agent,
            }
            if transition.after in REASONED:
                told["reason"] = transition.reason[:REASON_CHARS_MAX]
            once: tuple[object, ...] = (caller.workflow_id, caller.run_id, transition.number)
            if lost:
                told["instead_of"] = [one.after for one in lost]
                once = (*once, transition.history_length)
            audit.add(session, audit.event_of(Action.ITEM_CHANGED, audit.by(caller), chain, told, once=once))

        await self._store.write(change)

    async def get(self, organisation: str, item_id: int) -> ItemRow | None:
        def look(session: Session) -> ItemRow | None:
            row = session.get(WorkItem, (organisation, item_id))
            return _item(row) if row else None

        return await self._store.read(look)

    async def find(self, state: str = "", limit: int = 200) -> Sequence[ItemRow]:
        """Newest change first."""
        query = select(WorkItem).order_by(col(WorkItem.changed_at).desc(), col(WorkItem.item_id).desc()).limit(limit)
        if state:
            query = query.where(col(WorkItem.state) == state)
        return await self._store.read(lambda session: [_item(row) for row in session.scalars(query)])

    async def transitions(self, key: WorkItemKey) -> Sequence[ItemTransition]:
        """Over all runs, oldest first."""
        query = (
            select(TransitionRow)
            .where(col(TransitionRow.organisation) == key.organisation, col(TransitionRow.item_id) == key.id)
            .order_by(col(TransitionRow.sequence))
        )
        return await self._store.read(lambda session: [_transition(row) for row in session.scalars(query)])

    async def counts(self, key: WorkItemKey) -> tuple[int, int]:
        """(escalations, turns) of all runs of the item so far. Turns are never counted too low: a number that is
        given twice would mix two conversations."""
        return await self._store.read(lambda session: _counts(session, key))


def _held(session: Session, key: WorkItemKey, chain: Chain, caller: Caller) -> WorkItem:
    """The item's row, kept from others until the transaction ends; a fresh one for an item that has none."""
    wait_turn(session, f"item:{key.organisation}/{key.id}")
    row = session.get(WorkItem, (key.organisation, key.id))
    if row is None:
        now = datetime.now(UTC)
        row = WorkItem(
            organisation=key.organisation,
            item_id=key.id,
            project=key.project,
            tenant=chain.tenant,
            correlation_id=chain.correlation_id,
            workflow_id=caller.workflow_id,
            run_id=caller.run_id,
            state=WorkItemState.RECEIVED.value,
            reason="",
            agent="",
            facts="",
            usage=Usage().model_dump_json(),
            waited_seconds=0.0,
            first_at=now,
            changed_at=now,
        )
        session.add(row)
    return row


def _recorded_from(session: Session, caller: Caller, number: int) -> Sequence[TransitionRow]:
    """What is kept of the run, from that number on."""
    told = {"workflow_id": caller.workflow_id, "run_id": caller.run_id, "number": number}
    return session.scalars(_RECORDED, told).all()


def _stands(row: TransitionRow, told: Transition) -> bool:
    """Whether a row keeps what is told out: it says the same already, or comes from a longer history."""
    kept = Transition.model_validate_json(row.body)
    if row.number != told.number:
        return kept.history_length > told.history_length
    same = (kept.before, kept.after, kept.reason, kept.agent) == (told.before, told.after, told.reason, told.agent)
    return same or kept.history_length >= told.history_length


def _is_lost(row: TransitionRow, told: Transition) -> bool:
    """Whether a row from that number on was told by a task that the run has gone on without."""
    kept = Transition.model_validate_json(row.body)
    return row.number >= told.number and kept.history_length < told.history_length


def transition_row(
    transition: Transition, chain: Chain, caller: Caller, usage: Usage, waited_seconds: float
) -> TransitionRow:
    key = needed_key(chain)
    return TransitionRow(
        workflow_id=caller.workflow_id,
        run_id=caller.run_id,
        number=transition.number,
        tenant=chain.tenant,
        correlation_id=chain.correlation_id,
        organisation=key.organisation,
        item_id=key.id,
        after=transition.after.value,
        body=transition.model_dump_json(),
        usage=usage.model_dump_json(),
        waited_seconds=waited_seconds,
    )


def _used(session: Session, key: WorkItemKey) -> tuple[Usage, float]:
    """What all runs of the item have used up, and how long they have waited for humans.

    A run tells what it has used since its first transition, over all that it continued as; so the last transition
    before each first one counts.
    """
    rows = session.execute(_LAST_OF_RUNS, {"organisation": key.organisation, "item_id": key.id}).all()
    usages = (Usage.model_validate_json(usage) for usage, _ in rows)
    return reduce(limits.add, usages, Usage()), sum(waited for _, waited in rows)


def _counts(session: Session, key: WorkItemKey) -> tuple[int, int]:
    item = (key.organisation, key.id)
    escalations = select(func.count()).where(
        col(EscalationEntry.organisation) == item[0], col(EscalationEntry.item_id) == item[1]
    )
    working = select(func.count()).where(
        col(TransitionRow.organisation) == item[0],
        col(TransitionRow.item_id) == item[1],
        col(TransitionRow.after) == WorkItemState.WORKING.value,
    )
    transcripts = select(func.count(col(Message.transcript).distinct())).where(
        col(Message.organisation) == item[0], col(Message.item_id) == item[1]
    )
    turns = max(session.scalar(working) or 0, session.scalar(transcripts) or 0)
    return session.scalar(escalations) or 0, turns


def _transition(row: TransitionRow) -> ItemTransition:
    return ItemTransition(run_id=row.run_id, transition=Transition.model_validate_json(row.body))


def _item(row: WorkItem) -> ItemRow:
    return ItemRow(
        key=WorkItemKey(organisation=row.organisation, project=row.project, id=row.item_id),
        tenant=row.tenant,
        correlation_id=row.correlation_id,
        workflow_id=row.workflow_id,
        run_id=row.run_id,
        state=WorkItemState(row.state),
        reason=row.reason,
        agent=row.agent,
        facts=Facts.model_validate_json(row.facts) if row.facts else None,
        usage=Usage.model_validate_json(row.usage),
        waited_seconds=row.waited_seconds,
        first_at=row.first_at,
        changed_at=row.changed_at,
    )
