"""Synchronisation as metrics: conflicts by what came of them, and loops that were broken."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from pointsman.contracts.conflicts import Quarantine, SyncConflict
from pointsman.contracts.lifecycle import FieldConflict
from pointsman.contracts.records import Caller, Chain
from pointsman.contracts.work_items import WorkItemKey
from pointsman.observability.metrics import Metrics
from pointsman.ports_sync import Conflicts, Quarantines

LOG = structlog.get_logger(__name__)


class MeteredConflicts:
    """Counts conflicts as they are closed."""

    def __init__(self, inner: Conflicts, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def open(
        self, chain: Chain, operation: str, their_rev: int, conflicts: Sequence[FieldConflict]
    ) -> Sequence[SyncConflict]:
        opened = await self._inner.open(chain, operation, their_rev, conflicts)
        LOG.info("fields in conflict", fields=[one.conflict.field for one in opened], revision=their_rev)
        return opened

    async def settle(self, key: WorkItemKey, outcomes: Mapping[str, str], by: str) -> Sequence[SyncConflict]:
        closed = await self._inner.settle(key, outcomes, by)
        for one in closed:
            self._metrics.sync_conflicts.labels(one.tenant, one.conflict.outcome).inc()
        return closed

    async def find(
        self, *, organisation: str = "", project: str = "", item_id: int = 0, every: bool = False, limit: int = 200
    ) -> Sequence[SyncConflict]:
        return await self._inner.find(
            organisation=organisation, project=project, item_id=item_id, every=every, limit=limit
        )


class MeteredQuarantines:
    """Counts loops that were broken. A repeated attempt counts again."""

    def __init__(self, inner: Quarantines, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def put(self, chain: Chain, reason: str, writes: int, caller: Caller) -> Quarantine:
        standing = await self._inner.put(chain, reason, writes, caller)
        self._metrics.sync_loops_broken.labels(chain.tenant).inc()
        LOG.error("loop broken", item=str(chain.key), writes=writes, reason=reason)
        return standing

    async def get(self, key: WorkItemKey) -> Quarantine | None:
        return await self._inner.get(key)

    async def release(self, key: WorkItemKey, by: str) -> Quarantine | None:
        return await self._inner.release(key, by)

    async def released_at(self, key: WorkItemKey) -> datetime | None:
        return await self._inner.released_at(key)

    async def find(self, *, organisation: str = "", every: bool = False, limit: int = 200) -> Sequence[Quarantine]:
        return await self._inner.find(organisation=organisation, every=every, limit=limit)
