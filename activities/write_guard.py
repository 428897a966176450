"""Hold back writes of ours that would break rules of the item's process."""

from collections.abc import Mapping
from datetime import UTC, datetime

from activities.outside import caller, chain
from activities.rule_books import RuleBooks
from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import Publish
from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.process_control import BrokenRule
from pointsman.contracts.records import AuditEvent
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.echoes import tags_of
from pointsman.domain.loose import string
from pointsman.domain.process.evaluation import Around
from pointsman.domain.process.foresight import broken_by
from pointsman.ports import Audit, Unavailable

TAGS = "System.Tags"


class WriteGuard:
    """Asked before each write. Three requests where policy wants it, none where the write changes no field."""

    def __init__(self, books: RuleBooks, audit: Audit) -> None:
        self._books = books
        self._audit = audit

    async def broken_by(self, ask: Publish, item: TrackedItem, change: ItemWrite) -> tuple[BrokenRule, ...]:
        """Rules that the write would break; none where somebody let it pass. What there is, is told to the audit log.

        Raises:
            Unavailable: the item moved on since it was read, or the service does not answer now.
            Rejected: it cannot be known.
        """
        fields = _written(item, change)
        if ask.enforce_from is None or not fields:
            return ()
        broken = await self._foresee(ask.key, item, fields, ask.enforce_from)
        if broken:
            await self._tell(ask, item, broken)
        return () if ask.despite else broken

    async def why_not(
        self, limit: CheckSeverity | None, key: WorkItemKey, item: TrackedItem, fields: Mapping[str, Json]
    ) -> str:
        """Rules of at least this severity that a write of these fields would break, in words; empty for none.

        Raises as `broken_by`.
        """
        broken = await self._foresee(key, item, fields, limit) if limit and fields else ()
        told = "; ".join(f"{one.check} ({one.severity}), {one.title}: {one.evidence}" for one in broken)
        return f"rules of the process would be broken: {told}" if told else ""

    async def _foresee(
        self, key: WorkItemKey, item: TrackedItem, fields: Mapping[str, Json], limit: CheckSeverity
    ) -> tuple[BrokenRule, ...]:
        policy = await self._books.rules(key.organisation, key.project)
        if policy is None:
            return ()
        facts = await self._books.item(key, policy)
        if facts.rev != item.rev:
            raise Unavailable(f"{key} moved from revision {item.rev} to {facts.rev} before it was written")
        around = Around(datetime.now(UTC), await self._books.agents(key.organisation))
        by = await self._books.source.identity(key.organisation)
        return broken_by(policy, facts, fields, by, around, limit)

    async def _tell(self, ask: Publish, item: TrackedItem, broken: tuple[BrokenRule, ...]) -> None:
        action = Action.WRITE_ALLOWED if ask.despite else Action.WRITE_HELD_BACK
        checks: list[Json] = [one.check for one in broken]
        asked_by = caller()
        await self._audit.append(
            AuditEvent(
                id=f"{action.value}/{ask.operation}/{item.rev}",
                action=action.value,
                actor=ask.despite or f"{asked_by.workflow_id}/{asked_by.run_id}",
                at=datetime.now(UTC),
                chain=chain(ask.tenant, ask.correlation_id, ask.key),
                data={"operation": ask.operation, "rev": item.rev, "checks": checks, "proposal": ask.proposal},
            )
        )


def _written(item: TrackedItem, change: ItemWrite) -> Mapping[str, Json]:
    """Fields as they would be. Tags are added to those that are there."""
    if not change.tags:
        return change.fields
    there = string(item.fields.get(TAGS))
    new = [tag for tag in change.tags if tag.strip().casefold() not in tags_of(there)]
    return {**change.fields, TAGS: "; ".join(filter(None, [there, *new]))}
