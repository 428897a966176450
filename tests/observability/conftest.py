"""One run for all that look at it: its parts start once, also where several processes test."""

import asyncio
import pickle
from pathlib import Path

import pytest

from tests.locks import alone
from tests.observability.receiver import Receiver, receiving
from tests.observability.watched import Run, watch
from tests.preloaded import Preloaded

Watched = tuple[Run, Receiver]


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory, worker_id: str, preloaded: Preloaded) -> Watched:
    folder = tmp_path_factory.mktemp("watched")
    if worker_id == "master":
        return _watched(folder, preloaded)
    kept = tmp_path_factory.getbasetemp().parent / "watched.pickle"
    with alone(kept.with_suffix(".lock")):
        if not kept.exists():
            kept.write_bytes(pickle.dumps(_watched(folder, preloaded)))
        seen: Watched = pickle.loads(kept.read_bytes())  # noqa: S301 - written by a process of this very run
        return seen


def _watched(folder: Path, preloaded: Preloaded) -> Watched:
    nursery = preloaded.nursery()
    try:
        with receiving() as receiver:
            return asyncio.run(watch(folder, receiver, nursery)), receiver
    finally:
        nursery.close()


@pytest.fixture(scope="session")
def run(watched: Watched) -> Run:
    """An item from webhook to write, and all that was seen of it; nothing of it runs any more."""
    return watched[0]


@pytest.fixture(scope="session")
def receiver(watched: Watched) -> Receiver:
    """What was sent out beside the work."""
    return watched[1]
