"""Deliveries found by what columns tell and by what only their bodies tell; and deliveries as they come."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from pointsman.contracts.events import Event, PullRequestCommented, PullRequestTold, WorkItemTold
from pointsman.contracts.records import Delivery, Selection
from pointsman.domain.events.reading import parse_bytes
from pointsman.ports import Inbox

ROWS_AT_ONCE = 200


@dataclass(frozen=True)
class Wanted:
    """`actor` and `text` are found in any case, and as a part; both are read from bodies."""

    selection: Selection = field(default_factory=Selection)
    actor: str = ""
    text: str = ""

    def fits(self, event: Event) -> bool:
        told = event.actor
        people = f"{told.unique_name}\n{told.display_name}\n{told.id}".casefold()
        return self.actor.casefold() in people and self.text.casefold() in words(event).casefold()


def words(event: Event) -> str:
    """What a delivery says to people: its message, titles, comments, texts of fields."""
    parts = [event.envelope.text, str(event.subject or "")]
    if isinstance(event, WorkItemTold):
        parts += [event.comment, *(value for value in event.fields.values() if isinstance(value, str))]
    if isinstance(event, PullRequestTold):
        parts += [event.title, event.description]
    if isinstance(event, PullRequestCommented):
        parts.append(event.content)
    return "\n".join(parts)


async def search(inbox: Inbox, wanted: Wanted, limit: int, *, newest: bool = True) -> list[Delivery]:
    """At most `limit`, from the newest on or from the oldest. Without actor and text no body is read; with one of
    them, bodies are read until enough fit, so a time range makes it cheap."""
    found: list[Delivery] = []
    async for rows in _pages(inbox, wanted.selection, limit, newest=newest):
        found += [row for row in rows if _fits(row, wanted)]
        if len(found) >= limit:
            break
    return found[:limit]


async def _pages(inbox: Inbox, wanted: Selection, limit: int, *, newest: bool) -> AsyncIterator[Sequence[Delivery]]:
    size, at = min(limit, ROWS_AT_ONCE), 0
    while rows := await inbox.select(
        wanted, before=at if newest else 0, after=0 if newest else at, limit=size, newest=newest
    ):
        yield rows
        if len(rows) < size:
            return
        at = rows[-1].sequence


def _fits(row: Delivery, wanted: Wanted) -> bool:
    return not (wanted.actor or wanted.text) or wanted.fits(parse_bytes(row.body, row.organisation))
