"""Repositories, branches, pushes and commits."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime

from pointsman.clients.azure_devops.answers import Nothing
from pointsman.clients.azure_devops.answers_code import (
    NO_COMMIT,
    Commit,
    Push,
    Ref,
    RefUpdate,
    RefUpdateResult,
    Repository,
)
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, each_by_header, each_by_skip, whole
from pointsman.contracts.base import Json
from pointsman.ports import Conflict, Rejected

HEADS = "refs/heads/"
_STALE = {"staleoldobjectid", "forcepushrequired", "locked"}


class GitApi:
    """Repositories are named by name or id, branches by short name or as `refs/heads/NAME`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def repositories(self, project: str) -> list[Repository]:
        """All of a project, disabled ones too, in one answer."""
        return await whole(self._connection, Listed[Repository], _repositories(project))

    async def repository(self, project: str, name: str) -> Repository:
        """One by name or id. A disabled one is `Missing`: only the list shows it."""
        return await self._connection.call(Repository, "GET", repository_path(project, name))

    async def create_repository(self, project: str, name: str) -> Repository:
        """An empty repository. Not idempotent: a second one of the name is refused (`Conflict`)."""
        return await self._connection.call(Repository, "POST", _repositories(project), body={"name": name})

    async def disable(self, project: str, repository_id: str, disabled: bool = True) -> Repository:
        """Let nobody read or write it, or let them again. Idempotent. Nothing else may be changed by the same call."""
        return await self._change(project, repository_id, {"isDisabled": disabled})

    async def set_default_branch(self, project: str, repository_id: str, branch: str) -> Repository:
        """Idempotent. The branch has to exist."""
        return await self._change(project, repository_id, {"defaultBranch": full_name(branch)})

    async def delete_repository(self, project: str, repository_id: str) -> None:
        """Into the project's recycle bin. Takes the id only: a name could be that of another one by now."""
        await self._connection.call(Nothing, "DELETE", repository_path(project, repository_id))

    def refs(self, project: str, repository: str, prefix: str = "heads/") -> AsyncGenerator[Ref]:
        """Branches, or with another prefix tags (`tags/`); the prefix is without `refs/`."""
        path = f"{repository_path(project, repository)}/refs"
        return each_by_header(self._connection, Listed[Ref], path, {"filter": prefix, "$top": 1000})

    async def ref(self, project: str, repository: str, branch: str) -> Ref | None:
        """One branch. The service filters by how names begin, so others come along."""
        name = full_name(branch)
        found = self.refs(project, repository, name.removeprefix("refs/"))
        return next((ref for ref in [each async for each in found] if ref.name == name), None)

    async def update_refs(self, project: str, repository: str, updates: Sequence[RefUpdate]) -> list[RefUpdateResult]:
        """Create, move or delete branches, each for itself: look at `success` of every one.

        Guarded by the old commit, so that it is safe to repeat: the second time is refused as stale.
        """
        body: Json = [
            {"name": update.name, "oldObjectId": update.old_object_id, "newObjectId": update.new_object_id}
            for update in updates
        ]
        path = f"{repository_path(project, repository)}/refs"
        answered = (await self._connection.call(Listed[RefUpdateResult], "POST", path, body=body)).value
        if len(answered) != len(updates):
            raise Rejected(
                f"{len(updates)} branches were sent and {len(answered)} answered; read them before trying again",
                "UnexpectedAnswer",
            )
        return answered

    async def update_ref(self, project: str, repository: str, branch: str, old: str, new: str) -> RefUpdateResult:
        """Move one branch from a commit to another. `NO_COMMIT` as old creates it, as new deletes it.

        Raises:
            Conflict: it is not where it was thought to be.
        """
        update = RefUpdate(name=full_name(branch), old_object_id=old, new_object_id=new)
        (result,) = await self.update_refs(project, repository, [update])
        if result.success:
            return result
        why = f"{result.update_status} {result.rejected_by} {result.custom_message}".strip()
        text = f"branch {update.name} of {repository} from {old} to {new}: {why}; nothing was changed"
        raise (Conflict if result.update_status.lower() in _STALE else Rejected)(text, result.update_status)

    async def push(
        self,
        project: str,
        repository: str,
        branch: str,
        old: str,
        comment: str,
        *,
        add: Mapping[str, str] | None = None,
        edit: Mapping[str, str] | None = None,
        delete: Sequence[str] = (),
    ) -> Push:
        """One commit on top of `old`; texts by path. What is not there can only be added, what is there not.

        Guarded by `old`: a branch that has moved refuses it (`Conflict`), and so it is never pushed twice.
        """
        changes: list[Json] = [
            *(_change(path, "add", text) for path, text in (add or {}).items()),
            *(_change(path, "edit", text) for path, text in (edit or {}).items()),
            *(_change(path, "delete") for path in delete),
        ]
        body: dict[str, Json] = {
            "refUpdates": [{"name": full_name(branch), "oldObjectId": old}],
            "commits": [{"comment": comment, "changes": changes}],
        }
        return await self._connection.call(Push, "POST", f"{repository_path(project, repository)}/pushes", body=body)

    async def first_commit(
        self, project: str, repository: str, branch: str, comment: str, files: Mapping[str, str]
    ) -> Push:
        """The commit that begins a branch of its own, of an empty repository above all; also guarded."""
        return await self.push(project, repository, branch, NO_COMMIT, comment, add=files)

    async def pushes(
        self, project: str, repository: str, *, since: datetime | None = None, branch: str = ""
    ) -> AsyncGenerator[Push]:
        """Newest first, with the branches that they moved."""
        query: dict[str, str | int | bool] = {"searchCriteria.includeRefUpdates": True}
        if since:
            query["searchCriteria.fromDate"] = since.isoformat()
        if branch:
            query["searchCriteria.refName"] = full_name(branch)
        path = f"{repository_path(project, repository)}/pushes"
        async for push in each_by_skip(self._connection, Listed[Push], path, query):
            yield push

    async def get_push(self, project: str, repository: str, push_id: int) -> Push:
        """With its newest 100 commits."""
        path = f"{repository_path(project, repository)}/pushes/{push_id}"
        return await self._connection.call(Push, "GET", path, query={"includeCommits": 100, "includeRefUpdates": True})

    async def commits(
        self,
        project: str,
        repository: str,
        *,
        branch: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncGenerator[Commit]:
        """Commits of a branch (empty: the default one), newest first, each with the items that are linked to it."""
        query: dict[str, str | int | bool] = {"searchCriteria.includeWorkItems": True}
        if branch:
            query["searchCriteria.itemVersion.version"] = branch.removeprefix(HEADS)
            query["searchCriteria.itemVersion.versionType"] = "branch"
        if since:
            query["searchCriteria.fromDate"] = since.isoformat()
        if until:
            query["searchCriteria.toDate"] = until.isoformat()
        path = f"{repository_path(project, repository)}/commits"
        async for commit in each_by_skip(self._connection, Listed[Commit], path, query, prefix="searchCriteria.$"):
            yield commit

    async def linked_commits(
        self, project: str, repository: str, *, branch: str = "", since: datetime | None = None
    ) -> AsyncGenerator[Commit]:
        """Those commits that work items are linked to. The service has no such filter, so all are read."""
        async for commit in self.commits(project, repository, branch=branch, since=since):
            if commit.work_items:
                yield commit

    async def commit(self, project: str, repository: str, commit_id: str) -> Commit:
        path = f"{repository_path(project, repository)}/commits/{segment(commit_id)}"
        return await self._connection.call(Commit, "GET", path)

    async def _change(self, project: str, repository_id: str, body: dict[str, Json]) -> Repository:
        return await self._connection.call(Repository, "PATCH", repository_path(project, repository_id), body=body)


def full_name(branch: str) -> str:
    return branch if branch.startswith("refs/") else f"{HEADS}{branch}"


def repository_path(project: str, repository: str) -> str:
    return f"{_repositories(project)}/{segment(repository)}"


def _repositories(project: str) -> str:
    return f"{segment(project)}/_apis/git/repositories"


def _change(path: str, kind: str, text: str | None = None) -> Json:
    change: dict[str, Json] = {"changeType": kind, "item": {"path": path}}
    if text is not None:
        change["newContent"] = {"content": text, "contentType": "rawText"}
    return change
