"""Both sides' own records, as they stand when everything has come to its end."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import httpx2

from pointsman.contracts.base import Json
from pointsman.contracts.records import Attempt, Delivery, ItemRow, ItemTransition, WriteRecord
from pointsman.store.attempts import Attempts
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.signing import Verifier
from pointsman.store.verification import Report, verify
from starter.demo.outside import Outside
from starter.demo.processes import Stage

ROWS_MAX = 1_000_000
Row = Mapping[str, Json]


@dataclass(frozen=True)
class Book:
    """All that our books tell about one item. Without `row` it never came in."""

    row: ItemRow | None
    transitions: Sequence[ItemTransition] = ()
    attempts: Sequence[Attempt] = ()
    writes: Sequence[WriteRecord] = ()


@dataclass(frozen=True)
class Theirs:
    """One item in Azure DevOps: the revisions that our account made, its comments there, whether it is thrown away."""

    revisions: Sequence[int] = ()
    comments: Sequence[str] = ()
    deleted: bool = False


@dataclass(frozen=True)
class Evidence:
    filed: Sequence[int]
    attempts: Sequence[Row]
    """Delivery attempts, as the stand-in saw them."""
    lost: Sequence[Row]
    subscriptions: Sequence[Row]
    items: Mapping[int, Theirs]
    requests: Sequence[Row]
    """Model requests, as the provider saw them."""
    inbox: Sequence[Delivery]
    books: Mapping[int, Book]
    audit: Report
    unfinished: Sequence[str] = field(default_factory=tuple)
    """What was still under way when patience ended."""


async def gather(
    stage: Stage, outside: Outside, store: Store, filed: Sequence[int], unfinished: Sequence[str]
) -> Evidence:
    deliveries = await outside.deliveries()
    return Evidence(
        filed=list(filed),
        attempts=_rows(deliveries["attempts"]),
        lost=_rows(deliveries["lost"]),
        subscriptions=_rows(deliveries["subscriptions"]),
        items=theirs(await _items(stage), stage.organisation),
        requests=await outside.model_requests(),
        inbox=[one.model_copy(update={"body": b""}) for one in await Inbox(store).find(limit=ROWS_MAX)],
        books={item: await _book(store, stage.organisation, item) for item in filed},
        audit=await verify(store, Verifier.open(stage.folder / "data" / "keys")),
        unfinished=list(unfinished),
    )


async def _items(stage: Stage) -> Row:
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as http:
        answer = await http.get(f"{stage.azure_url}/_sandbox/items")
    content: Row = answer.raise_for_status().json()
    return content


async def _book(store: Store, organisation: str, item: int) -> Book:
    row = await Items(store).get(organisation, item)
    if row is None:
        return Book(None)
    return Book(
        row=row,
        transitions=await Items(store).transitions(row.key),
        attempts=await Attempts(store).of_item(row.key),
        writes=await Ledger(store).writes(row.key),
    )


def theirs(answer: Row, organisation: str) -> dict[int, Theirs]:
    """What the stand-in keeps of each item."""
    found = {}
    updates = {_number(one): _by_us(one) for one in _rows(answer[organisation])}
    linked = {(item, other) for item, made in updates.items() for one in made if _tells(one) for other in _linked(one)}
    for one in _rows(answer[organisation]):
        number = _number(one)
        ours = [update for update in updates[number] if not _is_other_end(update, number, linked)]
        found[number] = Theirs(
            revisions=[int(str(update["rev"])) for update in ours],
            comments=[str(comment["text"]) for comment in _rows(one["comments"]) if _is_ours(comment["createdBy"])],
            deleted=bool(one["deleted"]),
        )
    return found


def _number(one: Row) -> int:
    return int(str(_object(one["item"])["id"]))


def _by_us(one: Row) -> list[Row]:
    return [update for update in _rows(one["updates"]) if _is_ours(update["revisedBy"])]


def _tells(update: Row) -> bool:
    """Each write of ours says in a comment what it is."""
    return "System.History" in _object(update.get("fields"))


def _linked(update: Row) -> list[int]:
    """Items to which this update links."""
    added = _rows(_object(update.get("relations")).get("added"))
    return [int(end) for one in added if (end := str(one["url"]).rpartition("/")[2]).isdecimal()]


def _is_other_end(update: Row, item: int, linked: Set[tuple[int, int]]) -> bool:
    """Whether the service made this revision, in our name, of a link that we wrote at the other item."""
    others = _linked(update)
    return bool(others) and not _tells(update) and all((other, item) in linked for other in others)


def _is_ours(identity: Json) -> bool:
    return str(_object(identity).get("uniqueName", "")).startswith("pointsman@")


def _rows(value: Json) -> list[Row]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _object(value: Json) -> Row:
    return value if isinstance(value, dict) else {}
