"""Policy on the command line: checked and shown."""

from datetime import timedelta
from pathlib import Path

from pointsman.config import Settings
from pointsman.contracts.policy import AgentPolicy, Ladder, Match, Policy
from pointsman.domain.words import how_many
from pointsman.policies.loading import LoadedPolicy, PolicyError, load
from pointsman.policies.process_rules import load_processes
from starter.cli.call import Call
from starter.cli.errors import ExitCode
from starter.cli.output import Listing, Record


def check(call: Call, settings: Settings, folder: Path | None) -> ExitCode:
    """List what is wrong, one finding a line; say what holds when nothing is."""
    try:
        loaded = load(folder or settings.policy_dir)
        load_processes(folder or settings.policy_dir)
    except PolicyError as error:
        findings = [{"finding": line} for line in str(error).splitlines()]
        call.show(Listing("findings", ("finding",), findings))
        call.out.say("mend these, then run it again: pointsman policy check")
        return ExitCode.FINDINGS
    call.show(Listing("findings", ("finding",), []))
    files = ", ".join(map(str, loaded.files))
    call.out.say(
        f"policy version {loaded.policy.version}, hash {loaded.policy.hash[:12]}, from {files}: nothing is wrong"
    )
    return ExitCode.OK


def shown(settings: Settings, folder: Path | None) -> Listing:
    loaded = load(folder or settings.policy_dir)
    return Listing("policy", ("part", "name", "says"), [*_head(loaded), *_rules(loaded.policy)])


def _head(loaded: LoadedPolicy) -> list[Record]:
    files = ", ".join(map(str, loaded.files))
    told = {"version": loaded.policy.version, "hash": loaded.policy.hash, "files": files}
    return [{"part": "policy", "name": name, "says": says} for name, says in told.items()]


def _rules(policy: Policy) -> list[Record]:
    return [
        *({"part": "tenant", "name": one.name, "says": ", ".join(one.organisations)} for one in policy.tenants),
        *({"part": "scope", "name": one.name, "says": _match(one.match)} for one in policy.scope),
        *({"part": "route", "name": one.name, "says": f"{_match(one.match)} -> {one.agent}"} for one in policy.routes),
        *({"part": "agent", "name": one.name, "says": _agent(one)} for one in policy.agents),
        *(
            {"part": "tool server", "name": one.name, "says": one.url or " ".join(one.command)}
            for one in policy.tool_servers
        ),
        *({"part": "ladder", "name": one.severity.value, "says": _ladder(one)} for one in policy.ladders),
    ]


def _match(match: Match) -> str:
    told = [f"{name}: {', '.join(values)}" for name, values in match.model_dump().items() if values]
    return "; ".join(told) or "everything"


def _agent(agent: AgentPolicy) -> str:
    limits = agent.limits
    told = [
        f"service at {agent.service.url}" if agent.service else agent.model,
        f"tools: {', '.join(agent.tools) or 'none'}",
        f"may change: {', '.join(agent.may_change) or 'nothing'}",
        *([f"needs approval: {', '.join(agent.needs_approval)}"] if agent.needs_approval else []),
        *([f"may link: {', '.join(agent.may_link)}"] if agent.may_link else []),
        *([f"links that need approval: {', '.join(approved)}"] if (approved := _approved_links(agent)) else []),
        f"at most {how_many(limits.steps, 'step')}, {how_many(limits.tool_calls, 'tool call')}, "
        f"{how_many(limits.tokens, 'token')}, {limits.cost_usd} USD, "
        f"{_duration(limits.wall_time)}",
    ]
    return "; ".join(told)


def _approved_links(agent: AgentPolicy) -> list[str]:
    return [kind for kind in agent.may_link if kind in agent.approve_links]


def _ladder(ladder: Ladder) -> str:
    return ", then ".join(f"{' and '.join(rung.notify)} for {_duration(rung.wait)}" for rung in ladder.rungs)


def _duration(wait: timedelta) -> str:
    """As policy files write it, for example `2d 12h`."""
    minutes, seconds = divmod(int(wait.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return " ".join(f"{count}{unit}" for count, unit in parts if count)
