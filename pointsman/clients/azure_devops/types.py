"""Types of work items as a project has them now: states, live transitions, fields and what they allow."""

from datetime import timedelta

from pydantic import Field

from pointsman.clients.azure_devops.answers import Answer, State, WorkItemType
from pointsman.clients.azure_devops.caching import FRESH
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed
from pointsman.contracts.base import Json


class TypeField(Answer):
    """A field of a type. `allowed_values` is empty where any will do."""

    reference_name: str
    name: str = ""
    always_required: bool = False
    allowed_values: list[Json] = Field(default_factory=list)
    default_value: Json = None
    help_text: str = ""


class FieldDefinition(Answer):
    """A field of the organisation. `type` is the service's name, for example `treePath`."""

    reference_name: str
    name: str = ""
    type: str = ""
    read_only: bool = False
    is_identity: bool = False


class TypesApi:
    """Each answer may be one that was read up to `max_age` ago; `caching.TYPES_AGE` is a good one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self, project: str, max_age: timedelta = FRESH) -> list[WorkItemType]:
        return (await self._connection.read(Listed[WorkItemType], _types(project), "type", max_age)).value

    async def get(self, project: str, name: str, max_age: timedelta = FRESH) -> WorkItemType:
        """With its live transitions: a customised process has others than the bundled ones."""
        return await self._connection.read(WorkItemType, _type(project, name), "type", max_age)

    async def states(self, project: str, name: str, max_age: timedelta = FRESH) -> list[State]:
        return (await self._connection.read(Listed[State], f"{_type(project, name)}/states", "type", max_age)).value

    async def fields(self, project: str, name: str, max_age: timedelta = FRESH) -> list[TypeField]:
        """Fields of a type, with allowed values, default and whether they must be filled in every state."""
        path, query = f"{_type(project, name)}/fields", {"$expand": "allowedValues"}
        return (await self._connection.read(Listed[TypeField], path, "field", max_age, query=query)).value

    async def definitions(self, project: str = "", max_age: timedelta = FRESH) -> list[FieldDefinition]:
        """Fields of the organisation, or those that a project uses."""
        path = f"{segment(project)}/_apis/wit/fields" if project else "_apis/wit/fields"
        return (await self._connection.read(Listed[FieldDefinition], path, "field", max_age)).value


def _types(project: str) -> str:
    return f"{segment(project)}/_apis/wit/workitemtypes"


def _type(project: str, name: str) -> str:
    return f"{_types(project)}/{segment(name)}"
