"""Repositories that the stand-in holds: commits with their files, branches, pushes, pull requests. In memory only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

from pointsman.sandbox.azure_devops.build_state import Builds
from pointsman.sandbox.azure_devops.config import Identity, Organisation
from pointsman.sandbox.azure_devops.policy_state import Policies
from pointsman.sandbox.azure_devops.proof_state import Proofs

NO_COMMIT = "0" * 40
HEADS = "refs/heads/"


@dataclass(frozen=True)
class FileChange:
    """`kind` is add, edit, delete or rename, which brings what was at `source`."""

    path: str
    kind: str
    content: str = ""
    source: str = ""


@dataclass(frozen=True)
class Commit:
    """`number` orders commits; `tree` holds the content of each file by its path."""

    id: str
    number: int
    parents: tuple[str, ...]
    comment: str
    by: Identity
    at: str
    changes: tuple[FileChange, ...]
    tree: Mapping[str, str]


@dataclass(frozen=True)
class Moved:
    """A branch that went from one commit to another; `NO_COMMIT` where there is none."""

    name: str
    old: str
    new: str


@dataclass(frozen=True)
class Push:
    id: int
    by: Identity
    at: str
    moves: tuple[Moved, ...]
    commits: tuple[str, ...]


@dataclass
class Repository:
    id: str
    name: str
    organisation: Organisation
    project: str
    default_branch: str = ""
    parent: "Repository | None" = field(default=None, repr=False)
    """What it was forked from."""
    disabled: bool = False
    deleted: bool = False
    changed_at: str = ""
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    pushes: list[Push] = field(default_factory=list)

    def history(self, tip: str) -> list[Commit]:
        """Everything that leads to a commit, newest first."""
        return sorted(self._reached(tip), key=lambda commit: -commit.number)

    def _reached(self, tip: str) -> Iterator[Commit]:
        waiting, seen = [tip], {tip}
        while waiting:
            commit = self.commits.get(waiting.pop())
            if commit is None:
                continue
            yield commit
            waiting += [parent for parent in commit.parents if parent not in seen]
            seen.update(commit.parents)

    def common(self, one: str, other: str) -> Commit | None:
        """The newest commit that leads to both."""
        below = {commit.id for commit in self._reached(other)}
        return next((commit for commit in self.history(one) if commit.id in below), None)

    def between(self, old: str, new: str) -> list[Commit]:
        """What `new` has and `old` has not, newest first."""
        below = {commit.id for commit in self._reached(old)}
        return [commit for commit in self.history(new) if commit.id not in below]


@dataclass
class Reviewer:
    identity: Identity
    vote: int = 0
    is_required: bool = False


@dataclass
class ThreadComment:
    id: int
    parent: int
    content: str
    by: Identity
    at: str
    kind: str = "text"


@dataclass
class Thread:
    id: int
    status: str
    comments: list[ThreadComment]
    at: str
    file_path: str = ""


@dataclass(frozen=True)
class Iteration:
    id: int
    by: Identity
    at: str
    reason: str
    source: str
    target: str
    common: str


@dataclass
class PullRequest:
    """`merge_commit` is the merge that would be, or is."""

    id: int
    repository: Repository
    source: str
    target: str
    title: str
    description: str
    by: Identity
    at: str
    merge_id: str
    is_draft: bool = False
    status: str = "active"
    merge_status: str = "notSet"
    source_commit: str = ""
    target_commit: str = ""
    merge_commit: Commit | None = None
    closed_by: Identity | None = None
    closed_at: str = ""
    reviewers: list[Reviewer] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    iterations: list[Iteration] = field(default_factory=list)
    options: dict[str, object] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        project = self.repository.organisation.project(self.repository.project)
        project_id = project.id_in(self.repository.organisation.name) if project else self.repository.project
        return f"vstfs:///Git/PullRequestId/{project_id}%2F{self.repository.id}%2F{self.id}"


@dataclass
class Code:
    """All repositories and pull requests; numbers of commits, pushes and pull requests are never given twice."""

    held: dict[tuple[str, str], list[Repository]] = field(default_factory=dict)
    """By organisation and project, in lower case."""
    pull_requests: dict[str, dict[int, PullRequest]] = field(default_factory=dict)
    """By organisation, in lower case, then by number."""
    builds: Builds = field(default_factory=Builds)
    proofs: Proofs = field(default_factory=Proofs)
    policies: Policies = field(default_factory=Policies)
    linked: dict[str, tuple[int, dict[str, list[int]]]] = field(default_factory=dict)
    """By organisation: at which watermark it was looked up which items link to which URI."""
    last_commit: int = 0
    last_push: int = 0

    def repositories(self, organisation: Organisation, project: str) -> list[Repository]:
        """Those of a project, deleted ones too. It begins with an empty one of its own name."""
        key = (organisation.name.lower(), project.lower())
        if key not in self.held:
            self.held[key] = [made(organisation, project, project)]
        return self.held[key]

    def pull_requests_of(self, organisation: Organisation) -> dict[int, PullRequest]:
        return self.pull_requests.setdefault(organisation.name.lower(), {})


def made(organisation: Organisation, project: str, name: str, number: int = 0) -> Repository:
    """An empty repository. Its id is the same in each run; `number` sets one apart from a deleted one of the name."""
    path = f"repository/{organisation.name}/{project}/{name}/{number or ''}".lower()
    return Repository(str(uuid5(NAMESPACE_URL, path)), name, organisation, project)
