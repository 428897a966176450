"""A Python that has loaded our libraries: programs that tests start are forked from it, and skip a second of imports.

`python` and `pointsman` in its folder take the arguments, the environment, the working folder and the open files of
whoever runs them, and end as the program does: with its exit code, or by its signal. The program is a process of its
own with nothing of another's but what imports leave behind. One such Python serves all processes of a run of tests.
"""

import ast
import atexit
import gc
import os
import runpy
import select
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from types import ModuleType
from typing import NoReturn

from bench.faults import forks
from bench.faults.forks import Nursery
from pointsman.llm.setup import ADAPTERS
from starter.cli import app
from tests.locks import alone

ROOT = Path(__file__).parents[1]
LOADED = (
    *("bench.faults.run", "bench.faults.sandbox", "mcp.server.mcpserver", "starter.cli.config", "starter.cli.policy"),
    *("starter.cli.process", "starter.cli.sandbox", "starter.cli.sync", "starter.demo.run", "starter.mcp", "worker"),
)
"""What programs of tests import, beside what those of the faults do."""
KEEP, NURSERY, PROGRAM = b"k", b"n", b"p"
"""What a connection is for: to keep this Python, to ask as a nursery is asked, to become a program."""
RUNS, KILLED_SECONDS = ".runs", 20.0
FILES = 3
BYTES = 65_536
BACKLOG = 64
PYTHON = "import gc; gc.disable(); from tests import preloaded; preloaded.main({number}, {folder!r})"
"""Without the garbage collector, imports take a sixth less."""
COMMAND = """#!{python} -IS
import os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({place!r})
    socket.send_fds(line, [{kind!r}], [0, 1, 2])
    line.sendall(ascii([{name!r}, {itself!r}, sys.argv[1:], dict(os.environ), os.getcwd()]).encode() + b"\\n")
    told = line.makefile()
    pid = int(told.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    code = int(told.readline())
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@dataclass(frozen=True)
class Preloaded:
    """Where it is."""

    folder: Path

    @property
    def python(self) -> Path:
        """Takes `-m MODULE`, `-c CODE` or a file, and arguments."""
        return self.folder / "python"

    @property
    def pointsman(self) -> Path:
        return self.folder / "pointsman"

    def nursery(self) -> Nursery:
        """A process of its own that forks our programs."""
        line = _connected(self.folder)
        line.sendall(NURSERY)
        return Nursery(lambda: None, line)


@contextmanager
def shared(base: Path) -> Generator[Preloaded]:
    """One for all who name the same folder, until the last of them is done."""
    kept = base / "preloaded"
    with alone(kept.with_suffix(".lock")):
        found = Preloaded(Path(kept.read_text())) if kept.exists() else None
        line = _keeping(found.folder) if found else None
        if found is None or line is None:
            found, line = _started()
            kept.write_text(str(found.folder))
    with line:
        yield found


def _connected(folder: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.connect(str(folder / "socket"))
    return line


def _keeping(folder: Path) -> socket.socket | None:
    """A connection that keeps it; None where it has ended."""
    try:
        line = _connected(folder)
        line.sendall(KEEP)
        if line.recv(1):
            return line
    except OSError:
        return None
    line.close()
    return None


def _started() -> tuple[Preloaded, socket.socket]:
    folder = Path(tempfile.mkdtemp(prefix="pm-python-"))
    made = Preloaded(folder)
    place = str(folder / "socket")
    for file, name in ((made.python, ""), (made.pointsman, app.__name__)):
        text = COMMAND.format(python=sys.executable, place=place, kind=PROGRAM, name=name, itself=str(made.python))
        file.write_text(text, encoding="utf-8")
        file.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(BACKLOG)
        line = _connected(folder)
        line.sendall(KEEP)
        number = listener.fileno()
        command = [sys.executable, "-c", PYTHON.format(number=number, folder=str(folder))]
        process = Popen(command, pass_fds=[number], cwd=ROOT, start_new_session=True)
    threading.Thread(target=process.wait, daemon=True).start()
    return made, line


def main(number: int, place: str) -> None:
    """Fork for each connection, until nobody keeps this process any more."""
    listener, folder = socket.socket(fileno=number), Path(place)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are forked here
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")  # that a module is loaded is the point
    keepers: set[socket.socket] = set()
    try:
        forks.load(*LOADED, *ADAPTERS.values())
        gc.enable()
        while True:
            ready, _, _ = select.select([listener, *keepers], [], [])
            for one in ready:
                if one is not listener:
                    keepers.discard(one)
                    one.close()
                elif (line := _accepted(listener, [listener, *keepers], folder)) is not None:
                    keepers.add(line)
            if not keepers:
                return
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _accepted(listener: socket.socket, held: Sequence[socket.socket], folder: Path) -> socket.socket | None:
    """A connection that keeps this process. Any other is served by a fork."""
    line, _ = listener.accept()
    kind, files, _, _ = socket.recv_fds(line, 1, FILES)
    if kind == KEEP:
        line.sendall(KEEP)
        return line
    if os.fork() == 0:
        for one in held:
            one.close()
        _serve(kind, line, files, folder)
    for number in files:
        os.close(number)
    line.close()
    return None


def _serve(kind: bytes, line: socket.socket, files: Sequence[int], folder: Path) -> NoReturn:
    """In the fork."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if kind == NURSERY:
            forks.serve(line)
        if kind == PROGRAM:
            _run(line, files, folder)
    except BaseException:  # else the fork would go on as the process that it comes from
        traceback.print_exc()
    os._exit(70)


def _run(line: socket.socket, files: Sequence[int], place: Path) -> NoReturn:
    """Fork the program that is asked for, and tell its process id and how it ends. It ends with whoever asked."""
    said = b""
    while not said.endswith(b"\n"):
        said += line.recv(BYTES)
    name, python, arguments, environment, folder = ast.literal_eval(said.decode())
    _wait_for_killed(place)
    pid = os.fork()
    if pid == 0:
        line.close()
        sys.executable = python  # programs that this one starts skip their imports, too
        _become(name, arguments, environment, folder, files)
    for number in files:
        os.close(number)
    record = place / f"{pid}{RUNS}"
    record.write_text(str(_asker(line)))
    line.sendall(b"%d\n" % pid)
    ended = os.pidfd_open(pid)
    gone = line.fileno() in select.select([ended, line.fileno()], [], [])[0]
    if gone:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    record.unlink(missing_ok=True)
    if not gone:
        line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _asker(line: socket.socket) -> int:
    """Process id at the other end."""
    process, _, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(process)


def _wait_for_killed(place: Path) -> None:
    """The program of one that was killed ends a moment after it. One that begins now may want its ports and files."""
    for record in place.glob(f"*{RUNS}"):
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):  # it has ended, or begins just now
            if not Path(f"/proc/{int(record.read_text())}").exists():
                select.select([os.pidfd_open(int(record.stem))], [], [], KILLED_SECONDS)


def _become(
    name: str, arguments: Sequence[str], environment: Mapping[str, str], folder: str, files: Sequence[int]
) -> NoReturn:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None  # what it is depends on the environment
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 70
    try:
        code = _code(lambda: app.main(arguments) if name else _python(arguments))
    finally:
        os._exit(code)


def _code(program: Callable[[], None]) -> int:
    """Run it to its end, as the interpreter does."""
    code: int | str | None = 0
    try:
        program()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return 1 if isinstance(code, str) else code or 0


def _python(arguments: Sequence[str]) -> None:
    """What `python` does with these."""
    first, *rest = arguments
    sys.path[0] = os.getcwd()
    if first == "-m":
        sys.argv = list(rest)
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))  # noqa: S102 - that is what -c means
    else:
        assert not first.startswith("-"), f"this Python has no {first}"
        sys.argv = list(arguments)
        sys.path[0] = str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")
