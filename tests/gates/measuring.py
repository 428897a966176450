"""Coverage of the inner rooms: `pytest --measure` traces while their modules load and while their own tests run.

Tracing makes a test twice as slow, and most tests here wait for things in which nothing is counted. So each room is
held by its own tests, and a line that only a test of another room passes counts as not covered. Tests of properties
are not traced: they take the same lines hundreds of times, and what only some of their examples reach is not held.
Nor is what asks each provider the same: the lines are those of the tests of its request, its reply and its transport.
"""

import importlib
import os
import pkgutil
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from coverage import Coverage

# Packages, each with the folder of the tests that hold it. Which files count says `[tool.coverage.run]`.
ROOMS = {
    "pointsman.domain": Path("tests/domain"),
    "pointsman.llm": Path("tests/llm"),
    "workflows": Path("tests/workflows"),
}
FIRST = "gw0"
# Temporal runs workflows in threads of its own, and that is where they are traced: beside them work its SDK, activities
# and stand-ins for the outside world, which would take twice as long.
IN_THREADS = ROOMS["workflows"]
# Below the folders above, and not traced.
REPEATED = ("tests/llm/providers/test_*_contract.py", "tests/llm/test_concurrency.py", "tests/llm/test_new_provider.py")


class Measuring:
    """Registered as a plugin in each process that runs tests."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._coverage = Coverage(data_suffix=True, config_file=str(root / "pyproject.toml"))

    def load(self) -> None:
        """Load the rooms: what stands outside of functions runs once, whoever asks for it first.

        One process of those that share the tests is enough, as the libraries behind take seconds longer so.
        """
        if os.environ.get("PYTEST_XDIST_WORKER", FIRST) != FIRST:
            return
        self._coverage.start()
        for room in ROOMS:
            package = importlib.import_module(room)
            for module in pkgutil.walk_packages(package.__path__, f"{room}."):
                importlib.import_module(module.name)
        self._coverage.stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if not self._is_traced(item):
            return (yield)
        self._coverage.start()
        if item.path.is_relative_to(self._root / IN_THREADS):
            sys.settrace(None)  # of this thread; those that begin from here on are traced
        try:
            return (yield)
        finally:
            self._coverage.stop()

    def pytest_sessionfinish(self) -> None:
        self._coverage.save()

    def _is_traced(self, item: pytest.Item) -> bool:
        path = item.path.relative_to(self._root)
        if _is_property(item) or any(path.match(pattern) for pattern in REPEATED):
            return False
        return any(path.is_relative_to(folder) for folder in ROOMS.values())


def _is_property(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and getattr(item.obj, "is_hypothesis_test", False)
