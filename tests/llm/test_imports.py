"""The garbage collector rests while an SDK is imported, and runs afterwards if it ran before."""

import gc
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pydantic import SecretStr

from pointsman.llm.client import LLMClient
from pointsman.llm.imports import IMPORTED_MIN, collector_paused, importing_alone
from pointsman.llm.keys import OperatorKeys
from pointsman.llm.pool import ClientPool


@pytest.fixture(autouse=True)
def running() -> Generator[None]:
    """Whatever a test leaves, the next one finds the collector running."""
    was_running = gc.isenabled()
    gc.enable()
    yield
    (gc.enable if was_running else gc.disable)()


def test_the_collector_rests_inside_and_runs_again_after_the_outermost_block() -> None:
    with collector_paused():
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_runs_again_after_an_import_that_fails() -> None:
    with pytest.raises(ImportError, match="no SDK"), collector_paused():
        raise ImportError("no SDK")
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    with collector_paused():
        pass
    assert not gc.isenabled()


def test_it_rests_until_the_last_of_several_threads_is_done() -> None:
    inside, one_left = Barrier(2, timeout=60), Barrier(2, timeout=60)

    def first() -> None:
        with collector_paused():
            inside.wait()
        one_left.wait()

    def last() -> bool:
        with collector_paused():
            inside.wait()
            one_left.wait()
            return gc.isenabled()

    with ThreadPoolExecutor(2) as threads:
        threads.submit(first)
        assert not threads.submit(last).result()
    assert gc.isenabled()


def test_what_is_imported_counts_as_old_unless_objects_are_frozen() -> None:
    thresholds = gc.get_threshold()
    gc.freeze()
    try:
        with collector_paused():
            young = imported()
            gc.set_threshold(0)  # or the next collection would age it
        assert any(one is young for one in gc.get_objects(0))
        gc.unfreeze()
        with collector_paused():
            old = imported()
        assert not any(one is old for one in gc.get_objects(0))
    finally:
        gc.set_threshold(*thresholds)
        gc.freeze()  # as every run of tests has it


def imported() -> list[object]:
    """As many objects as an SDK has."""
    return [[] for _ in range(IMPORTED_MIN)]


async def test_a_client_is_made_with_the_collector_at_rest() -> None:
    seen: list[bool] = []

    def make(key: SecretStr) -> LLMClient:
        seen.append(gc.isenabled())
        raise ImportError("no SDK")

    clients = ClientPool(OperatorKeys({"p": SecretStr("key")}), {"p": make})
    with pytest.raises(ImportError):
        async with clients.lease("p"):
            pass
    assert seen == [False]
    assert gc.isenabled()


def test_threads_import_one_after_the_other() -> None:
    inside, most = [0], [0]

    def load() -> None:
        with importing_alone():
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.005)
            inside[0] -= 1

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
