"""One call of a command: its output, and what the root options said. `command` gives every command the same options."""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Concatenate, ParamSpec, TypeVar, cast

import typer

from starter import loading
from starter.cli.errors import CliError, ExitCode, translated, unexpected, usage
from starter.cli.output import Listing, Output, Single, output

P = ParamSpec("P")
T = TypeVar("T")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel="Output")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No talk on stderr.", rich_help_panel="Output")]
NoColorOption = Annotated[bool, typer.Option("--no-color", help="No colours.", rich_help_panel="Output")]
# In every listing and every command that changes something, so that they are worded once.
Limit = Annotated[
    int, typer.Option("--limit", "-n", metavar="COUNT", min=1, max=10_000, help="At most so many, newest first.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
# Where the name comes from is told with each command that takes it.
LOGIN = "your login name if not given: of USER or LOGNAME, else of your account on this machine"
WhoAsks = Annotated[str, typer.Option("--by", help=f"Who asks; {LOGIN}.", show_default=False)]
WhoDecides = Annotated[str, typer.Option("--by", help=f"Who decides; {LOGIN}.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass
class Given:
    """What the root options said, by name of the setting. `config.load` puts it over environment and files."""

    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """What a command gets besides its own options."""

    out: Output
    given: Mapping[str, object]

    def show(self, what: Listing | Single) -> None:
        self.out.show(what)

    def run(self, work: Coroutine[object, object, T]) -> T:
        import asyncio  # 80 ms that `--help` need not pay

        loading.end()
        return asyncio.run(work)

    def confirm(self, question: str, yes: bool) -> None:
        """Ask on a terminal; without one the flag must have been given.

        Raises:
            CliError: nobody can be asked, or the answer was no.
        """
        if yes:
            return
        if not sys.stdin.isatty():
            raise usage(f"{question} Nobody can be asked here, so nothing was done.", "Run it again with --yes.")
        if not typer.confirm(question, err=True):
            raise CliError("declined", "You said no. Nothing was done.")


def command(
    app: typer.Typer, name: str, *examples: str
) -> Callable[[Callable[Concatenate[Call, P], int | None]], Callable[P, None]]:
    """Register a command whose first parameter is the `Call`; it may return an exit code."""

    def register(function: Callable[Concatenate[Call, P], int | None]) -> Callable[P, None]:
        signature = inspect.signature(function)
        own = list(signature.parameters.values())[1:]
        common = [
            inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            *_options(as_json=JsonOption, quiet=QuietOption, no_color=NoColorOption),
        ]

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            call = _call(kwargs)
            with_errors_told(call.out, lambda: function(call, *args, **kwargs))

        keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        parameters = [*keywords, *common]
        # Typer reads the signature: without the call, with the options that all commands share.
        run.__dict__["__signature__"] = signature.replace(parameters=parameters, return_annotation=None)
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        del run.__dict__["__wrapped__"]
        app.command(name, epilog=example_text(examples))(run)
        return run

    return register


def _options(**annotations: object) -> list[inspect.Parameter]:
    kind = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(name, kind, default=False, annotation=one) for name, one in annotations.items()]


def _call(kwargs: dict[str, object]) -> Call:
    # Typer hands in the base class of what it asks us to annotate, so `isinstance` would say no.
    context = cast(typer.Context, kwargs.pop("ctx"))
    flags = (bool(kwargs.pop("as_json")), bool(kwargs.pop("quiet")), bool(kwargs.pop("no_color")))
    given = context.find_root().obj
    return Call(output(*flags), given.settings if isinstance(given, Given) else {})


def with_errors_told(out: Output, work: Callable[[], int | None]) -> None:
    """Run `work`, print what went wrong, and leave with its exit code."""
    try:
        code = work()
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        out.say("interrupted")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except Exception as error:  # the last frame: whatever it is, people get a sentence and an exit code
        told = translated(error) or unexpected(error)
        out.fail(told)
        raise typer.Exit(told.exit_code) from None
    if code:
        raise typer.Exit(code)


def group(name: str, text: str) -> typer.Typer:
    """A noun, for example `items`. Without a verb it prints its help, which is no error."""
    # Plain help: it looks the same in a pipe and in the docs, and loads in half the time of the coloured one.
    noun = typer.Typer(name=name, help=text, rich_markup_mode=None, add_completion=False)
    noun.callback(invoke_without_command=True)(help_alone)
    return noun


def help_alone(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def example_text(examples: tuple[str, ...]) -> str:
    r"""The end of a command's help. The `\b` keeps the lines as they are."""
    return "\b\nExample:\n" + "\n".join(f"  {one}" for one in examples)


def me() -> str:
    """Who decides when `--by` is not given: the login name, by the environment or by the account of this process.

    Raises:
        CliError: neither says anything.
    """
    if name := os.environ.get("USER") or os.environ.get("LOGNAME"):
        return name
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise usage(
            f"It is not clear who you are: USER is not set, and user id {os.getuid()} has no name on this machine.",
            "Say it with --by NAME.",
        ) from None
