"""The demo as people run it: a process that ends by itself, with every check held and nothing left behind."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
async def test_the_demo_holds_every_check_and_leaves_nothing_running(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter.cli.app", "demo", "--json"),
        env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    told = json.loads(out)
    assert (process.returncode, told["ok"], told["schema_version"]) == (0, True, 1), err.decode()
    assert [check["ok"] for check in told["checks"]] == [True] * 12
    assert [item["state"] for item in told["items"]] == ["done"] * 3
    assert left_in(tmp_path) == []


def left_in(folder: Path) -> list[str]:
    """Command lines of processes that still work in the folder, or were started with it in their environment."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        except OSError:
            continue
        if place.name.isdecimal() and str(folder).encode() in words:
            found.append((place / "cmdline").read_text().replace("\0", " "))
    return found
