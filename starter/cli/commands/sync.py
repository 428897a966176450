"""`pointsman sync`: are both sides the same, and what is done where they are not?"""

from typing import Annotated

import typer

from starter.cli.call import Call, DryRun, Limit, WhoAsks, WhoDecides, Yes, command, group, me

app = group("sync", "Both ways: what was agreed with Azure DevOps, and where it was not.")


@command(app, "status", "pointsman sync status", "pointsman sync status --json", "pointsman sync status --exit-status")
def status(
    call: Call,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit 9 while something waits for a human.")
    ] = False,
) -> int:
    """Show how synchronisation stands in each project, and how it was found when it was last compared.

    Conflicts and items in quarantine wait for a human; so do items that a comparison found lost or hidden. Writes in
    doubt, or under way, are named; the next comparison settles them by the item's history.

    In a pipe: organisation, project, items, conflicts, quarantined, in_doubt, newest, trouble, compared.
    """
    from starter.cli import sync
    from starter.cli.settings import settings_of

    return call.run(sync.status(call, settings_of(call), exit_status=exit_status))


@command(
    app, "conflicts", "pointsman sync conflicts", "pointsman sync conflicts 42 --json", "pointsman sync conflicts --all"
)
def list_conflicts(
    call: Call,
    item: Annotated[str, typer.Argument(metavar="[ITEM]", help="ID, or ORGANISATION/ID.", show_default=False)] = "",
    every: Annotated[bool, typer.Option("--all", help="Those that are settled, too: by whom, and how.")] = False,
    exit_status: Annotated[bool, typer.Option("--exit-status", help="Exit 9 while one is open.")] = False,
    limit: Limit = 200,
) -> int:
    """List fields that both sides changed, each to something else: what was agreed before, ours, and theirs.

    In a pipe: conflict, item, field, base, mine, theirs, policy, state, by.
    """
    from starter.cli import conflicts
    from starter.cli.settings import settings_of

    settings = settings_of(call)
    return call.run(conflicts.listed(call, settings, item, every=every, limit=limit, exit_status=exit_status))


@command(
    app,
    "resolve",
    "pointsman sync resolve 42 --take theirs",
    "pointsman sync resolve 42 --field System.Title --take mine --field System.State --take Active --dry-run",
)
def resolve(
    call: Call,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="ID, or ORGANISATION/ID.", show_default=False)],
    take: Annotated[
        list[str],
        typer.Option(
            "--take",
            help="mine, theirs, base, or a value to write; =VALUE where it reads like one of them.",
            show_default=False,
        ),
    ],
    field: Annotated[
        list[str] | None,
        typer.Option("--field", help="The field that the --take behind it is for; all without.", show_default=False),
    ] = None,
    by: WhoDecides = "",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept.", show_default=False)] = "",
    dry_run: DryRun = False,
) -> int:
    """Decide the conflicts of an item, all at once, because its write waits for all of them.

    It answers the question that is asked about them, as `pointsman escalations` or Temporal's UI would. What somebody
    changes after that is a conflict again. Exit 5 when somebody was faster.

    In a pipe: field, take, value.
    """
    from starter.cli import conflicts
    from starter.cli.settings import settings_of

    told = {"by": by or me(), "reason": reason}
    return call.run(conflicts.resolve(call, settings_of(call), item, field or (), take, **told, dry_run=dry_run))


@command(
    app,
    "rollback",
    "pointsman sync rollback 42 --field System.Title --dry-run",
    'pointsman sync rollback 42 --turn 0199c1d2-7f3a-7c11-b2a4-6d1f0e9a5b77 --reason "wrong customer" --yes',
    'pointsman sync rollback fabrikam/42 --to rev:7 --reason "as it was approved"',
)
def rollback(
    call: Call,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="ID, or ORGANISATION/ID.", show_default=False)],
    field: Annotated[
        list[str] | None,
        typer.Option("--field", help="Only this field, by reference name; may be repeated.", show_default=False),
    ] = None,
    write: Annotated[
        str, typer.Option("--write", help="One write of ours: its operation in the ledger.", show_default=False)
    ] = "",
    turn: Annotated[
        str, typer.Option("--turn", help="All that a run wrote, or RUN/2 for its second turn.", show_default=False)
    ] = "",
    to: Annotated[str, typer.Option("--to", help="All since this time, or since rev:N.", show_default=False)] = "",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept.", show_default=False)] = "",
    by: WhoAsks = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also what somebody else has changed since, or what breaks rules.")
    ] = False,
    comments: Annotated[
        bool, typer.Option("--comments", help="Also comments of ours: deleted, or given their earlier text.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Give fields and links of an item earlier values again, in a new revision. No history is deleted.

    What it comes to is shown first. Where somebody else has changed a field or a link since, or its state has no way
    back, or rules of its process would be broken, nothing is written: exit 5. Comments stay without --comments. A field
    alone means the last write of ours that changed it.

    In a pipe: field, outcome (back, refused or kept), now, then, reason.
    """
    from starter.cli import rollback as plain
    from starter.cli.errors import usage
    from starter.cli.settings import settings_of

    if not (reason.strip() or dry_run):
        raise usage("A rollback needs a reason: --reason TEXT. Nothing was done.", "pointsman sync rollback --help")
    scope = plain.scope_of(tuple(field or ()), write, turn, to)
    settings = settings_of(call)
    flags = {"force": force, "comments": comments, "dry_run": dry_run, "yes": yes}
    asked = plain.roll_back(call, settings, item, scope, by=by or me(), reason=reason or "dry run", **flags)
    return call.run(asked)


@command(app, "reconcile", "pointsman sync reconcile --dry-run", "pointsman sync reconcile --project Fabrikam --json")
def reconcile(
    call: Call,
    organisation: Annotated[
        str, typer.Option("--organisation", help="Only this one; all if not given.", show_default=False)
    ] = "",
    project: Annotated[
        str, typer.Option("--project", help="Only this one; all if not given.", show_default=False)
    ] = "",
    by: WhoAsks = "",
    settle: Annotated[
        int, typer.Option("--settle", min=0, metavar="MINUTES", help="What is younger may still be on its way.")
    ] = 10,
    dry_run: DryRun = False,
) -> int:
    """Compare each item of Azure DevOps with our books, and wait for what came of it.

    Events that never came are put into the inbox, writes in doubt are settled, as policy allows. Exit 9 while something
    is left that somebody has to look at: conflicting, lost or hidden items.

    Items that our books have open while nothing runs for them in Temporal are closed, with what Temporal says of it.

    In a pipe: organisation, project, item, standing, repaired, reason.
    """
    from starter.cli import reconciliation
    from starter.cli.settings import settings_of

    wanted = reconciliation.Wanted(organisation, project, settle, by or me(), dry_run)
    return call.run(reconciliation.reconcile(call, settings_of(call), wanted))
