"""Branch policies, and what they say of a pull request."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from pointsman.clients.azure_devops.answers import Nothing
from pointsman.clients.azure_devops.answers_policies import Evaluation, Policy, PolicyType, Scope
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, each_by_header, each_by_skip, whole
from pointsman.contracts.base import Json
from pointsman.ports import Rejected

PAGE = 100
EVALUATIONS = "7.1-preview.1"


@dataclass(frozen=True)
class Wanted:
    """A policy as it is to be. `settings` are those of its type, without the scope."""

    type_id: str
    scopes: frozenset[Scope]
    settings: Mapping[str, Json] = field(default_factory=dict)
    is_enabled: bool = True
    is_blocking: bool = True

    def __post_init__(self) -> None:
        if not self.scopes:
            raise Rejected(f"policy {self.type_id} has no scope: name the branches that it is for", "NoScope")

    @property
    def body(self) -> dict[str, Json]:
        scopes: list[Json] = [scope.body for scope in sorted(self.scopes, key=lambda scope: str(scope))]
        return {
            "isEnabled": self.is_enabled,
            "isBlocking": self.is_blocking,
            "type": {"id": self.type_id},
            "settings": {**self.settings, "scope": scopes},
        }

    def is_in_place_of(self, policy: Policy) -> bool:
        """Whether a policy is of the same type for the same branches, whatever else it says."""
        return (policy.type.id.lower(), policy.scopes) == (self.type_id.lower(), _lowered(self.scopes))

    def says_the_same_as(self, policy: Policy) -> bool:
        """Whether a policy is as wanted. Compared is what we set; false and absent are the same."""
        switches = (policy.is_enabled, policy.is_blocking) == (self.is_enabled, self.is_blocking)
        told = (policy.settings.get(name) or False for name in self.settings)
        return switches and self.is_in_place_of(policy) and list(told) == [v or False for v in self.settings.values()]


class PoliciesApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def types(self, project: str) -> list[PolicyType]:
        return await whole(self._connection, Listed[PolicyType], f"{_policy(project)}/types")

    def each(self, project: str, type_id: str = "") -> AsyncGenerator[Policy]:
        """Those of a type, or all."""
        query: dict[str, str | int | bool] = {"$top": PAGE, **({"policyType": type_id} if type_id else {})}
        return each_by_header(self._connection, Listed[Policy], _configurations(project), query)

    async def get(self, project: str, policy_id: int) -> Policy:
        return await self._connection.call(Policy, "GET", f"{_configurations(project)}/{policy_id}")

    async def create(self, project: str, wanted: Wanted) -> Policy:
        """Not idempotent: two calls are two policies, and both hold. See `get_or_create`."""
        return await self._connection.call(Policy, "POST", _configurations(project), body=wanted.body)

    async def get_or_create(self, project: str, wanted: Wanted) -> tuple[Policy, bool]:
        """The policy of the type for the branches, and whether it was made just now.

        One that is there stays as it is, whatever it says: see `Wanted.says_the_same_as`, then `replace`. If the list
        fails, nothing is made. Two callers at the same time may make two.
        """
        async for policy in self.each(project, wanted.type_id):
            if not policy.is_deleted and wanted.is_in_place_of(policy):
                return policy, False
        return await self.create(project, wanted), True

    async def replace(self, project: str, policy_id: int, wanted: Wanted) -> Policy:
        """All of it: a setting that is not given is gone. Idempotent but for the revision."""
        path = f"{_configurations(project)}/{policy_id}"
        return await self._connection.call(Policy, "PUT", path, body=wanted.body)

    async def delete(self, project: str, policy_id: int) -> None:
        await self._connection.call(Nothing, "DELETE", f"{_configurations(project)}/{policy_id}")

    def evaluations(self, project: str, project_id: str, pull_request: int) -> AsyncGenerator[Evaluation]:
        """What each policy says of a pull request. Takes the project's id, too: it is part of the name."""
        query = {"artifactId": f"vstfs:///CodeReview/CodeReviewId/{project_id}/{pull_request}"}
        path = f"{_policy(project)}/evaluations"
        return each_by_skip(self._connection, Listed[Evaluation], path, query, EVALUATIONS)


def _lowered(scopes: frozenset[Scope]) -> frozenset[Scope]:
    return frozenset(Scope(one.repository_id.lower(), one.ref_name, one.match_kind.lower()) for one in scopes)


def _policy(project: str) -> str:
    return f"{segment(project)}/_apis/policy"


def _configurations(project: str) -> str:
    return f"{_policy(project)}/configurations"
