"""Start and stop Pointsman on this machine: `up`, `down`, `serve` and its parts."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from pointsman.config import Settings, variable
from pointsman.store import schema
from pointsman.temporal import TemporalUnreachable, connect
from pointsman.temporal_server import DevServer, find_server, free_port
from starter.cli.call import Call
from starter.cli.context import stored_in_sqlite
from starter.cli.errors import CliError, ExitCode
from starter.cli.output import Single
from starter.cli.settings import local, own_url
from starter.serve import serve as serve_parts

PARTS = ("web", "worker")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
START_SECONDS_MAX = 420.0  # a Temporal server that has to be built first takes five minutes
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
POLL_SECONDS = 0.2


def serve(call: Call, settings: Settings, parts: set[str]) -> ExitCode:
    """Run parts of the service in this process until it is told to stop."""
    settings = _with_port(settings)
    _prepare(settings, parts)
    if "web" in parts:
        call.show(Single("serve", _record(settings, settings.ui_url)))
        call.out.flush()
    asyncio.run(serve_parts(settings, parts))
    return ExitCode.OK


async def up(call: Call, settings: Settings) -> ExitCode:
    """Temporal where none answers, then the whole service, in the foreground.

    Raises:
        CliError: `up` runs already on this data folder.
    """
    folder = _folder(settings)
    lock = FileLock(folder / "up.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _runs_already(folder) from None
    server: DevServer | None = None
    try:
        settings = _for_people(_with_port(settings))
        _prepare(settings, PARTS)
        server = await _temporal(call, settings)
        record = _record(settings, server.ui_url if server else settings.ui_url)
        (folder / "up.json").write_text(json.dumps(record))
        call.show(Single("up", record))
        call.out.flush()
        call.out.say("running; Ctrl-C stops it, and the next `pointsman up` goes on where it was")
        await serve_parts(settings, PARTS)
    finally:
        if server is not None:
            await server.stop()
        (folder / "up.json").unlink(missing_ok=True)
        lock.release()
    return ExitCode.OK


def up_detached(call: Call, settings: Settings) -> ExitCode:
    """As `up`, in a session of its own; returns when it is ready."""
    folder = _folder(settings)
    if _holds(folder):
        raise _runs_already(folder)
    log = folder / "up.log"
    environment = {**os.environ, variable("data_dir"): str(settings.data_dir)}
    command = [sys.executable, "-m", "starter.cli.app", "up", "--port", str(settings.web_port)]
    offset = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=environment
        )
    call.out.say(f"starting; log: {log}")
    record = _until_ready(process, folder, log, offset)
    call.show(Single("up", {**record, "log": str(log)}))
    call.out.say("stop it with: pointsman down")
    return ExitCode.OK


async def down(call: Call, settings: Settings) -> None:
    """Stop what `up` started, and a Temporal server that a killed `up` left behind. Idempotent."""
    folder = settings.data_dir
    record = _read(folder)
    stopped: list[str] = []
    if record and _holds(folder):
        pid = int(str(record["pid"]))
        os.kill(pid, signal.SIGTERM)
        await _until_gone(folder, pid)
        stopped.append(f"pointsman (process {pid})")
    if server := DevServer.attach(folder / "temporal"):
        await server.stop()
        stopped.append(f"temporal (process {server.pid})")
    call.show(Single("down", {"stopped": stopped}))
    if not stopped:
        call.out.say(f"nothing ran on {folder}")


def _prepare(settings: Settings, parts: Collection[str]) -> None:
    """Make folder and schema where they are missing. A shared database is migrated by whoever runs it."""
    _folder(settings)
    if "web" in parts:
        _must_be_free(settings)
    if stored_in_sqlite(settings):
        schema.upgrade(settings.database_url.get_secret_value())


def _folder(settings: Settings) -> Path:
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return settings.data_dir


def _with_port(settings: Settings) -> Settings:
    return settings if settings.web_port else settings.model_copy(update={"web_port": free_port()})


def _for_people(settings: Settings) -> Settings:
    """Logs for reading where nobody said otherwise and somebody watches."""
    watched = sys.stderr.isatty() and "log_format" not in settings.origins
    return settings.model_copy(update={"log_format": "console"}) if watched else settings


def _must_be_free(settings: Settings) -> None:
    try:
        socket.create_server((settings.web_host, settings.web_port)).close()
    except OSError as error:
        where = f"{settings.web_host}:{settings.web_port}"
        raise CliError(
            "port_taken",
            f"{where} cannot be listened on: {error.strerror}. Nothing was started.",
            "Take another port: pointsman up --port 0",
            ExitCode.CONFLICT,
        ) from error


async def _temporal(call: Call, settings: Settings) -> DevServer | None:
    """The local server that was started, or found left behind; None where somebody else's answers."""
    host, _, port = settings.temporal_address.rpartition(":")
    folder = settings.data_dir / "temporal"
    if (left := DevServer.attach(folder)) and left.address == f"127.0.0.1:{port}":
        return left
    try:
        await connect(settings.temporal_address, settings.temporal_namespace)
    except TemporalUnreachable:
        if host.strip("[]") not in LOOPBACK:
            raise
    else:
        return None
    found = await asyncio.to_thread(find_server, say=call.out.say)
    server = DevServer(found.path, folder, port=int(port), ui_port=urlsplit(settings.ui_url).port or 0)
    await server.start()
    return server


def _record(settings: Settings, ui_url: str) -> dict[str, str | int]:
    url = own_url(settings)
    return {
        "pid": os.getpid(),
        "web": url,
        "webhook": f"{settings.public_url or url}/webhooks/azure-devops",
        "temporal": settings.temporal_address,
        "temporal_ui": ui_url,
        "data": str(settings.data_dir),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _read(folder: Path) -> dict[str, str | int]:
    try:
        record = json.loads((folder / "up.json").read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _holds(folder: Path) -> bool:
    """Whether an `up` runs on the folder: the system lets go of its lock however it ends."""
    if not (folder / "up.lock").exists():
        return False
    try:
        with FileLock(folder / "up.lock", timeout=0):
            return False
    except Timeout:
        return True


def _runs_already(folder: Path) -> CliError:
    record = _read(folder)
    return CliError(
        "running",
        f"Pointsman runs on {folder} already: process {record.get('pid', 'unknown')}, {record.get('web', '')}.",
        "Stop it first: pointsman down",
        ExitCode.CONFLICT,
    )


def _until_ready(process: "subprocess.Popen[bytes]", folder: Path, log: Path, offset: int) -> dict[str, str | int]:
    deadline = time.monotonic() + START_SECONDS_MAX
    started = False
    answer = "no answer"
    while time.monotonic() < deadline:
        record = _read(folder)
        if record.get("pid") == process.pid:
            if not started:
                started, deadline = True, time.monotonic() + READY_SECONDS_MAX
            ready, answer = _ready(str(record["web"]))
            if ready:
                return record
        if process.poll() is not None:
            what = f"It ended with exit code {process.returncode} while it started"
            raise _did_not_start(what, log, _said(log, offset), process.returncode)
        time.sleep(POLL_SECONDS)
    process.terminate()
    what = f"It did not get ready in time, and was stopped. What it said of itself: {answer}"
    raise _did_not_start(what, log, _said(log, offset))


def _said(log: Path, offset: int) -> str:
    return log.read_bytes()[offset:].decode("utf-8", errors="replace")


def _did_not_start(what: str, log: Path, said: str, exit_code: int = ExitCode.FAILURE) -> CliError:
    """The error that the other process told, where it told one; else the end of what it said."""
    _, error, told = said.rpartition("error: ")
    code = ExitCode(exit_code) if exit_code in tuple(ExitCode) else ExitCode.FAILURE
    if error:
        message, _, hint = told.strip().rpartition("\n")
        return CliError("not_started", message or hint, hint if message else "", code)
    last = "\n".join(line[:300] for line in said.splitlines()[-6:])
    return CliError(
        "not_started", f"{what}. The end of its log {log}:\n{last}", "See what is missing: pointsman doctor"
    )


def _ready(url: str) -> tuple[bool, str]:
    """Whether the service is ready, and what it says of itself."""
    try:
        with local().open(f"{url}/health/ready", timeout=5) as answer:
            return int(answer.status) == 200, ""
    except HTTPError as error:
        return False, error.read(1_000).decode("utf-8", errors="replace")
    except OSError as error:
        return False, str(error)


async def _until_gone(folder: Path, pid: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while _holds(folder):
        if time.monotonic() > deadline:
            raise CliError(
                "timed_out",
                f"Process {pid} was told to stop {STOP_SECONDS_MAX:.0f} s ago, and still runs.",
                f"End it, nothing acknowledged is lost: kill -9 {pid}",
                ExitCode.TIMED_OUT,
            )
        await asyncio.sleep(POLL_SECONDS)
