"""`pointsman`: the root of the command line.

What a command needs is imported when it runs: the rooms behind it (SQLAlchemy, Temporal, FastAPI, the MCP SDK) take one
to two seconds to load, and `--help`, shell completion and a mistyped option must not wait for them. So the modules in
`commands/` import only what describes options, and each command imports the module with its plain function.
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from starter import loading
from starter.cli.call import Given, example_text, help_alone
from starter.cli.commands import (
    audit,
    config,
    database,
    escalations,
    events,
    hooks,
    inbox,
    items,
    llm,
    mcp,
    models,
    policy,
    process,
    running,
    sync,
    temporal,
    usage,
)
from starter.cli.errors import CliError, ExitCode, unexpected
from starter.cli.output import output

app = typer.Typer(
    name="pointsman",
    help="Take work items from Azure DevOps to AI agents and back, durably, with a human where policy says so.",
    epilog=example_text(("pointsman demo", "pointsman up", "pointsman items list", "pointsman escalations list")),
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"pointsman {version('pointsman')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of everything kept on disk.", file_okay=False)] = None,
    config_file: Annotated[Path | None, typer.Option(help="TOML file of settings.", dir_okay=False)] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take options that hold for every command."""
    if config_file is not None:
        os.environ["POINTSMAN_CONFIG_FILE"] = str(config_file)  # processes that we start read the same file
    ctx.obj = Given({"data_dir": data_dir} if data_dir is not None else {})
    help_alone(ctx)


running.register(app)
for noun in (
    items,
    escalations,
    events,
    hooks,
    inbox,
    audit,
    llm,
    models,
    temporal,
    mcp,
    database,
    config,
    policy,
    process,
    sync,
):
    app.add_typer(noun.app)
usage.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Console script. Leaves with one of `ExitCode`, and never with a traceback."""
    loading.begin()
    leave(run(list(sys.argv[1:] if arguments is None else arguments)))


def leave(code: int) -> NoReturn:
    """End the process with this exit code."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
    if "temporalio.bridge.temporal_sdk_bridge" in sys.modules:
        # Threads of Temporal's SDK may still call into an interpreter that is being taken down, which aborts the
        # process with code 134 (temporalio/sdk-python, issue 300). What we opened is closed by now.
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line, and return its exit code."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    out = output("--json" in own, quiet=False, no_color="--no-color" in own)
    try:
        code = commands()(arguments, prog_name="pointsman", standalone_mode=False)
    except TyperException as error:
        out.fail(_wrong_usage(error))
        return ExitCode.USAGE
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except SystemExit as left:
        # The reader has seen enough (`| head`). Typer ends with exit code 1 then, but it is no fault.
        if not isinstance(left.__context__, BrokenPipeError):
            raise
        _let_go_of_stdout()
        return ExitCode.OK
    except Exception as error:  # the last frame of the process: people get a sentence and an exit code
        out.fail(unexpected(error))
        return ExitCode.FAILURE
    return code if isinstance(code, int) else ExitCode.OK


def _let_go_of_stdout() -> None:
    """Nobody reads it any more, and Python would complain once more when it closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@cache
def commands() -> Callable[..., object]:
    """With all their options. Typer takes as long to make them as Python to import them."""
    return typer.main.get_command(app)


def _wrong_usage(error: TyperException) -> CliError:
    path = getattr(getattr(error, "ctx", None), "command_path", "pointsman")
    return CliError("usage", error.format_message(), f"See how it is used: {path} --help", ExitCode.USAGE)


if __name__ == "__main__":
    main()
