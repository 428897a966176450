"""What was said about work items: every version of every comment, and the stream that tells which items were."""

from collections.abc import AsyncGenerator
from datetime import datetime

from pointsman.clients.azure_devops.answers import Answer, Comment, Comments
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.errors import NotWhole
from pointsman.clients.azure_devops.history import RevisionBatch, following_of, from_token, in_link
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import PAGE, Listed, moved, whole

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


class DiscussionsApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def comments(self, project: str, item_id: int) -> list[Comment]:
        """All comments that were ever made, oldest first; of deleted ones that they were."""
        query: Query = {"includeDeleted": True, "order": "asc"}
        return await all_comments(self._connection, comments_path(project, item_id), query)

    async def versions(self, project: str, item_id: int, comment_id: int) -> list[CommentVersion]:
        """All versions of a comment, oldest first."""
        path = f"{comments_path(project, item_id)}/{comment_id}/versions"
        found = await whole(self._connection, Listed[CommentVersion], path, version=VERSION)
        return sorted(found, key=lambda one: one.version)

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


async def all_comments(connection: Connection, path: str, query: Query | None = None) -> list[Comment]:
    """Page by page, by the token of each answer or the one in its link to the next page.

    Raises:
        NotWhole: there is a next page, and no way to it.
    """
    found: list[Comment] = []
    token, passed = "", set[str]()
    while True:
        asked: Query = {"$top": PAGE, **(query or {}), **({"continuationToken": token} if token else {})}
        page = await connection.call(Comments, "GET", path, query=asked, version=VERSION)
        found += page.comments
        token = moved(path, passed, page.continuation_token or in_link(page.next_page))
        if page.next_page and not token:
            raise NotWhole(f"GET {path}: there is a next page and no token for it; nothing is used", "LostPlace")
        if not token:
            return found
        passed.add(token)


def comments_path(project: str, item_id: int) -> str:
    return f"{segment(project)}/_apis/wit/workItems/{item_id}/comments"
