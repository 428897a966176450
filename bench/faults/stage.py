"""What runs during the kills: the processes of the demo, with stand-ins whose waits fit how long a restart takes."""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2

from pointsman.temporal_server import DevServer, find_server
from starter.demo.processes import STARTUP_SECONDS, Child, DemoFailed, Say, Stage, surroundings

# All attempts of a delivery together span 183 s at scale 1. They must outlast a restart by far: what the service
# gives up is lost by its own design, and says nothing about us.
SPAN_SECONDS = 183.0
SPAN_RESTARTS = 3.0
SCALE_MIN = 0.06
POLL_SECONDS = 0.05
ATTEMPTS_SPARED = 6
"""A delivery that failed as often as this is let through before the next kill; the ninth failure would lose events."""


@dataclass
class StandIns(Child):
    """The stand-ins, run from our own module."""

    def start(self) -> None:
        command = [sys.executable, "-m", "bench.faults.sandbox", *self.arguments]
        with self.log.open("ab") as log, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env={**surroundings(), **self.environment},
                start_new_session=True,
            )


class FaultStage(Stage):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, live=False)
        self.time_scale = 0.0

    @property
    def server(self) -> DevServer:
        assert self.temporal is not None, "the stage has started"
        return self.temporal

    async def start(self, say: Say) -> None:
        """Temporal and Pointsman first: how long they take says how long the stand-ins must be patient."""
        found = await asyncio.to_thread(find_server, say=say)
        self.temporal = DevServer(found.path, self.folder / "temporal")
        await self.temporal.start()
        self.pointsman.environment = {
            **self.pointsman.environment,
            "POINTSMAN_TEMPORAL_ADDRESS": self.temporal.address,
            "POINTSMAN_UI_URL": self.temporal.ui_url,
        }
        began = time.monotonic()
        await self.start_pointsman()
        seconds = time.monotonic() - began
        self.time_scale = max(SCALE_MIN, seconds * SPAN_RESTARTS / SPAN_SECONDS)
        port = self.azure_url.rpartition(":")[2]
        arguments = ("--port", port, "--time-scale", str(self.time_scale))
        self.sandbox = StandIns("sandbox", arguments, self.sandbox.environment, self.folder)
        self.sandbox.start()
        await self.reachable(self.sandbox, f"{self.azure_url}/_sandbox/health")
        told = json.loads(self.sandbox.output.read_text())
        self.person_token = str(told["sandbox"]["SANDBOX_PERSON_TOKEN"])

    async def ready(self) -> None:
        """Return once Pointsman says that it is ready.

        Raises:
            DemoFailed: it ended, or does not get ready.
        """
        await self.reachable(self.pointsman, f"{self.web_url}/health/ready")

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

    async def reachable(self, child: Child, url: str) -> None:
        try:
            async with asyncio.timeout(STARTUP_SECONDS), httpx2.AsyncClient(timeout=5, trust_env=False) as http:
                while not await _answers(http, url):
                    child.check()
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise DemoFailed(
                f"{child.name} does not answer at {url} for {STARTUP_SECONDS:.0f} s; see {child.log}"
            ) from None


async def _answers(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).status_code == 200
    except httpx2.HTTPError:
        return False
