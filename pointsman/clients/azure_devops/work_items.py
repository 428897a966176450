"""Work items over REST. Ids are unique in an organisation, so most calls need no project; it may have changed."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from urllib.parse import unquote

from pydantic import TypeAdapter

from pointsman.clients.azure_devops.answers import (
    ArtifactItems,
    Comment,
    Deleted,
    Nothing,
    QueryResult,
    Update,
    WorkItem,
    WorkItemType,
)
from pointsman.clients.azure_devops.caching import FRESH
from pointsman.clients.azure_devops.connection import ITEM, JSON_PATCH, Connection, Query
from pointsman.clients.azure_devops.discussions import VERSION, all_comments, comments_path
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import PAGE, Listed, each_by_skip
from pointsman.clients.azure_devops.patches import Operation
from pointsman.contracts.base import Json
from pointsman.ports import Rejected

ARTIFACTS = "_apis/wit/artifacturiquery"
BATCH_MAX = 200  # the service refuses more items with VS403474; of artifacts it does not say how many it takes
HISTORY_MIN = 100
"""Entries of a history that the service gives at once where there are as many: other clients take 200 for granted."""
NEVER_YEAR = 9999
MARKDOWN_VERSION = "7.2-preview.4"
_BODY: TypeAdapter[Json] = TypeAdapter(Json)


class WorkItemsApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, item_id: int, *, max_age: timedelta = FRESH, min_rev: int = 0) -> WorkItem:
        """The item with relations and links. Raises `Missing` also for one in the recycle bin.

        It may be one that was read up to `max_age` ago, at `min_rev` or later; links change without a revision.
        """
        path, query = f"_apis/wit/workitems/{item_id}", {"$expand": "all"}
        return await self._connection.read(
            WorkItem, path, ITEM, max_age, query=query, name=str(item_id), min_rev=min_rev
        )

    async def batch(self, item_ids: Sequence[int], fields: Sequence[str] = (), expand: str = "all") -> list[WorkItem]:
        """Items that exist, in the order asked for; 200 a request. Without `fields` all of them come, and `expand`."""
        found: list[WorkItem] = []
        for start in range(0, len(item_ids), BATCH_MAX):
            body: dict[str, Json] = {"ids": list(item_ids[start : start + BATCH_MAX]), "errorPolicy": "omit"}
            if fields:
                body["fields"] = list(fields)
            else:
                body["$expand"] = expand
            # An id that nobody finds is a null in it.
            page = await self._connection.call(Listed[WorkItem | None], "POST", "_apis/wit/workitemsbatch", body=body)
            found += [item for item in page.value if item]
        return found

    async def several(self, item_ids: Sequence[int], max_age: timedelta = FRESH) -> dict[int, WorkItem]:
        """Items that exist, whole, each as it was up to `max_age` ago; a request for 200 that nobody read since."""

        async def load(names: Sequence[str]) -> dict[str, WorkItem]:
            return {str(item.id): item for item in await self.batch([int(name) for name in names])}

        names = [str(number) for number in item_ids]
        found = await self._connection.each(WorkItem, ITEM, names, max_age, load, BATCH_MAX)
        return {int(name): item for name, item in found.items()}

    async def create(self, project: str, type_name: str, operations: Sequence[Operation]) -> WorkItem:
        """Not idempotent: a repeated call makes another item."""
        path = f"{segment(project)}/_apis/wit/workitems/${segment(type_name)}"
        return await self._write("POST", path, operations)

    async def patch(self, item_id: int, operations: Sequence[Operation], validate_only: bool = False) -> WorkItem:
        """One atomic change. Raises `Conflict` if a `test /rev` in it fails."""
        query = {"validateOnly": True} if validate_only else None
        return await self._write("PATCH", f"_apis/wit/workitems/{item_id}", operations, query)

    async def updates(self, item_id: int, skip: int = 0) -> list[Update]:
        """History entries in order, without the first `skip`; a request per 200."""
        path = f"_apis/wit/workitems/{item_id}/updates"
        found = each_by_skip(self._connection, Listed[Update], path, skip=skip, is_last=_ends_history)
        return [update async for update in found]

    async def comments(self, project: str, item_id: int) -> list[Comment]:
        """All comments that stand, newest first, as the service orders them."""
        return await all_comments(self._connection, comments_path(project, item_id))

    async def add_comment(self, project: str, item_id: int, text: str, markdown: bool = False) -> Comment:
        """A comment of its own, guarded by nothing; `patches.add_comment` goes under a test of `/rev`."""
        return await self._say("POST", comments_path(project, item_id), text, markdown)

    async def edit_comment(
        self, project: str, item_id: int, comment_id: int, text: str, markdown: bool = False
    ) -> Comment:
        """Put another text in place of a comment's: its next version. Safe to repeat, but each makes a version.

        Raises:
            Rejected: `markdown` is not what the comment is written in, and the text stays or Markdown would end.
        """
        return await self._say("PATCH", f"{comments_path(project, item_id)}/{comment_id}", text, markdown)

    async def delete_comment(self, project: str, item_id: int, comment_id: int) -> None:
        """Take a comment back: its last version has no text. Raises `Missing` if that has happened before."""
        path = f"{comments_path(project, item_id)}/{comment_id}"
        await self._connection.call(Nothing, "DELETE", path, version=VERSION)

    async def query(self, wiql: str, project: str = "", top: int = PAGE) -> list[int]:
        """Ids that a WIQL query finds. `@project` in it means `project`."""
        path = f"{segment(project)}/_apis/wit/wiql" if project else "_apis/wit/wiql"
        result = await self._connection.call(QueryResult, "POST", path, query={"$top": top}, body={"query": wiql})
        return [reference.id for reference in result.work_items]

    async def linked_to(self, uris: Iterable[str]) -> dict[str, list[int]]:
        """By the URI of each artifact, as given, the ids of the items of any project that link to it; see
        `domain.artifacts`. A request for 200 of them.

        Raises:
            Rejected: the service tells of an artifact that it was not asked for, so that it is not known which of those
                that it does not tell of have no items.
        """
        wanted = list(dict.fromkeys(uris))
        found: dict[str, list[int]] = {}
        for start in range(0, len(wanted), BATCH_MAX):
            asked = wanted[start : start + BATCH_MAX]
            body: Json = {"artifactUris": [*asked]}
            answer = await self._connection.call(ArtifactItems, "POST", ARTIFACTS, body=body)
            told = {_artifact(uri): items or [] for uri, items in answer.artifact_uris_query_result.items()}
            if strange := told.keys() - {_artifact(uri) for uri in asked}:
                raise Rejected(
                    f"POST {ARTIFACTS}: {len(asked)} artifacts were asked for, and {min(strange)} is none of them; "
                    "nothing of the answer is used, and nothing was changed",
                    "UnexpectedAnswer",
                )
            found |= {uri: [item.id for item in told.get(_artifact(uri), ())] for uri in asked}
        return found

    async def type(self, project: str, name: str) -> WorkItemType:
        path = f"{segment(project)}/_apis/wit/workitemtypes/{segment(name)}"
        return await self._connection.call(WorkItemType, "GET", path)

    async def deleted(self, item_id: int) -> Deleted:
        """The item's entry in the recycle bin. Raises `Missing` if it is not there."""
        return await self._connection.call(Deleted, "GET", f"_apis/wit/recyclebin/{item_id}")

    async def delete(self, item_id: int) -> None:
        """Put the item into the recycle bin, from where `restore` takes it."""
        await self._connection.call(Nothing, "DELETE", f"_apis/wit/workitems/{item_id}")

    async def restore(self, item_id: int) -> None:
        path = f"_apis/wit/recyclebin/{item_id}"
        await self._connection.call(Nothing, "PATCH", path, body={"isDeleted": False})

    async def _say(self, method: str, path: str, text: str, markdown: bool) -> Comment:
        version, query = (MARKDOWN_VERSION, {"format": "markdown"}) if markdown else (VERSION, None)
        return await self._connection.call(Comment, method, path, query=query, body={"text": text}, version=version)

    async def _write(
        self, method: str, path: str, operations: Sequence[Operation], query: Query | None = None
    ) -> WorkItem:
        body = _BODY.validate_python(list(operations))
        return await self._connection.call(
            WorkItem,
            method,
            path,
            query={**(query or {}), "$expand": "all"},
            body=body,
            content_type=JSON_PATCH,
        )


def _ends_history(page: Sequence[Update]) -> bool:
    """Whether nothing is behind a page of it. The entry of the newest revision says that none came in its place; behind
    it are only changes of links, and a page as short as this was not cut among them."""
    newest = any(one.revised_date and one.revised_date.year >= NEVER_YEAR for one in page)
    return newest and len(page) < HISTORY_MIN


def _artifact(uri: str) -> str:
    """What it names, however its slashes and its ids are written."""
    return unquote(uri).lower()
