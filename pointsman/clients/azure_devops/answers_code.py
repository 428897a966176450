"""What Azure DevOps answers about repositories and pull requests, reduced to what we read."""

from datetime import datetime
from enum import IntEnum, StrEnum

from pydantic import Field

from pointsman.clients.azure_devops.answers import Answer, Project
from pointsman.contracts.base import Json

NO_COMMIT = "0" * 40
"""In place of a commit where a branch is not yet, or no more."""


class Repository(Answer):
    """`default_branch` is empty as long as nothing was pushed."""

    id: str
    name: str
    default_branch: str = ""
    is_disabled: bool = False
    project: Project | None = None
    remote_url: str = ""


class Ref(Answer):
    name: str
    object_id: str
    is_locked: bool = False


class RefUpdate(Answer):
    """A branch that moved. `repository_id` is told in answers only."""

    name: str
    old_object_id: str = NO_COMMIT
    new_object_id: str = NO_COMMIT
    repository_id: str = ""


class RefUpdateResult(Answer):
    """What became of one branch: the answer as a whole is a success even where this is none."""

    name: str
    old_object_id: str = NO_COMMIT
    new_object_id: str = NO_COMMIT
    success: bool = False
    update_status: str = ""
    rejected_by: str = ""
    custom_message: str = ""


class Signature(Answer):
    name: str = ""
    email: str = ""
    date: datetime | None = None


class Reference(Answer):
    """Something elsewhere, a work item for one. Its id is a text."""

    id: str
    url: str = ""

    @property
    def number(self) -> int:
        return int(self.id)


class Commit(Answer):
    """In lists `comment` may be cut (`comment_truncated`), and `work_items` is there only if asked for."""

    commit_id: str
    comment: str = ""
    comment_truncated: bool = False
    author: Signature = Signature()
    committer: Signature = Signature()
    parents: list[str] = Field(default_factory=list)
    work_items: list[Reference] = Field(default_factory=list)
    url: str = ""


class Push(Answer):
    push_id: int
    date: datetime | None = None
    pushed_by: dict[str, Json] | str = ""
    commits: list[Commit] = Field(default_factory=list)
    ref_updates: list[RefUpdate] = Field(default_factory=list)


class Vote(IntEnum):
    APPROVED = 10
    APPROVED_WITH_SUGGESTIONS = 5
    NONE = 0
    WAITING = -5
    REJECTED = -10


class Reviewer(Answer):
    """A person, or a group (`is_container`) whose vote is that of a member. `vote` is one of `Vote`, read leniently."""

    id: str
    display_name: str = ""
    unique_name: str = ""
    vote: int = 0
    is_required: bool = False
    is_container: bool = False
    has_declined: bool = False

    @property
    def approves(self) -> bool:
        return self.vote > 0


class PullRequestStatus(StrEnum):
    ACTIVE = "active"
    ABANDONED = "abandoned"
    COMPLETED = "completed"
    ALL = "all"


class PullRequest(Answer):
    """`merge_status` other than `succeeded` means that there is no merge; it is computed after the answer, at times."""

    pull_request_id: int
    title: str = ""
    description: str = ""
    status: str = ""
    is_draft: bool = False
    source_ref_name: str = ""
    target_ref_name: str = ""
    repository: Repository | None = None
    created_by: dict[str, Json] | str = ""
    creation_date: datetime | None = None
    closed_by: dict[str, Json] | str = ""
    closed_date: datetime | None = None
    merge_status: str = ""
    merge_failure_message: str = ""
    last_merge_source_commit: Commit | None = None
    last_merge_target_commit: Commit | None = None
    last_merge_commit: Commit | None = None
    reviewers: list[Reviewer] = Field(default_factory=list)
    url: str = ""


class Iteration(Answer):
    """One push to the source branch, as reviewers saw it."""

    id: int
    description: str = ""
    author: dict[str, Json] | str = ""
    created_date: datetime | None = None
    reason: str = ""
    source_ref_commit: Commit | None = None
    target_ref_commit: Commit | None = None
    common_ref_commit: Commit | None = None


class ThreadComment(Answer):
    """`comment_type` `system` is what the service writes itself, for example of votes."""

    id: int
    parent_comment_id: int = 0
    content: str = ""
    comment_type: str = ""
    author: dict[str, Json] | str = ""
    published_date: datetime | None = None
    is_deleted: bool = False


class FilePlace(Answer):
    file_path: str = ""


class Thread(Answer):
    """`status` is empty for threads of the service itself. Nothing about a thread is settled while `is_open`."""

    id: int
    status: str = ""
    comments: list[ThreadComment] = Field(default_factory=list)
    published_date: datetime | None = None
    thread_context: FilePlace | None = None
    is_deleted: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in ("active", "pending") and not self.is_deleted
