"""Killed at any moment, a service has kept what it acknowledged, and its log is whole."""

import multiprocessing
import random
from contextlib import suppress
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from pointsman.store.verification import verify
from tests.store import acknowledging

ROUNDS = 3


@cache
def processes() -> ForkServerContext:
    """New processes, forked from one that has loaded what they need and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([acknowledging.__name__])
    return context


def acknowledged_until_killed(url: str, keys: Path, count: int) -> list[str]:
    """Ids that a service acknowledged before SIGKILL met it, some time after the first `count`."""
    told, telling = processes().Pipe(duplex=False)
    process = processes().Process(target=acknowledging.serve, args=(url, keys, telling))
    process.start()
    telling.close()  # so that the other's end is the last one
    lines = [str(told.recv()) for _ in range(count)]
    process.kill()
    process.join()
    with told, suppress(EOFError, OSError):  # the end, perhaps in the middle of an id
        while True:
            lines.append(str(told.recv()))
    return lines


@pytest.mark.slow
async def test_what_was_acknowledged_is_there_after_sigkill(url: str, tmp_path: Path) -> None:
    rng, keys = random.Random(20261121), tmp_path / "keys"
    acknowledged: list[str] = []
    for _ in range(ROUNDS):
        acknowledged += acknowledged_until_killed(url, keys, rng.randrange(1, 400))
    async with Store.open(url) as store:
        kept = {row.id for row in await Inbox(store).find(limit=1_000_000)}
        assert len(acknowledged) > ROUNDS
        assert set(acknowledged) <= kept
        signer = Signer.open(keys)
        await Sequencer(store, signer).drain()
        report = await verify(store, signer)
    assert report.findings == ()
    assert [log.size for log in report.logs] == [len(kept)]
