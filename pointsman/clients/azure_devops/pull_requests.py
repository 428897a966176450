"""Pull requests: finding, opening and closing them; reviewers and votes; threads; what they are linked to.

Which items a pull request serves is said by the items, see `domain.artifacts`: link one by adding that relation to it.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pointsman.clients.azure_devops.answers import Nothing
from pointsman.clients.azure_devops.answers_code import (
    Commit,
    Iteration,
    PullRequest,
    PullRequestStatus,
    Reference,
    Reviewer,
    Thread,
    ThreadComment,
    Vote,
)
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.git import full_name, repository_path
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, each_by_header, each_by_skip, whole
from pointsman.contracts.base import Json


class MergeStrategy(StrEnum):
    MERGE = "noFastForward"
    SQUASH = "squash"
    REBASE = "rebase"
    REBASE_AND_MERGE = "rebaseMerge"


@dataclass(frozen=True)
class Criteria:
    """Which pull requests. Without a status the service would tell the active ones only, so `ALL` stands here.

    `since` and `until` are about when they were closed where `by_closing`, else about when they were made.
    """

    status: PullRequestStatus = PullRequestStatus.ALL
    source: str = ""
    target: str = ""
    creator_id: str = ""
    reviewer_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    by_closing: bool = False

    @property
    def query(self) -> dict[str, str | int | bool]:
        found = {
            "status": str(self.status),
            "sourceRefName": full_name(self.source) if self.source else "",
            "targetRefName": full_name(self.target) if self.target else "",
            "creatorId": self.creator_id,
            "reviewerId": self.reviewer_id,
            "minTime": self.since.isoformat() if self.since else "",
            "maxTime": self.until.isoformat() if self.until else "",
            "queryTimeRangeType": "closed" if self.by_closing else "",
        }
        return {f"searchCriteria.{name}": value for name, value in found.items() if value}


class PullRequestsApi:
    """`repository` is a name or an id. Numbers are unique in the organisation."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def each(self, project: str, criteria: Criteria | None = None, repository: str = "") -> AsyncGenerator[PullRequest]:
        """Newest first, of one repository or of all. Descriptions are cut at 400 characters."""
        where = repository_path(project, repository) if repository else f"{segment(project)}/_apis/git"
        query = (criteria or Criteria()).query
        return each_by_skip(self._connection, Listed[PullRequest], f"{where}/pullrequests", query)

    async def get(self, project: str, number: int) -> PullRequest:
        path = f"{segment(project)}/_apis/git/pullrequests/{number}"
        return await self._connection.call(PullRequest, "GET", path)

    async def create(
        self,
        project: str,
        repository: str,
        source: str,
        target: str,
        title: str,
        description: str = "",
        *,
        reviewer_ids: Sequence[str] = (),
        is_draft: bool = False,
    ) -> PullRequest:
        """Not idempotent, but there is one active of a source and target at most: another is a `Conflict`."""
        reviewers: list[Json] = [{"id": reviewer_id} for reviewer_id in reviewer_ids]
        body: dict[str, Json] = {
            "sourceRefName": full_name(source),
            "targetRefName": full_name(target),
            "title": title,
            "description": description,
            "isDraft": is_draft,
            "reviewers": reviewers,
        }
        path = f"{repository_path(project, repository)}/pullrequests"
        return await self._connection.call(PullRequest, "POST", path, body=body)

    async def edit(
        self,
        project: str,
        repository: str,
        number: int,
        *,
        title: str | None = None,
        description: str | None = None,
        is_draft: bool | None = None,
    ) -> PullRequest:
        """Change what is given. Idempotent."""
        given = {"title": title, "description": description, "isDraft": is_draft}
        body: dict[str, Json] = {name: value for name, value in given.items() if value is not None}
        return await self._update(project, repository, number, body)

    async def complete(
        self,
        project: str,
        repository: str,
        number: int,
        source_commit: str,
        *,
        strategy: MergeStrategy = MergeStrategy.MERGE,
        delete_source: bool = False,
        message: str = "",
    ) -> PullRequest:
        """Merge it as it stands at `source_commit`. Policies are never bypassed.

        The service merges after it has answered: while `status` is `active`, read again. It stays `active` where the
        merge fails, with the reason in `merge_status`.

        Raises:
            Conflict: somebody has pushed since.
            Rejected: a policy is in the way.
        """
        options: dict[str, Json] = {"mergeStrategy": str(strategy), "deleteSourceBranch": delete_source}
        if message:
            options["mergeCommitMessage"] = message
        body: dict[str, Json] = {
            "status": str(PullRequestStatus.COMPLETED),
            "lastMergeSourceCommit": {"commitId": source_commit},
            "completionOptions": options,
        }
        return await self._update(project, repository, number, body)

    async def abandon(self, project: str, repository: str, number: int) -> PullRequest:
        return await self._update(project, repository, number, {"status": str(PullRequestStatus.ABANDONED)})

    async def reactivate(self, project: str, repository: str, number: int) -> PullRequest:
        """Open an abandoned one again; a completed one stays so."""
        return await self._update(project, repository, number, {"status": str(PullRequestStatus.ACTIVE)})

    async def reviewers(self, project: str, repository: str, number: int) -> list[Reviewer]:
        return await whole(self._connection, Listed[Reviewer], self._path(project, repository, number, "reviewers"))

    async def add_reviewer(
        self, project: str, repository: str, number: int, reviewer_id: str, *, is_required: bool = False
    ) -> Reviewer:
        """Idempotent; a vote that stands is kept."""
        path = self._path(project, repository, number, f"reviewers/{segment(reviewer_id)}")
        body: dict[str, Json] = {"id": reviewer_id, "isRequired": is_required}
        return await self._connection.call(Reviewer, "PUT", path, body=body)

    async def vote(self, project: str, repository: str, number: int, reviewer_id: str, vote: Vote) -> Reviewer:
        """Idempotent. Only one's own vote can be cast: `reviewer_id` is the account that asks."""
        path = self._path(project, repository, number, f"reviewers/{segment(reviewer_id)}")
        return await self._connection.call(Reviewer, "PUT", path, body={"id": reviewer_id, "vote": int(vote)})

    async def remove_reviewer(self, project: str, repository: str, number: int, reviewer_id: str) -> None:
        path = self._path(project, repository, number, f"reviewers/{segment(reviewer_id)}")
        await self._connection.call(Nothing, "DELETE", path)

    async def threads(self, project: str, repository: str, number: int) -> list[Thread]:
        """All, those of the service itself too, in one answer."""
        return await whole(self._connection, Listed[Thread], self._path(project, repository, number, "threads"))

    async def open_thread(
        self, project: str, repository: str, number: int, content: str, file_path: str = ""
    ) -> Thread:
        """Not idempotent. Markdown; about the whole, or about a file."""
        comment: Json = {"parentCommentId": 0, "content": content, "commentType": "text"}
        body: dict[str, Json] = {"comments": [comment], "status": "active"}
        if file_path:
            body["threadContext"] = {"filePath": file_path}
        return await self._connection.call(
            Thread, "POST", self._path(project, repository, number, "threads"), body=body
        )

    async def reply(
        self, project: str, repository: str, number: int, thread_id: int, content: str, parent_id: int = 1
    ) -> ThreadComment:
        """Not idempotent."""
        path = self._path(project, repository, number, f"threads/{thread_id}/comments")
        body: dict[str, Json] = {"parentCommentId": parent_id, "content": content, "commentType": "text"}
        return await self._connection.call(ThreadComment, "POST", path, body=body)

    async def set_thread_status(
        self, project: str, repository: str, number: int, thread_id: int, status: str
    ) -> Thread:
        """`active`, `fixed`, `wontFix`, `closed`, `byDesign` or `pending`. Idempotent."""
        path = self._path(project, repository, number, f"threads/{thread_id}")
        return await self._connection.call(Thread, "PATCH", path, body={"status": status})

    async def iterations(self, project: str, repository: str, number: int) -> list[Iteration]:
        """Oldest first, in one answer."""
        return await whole(self._connection, Listed[Iteration], self._path(project, repository, number, "iterations"))

    def commits(self, project: str, repository: str, number: int) -> AsyncGenerator[Commit]:
        """What it brings, newest first. Not the commit that the merge makes."""
        path = self._path(project, repository, number, "commits")
        return each_by_header(self._connection, Listed[Commit], path, {"$top": 500})

    async def work_items(self, project: str, repository: str, number: int) -> list[Reference]:
        """The items that are linked to it, in one answer."""
        return await whole(self._connection, Listed[Reference], self._path(project, repository, number, "workitems"))

    async def _update(self, project: str, repository: str, number: int, body: dict[str, Json]) -> PullRequest:
        path = f"{repository_path(project, repository)}/pullrequests/{number}"
        return await self._connection.call(PullRequest, "PATCH", path, body=body)

    @staticmethod
    def _path(project: str, repository: str, number: int, rest: str) -> str:
        return f"{repository_path(project, repository)}/pullRequests/{number}/{rest}"
