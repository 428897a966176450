"""`ports_sync.Commenter` over Azure DevOps: comments of our own, written and edited in place."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from pointsman.clients.azure_devops.answers import Comment
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.names import unique_name
from pointsman.contracts.tracker import CommentTold
from pointsman.contracts.work_items import WorkItemKey
from pointsman.ports import Missing, Rejected


class Comments:
    """Finds the client of an item's organisation by its lower-case slug."""

    def __init__(self, organisations: Mapping[str, AzureDevOps]) -> None:
        self._clients = {slug.lower(): client for slug, client in organisations.items()}

    async def all(self, key: WorkItemKey) -> Sequence[CommentTold]:
        """Those that stand, newest first."""
        found = await self._client(key).work_items.comments(key.project, key.id)
        return [_told(one) for one in found]

    async def add(self, key: WorkItemKey, html: str) -> CommentTold:
        """Not idempotent: a repeated call makes another comment."""
        return _told(await self._client(key).work_items.add_comment(key.project, key.id, html))

    async def edit(self, key: WorkItemKey, comment_id: int, html: str) -> CommentTold:
        """Each call makes a version. Raises `Missing` if somebody has taken the comment away."""
        return _told(await self._client(key).work_items.edit_comment(key.project, key.id, comment_id, html))

    async def delete(self, key: WorkItemKey, comment_id: int) -> None:
        """Idempotent: one that is gone is gone."""
        with suppress(Missing):
            await self._client(key).work_items.delete_comment(key.project, key.id, comment_id)

    def _client(self, key: WorkItemKey) -> AzureDevOps:
        client = self._clients.get(key.organisation.lower())
        if client is None:
            raise Rejected(f"no access to organisation {key.organisation!r}", code="UnknownOrganisation")
        return client


def _told(comment: Comment) -> CommentTold:
    return CommentTold(
        id=comment.id,
        version=comment.version,
        text=comment.text,
        created_by=unique_name(comment.created_by),
        modified_by=unique_name(comment.modified_by),
    )
