"""Imports of SDKs with the garbage collector paused.

Three SDKs make a million objects that all stay. The collector looks through them again and again while they grow in
number, which takes a sixth of the whole import, and finds nothing.
"""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

IMPORTED_MIN = 10_000
"""Objects: whoever makes fewer has imported no SDK, and the collector looks through them in less than 1 ms."""


class _Pause:
    """Open blocks of all threads together, for the collector is the process's: the last to end starts it again."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open = 0
        self._was_running = False

    def begin(self) -> None:
        with self._lock:
            if not self._open:
                self._was_running = gc.isenabled()
                gc.disable()
            self._open += 1

    def end(self) -> None:
        with self._lock:
            self._open -= 1
            if not self._open and self._was_running:
                _age()
                gc.enable()


def _age() -> None:
    """Count all that is there as old: it takes the collector two looks at each object to find that out by itself."""
    made = gc.get_count()[0]
    if made >= IMPORTED_MIN and not gc.get_freeze_count():  # or what an application has frozen would thaw
        gc.freeze()
        gc.unfreeze()


_pause = _Pause()


_alone = Lock()


@contextmanager
def importing_alone() -> Generator[None]:
    """For imports in threads of their own: one after the other, with the collector paused.

    Where two threads wait for each other's modules, Python lets one of them have a module that is half there.
    """
    with _alone, collector_paused():
        yield


@contextmanager
def collector_paused() -> Generator[None]:
    """For the length of an import; may be nested, and entered by several threads at once.

    Where the collector is off already it stays off. Garbage of meanwhile is found by a later collection.
    """
    _pause.begin()
    try:
        yield
    finally:
        _pause.end()
