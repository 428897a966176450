"""A work item as the tracker (Azure DevOps) tells it, reduced to what we use."""

from datetime import datetime

from pydantic import Field

from pointsman.contracts.base import Contract, Json


class TrackedItem(Contract):
    """One work item as read. Identities in `fields` are as the service sends them: string or object."""

    id: int
    rev: int
    fields: dict[str, Json] = Field(default_factory=dict)
    relations: tuple[dict[str, Json], ...] = ()
    url: str = ""
    """For people: the page in the browser."""
    deleted: bool = False


class ItemUpdate(Contract):
    """One entry of an item's history. `id` is the update number; `rev` stands still on link changes."""

    id: int
    rev: int
    revised_by: str = ""
    """The identity's unique name, or its display name where there is none."""
    revised_at: datetime | None = None
    changed: dict[str, tuple[Json, Json]] = Field(default_factory=dict)
    """Reference name to (old, new); absent is None."""
    links_added: tuple[dict[str, Json], ...] = ()
    """Relations as the service tells them: `rel`, `url`, `attributes`."""
    links_removed: tuple[dict[str, Json], ...] = ()
    links_edited: tuple[dict[str, Json], ...] = ()
    """Those that got another comment."""


class CommentTold(Contract):
    """A comment as it stands. `text` is HTML or Markdown."""

    id: int
    version: int = 1
    text: str = ""
    created_by: str = ""
    modified_by: str = ""
    """Who wrote its last version."""


class LinkWrite(Contract):
    """A link that an item is to have, `rel` and `url` as the service spells them. An artifact link needs its name."""

    rel: str
    url: str
    name: str = ""
    comment: str = ""


class ItemWrite(Contract):
    """What one PATCH is to change. `tags` are added, System.Tags among `fields` takes the place of all; `comment` is
    HTML and goes into System.History."""

    fields: dict[str, Json] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    comment: str = ""
    links: tuple[LinkWrite, ...] = ()
    """To be added. Nothing guards them: a link moves no revision."""
    unlinks: tuple[LinkWrite, ...] = ()
    """To be taken away, known by `rel` and `url`."""
