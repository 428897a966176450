"""`pointsman hooks`: the subscriptions through which Azure DevOps tells us what happens."""

from typing import Annotated

import typer

from starter.cli.call import Call, DryRun, WhoAsks, command, group, me

Discard = Annotated[
    bool, typer.Option("--discard", help="Let go what the service keeps of deliveries that failed, of code and builds.")
]

app = group(
    "hooks", "Service hooks of Azure DevOps: list, bring to what policy wants, test, rotate, recover what was lost."
)


@command(app, "list", "pointsman hooks list", "pointsman hooks list --all --json", "pointsman hooks list --exit-status")
def list_hooks(
    call: Call,
    every: Annotated[bool, typer.Option("--all", help="Those that post elsewhere, too.")] = False,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit 9 while one loses events or is missing.")
    ] = False,
) -> int:
    """List the subscriptions that post to our receiver, with their status. Any but `enabled` loses events: `missing`
    is one that policy wants and nobody has made.

    In a pipe: organisation, subscription, event, status, filters, url.
    """
    from starter.cli import hooks
    from starter.cli.settings import settings_of

    return call.run(hooks.listed(call, settings_of(call), every=every, exit_status=exit_status))


@command(app, "ensure", "pointsman hooks ensure --dry-run", "pointsman hooks ensure --prune")
def ensure(
    call: Call,
    prune: Annotated[
        bool, typer.Option("--prune", help="Take away those that post to us and policy does not want.")
    ] = False,
    discard: Discard = False,
    dry_run: DryRun = False,
) -> int:
    """Make the subscriptions that policy wants, replace those that differ, make anew what is on probation or disabled.

    Everything is read first, and what cannot be read ends it. A test through the service comes before the first
    change. What posts elsewhere is never touched; what somebody disabled by hand is left. Exit 9 when something is
    left, or, with `--dry-run`, to be done. Exit 5 where deliveries that failed would be gone: recover them first.

    In a pipe: organisation, action, event, project, subscription, why.
    """
    from starter.cli import hooks
    from starter.cli.settings import settings_of

    return call.run(hooks.ensure(call, settings_of(call), prune=prune, discard=discard, dry_run=dry_run))


@command(app, "test", "pointsman hooks test", "pointsman hooks test --event workitem.updated")
def send_tests(
    call: Call,
    event: Annotated[
        list[str] | None, typer.Option("--event", help="Only of this type. Repeat it.", show_default=False)
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Have Azure DevOps deliver an invented event of each type that policy subscribes to. Exit 9 if one is not taken.

    Nothing is changed; `pointsman inbox list` shows what came as `unknown`, because its item is invented.

    In a pipe: organisation, event, result, error.
    """
    from starter.cli import hooks
    from starter.cli.settings import settings_of

    return call.run(hooks.tested(call, settings_of(call), event or (), dry_run=dry_run))


@command(app, "rotate", "pointsman hooks rotate --dry-run", "pointsman hooks rotate")
def rotate(call: Call, discard: Discard = False, dry_run: DryRun = False) -> int:
    """Give every subscription the newest secret: the last of POINTSMAN_WEBHOOK_SECRETS, which holds two meanwhile.

    A test through the service shows first that the receiver takes it. Then one subscription after another is
    replaced, and tested again. Whatever happens on the way, run it again. No secret is printed. Exit 9 when
    subscriptions keep the old secret.

    In a pipe: organisation, action, event, project, subscription, why.
    """
    from starter.cli import hooks
    from starter.cli.settings import settings_of

    return call.run(hooks.rotate(call, settings_of(call), discard=discard, dry_run=dry_run))


@command(
    app,
    "recover",
    "pointsman hooks recover --dry-run",
    "pointsman hooks recover --since 2026-11-20T09:00Z --project Fabrikam",
)
def recover(
    call: Call,
    organisation: Annotated[str, typer.Option(help="Only this one; all if not given.", show_default=False)] = "",
    project: Annotated[str, typer.Option(help="Only this one; all if not given.", show_default=False)] = "",
    since: Annotated[
        str, typer.Option(help="Read from this moment, not from where the last recovery ended.", show_default=False)
    ] = "",
    by: WhoAsks = "",
    dry_run: DryRun = False,
) -> int:
    """Bring back events that were lost while a subscription was down or nobody listened, and wait for what came of it.

    Work items come back from their own history, to the last change of a link or a comment. Of other things comes back
    what the service kept of deliveries that failed. Exit 9 when something is known to be lost: its row says why.

    In a pipe: organisation, project, event, recovered, reason.
    """
    from starter.cli import recovery
    from starter.cli.settings import settings_of

    moment = recovery.since_of(since)
    settings = settings_of(call)
    asked = recovery.recover(
        call,
        settings,
        organisation=organisation,
        project=project,
        since=moment,
        dry_run=dry_run,
        by=by or me(),
    )
    return call.run(asked)


@command(app, "status", "pointsman hooks status", "pointsman hooks status --exit-status")
def status(
    call: Call,
    exit_status: Annotated[bool, typer.Option("--exit-status", help="Exit 9 while one loses events.")] = False,
) -> int:
    """Show the subscriptions in trouble, as they were last looked at, and when lost events were last looked for.

    In a pipe: organisation, event, subscription, problem, status, since.
    """
    from starter.cli import recovery
    from starter.cli.settings import settings_of

    return call.run(recovery.status(call, settings_of(call), exit_status=exit_status))
