"""`pointsman process`: do items follow the rules of their process?"""

from typing import Annotated

import typer

from starter.cli.call import Call, command, group

app = group("process", "Rules of a process: check, rules.")

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
)
def check(
    call: Call,
    items: Annotated[
        list[int] | None, typer.Argument(metavar="ITEM...", help="Ids of items.", show_default=False)
    ] = None,
    project: Annotated[str, typer.Option("--project", help="All items of this project.", show_default=False)] = "",
    organisation: Organisation = "",
    process: Process = "",
    every: Annotated[bool, typer.Option("--all", help="What holds and what is not known, too.")] = False,
) -> int:
    """Check items against the rules of their process. Exit 9 where a rule is broken; nothing is written.

    In a pipe: item, check, standing, severity, update, evidence.
    """
    from starter.cli import process as plain
    from starter.cli.settings import settings_of

    wanted = plain.Wanted(tuple(items or ()), project, organisation, process, every)
    return call.run(plain.check(call, settings_of(call), wanted))


@command(app, "rules", "pointsman process rules", "pointsman process rules --process cmmi")
def rules(call: Call, process: Process = "") -> None:
    """List the checks that policy has, with the practice that asks for each and its source.

    In a pipe: process, check, severity, title, practice, source.
    """
    from starter.cli import process as plain
    from starter.cli.settings import settings_of

    call.show(plain.rules(settings_of(call), process))
