"""Who is who in the organisation: users, service principals and groups, and who is a member of what.

Only the service has it, at a host of its own; a server of one's own answers `Missing`.
"""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import TypeVar

from pointsman.clients.azure_devops.answers import Answer, Nothing
from pointsman.clients.azure_devops.caching import FRESH
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.hosts import Host
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, whole
from pointsman.contracts.base import Json
from pointsman.ports import Missing

KIND = "identity"
VERSION, KEYS_VERSION = "7.1-preview.1", "7.1"
GROUPS = ("vssgp.", "aadgp.")
"""How descriptors of groups begin: those of the organisation, and those of Entra."""
AnswerT = TypeVar("AnswerT", bound=Answer)
EntryT = TypeVar("EntryT")


class Subject(Answer):
    """A user, a service principal or a group. `descriptor` names it in the graph, and nowhere else for good."""

    descriptor: str
    display_name: str = ""
    principal_name: str = ""
    mail_address: str = ""
    origin: str = ""
    origin_id: str = ""
    subject_kind: str = ""
    domain: str = ""


class ServicePrincipal(Subject):
    application_id: str = ""


class Group(Subject):
    """`principal_name` carries the project, for example `[Shop]\\Contributors`."""

    description: str = ""


class Membership(Answer):
    container_descriptor: str
    member_descriptor: str


class _Value(Answer):
    value: str = ""


class _State(Answer):
    active: bool = False


class GraphApi:
    """Lists go on behind a token in a header. Groups of a project are those of its scope, see `scope`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def users(self, scope: str = "") -> list[Subject]:
        return await self._all(Listed[Subject], "users", scope)

    async def service_principals(self, scope: str = "") -> list[ServicePrincipal]:
        return await self._all(Listed[ServicePrincipal], "serviceprincipals", scope)

    async def groups(self, scope: str = "") -> list[Group]:
        return await self._all(Listed[Group], "groups", scope)

    async def user(self, descriptor: str, max_age: timedelta = FRESH) -> Subject:
        return await self._read(Subject, f"users/{segment(descriptor)}", max_age)

    async def group(self, descriptor: str, max_age: timedelta = FRESH) -> Group:
        return await self._read(Group, f"groups/{segment(descriptor)}", max_age)

    async def scope(self, project_id: str, max_age: timedelta = FRESH) -> str:
        """Descriptor of what has an id elsewhere: of a project its scope, of a user or group itself."""
        path = f"descriptors/{segment(project_id)}"
        return (await self._read(_Value, path, max_age, version=KEYS_VERSION)).value

    async def storage_key(self, descriptor: str, max_age: timedelta = FRESH) -> str:
        """The id by which work items and pull requests know a user or group."""
        path = f"storagekeys/{segment(descriptor)}"
        return (await self._read(_Value, path, max_age, version=KEYS_VERSION)).value

    async def groups_of(self, descriptor: str) -> list[Membership]:
        """What a user or group is a direct member of."""
        return await self._memberships(descriptor, "up")

    async def members_of(self, descriptor: str) -> list[Membership]:
        """Direct members of a group."""
        return await self._memberships(descriptor, "down")

    async def is_member(self, member: str, group: str) -> bool:
        """Direct membership only. A group or member that does not exist counts as none."""
        try:
            await self._connection.call(Membership, "GET", _between(member, group), version=VERSION, host=Host.GRAPH)
        except Missing:
            return False
        return True

    async def is_active(self, descriptor: str) -> bool:
        """False for one who was removed from the organisation and still is in its history."""
        path = f"_apis/graph/membershipstates/{segment(descriptor)}"
        return (await self._connection.call(_State, "GET", path, version=VERSION, host=Host.GRAPH)).active

    async def create_group(self, name: str, description: str = "", scope: str = "") -> Group:
        """A group of the organisation, or of a project. Not idempotent: look into `groups` first."""
        query: Query = {"scopeDescriptor": scope} if scope else {}
        body: dict[str, Json] = {"displayName": name, "description": description}
        return await self._connection.call(
            Group, "POST", "_apis/graph/groups", query=query, body=body, version=VERSION, host=Host.GRAPH
        )

    async def delete_group(self, descriptor: str) -> None:
        path = f"_apis/graph/groups/{segment(descriptor)}"
        await self._connection.call(Nothing, "DELETE", path, version=VERSION, host=Host.GRAPH)

    async def add_member(self, member: str, group: str) -> Membership:
        """Safe to repeat."""
        return await self._connection.call(Membership, "PUT", _between(member, group), version=VERSION, host=Host.GRAPH)

    async def remove_member(self, member: str, group: str) -> None:
        await self._connection.call(Nothing, "DELETE", _between(member, group), version=VERSION, host=Host.GRAPH)

    async def everybody_in(self, descriptor: str) -> AsyncGenerator[str]:
        """Descriptors of all below a group, each once: a request for each group, which may contain one another."""
        seen, waiting = {descriptor}, [descriptor]
        while waiting:
            for held in await self.members_of(waiting.pop()):
                member = held.member_descriptor
                if member in seen:
                    continue
                seen.add(member)
                yield member
                if member.startswith(GROUPS):
                    waiting.append(member)

    async def _memberships(self, descriptor: str, direction: str) -> list[Membership]:
        path, query = f"_apis/graph/memberships/{segment(descriptor)}", {"direction": direction}
        return await whole(self._connection, Listed[Membership], path, query, VERSION, Host.GRAPH)

    async def _all(self, answer: type[Listed[EntryT]], what: str, scope: str) -> list[EntryT]:
        query: Query = {"scopeDescriptor": scope} if scope else {}
        return await whole(self._connection, answer, f"_apis/graph/{what}", query, VERSION, Host.GRAPH)

    async def _read(self, answer: type[AnswerT], what: str, max_age: timedelta, *, version: str = VERSION) -> AnswerT:
        path = f"_apis/graph/{what}"
        return await self._connection.read(answer, path, KIND, max_age, version=version, host=Host.GRAPH)


def _between(member: str, group: str) -> str:
    return f"_apis/graph/memberships/{segment(member)}/{segment(group)}"
