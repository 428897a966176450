"""What an event is about. Apart from the events, because the receiver asks for it and needs none of them."""

from enum import StrEnum

from pydantic import ConfigDict

from pointsman.contracts.base import Contract


class SubjectKind(StrEnum):
    WORK_ITEM = "work item"
    REPOSITORY = "repository"
    PULL_REQUEST = "pull request"
    CHANGESET = "changeset"
    BUILD = "build"
    PIPELINE = "pipeline"
    APPROVAL = "approval"
    RELEASE = "release"
    SERVICE_CONNECTION = "service connection"
    ALERT = "alert"


class Told(Contract):
    """Schemas are built at first use: processes that only keep events need none of them."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Subject(Told):
    kind: SubjectKind
    id: str
    """Number or GUID."""
    name: str = ""
    """Its own, or that of the repository which a pull request or an alert belongs to."""
    project: str = ""
    """Name, or empty where only an id is told."""

    def __str__(self) -> str:
        return f"{self.kind} {self.id} ({self.name})" if self.name else f"{self.kind} {self.id}"
