"""Definitions and builds that the stand-in holds, and approvals that pipelines wait for. In memory only."""

from dataclasses import dataclass, field

from pointsman.sandbox.azure_devops.config import Identity, Organisation


@dataclass
class Definition:
    """A pipeline is a definition seen through another API: they share their ids."""

    id: int
    organisation: Organisation
    project: str
    name: str
    folder: str
    repository_id: str
    yaml: str
    by: Identity
    at: str


@dataclass
class Build:
    """`result` is empty until it is completed. `commits` are those that it is the first to build."""

    id: int
    definition: Definition
    number: str
    branch: str
    version: str
    commits: tuple[str, ...]
    by: Identity
    queued_at: str
    reason: str = "manual"
    status: str = "notStarted"
    result: str = ""
    started_at: str = ""
    finished_at: str = ""
    tags: list[str] = field(default_factory=list)

    @property
    def uri(self) -> str:
        return f"vstfs:///Build/Build/{self.id}"


@dataclass
class Approval:
    """What a stage of a run waits for. `given` holds who has decided, what, with which comment, and when."""

    id: str
    organisation: Organisation
    project: str
    approvers: tuple[Identity, ...]
    needed: int
    instructions: str
    at: str
    build_id: int = 0
    status: str = "pending"
    given: dict[str, tuple[Identity, str, str, str]] = field(default_factory=dict)
    """By the id of the approver it was assigned to."""
    modified_at: str = ""


@dataclass
class Builds:
    """By organisation in lower case, then by id."""

    definitions: dict[str, dict[int, Definition]] = field(default_factory=dict)
    builds: dict[str, dict[int, Build]] = field(default_factory=dict)
    approvals: dict[str, dict[str, Approval]] = field(default_factory=dict)

    def definitions_of(self, organisation: Organisation) -> dict[int, Definition]:
        return self.definitions.setdefault(organisation.name.lower(), {})

    def builds_of(self, organisation: Organisation) -> dict[int, Build]:
        return self.builds.setdefault(organisation.name.lower(), {})

    def approvals_of(self, organisation: Organisation) -> dict[str, Approval]:
        return self.approvals.setdefault(organisation.name.lower(), {})
