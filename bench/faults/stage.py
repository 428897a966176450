"""What runs during the kills: the processes of the demo, with stand-ins whose waits fit how long a restart takes."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import httpx2

from bench.faults.forks import Forked, Nursery
from pointsman.temporal_server import free_port
from starter.demo.processes import STARTUP_SECONDS, DemoFailed, Say, Stage

# All attempts of a delivery together span 183 s at scale 1. They must outlast a restart by far: what the service
# gives up is lost by its own design, and says nothing about us.
SPAN_SECONDS = 183.0
SPAN_RESTARTS = 3.0
SCALE_MIN = 0.06
POLL_SECONDS = 0.05
ATTEMPTS_SPARED = 6
"""A delivery that failed as often as this is let through before the next kill; the ninth failure would lose events."""
SHARED_TOOLS = """tool_servers:
  - name: work-items
    url: http://127.0.0.1:{port}/mcp
    timeout: 30s
"""


class FaultStage(Stage):
    def __init__(self, folder: Path, nursery: Nursery, *, shared_tools: bool = False) -> None:
        """With `shared_tools` all starts of Pointsman ask one tool server, which no kill hits, over HTTP; else each
        starts one of its own, which takes twice the processor time of the start itself."""
        super().__init__(folder, live=False)
        named = self.pointsman
        self.pointsman = Forked(named.name, named.arguments, named.environment, folder, nursery=nursery)
        self.time_scale = 0.0
        self._tools: Forked | None = None
        self._tools_port = free_port()
        if shared_tools:
            arguments = ("mcp", "work-items", "--http", str(self._tools_port))
            self._tools = Forked("tools", arguments, named.environment, folder, nursery=nursery)
            with (folder / "policy/policy.yaml").open("a", encoding="utf-8") as policy:
                policy.write(SHARED_TOOLS.format(port=self._tools_port))

    async def start(self, say: Say) -> None:
        """Temporal and Pointsman first: how long they take says how long the stand-ins must be patient."""
        await (await self.choose_temporal(say)).start()
        began = time.monotonic()
        await self.start_pointsman()
        seconds = time.monotonic() - began
        await self._start_tools()
        self.time_scale = max(SCALE_MIN, seconds * SPAN_RESTARTS / SPAN_SECONDS)
        port = self.azure_url.rpartition(":")[2]
        arguments = ("--port", port, "--time-scale", str(self.time_scale))
        self.sandbox = replace(self.sandbox, arguments=arguments, module="bench.faults.sandbox")
        await self.start_sandbox()

    async def stop(self) -> None:
        await super().stop()
        if self._tools is not None:
            await asyncio.to_thread(self._tools.stop)

    async def _start_tools(self) -> None:
        if self._tools is None:
            return
        self._tools.start()
        deadline = time.monotonic() + STARTUP_SECONDS
        while not await _listens(self._tools_port):
            self._tools.check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"the tool server does not listen on {self._tools_port}; see {self._tools.log}")
            await asyncio.sleep(POLL_SECONDS)

    async def spare(self) -> float:
        """Wait while a delivery is close to being given up. Returns the seconds that it took."""
        began = time.monotonic()
        while await self._attempts_max() >= ATTEMPTS_SPARED:  # noqa: ASYNC110 - another process, so nothing announces it
            await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - began

    async def _attempts_max(self) -> int:
        return (await self._waiting())["attempts_max"]

    async def waiting(self) -> int:
        """Deliveries that are not answered yet."""
        return (await self._waiting())["waiting"]

    async def _waiting(self) -> dict[str, int]:
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
            answer = await http.get(f"{self.azure_url}/_faults/waiting")
        told: dict[str, int] = answer.raise_for_status().json()
        return told

    async def release(self) -> None:
        """Let go of deliveries that wait for an event which nobody causes any more."""
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
            (await http.post(f"{self.azure_url}/_sandbox/deliveries/release")).raise_for_status()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
