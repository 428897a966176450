"""How far events were looked for, what came back, when each part was alive, and how subscriptions were last found."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import Caller, Chain
from pointsman.contracts.recovery import HookState, RecoverResult, WatchHooks, Watermark
from pointsman.store import audit, gaps
from pointsman.store.engine import Store
from pointsman.store.tables import Heartbeat, HookStateRow, InboxRow, RecoveryRow, RecoveryWatermark, col


class Recoveries:
    """`ports.Recoveries` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def watermark(self, organisation: str, project: str) -> Watermark | None:
        place = (organisation, project.lower())
        row = await self._store.read(lambda session: session.get(RecoveryWatermark, place))
        return Watermark.model_validate_json(row.body) if row else None

    async def keep_watermark(self, organisation: str, project: str, tenant: str, watermark: Watermark) -> None:
        """The last one stands: whoever reads a batch again keeps the same again."""

        def change(session: Session) -> None:
            row = RecoveryWatermark(
                organisation=organisation,
                project=project.lower(),
                tenant=tenant,
                body=watermark.model_dump_json(),
                at=datetime.now(UTC),
            )
            session.merge(row)

        await self._store.write(change)

    async def began(self, organisation: str) -> datetime | None:
        query = select(col(InboxRow.received_at)).where(col(InboxRow.organisation) == organisation)
        return await self._store.read(lambda session: session.scalar(query.order_by(col(InboxRow.sequence)).limit(1)))

    async def known(self, organisation: str, item_id: int, tenant: str) -> frozenset[str]:
        """Of one item there are at most some ten thousand: the service keeps no more revisions."""
        query = select(col(InboxRow.idempotency_key)).where(
            col(InboxRow.item_id) == item_id,
            col(InboxRow.organisation) == organisation,
            col(InboxRow.tenant) == tenant,
            col(InboxRow.duplicate_of) == "",
        )
        return await self._store.read(lambda session: frozenset(session.scalars(query)))

    async def there(self, tenant: str, keys: Sequence[str]) -> frozenset[str]:
        query = select(col(InboxRow.idempotency_key)).where(
            col(InboxRow.idempotency_key).in_(keys), col(InboxRow.tenant) == tenant, col(InboxRow.duplicate_of) == ""
        )
        return await self._store.read(lambda session: frozenset(session.scalars(query)))

    async def delivered_since(self, organisation: str, event_type: str, since: datetime | None) -> int:
        query = select(func.count()).where(
            col(InboxRow.organisation) == organisation,
            col(InboxRow.event_type) == event_type,
            col(InboxRow.recovered_from) == "",
            col(InboxRow.replayed_by) == "",
        )
        if since is not None:
            query = query.where(col(InboxRow.received_at) >= since)
        return await self._store.read(lambda session: session.scalar(query) or 0)

    async def finish(self, result: RecoverResult, caller: Caller) -> RecoverResult:
        """Idempotent by workflow and run. A dry run leaves nothing behind."""
        if result.dry_run:
            return await self._store.read(lambda session: gaps.told_apart(session, result))
        there = select(RecoveryRow).where(
            col(RecoveryRow.workflow_id) == caller.workflow_id, col(RecoveryRow.run_id) == caller.run_id
        )

        def change(session: Session) -> RecoverResult:
            if (row := session.scalar(there)) is not None:
                return RecoverResult.model_validate_json(row.body)
            kept = gaps.told_apart(session, result)
            gaps.keep(session, kept)
            row = RecoveryRow(
                workflow_id=caller.workflow_id,
                run_id=caller.run_id,
                tenant=result.tenant,
                organisation=result.organisation,
                project=result.project,
                body=kept.model_dump_json(),
                at=datetime.now(UTC),
            )
            session.add(row)
            once = (caller.workflow_id, caller.run_id)
            _tell(session, Action.EVENTS_RECOVERED, result.by, result.tenant, _told(kept), once)
            return kept

        return await self._store.write(change)

    async def latest(self, limit: int = 20) -> Sequence[tuple[datetime, RecoverResult]]:
        query = select(RecoveryRow).order_by(col(RecoveryRow.sequence).desc()).limit(limit)
        rows = await self._store.read(lambda session: session.scalars(query).all())
        return [(row.at, RecoverResult.model_validate_json(row.body)) for row in rows]

    async def beat(self, name: str) -> datetime | None:
        """Say that this part is alive; returns when it last said so."""

        def change(session: Session) -> datetime | None:
            row = session.get(Heartbeat, name, with_for_update=True)
            if row is None:
                session.add(Heartbeat(name=name, at=datetime.now(UTC)))
                return None
            last, row.at = row.at, datetime.now(UTC)
            return last

        return await self._store.write(change)

    async def keep_hooks(self, found: WatchHooks, states: Sequence[HookState], caller: Caller) -> Sequence[HookState]:
        """Keep those with a problem, forget the others, and tell the log what is no longer as it was."""

        def change(session: Session) -> list[HookState]:
            query = select(HookStateRow).where(col(HookStateRow.organisation) == found.organisation)
            rows = {row.subscription_id: row for row in session.scalars(query)}
            before = {name: HookState.model_validate_json(row.body) for name, row in rows.items()}
            now = datetime.now(UTC)
            after = {_name(state): _since(state, before.get(_name(state)), now) for state in states}
            for name in before.keys() - after.keys():
                session.delete(rows[name])
                _tell_hook(session, found.tenant, caller, before[name].model_copy(update={"problem": None}))
            for name, state in after.items():
                if name in before and before[name] == state:
                    continue
                body = state.model_dump_json()
                row = HookStateRow(
                    organisation=found.organisation, subscription_id=name, tenant=found.tenant, body=body, at=now
                )
                session.merge(row)
                _tell_hook(session, found.tenant, caller, state)
            return list(after.values())

        return await self._store.write(change)

    async def hooks(self, organisation: str = "") -> Sequence[HookState]:
        """As they were last found: those with a problem."""
        query = select(HookStateRow).order_by(col(HookStateRow.organisation), col(HookStateRow.subscription_id))
        if organisation:
            query = query.where(col(HookStateRow.organisation) == organisation)
        rows = await self._store.read(lambda session: session.scalars(query).all())
        return [HookState.model_validate_json(row.body) for row in rows]

    async def repaired(self, state: HookState, fresh: str, tenant: str, caller: Caller) -> None:
        data: dict[str, Json] = {
            "organisation": state.organisation,
            "event": state.event_type,
            "problem": str(state.problem or ""),
            "old": state.subscription_id,
            "new": fresh,
        }
        await self._store.write(
            lambda session: _tell(session, Action.HOOK_REPAIRED, audit.by(caller), tenant, data, (fresh,))
        )


def _told(result: RecoverResult) -> dict[str, Json]:
    return {
        "organisation": result.organisation,
        "project": result.project,
        "reason": result.reason,
        "recovered": dict(result.tally.recovered),
        "items": result.tally.items,
        "unrecovered": result.tally.unrecovered_count,
        "standing": len(result.tally.standing),
    }


def _name(state: HookState) -> str:
    """A subscription that is not there is known by what it should tell of."""
    return state.subscription_id or "/".join(
        (state.event_type, *(f"{k}={v}" for k, v in sorted(state.filters.items())))
    )


def _since(state: HookState, before: HookState | None, now: datetime) -> HookState:
    same = before is not None and before.problem == state.problem
    return state.model_copy(update={"since": before.since if before and same else now})


def _tell_hook(session: Session, tenant: str, caller: Caller, state: HookState) -> None:
    data: dict[str, Json] = {
        "organisation": state.organisation,
        "subscription": state.subscription_id,
        "event": state.event_type,
        "status": state.status,
        "problem": str(state.problem or ""),
    }
    _tell(session, Action.HOOK_CHANGED, audit.by(caller), tenant, data)


def _tell(
    session: Session, action: Action, actor: str, tenant: str, data: dict[str, Json], once: Sequence[object] = ()
) -> None:
    audit.add(session, audit.event_of(action, actor, Chain(tenant=tenant, correlation_id=""), data, once))
