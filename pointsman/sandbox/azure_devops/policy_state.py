"""Branch policies that the stand-in holds, and operations that take a while. In memory only."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.config import Identity, Organisation

MIN_REVIEWERS = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
BUILD = "0609b952-1397-4640-95ec-e00a01b2c241"
REQUIRED_REVIEWERS = "fd2167ab-b0be-447a-8ec8-39368250530e"
WORK_ITEMS = "40e92b44-2fe1-4dd6-b3d8-74a9c21d0c6e"
COMMENTS = "c6a1889d-b943-4856-b76f-9e46bb6b0df2"
MERGE_STRATEGY = "fa4e907d-c16b-4a4c-9dfa-4916e5d171ab"
TYPES = {
    MIN_REVIEWERS: "Minimum number of reviewers",
    BUILD: "Build",
    REQUIRED_REVIEWERS: "Required reviewers",
    WORK_ITEMS: "Work item linking",
    COMMENTS: "Comment requirements",
    MERGE_STRATEGY: "Require a merge strategy",
    "cbdc66da-9728-4af8-aada-9a5a32e4a226": "Status",
    "77ed4bd3-b063-4689-934a-175e4d0a78d7": "Commit author email validation",
    "51c78909-e838-41a2-9496-c647091e3c61": "File name restriction",
    "7ed39669-655c-494e-b4a0-a08b4da0fcce": "Git repository settings",
    "db2b9b4c-180d-4529-9701-01541d19f36b": "Reserved names restriction",
    "001a79cf-fda1-4c4e-9e7c-bac40ee5ead8": "Path Length restriction",
    "2e26e725-8201-4edd-8bf5-978563c34a80": "File size restriction",
}
"""All that the service has; those without a name of ours are kept, and hold nobody up."""


@dataclass(frozen=True)
class Scope:
    """Which branches a policy holds for. An empty repository means all of the project."""

    repository_id: str
    ref_name: str
    is_prefix: bool

    def covers(self, repository_id: str, branch: str) -> bool:
        if self.repository_id and self.repository_id != repository_id:
            return False
        return not self.ref_name or (branch.startswith(self.ref_name) if self.is_prefix else branch == self.ref_name)


@dataclass
class Policy:
    """`settings` are as given but for the scope. `revision` grows with each change."""

    id: int
    organisation: Organisation
    project: str
    type_id: str
    is_enabled: bool
    is_blocking: bool
    settings: dict[str, Json]
    scopes: tuple[Scope, ...]
    by: Identity
    at: str
    revision: int = 1
    deleted: bool = False

    def number(self, name: str, default: int = 0) -> int:
        found = self.settings.get(name)
        return found if isinstance(found, int) and not isinstance(found, bool) else default

    def flag(self, name: str) -> bool:
        return self.settings.get(name) is True


@dataclass
class Pending:
    """An operation. Each look at it brings it one step further; the last step does the work."""

    id: str
    organisation: Organisation
    work: Callable[[], None] = lambda: None
    steps: list[str] = field(default_factory=lambda: ["queued", "inProgress", "succeeded"])
    status: str = "notSet"
    message: str = ""

    def advance(self) -> None:
        if self.steps:
            self.status = self.steps.pop(0)
            if self.status == "succeeded":
                self.work()


@dataclass
class Policies:
    """Policies by organisation in lower case, then by id; operations by id."""

    held: dict[str, dict[int, Policy]] = field(default_factory=dict)
    operations: dict[str, Pending] = field(default_factory=dict)

    def of(self, organisation: Organisation) -> dict[int, Policy]:
        return self.held.setdefault(organisation.name.lower(), {})
