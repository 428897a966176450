"""`pointsman doctor`: ordered checks of an installation. A check whose ground is missing is skipped, and says so."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pointsman.config import Misconfigured, Settings, load, unknown_variables
from starter.cli import probes_agents, probes_here, probes_models, probes_outside, probes_worker, questions
from starter.cli.call import Call
from starter.cli.errors import ExitCode, usage
from starter.cli.output import Listing
from starter.cli.probes import Finding, Status, fail, ok, warn

Ask = Callable[[Settings], Awaitable[Finding]]


@dataclass(frozen=True)
class Probe:
    """`needs` names probes that must not have failed; `online` ones ask services outside."""

    id: str
    why: str
    ask: Ask
    needs: tuple[str, ...] = ()
    online: bool = False


@dataclass(frozen=True)
class Check:
    """The outcome of a probe. `ms` is what it took."""

    id: str
    status: Status
    what: str
    why: str
    fix: str
    ms: int


SETTINGS_WHY = "every process reads them when it starts"

PROBES = (
    Probe("python", "the code needs it", probes_here.python),
    Probe("packages", "other versions than the locked ones are not tested", probes_here.packages),
    Probe("data_dir", "database, keys and local Temporal state live there", probes_here.data_dir),
    Probe("disk", "a full disk stops intake: deliveries get 503", probes_here.disk),
    Probe("database", "everything that is acknowledged is kept in it", probes_here.database, ("data_dir",)),
    Probe("clock", "deadlines and the order of the log go by it", probes_here.clock, ("database",)),
    Probe("policy", "it says which items are ours, and which agent takes them", probes_here.policy),
    Probe("temporal_binary", "`up` and `demo` start it", probes_outside.temporal_binary),
    Probe(
        "temporal_server",
        "workflows live there; without it deliveries wait in the inbox",
        probes_outside.temporal_server,
    ),
    Probe("namespace", "workflows are started in it", probes_outside.namespace, ("temporal_server",)),
    Probe(
        "search_attributes", "workflows set them, and fail without", probes_outside.search_attributes, ("namespace",)
    ),
    Probe("pollers", "without a worker nothing goes on", probes_worker.pollers, ("namespace",)),
    Probe("webhook_secrets", "without one no delivery is kept: Azure DevOps gets 503", probes_here.webhook_secrets),
    Probe(
        "public_url",
        "subscriptions post there: without it nobody knows which are ours, and nobody looks after them",
        probes_here.public_url,
    ),
    Probe("web_port", "deliveries and pages come in there", probes_outside.web_port),
    Probe("azure_devops", "items are read there, and outcomes written", probes_here.azure_devops),
    Probe(
        "azure_devops_online",
        "without an account there nothing is read or written",
        probes_outside.azure_devops,
        ("azure_devops",),
        online=True,
    ),
    Probe("model_key", "agents need a model", probes_models.model_key, ("policy",)),
    Probe("agent_keys", "agents elsewhere let us in by them", probes_agents.agent_keys, ("policy",)),
    Probe("agent_services", "turns are given to them", probes_agents.agent_services, ("agent_keys",), online=True),
    Probe("model_online", "the key may be refused", probes_models.model_online, ("model_key",), online=True),
)


def examine(call: Call, *, online: bool, topic: str = "") -> ExitCode:
    """Print all checks, or what the topic is asked. Exit 9 when one of them warns or fails."""
    if topic and not online:
        raise usage(f"{topic!r} is asked outside: nothing was asked.", f"Say so: pointsman doctor --online {topic}")
    return _told(call, call.run(_questioned(call) if topic else examined(call, online=online)))


async def _questioned(call: Call) -> list[Check]:
    checks: list[Check] = []
    began = time.perf_counter()

    def note(name: str, why: str, finding: Finding) -> None:
        nonlocal began
        checks.append(_check(name, why, finding, began))
        began = time.perf_counter()

    await questions.answered(load(**call.given), note)
    return checks


def _told(call: Call, checks: Sequence[Check]) -> ExitCode:
    columns = ("check", "status", "what", "fix", "ms")
    call.show(
        Listing(
            "checks",
            columns,
            [
                {
                    "check": one.id,
                    "status": one.status.value,
                    "what": one.what,
                    "why": one.why,
                    "fix": one.fix,
                    "ms": one.ms,
                }
                for one in checks
            ],
        )
    )
    findings = [one for one in checks if one.status in (Status.FAIL, Status.WARN)]
    for one in findings:
        call.out.say(f"{one.id}: {one.what}; {one.why}. Next: {one.fix}")
    return ExitCode.FINDINGS if findings else ExitCode.OK


async def examined(call: Call, *, online: bool, probes: Sequence[Probe] = PROBES) -> list[Check]:
    """All checks in order, the settings first."""
    began = time.perf_counter()
    settings, finding = _settings(call)
    checks = [_check("settings", SETTINGS_WHY, finding, began)]
    for probe in probes:
        began = time.perf_counter()
        finding = _ground(probe, settings, online, checks) or await _asked(probe, settings)
        checks.append(_check(probe.id, probe.why, finding, began))
    return checks


def _settings(call: Call) -> tuple[Settings | None, Finding]:
    try:
        settings = load(**call.given)
    except Misconfigured as error:
        return None, fail(str(error).removesuffix("\nnext: pointsman config explain"), "pointsman config explain")
    if names := unknown_variables():
        return settings, warn(f"set, but unknown: {', '.join(names)}", f"unset {' '.join(names)}")
    return settings, ok(f"{sum(one.origin != 'default' for one in settings.explain())} of them are not the default")


def _ground(probe: Probe, settings: Settings | None, online: bool, before: Sequence[Check]) -> Finding | None:
    """Why the probe cannot be asked; None if it can."""
    if settings is None:
        return Finding(Status.SKIP, "the settings are wrong")
    if probe.online and not online:
        return Finding(Status.SKIP, "asks a service outside", "pointsman doctor --online")
    missing = [one.id for one in before if one.id in probe.needs and one.status in (Status.FAIL, Status.SKIP)]
    return Finding(Status.SKIP, f"needs {', '.join(missing)}") if missing else None


async def _asked(probe: Probe, settings: Settings | None) -> Finding:
    assert settings is not None
    try:
        return await probe.ask(settings)
    except Exception as error:  # a probe that breaks is a finding, and must not hide those after it
        return fail(f"{type(error).__name__}: {error}", "pointsman config explain")


def _check(name: str, why: str, finding: Finding, began: float) -> Check:
    return Check(name, finding.status, finding.what, why, finding.fix, round((time.perf_counter() - began) * 1_000))
