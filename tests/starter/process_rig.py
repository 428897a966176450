"""Command lines as processes, each forked from one that has loaded our modules and done nothing else."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.faults.forks import Forked, Nursery

END_SECONDS_MAX = 120.0
POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Ended:
    """What a process came to."""

    returncode: int
    stdout: str
    stderr: str


class Started:
    """A process that runs. Whatever becomes of the test, stop it."""

    def __init__(self, nursery: Nursery, environment: Mapping[str, str], folder: Path, *words: str) -> None:
        folder.mkdir(parents=True)
        self._nursery = nursery
        self._child = Forked(words[0], words, environment, folder, nursery=nursery)
        self._child.output.touch()
        self._child.forked = nursery.start(self._child, environment)
        self._shown = 0

    def readline(self) -> str:
        """The next line of its output; empty when it ended without one."""
        while True:
            over = self._nursery.ended(self._child.forked) is not None
            line = self._child.output.read_text()[self._shown :].partition("\n")
            if line[1] or over:
                self._shown += len(line[0]) + len(line[1])
                return line[0] + line[1]
            time.sleep(POLL_SECONDS)

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self._child.forked, number)

    def end(self, seconds: float = END_SECONDS_MAX) -> Ended:
        """Wait until it ends by itself.

        Raises:
            TimeoutError: it did not; it is killed.
        """
        code = self._nursery.ended(self._child.forked, seconds)
        if code is None:
            self._child.kill()
            raise TimeoutError(f"{' '.join(self._child.arguments)} still ran after {seconds:.0f} s")
        return Ended(code, self._child.output.read_text(), self._child.log.read_text())

    def stop(self) -> None:
        """Kill it, if it still runs."""
        self._child.kill()
