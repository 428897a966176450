"""Subscriptions of service hooks: which policy wants, which Azure DevOps has, and what would make them agree."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract


class HookDetails(StrEnum):
    """How much of the item a delivery carries. Little is safer: the item is read through REST anyway."""

    ALL = "all"
    MINIMAL = "minimal"
    NONE = "none"


class HookMessages(StrEnum):
    """In which form a delivery carries sentences for people."""

    ALL = "all"
    TEXT = "text"
    HTML = "html"
    MARKDOWN = "markdown"
    NONE = "none"


class HookRule(Contract):
    """Subscribe to each event, once for each project named, or once for the whole organisation."""

    name: str
    events: tuple[str, ...]
    organisations: tuple[str, ...] = ()
    """Empty: all that are set up."""
    projects: tuple[str, ...] = ()
    """Names; empty: the whole organisation."""
    filters: dict[str, str] = Field(default_factory=dict)
    """Inputs of the publisher beside the project, for example `areaPath`, `workItemType`, `repository`."""


class HookPolicy(Contract):
    """Which subscriptions there are to be. Without rules none is, and none is taken away."""

    subscriptions: tuple[HookRule, ...] = ()
    resource_version: str = "5.1-preview.3"
    """Of events of work items: `5.1-preview.3` tells people as objects, `1.0` as text."""
    details: HookDetails = HookDetails.ALL
    messages: HookMessages = HookMessages.ALL
    reread: bool = False
    """Take a delivery for a hint: what an agent is told of an event is read through REST, and not from the delivery.
    Where a delivery does not carry it, it is read in any case."""


class HookStatus(StrEnum):
    ENABLED = "enabled"
    ON_PROBATION = "onProbation"
    """A delivery failed. Events are lost until one of few later attempts succeeds."""
    DISABLED_BY_USER = "disabledByUser"
    DISABLED_BY_SYSTEM = "disabledBySystem"
    DISABLED_BY_INACTIVE_IDENTITY = "disabledByInactiveIdentity"


class WantedHook(Contract):
    """One subscription as policy wants it. The password is not in here: nobody could compare it."""

    organisation: str
    publisher: str
    event_type: str
    url: str
    filters: dict[str, str] = Field(default_factory=dict)
    """Inputs of the publisher that we set; projects by id, as `projectId`."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """Inputs of the consumer that we set, beside URL and password."""
    resource_version: str = ""
    """Empty: the service's newest."""
    rule: str = ""
    project: str = ""


class FoundHook(Contract):
    """One subscription as the service tells it, with what the service has added."""

    organisation: str
    id: str
    publisher: str = ""
    event_type: str = ""
    consumer: str = ""
    action: str = ""
    url: str = ""
    filters: dict[str, str] = Field(default_factory=dict)
    inputs: dict[str, str] = Field(default_factory=dict)
    resource_version: str = ""
    status: str = ""
    """One of `HookStatus`, or what the service calls it besides."""
    probation_retries: int = 0
    created_by: str = ""
    created_at: datetime | None = None


class HookAction(StrEnum):
    CREATE = "create"
    REPLACE = "replace"
    """In its place, because it differs in what we set."""
    RECREATE = "recreate"
    """A new one first, then the old one away: nothing else ends probation or a disabling at once."""
    REMOVE = "remove"
    KEEP = "keep"
    LEAVE = "leave"
    """Not as policy wants it, and not ours to change: a human decides."""


class HookStep(Contract):
    """What is to be done about one subscription. CREATE has no `found`, REMOVE no `wanted`."""

    action: HookAction
    why: str
    wanted: WantedHook | None = None
    found: FoundHook | None = None


class HookNotification(Contract):
    """One event for one subscription, and what became of it."""

    id: int
    subscription_id: str = ""
    event_id: str = ""
    status: str = ""
    """queued | processing | requestInProgress | completed"""
    result: str = ""
    """pending | succeeded | failed | filtered"""
    created_at: datetime | None = None
    error: str = ""
    response: str = ""
