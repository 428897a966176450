"""The side effects of taking writes back: read the item's whole history, set old values in a new revision."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from temporalio import activity

from activities.outside import beating, caller, chain, outside
from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import AuditEvent, Chain, WriteIntent, WriteRecord
from pointsman.contracts.rollback import FieldHeld, RollbackPlan, RollbackRequest, RollbackResult
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.echoes import explains
from pointsman.domain.loose import string
from pointsman.domain.rollback import TAGS, Known, plan, shown
from pointsman.ports import Audit, Conflict, Ledger, Rejected, Unavailable, WorkTracker
from pointsman.ports_sync import Agreements, Quarantines, TypeGraphs

WOULD, WRITTEN, UNCHANGED, REFUSED = "would", "written", "unchanged", "refused"
WhyNot = Callable[[WorkItemKey, TrackedItem, ItemWrite], Awaitable[str]]
"""Which rules of the item's process a write would break, in words; empty for none."""
PROJECT, TYPE = "System.TeamProject", "System.WorkItemType"


class Rollbacks:
    """`worker.py` hands in the clients and the books."""

    def __init__(
        self,
        tracker: WorkTracker,
        types: TypeGraphs,
        ledger: Ledger,
        agreements: Agreements,
        quarantines: Quarantines,
        audit: Audit,
        why_not: WhyNot | None = None,
    ) -> None:
        self._tracker = tracker
        self._types = types
        self._ledger = ledger
        self._agreements = agreements
        self._quarantines = quarantines
        self._audit = audit
        self._why_not = why_not

    @activity.defn(name="rollback.plan")
    async def plan(self, ask: RollbackRequest) -> RollbackResult:
        """What it would come to. Reads the item and all its history, changes nothing.

        Raises:
            ApplicationError: `Missing` or `Rejected`, not retryable: there is no such item, or we may not see it.
        """
        with outside(f"rollback of {ask.key}"):
            async with beating():
                found = await self._plan(ask, await self._tracker.get(ask.key))
        return _result(ask, _status(found), found)

    @activity.defn(name="rollback.write")
    async def write(self, ask: RollbackRequest) -> RollbackResult:
        """Set the old values: intent row, one PATCH guarded by the revision, result row, audit event.

        Safe to repeat. What it comes to is computed anew by each attempt, so that a change of somebody else that came
        meanwhile is respected; an attempt whose answer was lost is recognised by the revision it made.
        """
        with outside(f"rollback {ask.operation}"):
            async with beating():
                return await self._write(ask)

    async def _plan(self, ask: RollbackRequest, item: TrackedItem) -> RollbackPlan:
        quarantine = await self._quarantines.get(ask.key)
        if quarantine is not None and not ask.force:
            reason = f"the item is in quarantine, so nothing is written to it: {quarantine.reason}"
            return RollbackPlan(rev=item.rev, refused=(FieldHeld(reason=reason),))
        kind, project = string(item.fields.get(TYPE)), string(item.fields.get(PROJECT))
        known = Known(
            item=item,
            updates=[] if item.deleted else await self._tracker.updates(ask.key),
            writes=await self._ledger.writes(ask.key),
            account=await self._tracker.identity(ask.key.organisation),
            graph=await self._types.graph(ask.key.organisation, project, kind),
        )
        found = plan(known, ask.scope, force=ask.force)
        if self._why_not is None or ask.force or _status(found) != WOULD:
            return found
        reason = await self._why_not(ask.key, item, ItemWrite(fields=found.values()))
        return found.model_copy(update={"refused": (FieldHeld(reason=reason),)}) if reason else found

    async def _write(self, ask: RollbackRequest) -> RollbackResult:
        item = await self._tracker.get(ask.key)
        writes = await self._ledger.writes(ask.key)
        before = next((one for one in writes if one.operation == ask.operation), None)
        if before is not None and (rev := await self._made(ask, before)):
            await self._finish(ask, rev, before.values)
            return _result(ask, WRITTEN, RollbackPlan(rev=before.base_rev), rev)
        found = await self._plan(ask, item)
        if _status(found) != WOULD:
            return _result(ask, _status(found), found)
        values = _values(found)
        intent = WriteIntent(operation=ask.operation, chain=_chain(ask), base_rev=item.rev, values=values)
        await self._ledger.intend(intent, caller())
        try:
            written = await self._tracker.write(ask.key, item.rev, ItemWrite(fields=found.values()))
        except Conflict as error:
            raise Unavailable(f"revision {item.rev} was overtaken: {error}") from error
        except Rejected:
            await self._ledger.settle(ask.operation, "abandoned", 0, caller())
            raise
        await self._ledger.settle(ask.operation, WRITTEN, written.rev, caller())
        await self._finish(ask, written.rev, values)
        return _result(ask, WRITTEN, found, written.rev)

    async def _made(self, ask: RollbackRequest, before: WriteRecord) -> int:
        """The revision that an earlier attempt made; 0 when it certainly wrote nothing."""
        if before.status == WRITTEN:
            return before.rev
        me = await self._tracker.identity(ask.key.organisation)
        updates = await self._tracker.updates(ask.key, after_rev=before.base_rev)
        made = (one.rev for one in updates if one.revised_by == me and explains(before.values, one.changed))
        rev = next(made, 0)
        if rev:
            await self._ledger.settle(ask.operation, WRITTEN, rev, caller())
        return rev

    async def _finish(self, ask: RollbackRequest, rev: int, values: Mapping[str, Json]) -> None:
        """Both sides agree on it now, and the log says who wanted it, and why. Idempotent."""
        agreed = {**values, TAGS: "; ".join(map(str, tags))} if isinstance(tags := values.get(TAGS), list) else values
        await self._agreements.advance(_chain(ask), rev, agreed)
        told: dict[str, Json] = {
            "operation": ask.operation,
            "rev": rev,
            "fields": [*sorted(values)],
            "scope": ask.scope.model_dump(mode="json", exclude_defaults=True),
            "forced": ask.force,
            "reason": ask.reason,
        }
        event = AuditEvent(
            id=f"{Action.ITEM_ROLLED_BACK.value}/{ask.operation}",
            action=Action.ITEM_ROLLED_BACK.value,
            actor=ask.by,
            at=datetime.now(UTC),
            chain=_chain(ask),
            data=told,
        )
        await self._audit.append(event)


def _chain(ask: RollbackRequest) -> Chain:
    return chain(ask.tenant, ask.correlation_id, ask.key)


def _status(found: RollbackPlan) -> str:
    if found.refused:
        return REFUSED
    return WOULD if found.back else UNCHANGED


def _values(found: RollbackPlan) -> dict[str, Json]:
    """As the ledger keeps them: a list of tags took the place of all that stood."""
    values = found.values()
    if TAGS in values:
        values[TAGS] = [tag.strip() for tag in str(values[TAGS] or "").split(";") if tag.strip()]
    return values


def _result(ask: RollbackRequest, status: str, found: RollbackPlan, rev: int = 0) -> RollbackResult:
    return RollbackResult(key=ask.key, operation=ask.operation, status=status, rev=rev, plan=shown(found))
