"""`pointsman inbox`: deliveries of Azure DevOps, as they were kept."""

from typing import Annotated

import typer

from starter.cli.call import Call, DryRun, Limit, WhoAsks, command, group, me

app = group("inbox", "Deliveries as they came in: list, show, replay.")

Delivery = Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id, or how that begins.", show_default=False)]


@command(app, "list", "pointsman inbox list --state dead", "pointsman inbox list --item 42")
def list_deliveries(
    call: Call,
    state: Annotated[
        str,
        typer.Option(help="pending, dispatched, duplicate, echo, out_of_scope, unknown or dead.", show_default=False),
    ] = "",
    item: Annotated[str, typer.Option(help="Only those of this item: ID or ORGANISATION/ID.", show_default=False)] = "",
    limit: Limit = 50,
) -> None:
    """List deliveries, newest first.

    In a pipe: delivery, received, event, item, state, attempts, reason.
    """
    from starter.cli import inbox
    from starter.cli.settings import settings_of

    call.show(call.run(inbox.listed(settings_of(call), state, item, limit)))


@command(app, "show", "pointsman inbox show 0199", "pointsman inbox show 0199 --body > delivery.json")
def show(
    call: Call,
    delivery: Delivery,
    body: Annotated[bool, typer.Option("--body", help="Print the body as it came, and nothing else.")] = False,
) -> None:
    """Show one delivery, with the error of its last attempt."""
    from starter.cli import inbox
    from starter.cli.settings import settings_of

    row = call.run(inbox.found(settings_of(call), delivery))
    if body:
        call.out.raw(row.body)
    else:
        call.show(inbox.shown(row))


@command(
    app,
    "replay",
    "pointsman inbox replay 0199",
    "pointsman inbox list --state dead | cut -f1 | xargs -n1 pointsman inbox replay",
)
def replay(
    call: Call,
    delivery: Delivery,
    by: WhoAsks = "",
    dry_run: DryRun = False,
) -> None:
    """Put a copy of a delivery into the queue again. It is audited; echoes still cause nothing."""
    from starter.cli import inbox
    from starter.cli.settings import settings_of

    settings = settings_of(call)
    row = call.run(inbox.found(settings, delivery))
    if dry_run:
        call.out.say(f"would replay {row.id} ({row.event_type}, item {row.item_id}); nothing was done")
        return
    call.show(call.run(inbox.replay(settings, row, by or me())))
