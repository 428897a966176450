"""`pointsman escalations`: questions to humans, and the four ways to answer them."""

from collections.abc import Sequence
from typing import Annotated

import typer

from starter.cli.call import Call, DryRun, Limit, WhoDecides, command, group, me

app = group("escalations", "Questions to humans: list, show, decide.")

Escalation = Annotated[str, typer.Argument(metavar="ESCALATION", help="For example ESC-7.", show_default=False)]
Comment = Annotated[str, typer.Option("--comment", "-c", help="For the agent and the people.", show_default=False)]
Subject = Annotated[
    str,
    typer.Option(help="Hash of what you saw, 8 characters or more; refused if another is asked.", show_default=False),
]


@command(app, "list", "pointsman escalations list", "pointsman escalations list --all --json")
def list_escalations(
    call: Call,
    every: Annotated[bool, typer.Option("--all", help="Decided ones, too.")] = False,
    limit: Limit = 50,
) -> None:
    """List what waits for a decision, newest first.

    In a pipe: escalation, item, kind, severity, status, opened, summary.
    """
    from starter.cli import escalations
    from starter.cli.settings import settings_of

    call.show(call.run(escalations.listed(settings_of(call), pending_only=not every, limit=limit)))


@command(app, "show", "pointsman escalations show ESC-7")
def show(
    call: Call,
    escalation: Escalation,
    exit_status: Annotated[bool, typer.Option("--exit-status", help="Exit 8 while nobody has decided.")] = False,
) -> int:
    """Show what is asked, what would be written, who was told, and how to decide."""
    from starter.cli import escalations
    from starter.cli.settings import settings_of

    settings = settings_of(call)
    row = call.run(escalations.found(settings, escalation))
    call.show(escalations.shown(row, settings))
    return escalations.exit_status(row) if exit_status else 0


@command(app, "approve", "pointsman escalations approve ESC-7", 'pointsman escalations approve ESC-7 -c "looks right"')
def approve(
    call: Call,
    escalation: Escalation,
    comment: Comment = "",
    by: WhoDecides = "",
    subject: Subject = "",
    dry_run: DryRun = False,
) -> int:
    """Approve what is asked, just as it is shown."""
    return _decide(call, escalation, "approve", comment=comment, by=by, subject=subject, dry_run=dry_run)


@command(
    app,
    "edit",
    "pointsman escalations edit ESC-7 --set Microsoft.VSTS.Common.Priority=2",
    'pointsman escalations edit ESC-7 --comment-text "Known issue, see 17." --tag triaged --link "Related 17"',
)
def edit(
    call: Call,
    escalation: Escalation,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Write this instead; null leaves the field alone."),
    ] = None,
    comment_text: Annotated[str | None, typer.Option(help="Comment to write instead.", show_default=False)] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tags to add instead.", show_default=False)] = None,
    link: Annotated[
        list[str] | None,
        typer.Option(metavar="LINK", help='Links to add instead: "Parent 17"; none for no link.', show_default=False),
    ] = None,
    comment: Comment = "",
    by: WhoDecides = "",
    subject: Subject = "",
    dry_run: DryRun = False,
) -> int:
    """Approve it with changes. What is not named stays as proposed."""
    return _decide(
        call,
        escalation,
        "edit",
        comment=comment,
        by=by,
        subject=subject,
        dry_run=dry_run,
        values=values or (),
        comment_text=comment_text,
        tags=tag or (),
        links=link or (),
    )


@command(app, "reject", 'pointsman escalations reject ESC-7 --comment "wrong component"')
def reject(
    call: Call,
    escalation: Escalation,
    comment: Annotated[str, typer.Option("--comment", "-c", help="Why.", show_default=False)],
    by: WhoDecides = "",
    dry_run: DryRun = False,
) -> int:
    """Reject it: nothing is written."""
    return _decide(call, escalation, "reject", comment=comment, by=by, subject="", dry_run=dry_run)


@command(app, "respond", 'pointsman escalations respond ESC-7 --comment "It happens on Windows only."')
def respond(
    call: Call,
    escalation: Escalation,
    comment: Annotated[str, typer.Option("--comment", "-c", help="The answer.", show_default=False)],
    by: WhoDecides = "",
    dry_run: DryRun = False,
) -> int:
    """Answer the question, or name one of the choices: the agent goes on with it."""
    return _decide(call, escalation, "respond", comment=comment, by=by, subject="", dry_run=dry_run)


def _decide(
    call: Call,
    escalation: str,
    verb: str,
    *,
    comment: str,
    by: str,
    subject: str,
    dry_run: bool,
    values: Sequence[str] = (),
    comment_text: str | None = None,
    tags: Sequence[str] = (),
    links: Sequence[str] = (),
) -> int:
    from starter.cli import escalations
    from starter.cli.settings import settings_of

    edits = escalations.edits(values, comment_text, tags, links) if verb == "edit" else {}
    settings = settings_of(call)
    row = call.run(escalations.found(settings, escalation))
    decision = escalations.decision(row, verb, by or me(), comment, subject, edits)
    if dry_run:
        call.out.say(f"would send this to {row.workflow_id}; nothing was done")
        call.show(escalations.told(row, decision))
        return 0
    standing = call.run(escalations.decide(settings, row, decision))
    return escalations.answered(call, row, standing)
