"""Commands without a noun: they start, stop and examine."""

from enum import StrEnum
from typing import Annotated

import typer

from starter.cli.call import Call, command

Port = Annotated[
    int | None,
    typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port of the web pages; 0 takes a free one."),
]


class Decide(StrEnum):
    AUTO = "auto"
    ASK = "ask"


class DemoProvider(StrEnum):
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    MISTRAL = "mistral"
    BEDROCK = "bedrock"


class DoctorTopic(StrEnum):
    AZURE_DEVOPS = "azure-devops"


class SandboxSeed(StrEnum):
    DEMO = "demo"
    LARGE = "large"


class SandboxPart(StrEnum):
    AZURE_DEVOPS = "azure-devops"
    MODELS = "models"
    AGENTS = "agents"
    ALL = "all"


def register(app: typer.Typer) -> None:
    """Register the commands, in the order in which a newcomer meets them."""
    command(app, "demo", "pointsman demo", "pointsman demo --keep", "pointsman demo --provider anthropic")(demo)
    command(app, "up", "pointsman up", "pointsman up --detach")(up)
    command(app, "down", "pointsman down")(down)
    doctor_of_azure = "pointsman doctor --online azure-devops"
    command(app, "doctor", "pointsman doctor", "pointsman doctor --online --json", doctor_of_azure)(doctor)
    command(app, "serve", "pointsman serve")(serve)
    command(app, "web", "pointsman web --port 8080")(web)
    command(app, "worker", "pointsman worker")(worker)
    parts = ("pointsman sandbox all", "pointsman sandbox models --port 9001", "pointsman sandbox agents")
    command(app, "sandbox", *parts)(sandbox)


def demo(
    call: Call,
    keep: Annotated[bool, typer.Option("--keep", help="Leave all running until Ctrl-C, and print the URLs.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Use the real provider of the keys that are set.")] = False,
    decide: Annotated[
        Decide, typer.Option(help="auto: the demo decides the escalation; ask: it waits for you.")
    ] = Decide.AUTO,
    provider: Annotated[
        DemoProvider, typer.Option(help="Whose models answer: one line of the demo's policy.")
    ] = DemoProvider.OPENAI,
) -> int:
    """Take three work items all the way, and check every step.

    With a kill of the process and a human decision. Starts all that it needs on free loopback ports, and stops it
    again. Exit 0 only if every check held.
    """
    from starter.demo.run import DemoOptions, run_demo

    options = DemoOptions(keep=keep, as_json=call.out.as_json, live=live, provider=provider.value, decide=decide.value)
    return run_demo(options)


def up(
    call: Call,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when everything runs.")] = False,
    port: Port = None,
) -> int:
    """Start Temporal and Pointsman here, and print the URLs.

    A Temporal server that answers already is used. Stays in the foreground until Ctrl-C; with --detach, `pointsman
    down` stops it. State is kept in the data folder.
    """
    from starter.cli.settings import settings_of
    from starter.needs import check

    settings = settings_of(call, web_port=port)
    check(settings, ("web", "worker"))
    if detach:
        from starter.cli import detached

        return detached.up(call, settings)
    from starter.cli import running

    return call.run(running.up(call, settings))


def down(call: Call) -> None:
    """Stop what `pointsman up` started. Work under way goes on with the next `up`."""
    from starter.cli import detached
    from starter.cli.settings import settings_of

    call.run(detached.down(call, settings_of(call)))


def doctor(
    call: Call,
    topic: Annotated[
        DoctorTopic | None, typer.Argument(help="Ask this service alone what its documentation does not say.")
    ] = None,
    online: Annotated[bool, typer.Option("--online", help="Ask the services outside, too.")] = False,
) -> int:
    """Examine this installation, and say what mends it.

    Each check says what is, why it matters, and the command that mends it. Exit 9 with findings. With `azure-devops`
    each organisation is asked what docs/assumptions.md could not confirm: it reads, and has changes validated that are
    not made.

    In a pipe: check, status, what, fix, milliseconds.
    """
    from starter.cli import doctor as doctors

    return doctors.examine(call, online=online, topic=topic.value if topic else "")


def serve(call: Call, port: Port = None) -> int:
    """Run web, dispatcher, worker and sequencer in one process.

    Until Ctrl-C or SIGTERM.
    """
    return _serve(call, {"web", "worker"}, port)


def web(call: Call, port: Port = None) -> int:
    """Run web and dispatcher only. Needs PostgreSQL when a worker runs beside it."""
    return _serve(call, {"web"}, port)


def worker(call: Call) -> int:
    """Run a worker only. Needs PostgreSQL when other processes run beside it."""
    return _serve(call, {"worker"})


def _serve(call: Call, parts: set[str], port: int | None = None) -> int:
    from starter.cli.settings import settings_of
    from starter.needs import check

    settings = settings_of(call, web_port=port)
    check(settings, parts)
    from starter.cli import running  # takes seconds, so only when it will be needed

    return running.serve(call, settings, parts)


def sandbox(
    call: Call,
    part: Annotated[SandboxPart, typer.Argument(help="Which stand-in to run.")] = SandboxPart.ALL,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port of the first; 0 takes free ones.")
    ] = 0,
    seed: Annotated[
        SandboxSeed, typer.Option(help="What Azure DevOps begins with: a few items, or 20,000 with their histories.")
    ] = SandboxSeed.DEMO,
) -> int:
    """Run stand-ins for the outside world on loopback.

    To try Pointsman without an account. Prints the settings that lead to them; runs until Ctrl-C.
    """
    from starter.cli import sandbox as sandboxes
    from starter.cli.settings import settings_of

    return call.run(sandboxes.run(call, settings_of(call), part.value, port, seed.value))
