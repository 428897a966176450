"""`up`, `down`, `serve` and `sandbox` as people start them: processes, found ready, stopped in order."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from bench.faults.forks import Nursery
from pointsman.temporal_server import DevServer, find_server, free_port
from starter.cli.errors import ExitCode
from tests.starter.process_rig import Ended, Started

pytestmark = pytest.mark.slow

SECRET = "correct-horse-battery"


@dataclass(frozen=True)
class Machine:
    """A data folder, and the environment of whoever works with it."""

    folder: Path
    environment: dict[str, str]
    nursery: Nursery
    started: list[Started] = field(default_factory=list)

    def run(self, *words: str) -> Ended:
        return self.start(*words).end()

    def start(self, *words: str) -> Started:
        place = self.folder.with_name(f"process-{len(self.started)}")
        self.started.append(Started(self.nursery, self.environment, place, *words))
        return self.started[-1]

    def evaluated(self, exports: str) -> dict[str, str]:
        """The environment of a shell that has evaluated `exports`."""
        shell = ["sh", "-c", 'eval "$0"; exec env -0', exports]
        told = subprocess.run(shell, env=self.environment, capture_output=True, text=True, check=True).stdout
        return dict(one.split("=", 1) for one in told.split("\0") if one)


@pytest.fixture
def machine(tmp_path: Path, nursery: Nursery) -> Generator[Machine]:
    folder = tmp_path / "data"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("POINTSMAN_", "TEMPORAL_"))}
    made = Machine(
        folder,
        {
            **inherited,
            "POINTSMAN_TEMPORAL_BIN": str(find_server().path),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "POINTSMAN_DATA_DIR": str(folder),
            "POINTSMAN_TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
            "POINTSMAN_UI_URL": f"http://127.0.0.1:{free_port()}",
            "POINTSMAN_WEB_PORT": str(free_port()),
            "POINTSMAN_WEBHOOK_SECRETS": SECRET,
            "POINTSMAN_PUBLIC_URL": "http://127.0.0.1:9",
            "POINTSMAN_AZURE_DEVOPS_URL": f"http://127.0.0.1:{free_port()}/fabrikam",
            "POINTSMAN_AZURE_DEVOPS_TOKEN": "nobody-asks-for-it",
            "POINTSMAN_OPENAI_API_KEY": "nobody-asks-for-it",
        },
        nursery,
    )
    yield made
    if folder.exists():
        made.run("down")
    for started in made.started:
        started.stop()


def answers(url: str) -> int:
    with build_opener(ProxyHandler({})).open(url, timeout=60) as answer:
        return int(answer.status)


def text_of(url: str) -> str:
    with build_opener(ProxyHandler({})).open(url, timeout=60) as answer:
        return str(answer.read().decode())


def test_up_comes_back_after_a_kill_and_down_leaves_nothing(machine: Machine) -> None:
    first = json.loads(machine.run("up", "--detach", "--json").stdout)["up"]
    assert answers(f"{first['web']}/health/ready") == 200
    assert answers(first["temporal_ui"]) == 200
    assert "\ntemporal_request" in text_of(f"{first['web']}/metrics"), "the worker's own are there unasked"
    until, troubles = time.monotonic() + 60, ["not looked at"]
    while troubles and time.monotonic() < until:  # the server knows of a worker's polls a moment after they begin
        checks = json.loads(machine.run("doctor", "--json").stdout)["checks"]
        troubles = [one for one in checks if one["status"] in ("warn", "fail")]
    assert troubles == []

    twice = machine.run("up")
    assert twice.returncode == ExitCode.CONFLICT
    assert f"process {first['pid']}" in twice.stderr
    assert twice.stderr.rstrip().endswith("pointsman down")

    os.kill(first["pid"], signal.SIGKILL)
    left = DevServer.attach(machine.folder / "temporal")
    assert left is not None
    machine.environment.pop("POINTSMAN_WEBHOOK_SECRETS")
    without_secret = machine.run("up", "--detach", "--json")
    assert "no delivery is taken" in without_secret.stderr
    second = json.loads(without_secret.stdout)["up"]
    assert second["pid"] != first["pid"]
    taken_over = DevServer.attach(machine.folder / "temporal")
    assert taken_over is not None
    assert taken_over.pid == left.pid

    down = machine.run("down", "--json")
    assert down.returncode == ExitCode.OK, down.stderr
    assert json.loads(down.stdout)["down"]["stopped"] == [f"pointsman (process {second['pid']})"]
    assert DevServer.attach(machine.folder / "temporal") is None
    assert json.loads(machine.run("down", "--json").stdout)["down"]["stopped"] == []


def test_down_stops_the_server_that_a_killed_up_left_behind(machine: Machine) -> None:
    server = DevServer(find_server().path, machine.folder / "temporal", ui=False)
    asyncio.run(server.start())
    stopped = json.loads(machine.run("down", "--json").stdout)["down"]["stopped"]
    assert stopped == [f"temporal (process {server.pid})"]
    assert DevServer.attach(machine.folder / "temporal") is None


def test_up_tells_the_setting_that_is_missing(machine: Machine) -> None:
    machine.environment.pop("POINTSMAN_OPENAI_API_KEY")
    up = machine.run("up", "--detach", "--json")
    assert up.returncode == ExitCode.USAGE
    error = json.loads(up.stderr.splitlines()[-1])["error"]
    assert "POINTSMAN_OPENAI_API_KEY is not set" in error["message"]
    assert error["hint"].endswith("pointsman config explain")
    assert DevServer.attach(machine.folder / "temporal") is None


def test_serve_ends_in_order_when_it_is_told_to(machine: Machine) -> None:
    serving = machine.start("serve", "--port", "0", "--json")
    shown = ""
    while not shown.endswith("}\n}\n"):  # the document is printed before the port is served
        line = serving.readline()
        assert line, serving.end()
        shown += line
    url = json.loads(shown)["serve"]["web"]
    until, alive = time.monotonic() + 60, False
    while not alive:
        try:
            alive = answers(f"{url}/health/live") == 200
        except OSError:
            assert time.monotonic() < until, "nothing is served"
            time.sleep(0.1)
    serving.send_signal(signal.SIGTERM)
    ended = serving.end()
    assert ended.returncode == ExitCode.OK, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_told_before_anything_starts(machine: Machine) -> None:
    busy = machine.start("temporal", "run", "--port", "0", "--ui-port", machine.environment["POINTSMAN_WEB_PORT"])
    while not (line := busy.readline()).startswith("log\t"):
        assert line, busy.end()
    serve = machine.run("serve")
    busy.send_signal(signal.SIGINT)
    assert busy.end().returncode == ExitCode.OK
    assert serve.returncode == ExitCode.CONFLICT
    assert "cannot be listened on" in serve.stderr
    assert serve.stdout == ""


def test_the_sandbox_prints_the_settings_that_lead_to_it(machine: Machine) -> None:
    sandbox = machine.start("sandbox", "all")
    exports = [sandbox.readline() for _ in range(19)]
    # The token and the key of the settings are taken, so that a stand-in can be started again for the same service.
    assert "export POINTSMAN_AZURE_DEVOPS_TOKEN=nobody-asks-for-it\n" in exports
    machine.environment.update(machine.evaluated("".join(exports)))
    online = json.loads(machine.run("doctor", "--online", "--json").stdout)["checks"]
    status = {one["check"]: one["status"] for one in online}
    assert (status["azure_devops_online"], status["model_online"]) == ("ok", "ok")
    rows = json.loads(machine.run("llm", "compare", "Hello", "--tier", "fast", "--json").stdout)["models"]
    answered = {row["provider"]: row["error"] for row in rows}
    assert answered == dict.fromkeys(("openai", "anthropic", "gemini", "mistral", "bedrock", "azure_openai"), "")
    sandbox.send_signal(signal.SIGINT)
    assert sandbox.end().returncode == ExitCode.OK


def test_the_path_of_the_server_can_be_used_by_a_shell(machine: Machine) -> None:
    path = machine.run("temporal", "path")
    assert path.returncode == ExitCode.OK
    assert Path(path.stdout.rstrip("\n")).is_file()
    machine.environment["POINTSMAN_TEMPORAL_BIN"] = "/nowhere/temporal"
    missing = machine.run("temporal", "path", "--json")
    assert missing.returncode == ExitCode.NOT_FOUND
    assert json.loads(missing.stderr)["error"]["hint"].endswith("pointsman temporal install")
