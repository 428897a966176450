"""The image's recipe: pinned, unprivileged, without secrets. Carried out in a folder, it gives a working program."""

import ast
import fnmatch
import re
import subprocess
import sys
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.deploy import compose
from tests.deploy.compose import ROOT
from tests.deploy.dockerfile import Image, Step, steps

TEXT = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
STEPS = steps(TEXT)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROBE = ROOT / "deploy" / "probe.py"


def of(keyword: str) -> list[Step]:
    return [step for step in STEPS if step.keyword == keyword]


def sent() -> list[str]:
    """Patterns of what `.dockerignore` lets through to the build."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines, "everything is left out but what is named"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def test_every_stage_starts_from_one_pinned_python() -> None:
    bases = {step.text.partition(" AS ")[0] for step in of("FROM")}
    assert len(bases) == 1
    found = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim-\w+", bases.pop())
    assert found
    assert PROJECT["project"]["requires-python"] == f">={found[1]}"


def test_last_stage_runs_without_privileges_and_is_watched() -> None:
    last = STEPS[max(number for number, step in enumerate(STEPS) if step.keyword == "FROM") :]
    assert [step.text for step in last if step.keyword == "USER"] == ["10001:10001"]
    assert [step.keyword for step in last].count("HEALTHCHECK") == 1
    assert all(step.keyword != "RUN" or "pip" not in step.text for step in last)


def test_dependencies_are_installed_by_hash_only() -> None:
    installs = [step.text for step in of("RUN") if "pip install" in step.text]
    assert installs
    assert all("--require-hashes" in text or "--no-deps --no-index" in text for text in installs)


def test_environment_is_compiled_in_the_build() -> None:
    installs = [step.text for step in of("RUN") if "uv pip install" in step.text]
    assert len(installs) == 2
    assert all("--compile-bytecode" in text for text in installs)


def test_no_step_names_a_secret() -> None:
    assert not [step for step in [*of("ARG"), *of("ENV")] if re.search("TOKEN|SECRET|KEY|PASSWORD", step.text)]


def test_build_gets_what_it_copies_and_no_local_settings() -> None:
    wanted = [source for step in of("COPY") if "from" not in step.options for source in step.text.split()[:-1]]
    allowed = sent()
    assert [source for source in wanted if source not in allowed] == []
    assert not [
        name for name in (".env", ".git", ".venv", "tests") if any(fnmatch.fnmatch(name, one) for one in allowed)
    ]


def test_version_is_that_of_the_project() -> None:
    version = PROJECT["project"]["version"]
    assert Step("ARG", {}, f"VERSION={version}") in STEPS
    assert all(compose.services()[name]["image"] == f"pointsman:{version}" for name in ("migrate", "web", "worker"))


def test_packages_of_the_wheel_are_all_copied() -> None:
    copied = {source for step in of("COPY") if "from" not in step.options for source in step.text.split()[:-1]}
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]) <= copied


@pytest.mark.slow(12)
def test_steps_carried_out_in_a_folder_give_a_working_program(tmp_path: Path) -> None:
    image = Image(context=ROOT, folder=tmp_path)
    image.build(STEPS)
    version = image.run(*image.entrypoint, "--version")
    assert (version.returncode, version.stdout) == (0, f"pointsman {PROJECT['project']['version']}\n"), version.stderr
    told = image.run(*image.entrypoint, "--help")
    assert told.returncode == 0
    assert all(command in told.stdout for command in ("web", "worker", "db"))
    policy = image.run(*image.entrypoint, "policy", "check", "--json")
    assert policy.returncode == 0, policy.stderr
    # Built from copies: neither the sources nor the build folder may be needed.
    where = image.run("python", "-c", "import starter, worker, workflows; print(starter.__file__, workflows.__file__)")
    assert where.returncode == 0, where.stderr
    assert all(path.startswith(str(image.root)) for path in where.stdout.split())
    assert (image.root / "var/lib/pointsman").stat().st_mode & 0o777 == 0o700
    assert image.labels["org.opencontainers.image.version"] == PROJECT["project"]["version"]
    # Nobody answers on that port, and the health check says so.
    assert image.run(*image.healthcheck[:2], "http://127.0.0.1:1/health/live").returncode == 1


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test says what it saw."""


@contextmanager
def server() -> Generator[str]:
    with HTTPServer(("127.0.0.1", 0), Answer) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def test_health_check_follows_the_answer() -> None:
    def probe(url: str) -> int:
        return subprocess.run([sys.executable, str(PROBE), url], capture_output=True, check=False).returncode

    with server() as url:
        assert probe(f"{url}/health/live") == 0
        assert probe(f"{url}/broken") == 1
    assert probe(f"{url}/health/live") == 1


def test_health_check_needs_nothing_but_python() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(PROBE.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert imported <= sys.stdlib_module_names
