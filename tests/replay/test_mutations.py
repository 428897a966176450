"""The corpus notices what would break open runs: each planted change of a workflow fails to replay."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pointsman.temporal_server import DevServer
from tests.replay import corpus
from tests.replay.mutants import HARMLESS, LATE_SHOW, MUTANTS, PATCHED, ROOT, Mutant, plant

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Replayed:
    names: list[str]
    fault: str
    """Of the last one; empty when all replayed."""


async def run(folder: Path, module: str, *arguments: str) -> tuple[int, str, str]:
    """Run a module with the workflows of `folder` in front of ours."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def replay(folder: Path, pattern: str, histories: Path = corpus.FOLDER) -> Replayed:
    code, out, err = await run(folder, "tests.replay.replaying", str(histories), pattern)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert lines, err
    assert code == (1 if lines[-1]["fault"] else 0), err
    return Replayed([line["name"] for line in lines], lines[-1]["fault"])


async def test_an_unchanged_copy_replays(tmp_path: Path) -> None:
    replayed = await replay(plant(tmp_path), "*.approved")
    assert replayed == Replayed(["DeliverWorkItem.approved", "ResolveEscalation.approved"], "")


@pytest.mark.parametrize("name", [name for name in MUTANTS if name not in HARMLESS])
async def test_planted_change_is_caught(tmp_path: Path, name: str) -> None:
    mutant: Mutant = MUTANTS[name]
    replayed = await replay(plant(tmp_path, mutant), mutant.seen_by)
    assert "[TMPRL1100]" in replayed.fault, "replay found the commands of the recorded run"


async def test_a_local_activity_may_change_places_with_what_stands_beside_it(tmp_path: Path) -> None:
    mutant = MUTANTS[LATE_SHOW]
    assert (await replay(plant(tmp_path, mutant), mutant.seen_by)).fault == ""


async def test_a_patch_lets_old_runs_go_on_and_may_not_be_dropped(tmp_path: Path, dev_server: DevServer) -> None:
    (tmp_path / "patched").mkdir()
    (tmp_path / "plain").mkdir()
    (tmp_path / "recorded").mkdir()
    patched, plain = plant(tmp_path / "patched", MUTANTS[PATCHED]), plant(tmp_path / "plain")
    assert (await replay(patched, "DeliverWorkItem.[do]*")).fault == ""

    to = ["--into", str(tmp_path / "recorded"), "--address", dev_server.address]
    code, _, err = await run(patched, "tests.replay.record", "out-of-scope", *to)
    assert code == 0, err
    assert (await replay(patched, "*", tmp_path / "recorded")).fault == ""
    assert "[TMPRL1100]" in (await replay(plain, "*", tmp_path / "recorded")).fault
