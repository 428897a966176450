"""One test process after another. filelock would do it too, but watches every event of the interpreter from then on."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(path: Path) -> Generator[None]:
    """Wait until nobody else is within this block with the same file. It stays, empty."""
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
