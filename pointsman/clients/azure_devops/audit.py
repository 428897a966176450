"""The organisation's own audit log: policies, permissions, projects, processes, tokens. The only source that tells of
changes for which there are no service hooks. Only the service has it, where auditing is switched on."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

from pydantic import Field

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.caching import FRESH
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.errors import NotWhole
from pointsman.clients.azure_devops.hosts import Host
from pointsman.clients.azure_devops.paging import Listed
from pointsman.contracts.base import Json

VERSION = "7.1-preview.1"
BATCH = 1_000
KEPT = timedelta(days=90)
"""As long as the service keeps entries; earlier ones are in what it streamed elsewhere, or nowhere."""


class AuditEntry(Answer):
    """`data` are the values that `details` were made of; which there are depends on `action_id`."""

    id: str
    action_id: str = ""
    timestamp: datetime
    area: str = ""
    category: str = ""
    details: str = ""
    data: dict[str, Json] = Field(default_factory=dict)
    actor_user_id: str = ""
    actor_upn: str = Field(default="", alias="actorUPN")
    actor_display_name: str = ""
    authentication_mechanism: str = ""
    correlation_id: str = ""
    activity_id: str = ""
    ip_address: str = ""
    project_id: str = ""
    project_name: str = ""


class AuditBatch(Answer):
    """`continuation_token` goes on behind the batch; keep it once all of `entries` are dealt with."""

    decorated_audit_log_entries: list[AuditEntry]
    continuation_token: str = ""
    has_more: bool = False

    @property
    def entries(self) -> list[AuditEntry]:
        return self.decorated_audit_log_entries


class AuditAction(Answer):
    action_id: str
    area: str = ""
    category: str = ""


class AuditApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def batches(
        self, since: datetime, until: datetime, *, token: str = "", batch_max: int = BATCH
    ) -> AsyncGenerator[AuditBatch]:
        """Entries of a time, or those of it behind `token`; in which order is not documented.

        Raises:
            NotWhole: the log does not go on although it says so; what came before is right, and not all.
        """
        query: dict[str, str | int | bool] = {
            "startTime": since.isoformat(),
            "endTime": until.isoformat(),
            "batchSize": batch_max,
            "skipAggregation": True,
        }
        while True:
            asked = {**query, **({"continuationToken": token} if token else {})}
            batch = await self._connection.call(
                AuditBatch, "GET", "_apis/audit/auditlog", query=asked, version=VERSION, host=Host.AUDIT
            )
            if batch.has_more and batch.continuation_token in ("", token):
                raise NotWhole(
                    f"GET _apis/audit/auditlog: there is more behind {token!r} and no way to it; it is not whole",
                    "StuckList",
                )
            yield batch
            if not batch.has_more:
                return
            token = batch.continuation_token

    async def entries(self, since: datetime, until: datetime) -> list[AuditEntry]:
        """All entries of a time, in memory, oldest first."""
        found = [entry async for batch in self.batches(since, until) for entry in batch.entries]
        return sorted(found, key=lambda entry: (entry.timestamp, entry.id))

    async def actions(self, area: str = "", max_age: timedelta = FRESH) -> list[AuditAction]:
        """What the log can tell of, all or in an area, for example `Policy`."""
        query = {"areaName": area} if area else {}
        answer = await self._connection.read(
            Listed[AuditAction], "_apis/audit/actions", "audit", max_age, query=query, version=VERSION, host=Host.AUDIT
        )
        return answer.value
