"""Probes of agents that are services elsewhere: whether each answers with a card that policy accepts."""

import asyncio
import time

from pointsman.config import Misconfigured, Settings
from pointsman.contracts.policy import AgentPolicy, AgentService
from pointsman.ports import Rejected, Unavailable
from starter.agents import LateAgents, service_keys, services
from starter.cli.context import policy
from starter.cli.probes import Finding, fail, ok


async def agent_keys(settings: Settings) -> Finding:
    wanted = policy(settings)
    if not services(wanted):
        return ok("no agent of the policy is a service elsewhere")
    try:
        service_keys(wanted)
    except Misconfigured as error:
        return fail(str(error).removesuffix(" Nothing was started."), "pointsman policy show")
    named = [service.key for _, service in services(wanted) if service.key]
    return ok(f"set: {', '.join(named)}" if named else "policy names none")


async def agent_services(settings: Settings) -> Finding:
    """Read each card: nothing is sent to any agent."""
    wanted = services(policy(settings))
    if not wanted:
        return ok("no agent of the policy is a service elsewhere")
    agents = LateAgents()
    try:
        answers = await asyncio.gather(*(_card(agents, agent, service) for agent, service in wanted))
    finally:
        await agents.aclose()
    told = "; ".join(f"{agent.name}: {answer}" for (agent, _), answer in zip(wanted, answers, strict=True))
    return fail(told, "pointsman policy show") if any(isinstance(one, Exception) for one in answers) else ok(told)


async def _card(agents: LateAgents, agent: AgentPolicy, service: AgentService) -> str | Exception:
    began = time.perf_counter()
    try:
        card = await agents.card(service)
    except (Rejected, Unavailable) as error:
        return error
    took = f"{(time.perf_counter() - began) * 1_000:.0f} ms"
    skills = f", can {', '.join(card.skills)}" if card.skills else ""
    signed = ", its card is signed as policy wants" if card.signed else ""
    return f"{card.name} {card.version} speaks A2A {card.protocol}{skills}{signed} ({took})"
