"""Identities as work items know them: found by id, by descriptor, or by any of their names."""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import Field, field_validator

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.caching import FRESH
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.hosts import Host
from pointsman.clients.azure_devops.paging import Listed
from pointsman.contracts.base import Json

KIND = "identity"
IDS_MAX = 100  # the ids travel in the URL, which is cut beyond some thousand characters


class FoundIdentity(Answer):
    """A person, an account or a group. `id` is the one that items and votes carry."""

    id: str
    descriptor: str = ""
    subject_descriptor: str = ""
    provider_display_name: str = ""
    custom_display_name: str = ""
    is_active: bool = True
    is_container: bool = False
    properties: dict[str, Json] = Field(default_factory=dict)

    @field_validator("descriptor", mode="before")
    @classmethod
    def _in_either_shape(cls, value: Json) -> Json:
        """The specification says an object, the service sends `type;identifier`."""
        if isinstance(value, dict):
            return ";".join(str(value.get(part) or "") for part in ("identityType", "identifier"))
        return value

    @property
    def display_name(self) -> str:
        return self.custom_display_name or self.provider_display_name

    @property
    def unique_name(self) -> str:
        """The name that people sign in with; empty for groups."""
        return self._property("Account") or self._property("Mail")

    def _property(self, name: str) -> str:
        held = self.properties.get(name)
        value = held.get("$value") if isinstance(held, dict) else held
        return value if isinstance(value, str) else ""


class IdentitiesApi:
    """At a host of its own in the service; a server of one's own has it at its main one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, ids: Sequence[str], max_age: timedelta = FRESH) -> list[FoundIdentity]:
        """Those that exist among ids; a request for each hundred."""
        return await self._listed("identityIds", ids, max_age)

    async def of_subjects(self, descriptors: Sequence[str], max_age: timedelta = FRESH) -> list[FoundIdentity]:
        """Those that exist among descriptors of the graph."""
        return await self._listed("subjectDescriptors", descriptors, max_age)

    async def search(self, name: str, max_age: timedelta = FRESH) -> list[FoundIdentity]:
        """All whose display name, account or unique name is like it. Several may be: a name is no identity."""
        return await self._found({"searchFilter": "General", "filterValue": name}, max_age)

    async def groups_named(self, name: str, max_age: timedelta = FRESH) -> list[FoundIdentity]:
        """Groups of the organisation and its projects."""
        return await self._found({"searchFilter": "LocalGroupName", "filterValue": name}, max_age)

    async def _listed(self, name: str, wanted: Sequence[str], max_age: timedelta) -> list[FoundIdentity]:
        found: list[FoundIdentity] = []
        for start in range(0, len(wanted), IDS_MAX):
            found += await self._found({name: ",".join(wanted[start : start + IDS_MAX])}, max_age)
        return found

    async def _found(self, query: Query, max_age: timedelta) -> list[FoundIdentity]:
        # An id that nobody finds is a null in it.
        answer = await self._connection.read(
            Listed[FoundIdentity | None], "_apis/identities", KIND, max_age, query=query, host=Host.GRAPH
        )
        return [one for one in answer.value if one]
