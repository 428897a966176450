"""What Azure DevOps answers, reduced to what we read. Lenient: unknown keys are ignored, nulls count as absent."""

from datetime import datetime
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from pointsman.contracts.base import Json

PROJECT_STATES = {0: "new", 1: "wellFormed", 2: "deleting", 3: "createPending", 4: "deleted"}


def _without_nulls(data: object) -> object:
    if isinstance(data, dict):
        return {key: value for key, value in data.items() if value is not None}
    return data


ValueT = TypeVar("ValueT")
Named = Annotated[dict[str, ValueT], BeforeValidator(_without_nulls)]
"""Values by names that the service makes up: nulls count as absent here, too."""


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: object) -> object:
        return _without_nulls(data)


class Nothing(Answer):
    """An answer whose body nobody reads, whatever it is."""

    @model_validator(mode="before")
    @classmethod
    def _unread(cls, data: object) -> object:
        return {}


class Link(Answer):
    href: str = ""


class Relation(Answer):
    """A link of a work item. Its place in the list is its name: a removal is by index."""

    rel: str
    url: str = ""
    attributes: dict[str, Json] = Field(default_factory=dict)


class WorkItem(Answer):
    id: int
    rev: int = 0
    fields: dict[str, Json] = Field(default_factory=dict)
    relations: list[Relation] = Field(default_factory=list)
    links: Named[Link] = Field(default_factory=dict, alias="_links")
    url: str = ""
    multiline_fields_format: Named[str] = Field(default_factory=dict)
    """What long texts are written in where it is not HTML, for example `markdown`."""

    @property
    def page(self) -> str:
        """URL of the page for people; empty when the answer does not carry it."""
        return self.links.get("html", Link()).href


class FieldChange(Answer):
    old_value: Json = None
    new_value: Json = None


class RelationChanges(Answer):
    added: list[Relation] = Field(default_factory=list)
    removed: list[Relation] = Field(default_factory=list)
    updated: list[Relation] = Field(default_factory=list)


class Update(Answer):
    """One entry of the history. `rev` stands still on link changes, so only `id` is unique."""

    id: int
    work_item_id: int = 0
    rev: int = 0
    revised_by: dict[str, Json] | str = ""
    revised_date: datetime | None = None
    fields: Named[FieldChange] = Field(default_factory=dict)
    relations: RelationChanges = RelationChanges()


class Comment(Answer):
    """`text` is HTML, or Markdown where `format` says so."""

    id: int
    work_item_id: int = 0
    version: int = 1
    text: str = ""
    format: str = "html"
    created_by: dict[str, Json] | str = ""
    created_date: datetime | None = None
    modified_by: dict[str, Json] | str = ""
    modified_date: datetime | None = None
    is_deleted: bool = False

    @model_validator(mode="before")
    @classmethod
    def _older_name_of_the_id(cls, data: object) -> object:
        """Microsoft's own examples call it `commentId`, its specification `id`."""
        if isinstance(data, dict) and "id" not in data and "commentId" in data:
            return {**data, "id": data["commentId"]}
        return data


class Comments(Answer):
    comments: list[Comment]
    continuation_token: str = ""
    next_page: str = ""


class WorkItemReference(Answer):
    id: int
    url: str = ""


class ArtifactItems(Answer):
    """By the URI of an artifact the items that link to it. One that none links to may be absent, or null."""

    artifact_uris_query_result: dict[str, list[WorkItemReference] | None]


class QueryResult(Answer):
    work_items: list[WorkItemReference]


class Deleted(Answer):
    """An entry of the recycle bin. `resource` is the item as it was when it went there."""

    id: int = 0
    name: str = ""
    type: str = ""
    project: str = ""
    deleted_by: str = ""
    deleted_date: str = ""
    resource: WorkItem | None = None


class State(Answer):
    name: str
    category: str = ""


class Step(Answer):
    to: str


class WorkItemType(Answer):
    """`transitions` leads from a state (empty: a new item) to where it may go."""

    name: str
    reference_name: str = ""
    states: list[State] = Field(default_factory=list)
    transitions: Named[list[Step]] = Field(default_factory=dict)


class Subscription(Answer):
    """A service hook. `status` other than `enabled` means that events are lost meanwhile."""

    id: str
    status: str = ""
    publisher_id: str = ""
    event_type: str = ""
    resource_version: str = ""
    consumer_id: str = ""
    consumer_action_id: str = ""
    publisher_inputs: dict[str, str | None] = Field(default_factory=dict)
    consumer_inputs: dict[str, str | None] = Field(default_factory=dict)
    probation_retries: int = 0
    created_by: dict[str, Json] | str = ""
    created_date: datetime | None = None
    url: str = ""


class Project(Answer):
    id: str
    name: str
    state: str = ""

    @field_validator("state", mode="before")
    @classmethod
    def _in_words(cls, value: object) -> object:
        """Beside repositories it is told by its number in the service's own enumeration."""
        return PROJECT_STATES.get(value, str(value)) if isinstance(value, int) else value


class Account(Answer):
    """Who a token belongs to."""

    id: str = ""
    descriptor: str = ""
    provider_display_name: str = ""
    custom_display_name: str = ""
    properties: dict[str, Json] = Field(default_factory=dict)

    @property
    def unique_name(self) -> str:
        """The account's name as work items show it, its display name where it has none."""
        account = self.properties.get("Account")
        named = account.get("$value") if isinstance(account, dict) else account
        return named if isinstance(named, str) and named else self.custom_display_name or self.provider_display_name


class ConnectionData(Answer):
    authenticated_user: Account
    instance_id: str = ""


class Fault(Answer):
    """The error envelope. `number` is the TF or VS number that its message begins with."""

    message: str = ""
    type_key: str = ""
    custom_properties: dict[str, Json] = Field(default_factory=dict)
    value: dict[str, Json] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _message_of_the_older_envelope(self) -> Self:
        """Framework errors come as `{count, value: {Message}}`."""
        older = self.value.get("Message")
        if not self.message and isinstance(older, str):
            return self.model_copy(update={"message": older})
        return self
