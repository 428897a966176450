"""The side effects of taking writes back: read the item's whole history, set old values in a new revision, move links
back, and take back what was said."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from temporalio import activity

from activities.outside import beating, caller, chain, outside
from activities.sync import Writer
from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import AuditEvent, Chain, WriteIntent, WriteRecord
from pointsman.contracts.rollback import FieldHeld, RollbackPlan, RollbackRequest, RollbackResult
from pointsman.contracts.tracker import ItemWrite, LinkWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.loose import string
from pointsman.domain.rollback import TAGS, Known, plan, shown
from pointsman.domain.sync.agreeing import links_of
from pointsman.domain.sync.recognising import BY, COMMENT, HISTORY, values_of
from pointsman.ports import Audit, Ledger, WorkTracker
from pointsman.ports_sync import Agreements, Commenter, Quarantines, TypeGraphs

WOULD, WRITTEN, UNCHANGED, REFUSED = "would", "written", "unchanged", "refused"
WhyNot = Callable[[WorkItemKey, TrackedItem, ItemWrite], Awaitable[str]]
"""Which rules of the item's process a write would break, in words; empty for none."""
COMMENT_ROW = "/comment-"
"""Between the operation and the number of a comment: each has a row of its own."""
PROJECT, TYPE = "System.TeamProject", "System.WorkItemType"


class _Books(NamedTuple):
    """What a write looks at and moves."""

    agreements: Agreements
    quarantines: Quarantines


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
        *,
        comments: Commenter,
    ) -> None:
        self._tracker = tracker
        self._types = types
        self._ledger = ledger
        self._agreements = agreements
        self._quarantines = quarantines
        self._audit = audit
        self._why_not = why_not
        self._comments = comments
        self._writer = Writer(tracker, ledger, _Books(agreements, quarantines))

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
            comments=await self._comments.all(ask.key) if ask.comments and not item.deleted else (),
        )
        found = plan(known, ask.scope, force=ask.force, comments=ask.comments)
        if self._why_not is None or ask.force or _status(found) != WOULD:
            return found
        reason = await self._why_not(ask.key, item, _change(found))
        return found.model_copy(update={"refused": (FieldHeld(reason=reason),)}) if reason else found

    async def _write(self, ask: RollbackRequest) -> RollbackResult:
        item = await self._tracker.get(ask.key)
        rows = await self._writer.rows(ask.key, ask.operation)
        if rows and not item.deleted and (rev := await self._writer.recover(_chain(ask), item, rows)):
            rows = await self._writer.rows(ask.key, ask.operation)
            before = next(one for one in rows if one.status == WRITTEN)
            await self._unsay(ask, await self._plan(ask, item))
            await self._finish(ask, rev, before.values, item)
            return _result(ask, WRITTEN, RollbackPlan(rev=before.base_rev), rev)
        found = await self._plan(ask, item)
        if _status(found) == UNCHANGED and any(_is_comment_of(ask, one) for one in await self._ledger.writes(ask.key)):
            await self._finish(ask, 0, {}, item)  # an earlier attempt took back what was said, and all of it
            return _result(ask, WRITTEN, found)
        if _status(found) != WOULD:
            return _result(ask, _status(found), found)
        change, rev = _change(found), 0
        if values := values_of(change):
            item = await self._writer.write(_chain(ask), ask.operation, item, change)
            rev = item.rev
        await self._unsay(ask, found)
        await self._finish(ask, rev, values, item)
        return _result(ask, WRITTEN, found, rev)

    async def _unsay(self, ask: RollbackRequest, found: RollbackPlan) -> None:
        """Comments, one by one: each is looked at anew by the next attempt, so that none is edited twice."""
        if found.refused or not found.comments:
            return
        account = await self._tracker.identity(ask.key.organisation)
        for one in found.comments:
            operation = f"{ask.operation}{COMMENT_ROW}{one.id}"
            values: dict[str, Json] = {HISTORY: one.then, COMMENT: one.id, BY: account}
            intent = WriteIntent(operation=operation, chain=_chain(ask), base_rev=found.rev, values=values)
            await self._ledger.intend(intent, caller())
            if one.then:
                said = await self._comments.edit(ask.key, one.id, one.then)
                await self._agreements.own_comment(_chain(ask), said.id)
                await self._agreements.advance(_chain(ask), 0, {}, comments={said.id: said.version})
            else:
                await self._comments.delete(ask.key, one.id)
            await self._ledger.settle(operation, WRITTEN, 0, caller(), f"comment {one.id}")

    async def _finish(self, ask: RollbackRequest, rev: int, values: Mapping[str, Json], item: TrackedItem) -> None:
        """Both sides agree on it now, and the log says who wanted it, and why. Idempotent."""
        fields = {name: value for name, value in values.items() if not name.startswith("+")}
        if isinstance(tags := fields.get(TAGS), list):
            fields[TAGS] = "; ".join(map(str, tags))
        links = links_of(item.relations) if len(fields) < len(values) else None
        await self._agreements.advance(_chain(ask), rev, fields, links=links)
        told: dict[str, Json] = {
            "operation": ask.operation,
            "rev": rev,
            "fields": [*sorted(values.keys() - {BY})],
            "comments": [one.values[COMMENT] for one in await self._ledger.writes(ask.key) if _is_comment_of(ask, one)],
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


def _is_comment_of(ask: RollbackRequest, row: WriteRecord) -> bool:
    return row.operation.startswith(f"{ask.operation}{COMMENT_ROW}")


def _status(found: RollbackPlan) -> str:
    if found.refused:
        return REFUSED
    return UNCHANGED if found.is_empty else WOULD


def _change(found: RollbackPlan) -> ItemWrite:
    """What one PATCH sets."""
    links = [
        (LinkWrite(rel=one.rel, url=one.url, name=one.name, comment=one.comment), one.comes_back) for one in found.links
    ]
    return ItemWrite(
        fields=found.values(),
        links=tuple(link for link, comes_back in links if comes_back),
        unlinks=tuple(link for link, comes_back in links if not comes_back),
    )


def _result(ask: RollbackRequest, status: str, found: RollbackPlan, rev: int = 0) -> RollbackResult:
    return RollbackResult(key=ask.key, operation=ask.operation, status=status, rev=rev, plan=shown(found))
