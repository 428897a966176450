"""What Azure DevOps answers about branch policies and operations that take a while, reduced to what we read."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pointsman.clients.azure_devops.answers import Answer
from pointsman.contracts.base import Json


class PolicyKind(StrEnum):
    """Ids of the types of policies, the same in every organisation. Two of them differ in one group only."""

    MIN_REVIEWERS = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
    BUILD = "0609b952-1397-4640-95ec-e00a01b2c241"
    REQUIRED_REVIEWERS = "fd2167ab-b0be-447a-8ec8-39368250530e"
    WORK_ITEMS = "40e92b44-2fe1-4dd6-b3d8-74a9c21d0c6e"
    COMMENTS = "c6a1889d-b943-4856-b76f-9e46bb6b0df2"
    MERGE_STRATEGY = "fa4e907d-c16b-4a4c-9dfa-4916e5d171ab"
    STATUS = "cbdc66da-9728-4af8-aada-9a5a32e4a226"


@dataclass(frozen=True)
class Scope:
    """Branches that a policy holds for: of one repository, or of all of the project where `repository_id` is empty.

    `match_kind` is `exact`, `prefix` or `defaultbranch`, in lower case: the service answers with another case than it
    was asked with.
    """

    repository_id: str = ""
    ref_name: str = ""
    match_kind: str = "exact"

    @property
    def body(self) -> dict[str, Json]:
        body: dict[str, Json] = {"repositoryId": self.repository_id or None, "matchKind": self.match_kind}
        return body | ({"refName": self.ref_name} if self.ref_name else {})


class PolicyType(Answer):
    id: str
    display_name: str = ""


class Policy(Answer):
    """`settings` differ from type to type. What is false by default is left out of answers."""

    id: int
    type: PolicyType
    revision: int = 0
    is_enabled: bool = False
    is_blocking: bool = False
    is_deleted: bool = False
    settings: dict[str, Json] = Field(default_factory=dict)

    @property
    def scopes(self) -> frozenset[Scope]:
        listed = self.settings.get("scope")
        return (
            frozenset(_scope(entry) for entry in listed if isinstance(entry, dict))
            if isinstance(listed, list)
            else frozenset()
        )


def _scope(told: dict[str, Json]) -> Scope:
    values = {name: value for name, value in told.items() if isinstance(value, str)}
    kind = values.get("matchKind", "exact").lower()
    return Scope(values.get("repositoryId", "").lower(), values.get("refName", ""), kind)


class Evaluation(Answer):
    """What a policy says of a pull request: `approved`, `rejected`, `queued`, `running`, `notApplicable`, `broken`."""

    evaluation_id: str = ""
    status: str = ""
    configuration: Policy
    started_date: datetime | None = None
    completed_date: datetime | None = None

    @property
    def is_kept(self) -> bool:
        return self.status in ("approved", "notApplicable")


class Operation(Answer):
    """Work that the service has taken on. `is_over` says that nothing more will become of it."""

    id: str
    status: str = ""
    url: str = ""
    result_message: str = ""
    detailed_message: str = ""

    @property
    def is_over(self) -> bool:
        return self.status in ("succeeded", "failed", "cancelled")
