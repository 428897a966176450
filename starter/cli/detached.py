"""`up` in the background, and `down`: what runs on a data folder, told by a record and a lock in it.

Without the rooms that serve, which take seconds to load: they are the other process's business.
"""

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError

from pointsman.config import Settings, variable
from pointsman.temporal_server import DevServer
from starter.cli.call import Call
from starter.cli.errors import CliError, ExitCode
from starter.cli.output import Single
from starter.cli.settings import local

START_SECONDS_MAX = 420.0  # a Temporal server that has to be built first takes five minutes
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
ENDING_SECONDS_MAX = 5.0  # the system takes its time over a process that was killed while it wrote
POLL_SECONDS, LOCK_POLL_SECONDS = 0.2, 0.05

Record = dict[str, str | int]


class UpLock:
    """Held by the `up` that runs on the folder. The system lets go of it however that ends.

    The library for such locks watches every import of its process; a workflow's sandbox imports for each run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self, seconds: float) -> None:
        """Raises `TimeoutError` where another process holds it for so long."""
        file, until = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    os.close(file)
                    raise TimeoutError(f"{self._path} is held by another process") from None
                time.sleep(LOCK_POLL_SECONDS)
            else:
                self._file = file
                return

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None


def lock_of(folder: Path) -> UpLock:
    return UpLock(folder / "up.lock")


def record_of(folder: Path) -> Path:
    """What the `up` that runs on the folder says of itself."""
    return folder / "up.json"


def up(call: Call, settings: Settings) -> ExitCode:
    """As `up`, in a session of its own; returns when it is ready."""
    folder = made_folder(settings)
    if runs(folder):
        raise runs_already(folder)
    log = folder / "up.log"
    environment = {**os.environ, variable("data_dir"): str(settings.data_dir)}
    command = [sys.executable, "-m", "starter.cli.app", "up", "--port", str(settings.web_port)]
    offset = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=environment
        )
    call.out.say(f"starting; log: {log}")
    # Without a secret no delivery is taken, so that it never counts as ready; everything else works.
    health = "ready" if settings.webhook_secrets else "live"
    record = _until_ready(process, folder, log, offset, health)
    call.show(Single("up", {**record, "log": str(log)}))
    warn_of_no_intake(call, settings)
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


def made_folder(settings: Settings) -> Path:
    """The data folder; made, for its owner alone, where it is missing.

    Raises:
        CliError: it cannot be made.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CliError(
            "no_folder",
            f"The data folder {settings.data_dir} cannot be made: {error.strerror}. Nothing was started.",
            f"Name another: export {variable('data_dir')}=$HOME/pointsman",
            ExitCode.USAGE,
        ) from error
    return settings.data_dir


def runs(folder: Path) -> bool:
    """Whether an `up` runs on the folder. One that was just killed is waited for, one that answers is not."""
    deadline = time.monotonic() + ENDING_SECONDS_MAX
    while _holds(folder):
        web = _read(folder).get("web")
        if time.monotonic() > deadline or (web and _ready(f"{web}/health/live")[0]):
            return True
        time.sleep(LOCK_POLL_SECONDS)
    return False


def runs_already(folder: Path) -> CliError:
    record = _read(folder)
    return CliError(
        "running",
        f"Pointsman runs on {folder} already: process {record.get('pid', 'unknown')}, "
        f"{record.get('web', 'not ready yet')}.",
        "Stop it first: pointsman down",
        ExitCode.CONFLICT,
    )


def warn_of_no_intake(call: Call, settings: Settings) -> None:
    if not settings.webhook_secrets:
        call.out.say(
            f"warning: {variable('webhook_secrets')} is not set, so no delivery is taken: Azure DevOps gets 503. "
            "Next: pointsman doctor"
        )


def _read(folder: Path) -> Record:
    try:
        record = json.loads(record_of(folder).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _holds(folder: Path) -> bool:
    """Whether an `up` runs on the folder: the system lets go of its lock however it ends."""
    if not folder.is_dir():
        return False
    lock = lock_of(folder)
    try:
        lock.acquire(0)
    except TimeoutError:
        return True
    lock.release()
    return False


def _until_ready(process: "subprocess.Popen[bytes]", folder: Path, log: Path, offset: int, health: str) -> Record:
    deadline = time.monotonic() + START_SECONDS_MAX
    started = False
    answer = "no answer"
    while time.monotonic() < deadline:
        record = _read(folder)
        if record.get("pid") == process.pid and "web" in record:
            if not started:
                started, deadline = True, time.monotonic() + READY_SECONDS_MAX
            ready, answer = _ready(f"{record['web']}/health/{health}")
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
        with local().open(url, timeout=5) as answer:
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
