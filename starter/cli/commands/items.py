"""`pointsman items`: work items, where they stand and what happened to them."""

from typing import Annotated

import typer

from starter.cli.call import Call, DryRun, Limit, WhoAsks, Yes, command, group, me

app = group("items", "Work items: where they stand, what happened, start, cancel.")

Item = Annotated[
    str, typer.Argument(metavar="ITEM", help="ID, ORGANISATION/ID or ORGANISATION/PROJECT/ID.", show_default=False)
]
Timeout = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait with --wait.")]


@command(app, "list", "pointsman items list --state waiting", "pointsman items list | cut -f1,3")
def list_items(
    call: Call,
    state: Annotated[str, typer.Option(help="Only those in this state, for example waiting.", show_default=False)] = "",
    limit: Limit = 50,
) -> None:
    """List work items, latest change first.

    In a pipe: item, type, state, agent, cost in USD, changed, title.
    """
    from starter.cli import items
    from starter.cli.settings import settings_of

    call.show(call.run(items.listed(settings_of(call), state, limit)))


@command(app, "show", "pointsman items show 42", "pointsman items show fabrikam/42 --wait --timeout 600")
def show_item(
    call: Call,
    item: Item,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the item is done, parked, or ended.")] = False,
    timeout: Timeout = 600,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit 8 while under way, 1 when parked or failed.")
    ] = False,
) -> int:
    """Show where an item stands: state, reason, agent, tokens, cost, time waiting for humans, links."""
    from starter.cli import items
    from starter.cli.settings import settings_of

    settings = settings_of(call)
    row = call.run(items.waited_for(settings, item, timeout, call.out.say) if wait else items.found(settings, item))
    call.show(items.shown(row, settings))
    return items.exit_status(row) if exit_status else 0


@command(app, "timeline", "pointsman items timeline 42", "pointsman items timeline 42 --json")
def timeline(call: Call, item: Item) -> None:
    """Tell an item's story: deliveries, routing, steps, questions, decisions and writes, in one order.

    In a pipe: time, kind, what, who, reference.
    """
    from starter.cli import items
    from starter.cli.settings import settings_of

    call.show(call.run(items.timeline(settings_of(call), item)))


@command(
    app,
    "history",
    "pointsman items history 42",
    "pointsman items history fabrikam/42 --at 2026-01-05T09:30:00Z --json",
)
def history(
    call: Call,
    item: Item,
    at: Annotated[str, typer.Option(metavar="TIME", help="How it stood then, ISO 8601.", show_default=False)] = "",
) -> None:
    """Tell every event and every transition of an item, theirs and ours; or how it stood at a moment.

    In a pipe: time, side, what, who, cause, changes, reference.
    """
    from starter.cli import items
    from starter.cli.settings import settings_of

    call.show(call.run(items.past(settings_of(call), item, at)))


@command(
    app, "start", "pointsman items start fabrikam Fabrikam-Fiber 42", "pointsman items start fabrikam Web 42 --wait"
)
def start(
    call: Call,
    organisation: Annotated[str, typer.Argument(help="As in the URL of the organisation.", show_default=False)],
    project: Annotated[str, typer.Argument(help="Name of the project.", show_default=False)],
    item_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="Number of the item.", show_default=False)],
    by: WhoAsks = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the item is done, parked, or ended.")] = False,
    timeout: Timeout = 600,
    dry_run: DryRun = False,
) -> None:
    """Start an item by hand, without a delivery. Where it runs already, that run goes on."""
    from starter.cli import items
    from starter.cli.settings import settings_of

    settings = settings_of(call)
    key = items.key(organisation, project, item_id)
    if dry_run:
        key, _ = call.run(items.meant(settings, key, call.out.say))
        call.out.say(f"would start {key} at {settings.temporal_address}; nothing was done")
        return
    who = by or me()
    before = call.run(items.last_change(settings, key)) if wait else None
    started = call.run(items.start(settings, key, who, call.out.say))
    if not wait:
        call.show(started)
        return
    call.out.say(f"started {key}")
    row = call.run(items.waited_for(settings, f"{key.organisation}/{key.id}", timeout, call.out.say, before))
    call.show(items.shown(row, settings))


@command(app, "cancel", 'pointsman items cancel 42 --reason "asked twice" --yes')
def cancel(
    call: Call,
    item: Item,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the history.", show_default=False)],
    by: WhoAsks = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Cancel what runs for an item. What was written stays written."""
    from starter.cli import items
    from starter.cli.settings import settings_of

    settings = settings_of(call)
    row = call.run(items.found(settings, item))
    items.must_run(row)
    if dry_run:
        call.out.say(f"would cancel {row.workflow_id}; nothing was done")
        return
    who = by or me()
    call.confirm(f"Cancel {row.key} ({row.state})?", yes)
    call.show(call.run(items.cancel(settings, row, reason, who)))
