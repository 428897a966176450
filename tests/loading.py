"""Which modules of tests a process loads first: each of those that share the tests begins at another place.

All of them load all modules, at the same time. In a new clone each would compile the same file in the same moment, and
whatever that imports; so, what one compiled is there when the next comes to it.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path

import pytest


class Loading:
    """Registered as a plugin in each process that shares tests with others."""

    def __init__(self, root: Path, place: int, places: int) -> None:
        self._root = root
        self._place = place
        self._places = places

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        found = sorted(path for folder in session.config.args for path in (self._root / folder).rglob("test_*.py"))
        for path in rotated(found, self._place, self._places):
            try:
                importlib.import_module(".".join(path.relative_to(self._root).with_suffix("").parts))
            except Exception:  # noqa: S112 - whatever it is, collecting that module says it better
                continue


def rotated(found: Sequence[Path], place: int, places: int) -> list[Path]:
    """All of them, from the one at which the part of that place begins."""
    start = len(found) * place // places
    return [*found[start:], *found[:start]]
