"""Where a Temporal server comes from, and how the local one is run.

Ways are tried in order, and the first that leads to a server is taken: the binary that the user names, `temporal` on
PATH, the cache, Temporal's download, a build of our own. What failed on the way is told only when all of them did.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import ClassVar, Final, Self

from temporalio.client import Client

from pointsman.temporal import DEFAULT_NAMESPACE, SEARCH_ATTRIBUTES, TemporalUnreachable, connect
from pointsman.temporal_builds import (
    CLI_SERVER_VERSION,
    DEV_SERVER,
    TEST_SERVER,
    Artifact,
    Obtain,
    RouteFailed,
    Say,
    build_with_go,
    cache_folder,
    cached,
    download,
    fetch_with_maven,
    obtain,
    server_version,
)

BINARY_VARIABLE: Final = "POINTSMAN_TEMPORAL_BIN"
SERVER_VERSION_MIN: Final = (1, 29)
DYNAMIC_CONFIG: Final = (
    "matching.useNewMatcher=true",
    "matching.enableFairness=true",
    "system.enableActivityEagerExecution=true",
)
SQLITE_PRAGMAS: Final = ("journal_mode=wal", "synchronous=full")
"""What was acknowledged survives a power cut."""
RECORD: Final = "dev-server.json"
SERVER_PORTS: Final = range(15_000, 32_768)
"""Below those that Linux, macOS and Windows give to connections."""
PORTS_TRIED: Final = 200


@dataclass(frozen=True)
class Found:
    path: Path
    source: str
    """named | path | cache | download | go | maven"""
    server_version: str


class ServerNotFound(Exception):
    """No way led to a server. `tried` holds (way, reason) in the order of trying."""

    def __init__(self, what: str, tried: Sequence[tuple[str, str]], advice: str) -> None:
        self.tried = tuple(tried)
        ways = "\n".join(f"  - {way}: {reason}" for way, reason in self.tried)
        super().__init__(f"No {what} was found. Tried, in this order:\n{ways}\n{advice}")


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def find_server(*, may_obtain: bool = True, say: Say = to_stderr, environ: Mapping[str, str] = os.environ) -> Found:
    """A `temporal` binary whose server is `SERVER_VERSION_MIN` or newer.

    With `may_obtain` it is downloaded or built when none is there: up to 5 minutes, a line of progress each 5 s.

    Raises:
        ServerNotFound: no way leads to one, or the binary that the user named is not one.
    """
    cache = cache_folder(environ)
    if environ.get(BINARY_VARIABLE):
        return _first("Temporal server", [(BINARY_VARIABLE, lambda: _named(environ[BINARY_VARIABLE]))], SERVER_ADVICE)
    ways: list[Way] = [("`temporal` on PATH", lambda: _on_path(environ)), *_kept(DEV_SERVER, cache)]
    if may_obtain:
        ways += _obtained(DEV_SERVER, cache, say, {"download": download, "go": build_with_go})
    return _first("Temporal server", ways, SERVER_ADVICE)


def install_server(*, say: Say = to_stderr, environ: Mapping[str, str] = os.environ) -> Found:
    """Have the pinned server in the cache, whatever else is there. Idempotent.

    Raises:
        ServerNotFound: it can be neither downloaded nor built.
    """
    cache = cache_folder(environ)
    ways = [*_kept(DEV_SERVER, cache), *_obtained(DEV_SERVER, cache, say, {"download": download, "go": build_with_go})]
    return _first("Temporal server", ways, SERVER_ADVICE)


def find_test_server(
    *, may_obtain: bool = True, say: Say = to_stderr, environ: Mapping[str, str] = os.environ
) -> Found:
    """The time-skipping server, for tests only. Its first argument is the port; it listens on all interfaces.

    Raises:
        ServerNotFound: no way leads to one.
    """
    cache = cache_folder(environ)
    ways = list(_kept(TEST_SERVER, cache))
    if may_obtain:
        ways += _obtained(TEST_SERVER, cache, say, {"download": download, "maven": fetch_with_maven})
    return _first("time-skipping Temporal server", ways, TEST_SERVER_ADVICE)


Way = tuple[str, Callable[[], Found]]

SERVER_ADVICE: Final = (
    f"Nothing was changed. Install Go 1.25 or newer and run `pointsman temporal install`, or install Temporal's CLI "
    f"with a server of {'.'.join(map(str, SERVER_VERSION_MIN))} or newer and name it with {BINARY_VARIABLE}."
)
TEST_SERVER_ADVICE: Final = "Nothing was changed. Install a Java runtime (11 or newer) and Maven, then try again."


def _first(what: str, ways: Sequence[Way], advice: str) -> Found:
    tried: list[tuple[str, str]] = []
    for name, way in ways:
        try:
            return way()
        except RouteFailed as failure:
            tried.append((name, str(failure)))
    raise ServerNotFound(what, tried, advice)


def _named(path: str) -> Found:
    program = Path(path).expanduser().absolute()
    if not program.is_file():
        raise RouteFailed(f"{path!r} is no file; correct or unset it")
    return Found(program, "named", _new_enough(program))


def _on_path(environ: Mapping[str, str]) -> Found:
    program = shutil.which("temporal", path=environ.get("PATH"))
    if not program:
        raise RouteFailed("there is none")
    return Found(Path(program), "path", _new_enough(Path(program)))


def _new_enough(program: Path) -> str:
    version = server_version(program)
    if tuple(int(part) for part in version.split(".")[:2]) < SERVER_VERSION_MIN:
        needed = ".".join(map(str, SERVER_VERSION_MIN))
        raise RouteFailed(f"{program} carries server {version}, and {needed} or newer is needed")
    return version


def _kept(artifact: Artifact, cache: Path) -> Sequence[Way]:
    return [("cache", lambda: Found(cached(artifact, cache), "cache", _pinned(artifact)))]


def _obtained(artifact: Artifact, cache: Path, say: Say, how: Mapping[str, Obtain]) -> list[Way]:
    def way(source: str, get: Obtain) -> Way:
        return source, lambda: Found(obtain(artifact, cache, get, say), source, _pinned(artifact))

    return [way(source, get) for source, get in how.items()]


def _pinned(artifact: Artifact) -> str:
    return CLI_SERVER_VERSION if artifact is DEV_SERVER else artifact.version


def free_port(port: int = 0) -> int:
    """A port of the loopback interface, this one if it is not 0, that nobody listens on, and that nobody else gets here
    for a while. It is none of those that the system gives to connections: one of them could have it while a server that
    was killed starts again.

    A connection that was closed on the listening side stays in TIME_WAIT, and so reserves the port.

    Raises:
        OSError: the port is taken or reserved.
    """
    if not port:
        return _any_free_port()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))  # unlike a server's socket, it may not share what is reserved
    with socket.create_server(("127.0.0.1", port)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address):
            accepted, _ = listener.accept()
            accepted.close()
        return int(address[1])


def _any_free_port() -> int:
    for port in SystemRandom().sample(SERVER_PORTS, PORTS_TRIED):
        with suppress(OSError):
            return free_port(port)
    raise OSError(f"none of {PORTS_TRIED} ports from {SERVER_PORTS.start} to {SERVER_PORTS.stop - 1} is free")


class DevServerFailed(Exception):
    """The local server did not come up; its log says why. Its files stay as they are."""


class DevServer:
    """The local Temporal server: one process, state in one SQLite file, everything on the loopback interface.

    It is started in a session of its own, so that it outlives a Ctrl-C or a crash of whoever started it; `attach`
    finds it again through the record in its folder. Killed at any point, it goes on where it was with `start`.
    """

    sqlite_pragmas: ClassVar[Sequence[str]] = SQLITE_PRAGMAS

    def __init__(self, binary: Path, folder: Path, *, port: int = 0, ui_port: int = 0, ui: bool = True) -> None:
        """State, log and record live in `folder`. Ports of 0 mean free ones, kept over restarts of this object."""
        self.binary = binary
        self.folder = folder
        self.port = port or free_port()
        self.ui_port = (ui_port or free_port()) if ui else 0
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def ui_url(self) -> str:
        """Empty when it runs without UI."""
        return f"http://127.0.0.1:{self.ui_port}" if self.ui_port else ""

    @property
    def log(self) -> Path:
        return self.folder / "dev-server.log"

    @property
    def database(self) -> Path:
        return self.folder / "temporal.db"

    @property
    def running(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return bool(self.pid) and str(self.database) in _command_of(self.pid)

    @classmethod
    def attach(cls, folder: Path) -> "DevServer | None":
        """The server that runs on this folder, whoever started it; None if none does."""
        try:
            record = json.loads((folder / RECORD).read_text())
            server = cls(Path(record["binary"]), folder, port=record["port"], ui=False)
            server.ui_port, server.pid = record["ui_port"], record["pid"]
        except (FileNotFoundError, ValueError, KeyError):
            return None
        return server if server.running else None

    async def start(self, timeout: timedelta = timedelta(seconds=30)) -> None:
        """Start, and return when it serves.

        Raises:
            DevServerFailed: it ended, does not serve within `timeout` (it is stopped then), one serves already, or a
                port is taken.
        """
        if other := DevServer.attach(self.folder):
            raise DevServerFailed(
                f"Process {other.pid} already serves {self.folder} at {other.address}; stop it first."
            )
        for port in filter(None, (self.port, self.ui_port)):
            _must_be_free(port)  # else whoever answers there would be taken for this server
        self._spawn()
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self._until_ready()
        except TimeoutError:
            await self.stop()
            raise DevServerFailed(self._failure(f"does not serve within {timeout.total_seconds():.0f} s")) from None

    def command(self) -> list[str]:
        """The command line, for whoever wants to run it in the foreground."""
        ui = ["--ui-port", str(self.ui_port)] if self.ui_port else ["--headless"]
        return [
            *(str(self.binary), "server", "start-dev", "--log-level", "warn", "--log-format", "text"),
            *("--ip", "127.0.0.1", "--port", str(self.port), *ui),
            *("--namespace", DEFAULT_NAMESPACE, "--db-filename", str(self.database)),
            *_repeated("--sqlite-pragma", self.sqlite_pragmas),
            *_repeated("--search-attribute", [f"{key.name}=Keyword" for key in SEARCH_ATTRIBUTES]),
            *_repeated("--dynamic-config-value", DYNAMIC_CONFIG),
        ]

    async def connect(self) -> Client:
        return await connect(self.address, DEFAULT_NAMESPACE)

    async def stop(self, timeout: timedelta = timedelta(seconds=10)) -> None:
        """Ask it to end, and end it after `timeout`. Its state stays. Idempotent."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                while self.running:  # noqa: ASYNC110 - it may be nobody's child: nothing tells of its end
                    await asyncio.sleep(0.02)
        except TimeoutError:
            self.kill()
        (self.folder / RECORD).unlink(missing_ok=True)

    def kill(self) -> None:
        """End it at once, as a crash would. Its state stays; `start` goes on with it."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _spawn(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self._process.pid
        record = {"pid": self.pid, "port": self.port, "ui_port": self.ui_port, "binary": str(self.binary)}
        (self.folder / RECORD).write_text(json.dumps(record))

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def _until_ready(self) -> None:
        while True:
            if not self.running:
                raise DevServerFailed(self._failure("ended while it started"))
            with suppress(TemporalUnreachable):
                client = await self.connect()
                if await client.service_client.check_health():
                    return
            await asyncio.sleep(0.05)

    def ended(self) -> DevServerFailed:
        """What to tell of a server that is gone though nobody stopped it."""
        return DevServerFailed(self._failure("has ended by itself"))

    def _failure(self, what: str) -> str:
        with suppress(OSError):
            last = "".join(self.log.read_text(errors="replace").splitlines(keepends=True)[-5:]).strip()
            return f"The local Temporal server at {self.address} {what}. Its log {self.log} ends: {last or '(empty)'}"
        return f"The local Temporal server at {self.address} {what}, and wrote no log to {self.log}."


def _must_be_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise DevServerFailed(
            f"127.0.0.1:{port} cannot be listened on: {error.strerror}. Nothing was started; another port may be free."
        ) from None


def _repeated(flag: str, values: Sequence[str]) -> list[str]:
    return [part for value in values for part in (flag, value)]


def _command_of(pid: int) -> str:
    """Command line of a process, empty when there is none: a process id alone may belong to somebody else by now."""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
