"""Remote agent services of a process that starts: what speaks to them is loaded when one is first needed."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from pydantic import SecretStr

from pointsman.config import Misconfigured
from pointsman.contracts.agents import RemoteCard, RemoteMessage, RemoteState, RemoteTask
from pointsman.contracts.policy import AgentPolicy, AgentService, Policy
from pointsman.ports_agents import AgentServices
from starter.models import secret_of


class OpenAgents(AgentServices, Protocol):
    async def aclose(self) -> None: ...


class LateAgents:
    """`ports_agents.AgentServices`. The SDK of A2A takes half a second to load, which nobody waits for who has no
    agent elsewhere; it is loaded once, in a thread."""

    def __init__(self) -> None:
        self._loading: asyncio.Task[OpenAgents] | None = None

    async def card(self, service: AgentService) -> RemoteCard:
        return await (await self._loaded()).card(service)

    async def send(self, service: AgentService, message: RemoteMessage) -> RemoteTask:
        return await (await self._loaded()).send(service, message)

    async def find(self, service: AgentService, context: str) -> Sequence[RemoteTask]:
        return await (await self._loaded()).find(service, context)

    async def get(self, service: AgentService, task: str, *, whole: bool = False) -> RemoteTask:
        return await (await self._loaded()).get(service, task, whole=whole)

    async def listen(self, service: AgentService, task: str, tell: Callable[[], None]) -> None:
        await (await self._loaded()).listen(service, task, tell)

    async def cancel(self, service: AgentService, task: str) -> RemoteState:
        return await (await self._loaded()).cancel(service, task)

    async def aclose(self) -> None:
        """Close what was opened; nothing is loaded for that."""
        if self._loading is not None:
            await (await self._loaded()).aclose()

    def _loaded(self) -> Awaitable[OpenAgents]:
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(_load))
        return asyncio.shield(self._loading)  # others wait for the same one


def _load() -> OpenAgents:
    # The SDK makes four spans of each look at a task, of its private methods too; who wants them sets it to true.
    os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")
    from pointsman.clients.agents import RemoteAgents

    return RemoteAgents(secret_of)


def services(policy: Policy) -> Sequence[tuple[AgentPolicy, AgentService]]:
    """The agents that are services elsewhere."""
    return [(agent, agent.service) for agent in policy.agents if agent.service is not None]


def service_secrets(policy: Policy) -> Sequence[SecretStr | None]:
    """Every credential of theirs that this process may come to hold."""
    return [secret_of(service.key) for _, service in services(policy) if service.key]


def service_keys(policy: Policy) -> None:
    """Look whether each credential that policy names is there.

    Raises:
        Misconfigured: one is not.
    """
    for agent, service in services(policy):
        if service.key and secret_of(service.key) is None:
            raise Misconfigured(
                f"{service.key} is not set, nor {service.key}_FILE: agent {agent.name!r} of the policy needs it as the "
                f"credential for {service.url}. Nothing was started."
            )
