"""`pytest --beside`: tests of whole programs run in a process of their own, beside those that share the others.

They start programs, kill them and wait for what becomes of it: most of their time both processors could do something
else. Among the others each would hold up a process for as long as it waits. No room is measured here.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

TESTS = (
    "tests/bench",
    "tests/clients/test_mcp.py",
    "tests/clients/test_mcp_connection.py",
    "tests/deploy",
    "tests/docs",
    "tests/faults",
    "tests/observability",
    "tests/replay/test_mutations.py",
    "tests/starter/test_cli_running.py",
    "tests/starter/test_demo.py",
    "tests/starter/test_serve.py",
    "tests/starter/test_status_page.py",
    "tests/starter/test_temporal_ui.py",
    "tests/store/test_kill.py",
    "tests/test_temporal_server.py",
)
"""As many as take about as long there as the others in each of two processes."""
FOLDER = "beside"
"""Where that process keeps its files, within those of the run: so all find the same preloaded Python."""


class Elsewhere:
    """Registered in each process of the run: these tests are not among its own."""

    def __init__(self, root: Path) -> None:
        self._paths = {root / path for path in TESTS}

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        return True if collection_path in self._paths else None


class Beside:
    """Registered in the process that shares out the tests: starts the other one, waits for it, tells what it said."""

    def __init__(self, root: Path, base: Path) -> None:
        self._said = base / f"{FOLDER}.txt"
        command = [sys.executable, "-m", "pytest", "--color=no", f"--basetemp={base / FOLDER}", *TESTS]
        with self._said.open("w") as said:
            self._process = subprocess.Popen(command, cwd=root, stdout=said, stderr=subprocess.STDOUT)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        try:
            if exitstatus == pytest.ExitCode.INTERRUPTED:
                raise KeyboardInterrupt
            self._process.wait()
        except KeyboardInterrupt:
            self._process.terminate()
            self._process.wait()
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        if self._process.returncode and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """All that it said where it failed, else how many passed."""
        lines = self._said.read_text(encoding="utf-8").splitlines()
        terminalreporter.section("beside: tests of whole programs")
        for line in lines if self._process.returncode else lines[-1:]:
            terminalreporter.write_line(line)
