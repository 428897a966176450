"""The command line reference, written from the commands themselves: `docs/reference/cli.md`.

`python -m starter.cli.reference` prints it; a test compares the page with it.
"""

import sys
from collections.abc import Iterator

import typer
from typer.main import get_command

from starter.cli.app import app
from starter.cli.errors import MEANINGS

INTRODUCTION = """\
# Command line

<!-- Written by `python -m starter.cli.reference`. Change the commands, not this page. -->

A noun, then a verb: `pointsman items list`. Every command explains itself with `--help`.

## What it prints

Data goes to stdout, talk to stderr (`--quiet` silences it). A terminal gets a table. A pipe gets TSV: one record a
line, the columns that `--help` names, no header line; tab, line end and backslash in a value are written `\\t`, `\\n`
and `\\\\`. `--json` prints one document with `schema_version` 1; a listing without records is `[]` and no error. TSV
and JSON carry times as ISO 8601 in UTC, and never cut a value. `--no-color` or the variable `NO_COLOR` switch off
colours.

An error is one paragraph on stderr that ends with the next command to run. With `--json` it is the last line there,
with `--quiet` the only one: `{"schema_version", "error": {"code", "message", "hint", "correlation_id", "retryable"}}`.

## Exit codes

| Code | Means |
| --- | --- |
"""

SETTINGS = """
## Settings

An option of the command line stands over the environment (`POINTSMAN_...`), that over the file of settings, that over
the default. `pointsman config explain` says where each value comes from.

Commands that read open the database read-only, whether a service runs or not. What changes something goes through
Temporal, or through the running service.
"""


def markdown() -> str:
    """The whole page."""
    codes = "".join(f"| {code.value} | {meaning} |\n" for code, meaning in MEANINGS.items())
    root = get_command(app)
    context = typer.Context(root, info_name="pointsman")
    sections = "\n".join(_section(context, depth=2))
    return f"{INTRODUCTION}{codes}{SETTINGS}\n{sections}"


def _section(context: typer.Context, depth: int) -> Iterator[str]:
    command = context.command
    yield f"{'#' * depth} `{context.command_path}`\n"
    yield f"{_help(command.help or '')}\n"
    if not isinstance(getattr(command, "commands", None), dict):
        yield f"Usage: `{' '.join([context.command_path, *command.collect_usage_pieces(context)])}`\n"
    if examples := _examples(command.epilog or ""):
        yield "Examples:\n"
        yield "\n".join(f"- `{one}`" for one in examples) + "\n"
    if options := list(_options(context)):
        yield "| Argument or option | What it is |\n| --- | --- |"
        yield "\n".join(options) + "\n"
    for child in _children(context):
        yield from _section(child, depth + 1)


def _children(context: typer.Context) -> Iterator[typer.Context]:
    commands = getattr(context.command, "commands", {})
    for name, command in commands.items():
        yield typer.Context(command, info_name=name, parent=context)


def _options(context: typer.Context) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        # Those that every command has are described once, at the top.
        if record is not None and not {"--help", "--json", "--quiet", "--no-color"} & set(parameter.opts):
            yield f"| `{_cell(record[0])}` | {_cell(record[1])} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _help(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _examples(epilog: str) -> list[str]:
    return [line.strip() for line in epilog.splitlines()[2:] if line.strip()]


if __name__ == "__main__":
    sys.stdout.write(markdown())
