"""What was said about work items: every version of every comment, and the stream that tells which items were."""

from collections.abc import AsyncGenerator
from datetime import datetime

from pydantic import Field

from pointsman.clients.azure_devops.answers import Answer, Comment, Comments
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.history import RevisionBatch, following_of, from_token
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import PAGE, moved

VERSION = "7.1-preview.4"
STREAM_VERSION = "7.1-preview.1"


class CommentVersion(Answer):
    """A comment as it was: an edit makes the next version, and so does its deletion."""

    version: int = 1
    text: str = ""
    created_date: datetime | None = None
    modified_date: datetime | None = None
    is_deleted: bool = False
    url: str = ""


class _Versions(Answer):
    value: list[CommentVersion] = Field(default_factory=list)


class DiscussionsApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def comments(self, project: str, item_id: int) -> list[Comment]:
        """All comments that were ever made, oldest first; of deleted ones that they were."""
        path = f"{segment(project)}/_apis/wit/workItems/{item_id}/comments"
        found: list[Comment] = []
        token = ""
        while True:
            query: Query = {"$top": PAGE, "includeDeleted": True, "order": "asc"}
            asked: Query = {**query, **({"continuationToken": token} if token else {})}
            page = await self._connection.call(Comments, "GET", path, query=asked, version=VERSION)
            found += page.comments
            token = moved(path, token, page.continuation_token)
            if not token:
                return found

    async def versions(self, project: str, item_id: int, comment_id: int) -> list[CommentVersion]:
        """All versions of a comment, oldest first."""
        path = f"{segment(project)}/_apis/wit/workItems/{item_id}/comments/{comment_id}/versions"
        found = await self._connection.call(_Versions, "GET", path, version=VERSION)
        return sorted(found.value, key=lambda one: one.version)

    async def stream(
        self, project: str, token: str = "", *, since: datetime | None = None, batch_max: int = 1_000
    ) -> AsyncGenerator[RevisionBatch]:
        """Items of a project that were commented on behind `token`; see `HistoryApi.revision_stream`."""
        path = f"{segment(project)}/_apis/wit/reporting/workItemRevisions/discussions"
        while True:
            query: Query = {"$maxPageSize": batch_max, **from_token(token, since)}
            batch = await self._connection.call(RevisionBatch, "GET", path, query=query, version=STREAM_VERSION)
            following = following_of(path, batch, token)
            yield batch.model_copy(update={"continuation_token": following})
            if batch.is_last_batch:
                return
            token = following
