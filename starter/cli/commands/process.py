"""`pointsman process`: do items follow the rules of their process, and what became of those that did not?"""

from typing import Annotated

import typer

from starter.cli.call import Call, DryRun, Limit, WhoDecides, command, group, me
from starter.cli.errors import usage

app = group("process", "Rules of a process: check, rules, violations, acknowledge, waive, matrix, report.")

Organisation = Annotated[
    str, typer.Option("--organisation", help="Which one, where settings name several.", show_default=False)
]
Process = Annotated[
    str,
    typer.Option(
        "--process", help="Checks of this name; those for the project's process if not given.", show_default=False
    ),
]


@command(
    app,
    "check",
    "pointsman process check 42 43",
    "pointsman process check --project Fabrikam --json",
    "pointsman process check --project Fabrikam --process cmmi --all",
    "pointsman process check --project Fabrikam --keep",
    "pointsman process check --project Fabrikam --keep --dry-run",
)
def check(
    call: Call,
    items: Annotated[
        list[str] | None, typer.Argument(metavar="ITEM...", help="ID, or ORGANISATION/ID.", show_default=False)
    ] = None,
    project: Annotated[str, typer.Option("--project", help="All items of this project.", show_default=False)] = "",
    organisation: Organisation = "",
    process: Process = "",
    every: Annotated[bool, typer.Option("--all", help="What holds and what is not known, too.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Have the worker check it, and keep violations.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --keep: say what would open, stay, resolve and follow.")
    ] = False,
) -> int:
    """Check items against the rules of their process. Exit 9 where a rule is broken; items are never written.

    In a pipe: item, check, standing, severity, update, evidence. With --keep --dry-run: would, violation, item, check,
    severity, evidence.
    """
    from starter.cli import process as plain
    from starter.cli import violations as kept
    from starter.cli.settings import settings_of

    if keep:
        if not project or items:
            raise usage(
                "--keep checks a whole project: --project NAME, and no items.", "pointsman process check --help"
            )
        return call.run(kept.check(call, settings_of(call), kept.Wanted(project, organisation, process, me(), dry_run)))
    if dry_run:
        raise usage("--dry-run goes with --keep: without it nothing is kept.", "pointsman process check --help")
    place, ids = plain.numbers(items or (), organisation)
    wanted = plain.Wanted(ids, project, place, process, every)
    return call.run(plain.check(call, settings_of(call), wanted))


@command(app, "rules", "pointsman process rules", "pointsman process rules --process cmmi")
def rules(call: Call, process: Process = "") -> None:
    """List the checks that policy has, with the practice that asks for each and its source.

    In a pipe: process, check, severity, title, practice, source.
    """
    from starter.cli import process as plain
    from starter.cli.settings import settings_of

    call.show(plain.rules(settings_of(call), process))


Violation = Annotated[str, typer.Argument(metavar="VIOLATION", help="For example VIO-7.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept.", show_default=False)]


@command(app, "violations", "pointsman process violations", "pointsman process violations --item fabrikam/42 --all")
def list_violations(
    call: Call,
    project: Annotated[str, typer.Option("--project", help="Only those of this project.", show_default=False)] = "",
    item: Annotated[
        str, typer.Option("--item", help="Only those of this item: ID or ORGANISATION/ID.", show_default=False)
    ] = "",
    state: Annotated[
        str, typer.Option("--state", help="open, acknowledged, waived or resolved.", show_default=False)
    ] = "",
    severity: Annotated[
        str, typer.Option("--severity", help="info, minor, major or critical.", show_default=False)
    ] = "",
    check: Annotated[
        str, typer.Option("--check", help="Only those of this check, for example RDM-1.parent.", show_default=False)
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Resolved ones, too.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Only those of projects as a whole.")] = False,
    limit: Limit = 50,
) -> None:
    """List violations that were kept, newest first. A project as a whole stands in the place of its item.

    In a pipe: violation, item, check, severity, standing, opened, by, evidence.
    """
    from starter.cli import violations as kept
    from starter.cli.settings import settings_of

    wanted = kept.Sought(project, item, state, severity, check, every, whole)
    call.run(kept.listed(call, settings_of(call), wanted, limit))


@command(app, "acknowledge", "pointsman process acknowledge VIO-7")
def acknowledge(
    call: Call, violation: Violation, by: WhoDecides = "", reason: Reason = "", dry_run: DryRun = False
) -> None:
    """Say that you take a violation on. It stays until it is resolved."""
    from starter.cli import violations as kept
    from starter.cli.settings import settings_of

    who = by or me()
    call.show(
        call.run(kept.decide(call, settings_of(call), violation, "acknowledge", who, reason, "", dry_run=dry_run))
    )


@command(app, "waive", 'pointsman process waive VIO-7 --until 2027-01-31 -r "the supplier delivers in January"')
def waive(
    call: Call,
    violation: Violation,
    until: Annotated[
        str, typer.Option("--until", help="When the waiver ends: 2026-12-31, or 30d.", show_default=False)
    ] = "",
    reason: Reason = "",
    by: WhoDecides = "",
    dry_run: DryRun = False,
) -> None:
    """Let a violation stand for a reason, until a day. After that it is open again."""
    from starter.cli import violations as kept
    from starter.cli.settings import settings_of

    who = by or me()
    call.show(call.run(kept.decide(call, settings_of(call), violation, "waive", who, reason, until, dry_run=dry_run)))


@command(
    app,
    "matrix",
    "pointsman process matrix --project Fabrikam",
    "pointsman process matrix --project Fabrikam --gaps",
    "pointsman process matrix --project Fabrikam --format xlsx --output matrix.xlsx",
    "pointsman process matrix --project Fabrikam --serves 4f2c9e1",
    "pointsman process matrix --proves 42",
)
def matrix(
    call: Call,
    project: Annotated[str, typer.Option("--project", help="Of which project.", show_default=False)] = "",
    organisation: Organisation = "",
    process: Process = "",
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, csv, json, html or xlsx.")] = "table",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Write into a file.", show_default=False)
    ] = "",
    gaps: Annotated[bool, typer.Option("--gaps", help="Only rows that lack something; exit 9 where one does.")] = False,
    serves: Annotated[
        str, typer.Option("--serves", metavar="COMMIT", help="What does this commit serve?", show_default=False)
    ] = "",
    proves: Annotated[
        int, typer.Option("--proves", metavar="ITEM", min=0, help="What proves this item?", show_default=False)
    ] = 0,
    whole: Annotated[
        bool, typer.Option("--whole", help="Read all of it, not what changed since the last time.")
    ] = False,
    kept: Annotated[bool, typer.Option("--kept", help="Read nothing: show what was read the last time.")] = False,
) -> int:
    """Trace each requirement from its epic to work, code, builds, tests, reviews and changes; name what is missing.

    In a pipe: row, epic, feature, requirement, work, code, build, test, outcome, review, change, title. With --serves
    or --proves: row, column, name, told, flag, title.
    """
    from starter.cli import matrix as plain
    from starter.cli.settings import settings_of

    wanted = plain.Wanted(project, organisation, process, form, output, gaps, serves, proves, whole, kept)
    return call.run(plain.show(call, settings_of(call), wanted))


@command(
    app,
    "report",
    "pointsman process report --project Fabrikam --since 2026-10-01 --until 2026-11-01",
    "pointsman process report --project Fabrikam --format html --output report.html",
)
def report(
    call: Call,
    project: Annotated[str, typer.Option("--project", help="On which project.", show_default=False)] = "",
    since: Annotated[
        str,
        typer.Option("--since", help="From when on: 2026-11-01, or 90d; four weeks if not given.", show_default=False),
    ] = "",
    until: Annotated[str, typer.Option("--until", help="Until when; now if not given.", show_default=False)] = "",
    organisation: Organisation = "",
    process: Process = "",
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="md, html or json.")] = "md",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Write into a file.", show_default=False)
    ] = "",
    kept: Annotated[bool, typer.Option("--kept", help="Take the matrix as it was read the last time.")] = False,
    matrix: Annotated[bool, typer.Option("--matrix/--no-matrix", help="With the coverage of the matrix.")] = True,
) -> int:
    """Report violations by practice, their trend, waivers, how work is traced, and what could not be decided.

    It is no appraisal.
    """
    from starter.cli import process_report as plain
    from starter.cli.matrix import Wanted
    from starter.cli.settings import settings_of

    wanted = Wanted(project=project, organisation=organisation, process=process, format=form, output=output, kept=kept)
    return call.run(plain.show(call, settings_of(call), wanted, since, until, matrix=matrix))
