"""Processes of Pointsman that skip its imports: forked from one that has loaded our modules and done nothing else.

A restart after a kill takes three seconds of processor time, nearly all of it the same imports each time. State is
what a kill can hurt, and a fork begins with none: no thread, no connection, no open file, its own environment, its
own random numbers. It runs the command line as the console script does, and is killed as any other process.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Self

from pointsman.contracts.base import Json
from pointsman.llm.setup import load_adapter
from pointsman.policies.loading import load as load_policy
from pointsman.policies.process_rules import load_processes
from starter.cli import app
from starter.demo.processes import STOP_SECONDS, Child, DemoFailed, surroundings

LOADED = (
    *("starter.cli.running", "pointsman.clients.mcp"),
    *("httpcore2", "uvicorn.lifespan.on", "uvicorn.protocols.http.auto"),  # imported once they are needed
)
PROVIDER = "openai"
POLL_SECONDS = 0.005
FOREVER_SECONDS = 60.0
"""What was killed is gone long before."""
RUNNING = -1_000


class Nursery:
    """The process that forks: `begin` makes it of this one, `spawn` anew, where this one has threads already."""

    def __init__(self, wait: Callable[[], object], line: socket.socket) -> None:
        self._wait = wait
        self._line = line
        self._answers = line.makefile("r", encoding="utf-8")
        self._asking = threading.Lock()

    @classmethod
    def begin(cls) -> Self:
        assert threading.active_count() == 1, "a fork takes along one thread only"
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if not pid:
            ours.close()
            serve(theirs)
        theirs.close()
        return cls(lambda: os.waitpid(pid, 0), ours)

    @classmethod
    def spawn(cls) -> Self:
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-m", "bench.faults.forks", str(number)]
            process = subprocess.Popen(command, pass_fds=[number], cwd=Path(__file__).parents[2])
        return cls(process.wait, ours)

    def start(self, child: Child, environment: Mapping[str, str]) -> int:
        """Fork one that runs the child's command line. Returns its process id."""
        return self._ask(
            {
                "arguments": list(child.arguments),
                "environment": dict(environment),
                "folder": str(child.folder),
                "output": str(child.output),
                "log": str(child.log),
            }
        )

    def ended(self, pid: int, seconds: float = 0.0) -> int | None:
        """Its exit code, or None when it still runs after so many seconds."""
        code = self._ask({"pid": pid, "seconds": seconds})
        return None if code == RUNNING else code

    def close(self) -> None:
        """End it. Those that it forked go on."""
        self._answers.close()
        self._line.close()
        self._wait()

    def _ask(self, question: dict[str, Json]) -> int:
        with self._asking:
            self._line.sendall(json.dumps(question).encode() + b"\n")
            return int(self._answers.readline())


def serve(line: socket.socket) -> NoReturn:
    """Answer one question a line, until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at Ctrl-C the other side stops everything in order
    load()
    codes: dict[int, int] = {}
    with line, line.makefile("r", encoding="utf-8") as questions:
        for asked in map(json.loads, questions):
            answer = _ended(asked["pid"], asked["seconds"], codes) if "pid" in asked else _fork(asked, line)
            line.sendall(f"{answer}\n".encode())
    os._exit(0)


def load(*more: str) -> None:
    """Import what the programs need, and `more`, and read what comes with them. Again, it costs next to nothing."""
    for module in (*LOADED, *more):
        import_module(module)
    load_adapter(PROVIDER)
    app.commands()
    load_policy()
    load_processes()
    gc.collect()
    gc.freeze()  # else each fork's collector would touch, and so copy, all of it


def _ended(pid: int, seconds: float, codes: dict[int, int]) -> int:
    deadline = time.monotonic() + seconds
    while pid not in codes:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            codes[pid] = os.waitstatus_to_exitcode(status)
        elif time.monotonic() >= deadline:
            return RUNNING
        else:
            time.sleep(POLL_SECONDS)
    return codes[pid]


def _fork(asked: Mapping[str, Any], line: socket.socket) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        line.close()
        _redirect(asked)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        app.main(asked["arguments"])
    finally:
        os._exit(1)


def _redirect(asked: Mapping[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    append, replace = os.O_WRONLY | os.O_CREAT | os.O_APPEND, os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    opened = (os.open(os.devnull, os.O_RDONLY), os.open(asked["output"], replace), os.open(asked["log"], append))
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = ["pointsman"]


@dataclass
class Forked(Child):
    """One of our programs, forked."""

    nursery: Nursery | None = field(default=None, repr=False)
    forked: int = 0

    @property
    def pid(self) -> int:
        return self.forked

    def start(self) -> None:
        self.forked = self._nursery().start(self, {**surroundings(live=self.live), **self.environment})

    def kill(self) -> None:
        if self.forked and self._nursery().ended(self.forked) is None:
            os.kill(self.forked, signal.SIGKILL)
            self._nursery().ended(self.forked, FOREVER_SECONDS)
        self.forked = 0

    def stop(self) -> None:
        if not self.forked or self._nursery().ended(self.forked) is not None:
            return
        os.kill(self.forked, signal.SIGTERM)
        if self._nursery().ended(self.forked, STOP_SECONDS) is None:
            self.kill()

    def check(self) -> None:
        if self.forked and (code := self._nursery().ended(self.forked)) is not None:
            ending = " | ".join(Path(self.log).read_text(errors="replace").splitlines()[-3:])[-600:]
            raise DemoFailed(f"{self.name} ended with {code}. Its log {self.log} ends: {ending}")

    def _nursery(self) -> Nursery:
        assert self.nursery is not None, "it is given at the start"
        return self.nursery


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
