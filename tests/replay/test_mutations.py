"""The corpus notices what would break open runs: each planted change of a workflow fails to replay."""

import json
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


class Replays:
    """A process that replays with the workflows of any folder, without loading all else again."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def replay(self, folder: Path, pattern: str, histories: Path = corpus.FOLDER) -> Replayed:
        answer = self._ask(folder=folder, histories=histories, pattern=pattern)
        lines = [json.loads(line) for line in answer["out"].splitlines() if line.startswith("{")]
        assert lines, answer["err"]
        assert answer["code"] == (1 if lines[-1]["fault"] else 0), answer["err"]
        return Replayed([line["name"] for line in lines], lines[-1]["fault"])

    def record(self, folder: Path, path: str, histories: Path, address: str) -> None:
        answer = self._ask(folder=folder, histories=histories, path=path, address=address)
        assert answer["code"] == 0, answer["err"]

    def _ask(self, **order: str | Path) -> dict[str, Any]:
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answered is not None
        asked.write(json.dumps(order, default=str) + "\n")
        asked.flush()
        answer: dict[str, Any] = json.loads(answered.readline())
        return answer


@pytest.fixture(scope="module")
def replays() -> Generator[Replays]:
    command = [sys.executable, "-m", "tests.replay.forking"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        yield Replays(process)


def test_an_unchanged_copy_replays(replays: Replays, tmp_path: Path) -> None:
    replayed = replays.replay(plant(tmp_path), "*.approved")
    assert replayed == Replayed(["DeliverWorkItem.approved", "ResolveEscalation.approved"], "")


@pytest.mark.parametrize("name", [name for name in MUTANTS if name not in HARMLESS])
def test_planted_change_is_caught(replays: Replays, tmp_path: Path, name: str) -> None:
    mutant: Mutant = MUTANTS[name]
    replayed = replays.replay(plant(tmp_path, mutant), mutant.seen_by)
    assert "[TMPRL1100]" in replayed.fault, "replay found the commands of the recorded run"


def test_a_local_activity_may_change_places_with_what_stands_beside_it(replays: Replays, tmp_path: Path) -> None:
    mutant = MUTANTS[LATE_SHOW]
    assert replays.replay(plant(tmp_path, mutant), mutant.seen_by).fault == ""


def test_a_patch_lets_old_runs_go_on_and_may_not_be_dropped(
    replays: Replays, tmp_path: Path, dev_server: DevServer
) -> None:
    (tmp_path / "patched").mkdir()
    (tmp_path / "plain").mkdir()
    recorded = tmp_path / "recorded"
    recorded.mkdir()
    patched, plain = plant(tmp_path / "patched", MUTANTS[PATCHED]), plant(tmp_path / "plain")
    assert replays.replay(patched, "DeliverWorkItem.[do]*").fault == ""

    replays.record(patched, "out-of-scope", recorded, dev_server.address)
    assert replays.replay(patched, "*", recorded).fault == ""
    assert "[TMPRL1100]" in replays.replay(plain, "*", recorded).fault
