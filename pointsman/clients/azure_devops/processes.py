"""Processes of the organisation: which types of items they have, with states, fields and rules, before any project."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.caching import FRESH
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed
from pointsman.contracts.base import Json
from pointsman.ports import Missing, Rejected

KIND = "process"
NO_PARENT = "00000000-0000-0000-0000-000000000000"


def _plain(value: str) -> str:
    """A name of an enumeration as the specification spells it: examples have `System` and `$whenChanged`."""
    bare = value.removeprefix("$")
    return bare[:1].lower() + bare[1:]


Plain = Annotated[str, AfterValidator(_plain)]


class Process(Answer):
    """A process as every edition tells it. `type` is system, inherited or custom (made from XML)."""

    id: str
    name: str
    description: str = ""
    type: Plain = ""
    is_default: bool = False


class ProcessInfo(Answer):
    """A process with where it comes from."""

    type_id: str
    name: str
    description: str = ""
    parent_process_type_id: str = ""
    customization_type: Plain = ""
    is_enabled: bool = True
    is_default: bool = False

    @property
    def parent_id(self) -> str:
        """Id of the process that this one inherits from; empty for the system's."""
        return "" if self.parent_process_type_id == NO_PARENT else self.parent_process_type_id


class ProcessState(Answer):
    id: str
    name: str
    state_category: str = ""
    order: int = 0
    hidden: bool = False
    customization_type: Plain = ""


class ProcessType(Answer):
    """A type of items in a process. `inherits` names the system's type that it changes."""

    reference_name: str
    name: str
    inherits: str = ""
    is_disabled: bool = False
    customization: Plain = ""
    states: list[ProcessState] = Field(default_factory=list)


class ProcessField(Answer):
    reference_name: str
    name: str = ""
    type: str = ""
    required: bool = False
    read_only: bool = False
    default_value: Json = None
    customization: Plain = ""


class RuleCondition(Answer):
    condition_type: Plain
    field: str = ""
    value: str = ""


class RuleAction(Answer):
    action_type: Plain
    target_field: str = ""
    value: str = ""


class ProcessRule(Answer):
    id: str
    name: str = ""
    conditions: list[RuleCondition] = Field(default_factory=list)
    actions: list[RuleAction] = Field(default_factory=list)
    is_disabled: bool = False
    customization_type: Plain = ""


class ProcessesApi:
    """Each answer may be one that was read up to `max_age` ago. Types go by reference name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self, max_age: timedelta = FRESH) -> list[Process]:
        """All that projects may be made with."""
        return (await self._connection.read(Listed[Process], "_apis/process/processes", KIND, max_age)).value

    async def named(self, name: str, max_age: timedelta = FRESH) -> Process:
        """By name, whatever its case. Ids of inherited processes differ between organisations: ask, do not keep them.

        Raises:
            Missing: there is none of the name; the message names those that there are.
        """
        held = await self.all(max_age)
        found = next((one for one in held if one.name.lower() == name.lower()), None)
        if found is None:
            there = ", ".join(sorted(one.name for one in held)) or "none"
            raise Missing(f"no process {name!r} in {self._connection.base_url}; there are: {there}", "UnknownProcess")
        return found

    async def get(self, type_id: str, max_age: timedelta = FRESH) -> ProcessInfo:
        return await self._connection.read(ProcessInfo, _process(type_id), KIND, max_age)

    async def infos(self, max_age: timedelta = FRESH) -> list[ProcessInfo]:
        """All with where they come from. Those that are made from XML are told as the service sees fit."""
        return (await self._connection.read(Listed[ProcessInfo], "_apis/work/processes", KIND, max_age)).value

    async def parent_name(self, name: str, max_age: timedelta = FRESH) -> str:
        """Name of the process that this one inherits from; empty where it inherits from none, or nobody tells us."""
        try:
            held = await self.infos(max_age)
        except Rejected:
            return ""
        own = next((one for one in held if one.name.lower() == name.lower()), None)
        return next((one.name for one in held if own and one.type_id == own.parent_id), "")

    async def types(self, type_id: str, max_age: timedelta = FRESH) -> list[ProcessType]:
        """Types with their states."""
        path, query = f"{_process(type_id)}/workitemtypes", {"$expand": "states"}
        return (await self._connection.read(Listed[ProcessType], path, KIND, max_age, query=query)).value

    async def type(self, type_id: str, reference_name: str, max_age: timedelta = FRESH) -> ProcessType:
        query: Query = {"$expand": "states"}
        return await self._connection.read(ProcessType, _type(type_id, reference_name), KIND, max_age, query=query)

    async def states(self, type_id: str, reference_name: str, max_age: timedelta = FRESH) -> list[ProcessState]:
        """In their order."""
        path = f"{_type(type_id, reference_name)}/states"
        found = (await self._connection.read(Listed[ProcessState], path, KIND, max_age)).value
        return sorted(found, key=lambda state: state.order)

    async def fields(self, type_id: str, reference_name: str, max_age: timedelta = FRESH) -> list[ProcessField]:
        path = f"{_type(type_id, reference_name)}/fields"
        return (await self._connection.read(Listed[ProcessField], path, KIND, max_age)).value

    async def rules(self, type_id: str, reference_name: str, max_age: timedelta = FRESH) -> list[ProcessRule]:
        path = f"{_type(type_id, reference_name)}/rules"
        return (await self._connection.read(Listed[ProcessRule], path, KIND, max_age)).value


def _process(type_id: str) -> str:
    return f"_apis/work/processes/{segment(type_id)}"


def _type(type_id: str, reference_name: str) -> str:
    return f"{_process(type_id)}/workitemtypes/{segment(reference_name)}"
