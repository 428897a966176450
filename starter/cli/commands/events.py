"""`pointsman events`: what came in, what led to what, live and again."""

from pathlib import Path
from typing import Annotated

import typer

from starter.cli.call import Call, DryRun, Limit, WhoAsks, Yes, command, group, me

app = group("events", "What happened and what led to what: show, chain, search, watch, replay.")

Event = Annotated[str, typer.Argument(metavar="EVENT", help="Its id, or how that begins.", show_default=False)]
Item = Annotated[str, typer.Option(help="Of this item: ID or ORGANISATION/ID.", show_default=False)]
Kind = Annotated[str, typer.Option(help="Type, or how it begins: git., workitem.updated.", show_default=False)]
Actor = Annotated[str, typer.Option(help="Whose name or address has this in it.", show_default=False)]
Since = Annotated[
    str,
    typer.Option(metavar="TIME", help="From this time on: 2026-11-21, with a time, or 24h, 7d.", show_default=False),
]
Until = Annotated[str, typer.Option(metavar="TIME", help="Before this time, as --since.", show_default=False)]
Text = Annotated[str, typer.Option(help="With these words in message, title, comment or field.", show_default=False)]
Correlation = Annotated[str, typer.Option(metavar="ID", help="Of this chain, or this event.", show_default=False)]
State = Annotated[str, typer.Option(help="In this state of the inbox, for example dead.", show_default=False)]
Tenant = Annotated[str, typer.Option(help="Of this tenant, where several know the name.", show_default=False)]


@command(app, "show", "pointsman events show 0199", "pointsman events show 0199 --json")
def show(call: Call, event: Event) -> None:
    """Show an event: what it tells, what became of it, what led to it and what it led to."""
    from starter.cli import events
    from starter.cli.settings import settings_of

    call.show(call.run(events.shown(settings_of(call), event)))


@command(
    app,
    "chain",
    "pointsman events chain 0199",
    "pointsman events chain fabrikam/42 --direction effects",
    "pointsman events chain pr:fabrikam/7 --svg chain.svg",
)
def chain(
    call: Call,
    thing: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="An event's id, ORGANISATION/ID of an item, ESC-1, or a name as in the output.",
            show_default=False,
        ),
    ],
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as a picture.", dir_okay=False, show_default=False)
    ] = None,
    direction: Annotated[str, typer.Option(help="both, causes or effects.")] = "both",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=2_000, help="At most so many things.")] = 200,
    tenant: Tenant = "",
) -> None:
    """Show what led to a thing and what it led to: events, items, code, builds, runs, writes, questions.

    In a pipe: time, kind, thing, what, who, causes.
    """
    from starter.cli import events
    from starter.cli.settings import settings_of

    found = call.run(events.chain(settings_of(call), thing, limit, direction, tenant))
    if svg is not None:
        events.draw(found, svg)
        call.out.say(f"wrote {svg}")
    if call.out.as_json:
        call.out.document({"chain": events.document(found)})
    else:
        call.show(events.listed_chain(found))
        if not found.walk.complete:
            call.out.say(f"there is more than {limit}: raise --limit")


@command(
    app,
    "search",
    "pointsman events search --item 42 --kind workitem.updated",
    "pointsman events search --actor ada@fabrikam.example --since 2026-01-05T09:00:00Z",
    'pointsman events search --text "crane stops" --json',
)
def search(
    call: Call,
    item: Item = "",
    kind: Kind = "",
    actor: Actor = "",
    since: Since = "",
    until: Until = "",
    text: Text = "",
    correlation: Correlation = "",
    state: State = "",
    limit: Limit = 50,
) -> None:
    """Find events, newest first. --actor and --text read bodies: name an item or a time with them.

    In a pipe: event, received, type, item, who, state, text.
    """
    from starter.cli import events
    from starter.cli.settings import settings_of

    wanted = events.wanted(item, kind, actor, since, until, text, correlation, state)
    settings = settings_of(call)
    found = call.run(events.searched(settings, wanted, limit))
    call.show(found)
    if not found.records and (told := call.run(events.unknown_kind(settings, kind))):
        call.out.say(told)


@command(app, "watch", "pointsman events watch", "pointsman events watch --json --from 1200")
def watch(
    call: Call,
    item: Item = "",
    kind: Kind = "",
    offset: Annotated[
        int | None,
        typer.Option("--from", metavar="OFFSET", min=0, help="Go on behind this offset.", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option(min=0, help="End after so many; 0 for never.")] = 0,
) -> None:
    """Print events as they come in, one line each, until Ctrl-C. With --json each line is a document with its offset.

    In a pipe: offset, received, event, type, item, who, state, text.
    """
    from starter.cli import events
    from starter.cli.settings import settings_of

    wanted, settings = events.wanted(item, kind), settings_of(call)
    if told := call.run(events.unknown_kind(settings, kind)):
        call.out.say(told)
    call.run(events.watch(settings, wanted, offset, count, call.out))


@command(
    app,
    "replay",
    "pointsman events replay 0199",
    "pointsman events replay --state dead --since 2026-01-05T09:00:00Z --dry-run",
    "pointsman events replay --item fabrikam/42 --yes",
)
def replay(
    call: Call,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="EVENT", help="Their ids, or how they begin.", show_default=False)
    ] = None,
    item: Item = "",
    kind: Kind = "",
    actor: Actor = "",
    since: Since = "",
    until: Until = "",
    text: Text = "",
    correlation: Correlation = "",
    state: State = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many, oldest first.")
    ] = 1_000,
    by: WhoAsks = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Put events into the queue again: those named, or all that fit. What has had its effect has none again.

    In a pipe: event, received, type, item, outcome, reason.
    """
    from starter.cli import events
    from starter.cli.settings import settings_of

    settings = settings_of(call)
    wanted = events.wanted(item, kind, actor, since, until, text, correlation, state)
    who = by or me()
    planned, is_cut = call.run(events.planned(settings, ids or [], wanted, limit, who))
    if is_cut:
        call.out.say(f"more than {limit} fit, and these are the oldest: raise --limit")
    if dry_run or not planned:
        call.show(events.listed_plan(planned))
        why = "" if planned else call.run(events.unknown_kind(settings, kind)) or "no event fits"
        call.out.say(f"{why}; nothing was done" if why else "nothing was done")
        return
    if len(planned) > 1:
        call.confirm(f"Replay {events.summed_up(planned)}?", yes)
    call.show(call.run(events.replayed(settings, planned, who)))
