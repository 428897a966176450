"""The demo as people run it: a process that ends by itself, or when they end it, and leaves nothing behind.

One begins as an interpreter that has loaded nothing; the others, and all that they start, skip their imports.
"""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from starter.cli.errors import ExitCode
from tests.preloaded import Preloaded

pytestmark = pytest.mark.slow

FORKED = 3
"""How many of these start anew as the program that a preloaded Python forks: the demo, the stand-ins, Pointsman."""


async def started(folder: Path, *program: str | Path, **more: str) -> asyncio.subprocess.Process:
    """All that it keeps for a while goes into the folder."""
    return await asyncio.create_subprocess_exec(
        *(*program, "demo", "--json"),
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "TMPDIR": str(folder), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow(15)
async def test_the_demo_holds_every_check_and_leaves_nothing_running(tmp_path: Path, preloaded: Preloaded) -> None:
    process = await started(tmp_path, preloaded.pointsman)
    out, err = await process.communicate()
    told = json.loads(out)
    assert (process.returncode, told["ok"], told["schema_version"]) == (ExitCode.OK, True, 1), err.decode()
    assert [check["ok"] for check in told["checks"]] == [True] * 12
    assert [item["state"] for item in told["items"]] == ["done"] * 3
    assert left_in(tmp_path) == []


async def test_a_demo_that_cannot_go_on_names_what_failed_in_one_document(tmp_path: Path) -> None:
    process = await started(tmp_path, *(sys.executable, "-m", "starter.cli.app"), POINTSMAN_TEMPORAL_BIN="/bin/false")
    out, err = await process.communicate()
    told = json.loads(out)
    assert (process.returncode, told["ok"]) == (ExitCode.FAILURE, False), err.decode()
    failed = {check["name"]: check["evidence"] for check in told["checks"] if not check["ok"]}
    assert list(failed) == ["the demo ran to its end"]
    assert "/bin/false" in failed["the demo ran to its end"]
    assert "logs and state are kept in " in err.decode()
    assert left_in(tmp_path) == []


async def test_ctrl_c_stops_all_that_the_demo_started(tmp_path: Path, preloaded: Preloaded) -> None:
    process = await started(tmp_path, preloaded.pointsman)
    assert process.stderr is not None
    lines = [await process.stderr.readline()]
    while lines[-1] and b"created items" not in lines[-1]:
        lines.append(await process.stderr.readline())
    assert len(left_in(tmp_path)) >= 4 + FORKED, lines  # the demo, Temporal, the stand-ins, Pointsman
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # whoever is in a hurry changes nothing
    out, err = await process.communicate()
    assert (process.returncode, out) == (ExitCode.INTERRUPTED, b""), err.decode()
    assert "all that was started is stopped" in err.decode()
    assert left_in(tmp_path) == []


def left_in(folder: Path) -> list[str]:
    """Command lines of processes that still work in the folder, or were started with it in their environment."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            started = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
            words = started + bytes((place / "cwd").readlink())
        except OSError:
            continue
        if place.name.isdecimal() and str(folder).encode() in words:
            found.append((place / "cmdline").read_text().replace("\0", " "))
    return found
