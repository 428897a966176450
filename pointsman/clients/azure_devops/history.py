"""What happened: revisions of an item, and the streams of all revisions and all links, each with a watermark.

A stream is asked from a token on; the last token it gave is kept, and asked from the next time. The streams tell
everything since, however long ago: they are how lost events come back, and how reports are made.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from pointsman.clients.azure_devops.answers import Answer, Relation
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.errors import NotWhole
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, each_by_skip, moved
from pointsman.contracts.base import Json

LINKS = "_apis/wit/reporting/workitemlinks"
REVISIONS = "_apis/wit/reporting/workitemrevisions"


class Revision(Answer):
    """An item as it was. Identities are texts in streams unless asked for otherwise; long texts may be left out."""

    id: int
    rev: int = 0
    fields: dict[str, Json] = Field(default_factory=dict)
    relations: list[Relation] = Field(default_factory=list)

    @property
    def deleted(self) -> bool:
        return self.fields.get("System.IsDeleted") is True


class LinkChange(Answer):
    """A link between items that came (`is_active`) or went, told once, from its forward end."""

    rel: str
    source_id: int
    target_id: int
    changed_date: datetime | None = None
    is_active: bool = True
    source_project_id: str = ""
    target_project_id: str = ""


class RevisionBatch(Answer):
    """`continuation_token` is the watermark to keep, also of the last batch."""

    values: list[Revision]
    continuation_token: str = ""
    next_link: str = ""
    is_last_batch: bool = False


class LinkBatch(Answer):
    values: list[LinkChange]
    continuation_token: str = ""
    next_link: str = ""
    is_last_batch: bool = False


class HistoryApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def revisions(self, item_id: int, skip: int = 0) -> list[Revision]:
        """Each revision whole, oldest first, with the links of its time; a request per 200, and one."""
        path = f"_apis/wit/workitems/{item_id}/revisions"
        found = each_by_skip(self._connection, Listed[Revision], path, {"$expand": "all"}, skip=skip)
        return [revision async for revision in found]

    async def revision_stream(
        self,
        token: str = "",
        *,
        project: str = "",
        since: datetime | None = None,
        types: Sequence[str] = (),
        long_texts: bool = False,
        fields: Sequence[str] = (),
        latest_only: bool = False,
        batch_max: int = 1_000,
    ) -> AsyncGenerator[RevisionBatch]:
        """All revisions behind `token` (empty: from `since`, or the very first), deleted items among them.

        Keep the token of each batch once it is dealt with: whoever stops in between goes on from there. With
        `latest_only` an item is told once, as it is; with `fields` no others are.
        """
        query: dict[str, str | int | bool] = {
            "includeDeleted": True,
            "includeIdentityRef": True,
            "$maxPageSize": batch_max,
            **({"$expand": "fields"} if long_texts else {}),
            **({"types": ",".join(types)} if types else {}),
            **({"fields": ",".join(fields)} if fields else {}),
            **({"includeLatestOnly": True} if latest_only else {}),
        }
        path = f"{segment(project)}/{REVISIONS}" if project else REVISIONS
        while True:
            batch = await self._connection.call(RevisionBatch, "GET", path, query={**query, **from_token(token, since)})
            following = following_of(path, batch, token)
            yield batch.model_copy(update={"continuation_token": following})
            if batch.is_last_batch:
                return
            token = following

    async def link_stream(
        self, token: str = "", *, project: str = "", since: datetime | None = None
    ) -> AsyncGenerator[LinkBatch]:
        """All links between items that came or went behind `token`; see `revision_stream`."""
        path = f"{segment(project)}/{LINKS}" if project else LINKS
        while True:
            batch = await self._connection.call(LinkBatch, "GET", path, query=from_token(token, since))
            following = following_of(path, batch, token)
            yield batch.model_copy(update={"continuation_token": following})
            if batch.is_last_batch:
                return
            token = following


def from_token(token: str, since: datetime | None) -> Query:
    if token:
        return {"continuationToken": token}
    return {"startDateTime": since.isoformat()} if since else {}


def following_of(path: str, batch: RevisionBatch | LinkBatch, token: str) -> str:
    """The token behind a batch: its own, or the one in its next link, which is all that some examples carry."""
    following = batch.continuation_token or in_link(batch.next_link) or (token if batch.is_last_batch else "")
    if batch.is_last_batch:
        return following
    if not following:
        raise NotWhole(
            f"GET {path}: a batch that is not the last has no token; nothing behind it is known", "LostPlace"
        )
    return moved(path, [token], following)


def in_link(link: str) -> str:
    try:
        return parse_qs(urlsplit(link).query).get("continuationToken", [""])[0]
    except ValueError:
        return ""
