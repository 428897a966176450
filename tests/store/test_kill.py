"""Killed at any moment, a service has kept what it acknowledged, and its log is whole."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from pointsman.store.verification import verify

ROUNDS = 3
ROOT = Path(__file__).parents[2]


async def acknowledged_until_killed(url: str, keys: Path, count: int) -> list[str]:
    """Ids that a service acknowledged before SIGKILL met it, some time after the first `count`."""
    command = (sys.executable, "-m", "tests.store.acknowledging", url, str(keys))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(count)]
    process.kill()
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    return [line.decode().strip() for line in lines if line.endswith(b"\n")]


@pytest.mark.slow
async def test_what_was_acknowledged_is_there_after_sigkill(url: str, tmp_path: Path) -> None:
    rng, keys = random.Random(20261121), tmp_path / "keys"
    acknowledged: list[str] = []
    for _ in range(ROUNDS):
        acknowledged += await acknowledged_until_killed(url, keys, rng.randrange(1, 400))
    async with Store.open(url) as store:
        kept = {row.id for row in await Inbox(store).find(limit=1_000_000)}
        assert len(acknowledged) > ROUNDS
        assert set(acknowledged) <= kept
        signer = Signer.open(keys)
        await Sequencer(store, signer).drain()
        report = await verify(store, signer)
    assert report.findings == ()
    assert [log.size for log in report.logs] == [len(kept)]
