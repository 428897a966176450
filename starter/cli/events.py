"""Events on the command line: shown with their chain, found, watched, put into the queue again."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pointsman.config import Settings
from pointsman.contracts.chains import Direction
from pointsman.contracts.records import Delivery, DeliveryState, Receipt, Selection
from pointsman.domain.chain_pictures import draw as drawn
from pointsman.domain.chains import bare, kind_of
from pointsman.domain.events.reading import parse_bytes
from pointsman.domain.words import how_many
from pointsman.store import seen
from pointsman.store.chain_walks import Chains
from pointsman.store.escalations import Escalations
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.tail import Tail
from starter import chains, replays
from starter.admission import admission
from starter.chains import Chain, ChainBooks
from starter.cli import inbox, items, times
from starter.cli.choices import must_exist, nothing_of
from starter.cli.context import policy, reading
from starter.cli.errors import CliError, ExitCode, folder_must_exist, usage
from starter.cli.output import Listing, Output, Record, Single, iso, tsv
from starter.judging import Judge
from starter.replays import Planned
from starter.searching import Wanted, search

POLL_SECONDS = 0.3
COLUMNS = ("event", "received_at", "event_type", "item", "who", "state", "text")
WATCHED = ("offset", "received_at", "event", "event_type", "item", "who", "state", "text")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[ChainBooks]:
    """The books that chains are read from, read-only."""
    async with reading(settings) as store:
        yield ChainBooks(Chains(store), Inbox(store), Items(store), Escalations(store), Ledger(store))


def wanted(
    item: str = "",
    kind: str = "",
    actor: str = "",
    since: str = "",
    until: str = "",
    text: str = "",
    correlation: str = "",
    state: str = "",
) -> Wanted:
    must_exist("state", state, inbox.STATES, "pointsman inbox list --help")
    organisation, number = items.parse(item) if item else ("", 0)
    selection = Selection(
        organisation=organisation,
        item_id=number,
        event_type=kind,
        states=(DeliveryState(state),) if state else (),
        correlation_id=correlation,
        since=times.moment(since, "--since"),
        until=times.moment(until, "--until"),
    )
    return Wanted(selection, actor, text)


def _record(row: Delivery) -> Record:
    event = parse_bytes(row.body, row.organisation)
    return {
        "event": row.id,
        "offset": row.sequence,
        "received_at": row.received_at,
        "event_type": row.event_type,
        "item": f"{row.organisation}/{row.item_id}" if row.item_id else "",
        "subject": str(event.subject or ""),
        "who": event.actor.unique_name or event.actor.display_name,
        "state": row.state.value,
        "reason": row.reason,
        "text": event.envelope.text,
        "correlation_id": row.correlation_id,
        "chain_id": row.chain_id,
        "tenant": row.tenant,
        "replayed_by": row.replayed_by,
        "recovered_from": row.recovered_from,
    }


async def shown(settings: Settings, named: str) -> Single:
    row = await inbox.found(settings, named)
    async with opened(settings) as books:
        found = await chains.find(books, chains.spelt(f"event:{row.id}"), tenant=row.tenant)
    start = found.walk.start
    concerns = inbox.concerns(row)
    return Single(
        "event",
        {
            **_record(row),
            **{name: value for name, value in concerns.items() if name != "event"},
            "read_as": concerns["event"],
            "workflow_id": row.workflow_id,
            "causes": [f"{one.cause} {one.kind}" for one in found.walk.edges if one.effect == start],
            "effects": [f"{one.kind} {one.effect}" for one in found.walk.edges if one.cause == start],
        },
    )


async def chain(settings: Settings, named: str, limit: int, direction: str, tenant: str) -> Chain:
    must_exist("direction", direction, Direction, "pointsman events chain --help")
    start = await _start(settings, named)
    async with opened(settings) as books:
        return await chains.find(books, start, limit, Direction(direction), tenant)


async def _start(settings: Settings, named: str) -> str:
    """The thing that is meant: a bare number is an item, any other bare text the beginning of an event's id."""
    if named.lstrip("#").isdigit() and len(named) < 8:
        row = await items.found(settings, named)
        return chains.spelt(f"{row.key.organisation}/{row.key.id}")
    start = chains.spelt(named)
    if start.startswith("event:"):
        return f"event:{(await inbox.found(settings, bare(start))).id}"
    return start


def listed_chain(found: Chain) -> Listing:
    columns = ("at", "kind", "thing", "what", "who", "causes")
    return Listing("chain", columns, _things(found))


def document(found: Chain) -> Record:
    walk = found.walk
    edges: list[Record] = [
        {
            "cause": one.cause,
            "effect": one.effect,
            "kind": one.kind.value,
            "removed": one.removed,
            "evidence": one.evidence,
            "at": one.at,
        }
        for one in walk.edges
    ]
    return {
        "start": walk.start,
        "tenant": walk.tenant,
        "complete": walk.complete,
        "things": _things(found),
        "edges": edges,
    }


def _things(found: Chain) -> list[Record]:
    return [
        {
            "at": one.at,
            "kind": kind.value if (kind := kind_of(one.thing)) else "",
            "thing": bare(one.thing),
            "what": one.what,
            "who": one.who,
            "causes": chains.causes_of(found.walk, one.thing),
            "name": one.thing,
        }
        for one in found.told
    ]


def draw(found: Chain, target: Path) -> None:
    folder_must_exist(target)
    target.write_text(drawn(found.walk, found.told), encoding="utf-8")


async def searched(settings: Settings, what: Wanted, limit: int) -> Listing:
    async with opened(settings) as books:
        return Listing("events", COLUMNS, [_record(row) for row in await search(books.inbox, what, limit)])


async def unknown_kind(settings: Settings, kind: str) -> str:
    """What to say where nothing of this kind was ever kept: any name may come in, so none is refused."""
    if not kind:
        return ""
    async with reading(settings) as store:
        kinds = await seen.event_types(store)
    if any(one.casefold().startswith(kind.casefold()) for one in kinds):
        return ""
    return nothing_of("kind", kind, kinds)


async def watch(settings: Settings, what: Wanted, offset: int | None, count: int, out: Output) -> None:
    """Until `count` were printed, or for ever."""
    selection, left = what.selection, count
    async with reading(settings) as store:
        tail = Tail(store, await Tail.end(store) if offset is None else offset)
        while True:
            rows = await tail.next()
            for row in rows:
                if not _is_meant(row, selection):
                    continue
                _print(row, out)
                left -= 1
                if left == 0:
                    return
            if not rows:
                out.require_reader()
                await asyncio.sleep(POLL_SECONDS)


def _is_meant(row: Delivery, selection: Selection) -> bool:
    return (
        row.event_type.casefold().startswith(selection.event_type.casefold())
        and selection.item_id in (0, row.item_id)
        and selection.organisation in ("", row.organisation)
    )


def _print(row: Delivery, out: Output) -> None:
    record = _record(row)
    if out.as_json:
        out.event({"event": record})
        return
    if out.terminal:
        told = (iso(row.received_at), record["event_type"], record["item"], record["who"], record["text"])
        out.line("  ".join(tsv(value) for value in told if value))
    else:
        out.line("\t".join(tsv(record[column]) for column in WATCHED))
    out.flush()


async def planned(
    settings: Settings, ids: Sequence[str], what: Wanted, limit: int, by: str
) -> tuple[list[Planned], bool]:
    """What a replay would come to: of the events named, else of all that fit; and whether more fit than `limit`."""
    if bool(ids) == (what != Wanted()):
        raise usage("Name events, or say which are meant, and not both.", "pointsman events replay --help")
    named = [await inbox.found(settings, one) for one in ids]
    if waiting := [row.id for row in named if row.state is DeliveryState.PENDING]:
        raise CliError(
            "pending",
            f"{', '.join(waiting)}: not handed over yet, so there is nothing to replay. Nothing was done.",
            "See what waits: pointsman inbox list --state pending",
            ExitCode.CONFLICT,
        )
    async with opened(settings) as books:
        rows = named or await search(books.inbox, what, limit + 1, newest=False)
        is_cut = not named and len(rows) > limit
        judge = Judge(books.inbox, books.ledger, policy(settings), admission(settings))
        # What waits in the queue is handed over anyway.
        meant = [row for row in (rows[:limit] if is_cut else rows) if row.state is not DeliveryState.PENDING]
        return await replays.plan(books.inbox, judge, meant, by), is_cut


def listed_plan(plan: Sequence[Planned]) -> Listing:
    columns = ("event", "received_at", "event_type", "item", "outcome", "reason")
    return Listing("replay", columns, [_planned(one) for one in plan])


def _planned(one: Planned) -> Record:
    decision = one.decision
    outcome = {DeliveryState.DISPATCHED: f"to {decision.workflow_id}"}.get(decision.state, decision.reason)
    return {
        **_record(one.delivery),
        "outcome": decision.state.value,
        "reason": outcome,
        "workflow_id": decision.workflow_id,
    }


def summed_up(plan: Sequence[Planned]) -> str:
    counts = Counter(one.decision.state.value for one in plan)
    return (
        f"{how_many(len(plan), 'event')} ({', '.join(f'{count} {state}' for state, count in sorted(counts.items()))})"
    )


async def replayed(settings: Settings, plan: Sequence[Planned], by: str) -> Listing:
    """For real. Where one fails, those before it are in the queue, and the error says so."""
    receipts: list[Receipt] = []
    try:
        await inbox.replay_all(settings, [one.delivery for one in plan], by, receipts)
    except CliError as error:
        raise CliError(
            error.code,
            f"{len(receipts)} of {how_many(len(plan), 'event')} are in the queue again, "
            f"the others are not: {error.message}",
            error.hint,
            error.exit_code,
            retryable=error.retryable,
        ) from error
    done: list[Record] = [
        {**_planned(one), "event": receipt.id, "of": one.delivery.id, "by": by}
        for one, receipt in zip(plan, receipts, strict=True)
    ]
    return Listing("replayed", ("event", "of", "event_type", "item", "outcome", "by"), done)
