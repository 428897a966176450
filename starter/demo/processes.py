"""The three processes of the demo, each started as anybody would, on free loopback ports, with logs of their own."""

import asyncio
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx2

from pointsman.temporal_server import DevServer, find_server, free_port
from starter.cli.sandbox import model_settings

STARTUP_SECONDS = 90.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.05
LIVE_VARIABLES = ("POINTSMAN_OPENAI_API_KEY", "POINTSMAN_OPENAI_API_KEY_FILE", "POINTSMAN_OPENAI_BASE_URL")
# By these the model service finds its providers; without --live the demo's own stand-in takes the place of each.
MODEL_PREFIXES = ("OPENAI_", "ANTHROPIC_", "GOOGLE_", "MISTRAL_", "BEDROCK_", "AZURE_OPENAI_", "AWS_", "LLM_")
POLICY = """# The policy of the demo: the built-in one, with one line changed.
version: "demo"
models:
  prefer: [{provider}]
"""
Say = Callable[[str], None]


class DemoFailed(Exception):
    """The demo cannot go on. The text says what failed, and which log tells more."""


@dataclass
class Child:
    """One of our programs as a process: started with the command line that people use, or another module's."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    module: str = "starter.cli.app"
    live: bool = False
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def output(self) -> Path:
        return self.folder / f"{self.name}.out"

    def start(self) -> None:
        command = [sys.executable, "-m", self.module, *self.arguments]
        with self.log.open("ab") as log, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                cwd=self.folder,  # where nobody's `.env` is
                env={**surroundings(live=self.live), **self.environment},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def check(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            ending = " | ".join(self.log.read_text(errors="replace").splitlines()[-3:])[-600:]
            raise DemoFailed(f"{self.name} ended with {self.process.returncode}. Its log {self.log} ends: {ending}")


def surroundings(*, live: bool = False) -> dict[str, str]:
    """Our environment without anybody's settings of Pointsman, Temporal and models: the demo touches only its own.

    `live` leaves the settings of models in it.
    """
    others = ("POINTSMAN_", "TEMPORAL_") if live else ("POINTSMAN_", "TEMPORAL_", "ALLOWED_MODELS", *MODEL_PREFIXES)
    return {name: value for name, value in os.environ.items() if not name.startswith(others)}


class Stage:
    """Everything that runs for the demo, and where to reach it."""

    def __init__(self, folder: Path, *, live: bool, provider: str = "openai") -> None:
        self.folder = folder
        self.live = live
        self.provider = provider
        self.organisation = "fabrikam"
        self.project = "Fabrikam"
        self.person_token = ""
        self.hook_secret = secrets.token_urlsafe(24)
        self._service_token = secrets.token_urlsafe(24)
        self._model_key = secrets.token_urlsafe(24)
        sandbox_port, web_port, self.core_port = _two_ports(), free_port(), free_port()
        self.azure_url = f"http://127.0.0.1:{sandbox_port}"
        self.models_url = "" if live else f"http://127.0.0.1:{sandbox_port + 1}"
        self.web_url = f"http://127.0.0.1:{web_port}"
        self.temporal: DevServer | None = None
        parts = "azure-devops" if live else "all"
        settings_file = folder / "config.toml"
        folder.mkdir(parents=True, exist_ok=True)
        settings_file.touch()
        policy_dir = folder / "policy"
        policy_dir.mkdir(exist_ok=True)
        (policy_dir / "policy.yaml").write_text(POLICY.format(provider=provider), encoding="utf-8")
        common = {
            "POINTSMAN_CONFIG_FILE": str(settings_file),
            "POINTSMAN_AZURE_DEVOPS_TOKEN": self._service_token,
            **self._model(),
        }
        self.sandbox = Child("sandbox", ("sandbox", parts, "--port", str(sandbox_port), "--json"), common, folder)
        self.pointsman = Child(
            "pointsman",
            ("serve",),
            {
                **common,
                "POINTSMAN_DATA_DIR": str(folder / "data"),
                "POINTSMAN_WEB_PORT": str(web_port),
                "POINTSMAN_PUBLIC_URL": self.web_url,
                "POINTSMAN_WEBHOOK_SECRETS": self.hook_secret,
                "POINTSMAN_AZURE_DEVOPS_URL": f"{self.azure_url}/{self.organisation}",
                "POINTSMAN_METRICS_PORT": str(self.core_port),
                "POINTSMAN_POLICY_DIR": str(policy_dir),
            },
            folder,
            live=live,
        )

    def _model(self) -> dict[str, str]:
        if self.live:
            given = {name: os.environ.get(name, "") for name in LIVE_VARIABLES}
            given[LIVE_VARIABLES[0]] = given[LIVE_VARIABLES[0]] or os.environ.get("OPENAI_API_KEY", "")
            return given
        return model_settings(self.models_url, self._model_key)

    @property
    def server(self) -> DevServer:
        """Temporal's, once the stage has started."""
        assert self.temporal is not None, "the stage has started"
        return self.temporal

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.folder / 'data' / 'pointsman.db'}"

    @property
    def ui_url(self) -> str:
        return self.temporal.ui_url if self.temporal else ""

    async def start(self, say: Say) -> None:
        """Start all at once, as none needs another to start; return when all are ready.

        Raises:
            DemoFailed: one of them does not come up.
            ServerNotFound: there is no Temporal server to start, and none could be obtained.
        """
        server = await self.choose_temporal(say)
        try:
            async with asyncio.TaskGroup() as starting:
                starting.create_task(server.start(timedelta(seconds=STARTUP_SECONDS)))
                starting.create_task(self.start_pointsman())
                starting.create_task(self.start_sandbox())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def choose_temporal(self, say: Say) -> DevServer:
        """The server that Pointsman is told of. It is not started yet."""
        found = await asyncio.to_thread(find_server, say=say)
        self.temporal = DevServer(found.path, self.folder / "temporal")
        self.pointsman.environment = {
            **self.pointsman.environment,
            "POINTSMAN_TEMPORAL_ADDRESS": self.temporal.address,
            "POINTSMAN_UI_URL": self.temporal.ui_url,
        }
        return self.temporal

    def write_settings(self) -> Path:
        """The settings of Pointsman's process for a shell, for its user alone: secrets of this run are among them.

        A real provider's key is not ours to write down, and the port of metrics is taken.
        """
        path = self.folder / "settings.env"
        left_out = ("POINTSMAN_METRICS_PORT", *(LIVE_VARIABLES if self.live else ()))
        told = {name: value for name, value in self.pointsman.environment.items() if name not in left_out}
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in told.items()), encoding="utf-8")
        return path

    async def start_pointsman(self) -> None:
        self.pointsman.start()
        await self.ready()

    async def ready(self) -> None:
        """Return once Pointsman says that it is ready.

        Raises:
            DemoFailed: it ended, or does not get ready.
        """
        await self._reachable(self.pointsman, f"{self.web_url}/health/ready")

    async def start_sandbox(self) -> None:
        self.sandbox.start()
        await self._reachable(self.sandbox, f"{self.azure_url}/_sandbox/health")
        told = json.loads(self.sandbox.output.read_text())
        self.person_token = str(told["sandbox"]["SANDBOX_PERSON_TOKEN"])

    async def _reachable(self, child: Child, url: str) -> None:
        try:
            async with asyncio.timeout(STARTUP_SECONDS), httpx2.AsyncClient(timeout=5, trust_env=False) as http:
                while not await _answers(http, url):
                    child.check()
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise DemoFailed(
                f"{child.name} is not ready at {url} after {STARTUP_SECONDS:.0f} s; see {child.log}"
            ) from None

    async def stop(self) -> None:
        """Stop all that was started; state and logs stay in the folder."""
        await asyncio.gather(asyncio.to_thread(self.pointsman.stop), asyncio.to_thread(self.sandbox.stop))
        if self.temporal is not None:
            await self.temporal.stop()


async def _answers(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).status_code == 200
    except httpx2.HTTPError:
        return False


def _two_ports() -> int:
    """A free port whose successor is free as well: one for each stand-in."""
    while True:
        port = free_port()
        with suppress(OSError, OverflowError):  # 65536 is none
            return free_port(port + 1) - 1
