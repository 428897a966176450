"""Fixtures that tests of several rooms share. A server starts only when a test asks for it.

What they need is imported then, too: it takes two seconds that a run of unit tests should not spend.
"""

import gc
import os
import signal
import sys
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.gates import beside, sources
from tests.loading import Loading
from tests.not_run import NotRun
from tests.ordering import arranged

if TYPE_CHECKING:
    from temporalio.testing import WorkflowEnvironment

    from pointsman.temporal_server import DevServer
    from tests.preloaded import Preloaded
    from tests.servers import TimeSkippingServer


# Properties are judged by their truth, not by the clock of a busy machine. Each run tries the same few examples, so
# that a change is judged by what it changed; `--hypothesis-profile=thorough` looks for others, and does so each week.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("unhurried", UNHURRIED, max_examples=20, derandomize=True)
settings.register_profile("thorough", UNHURRIED, max_examples=500)
settings.load_profile("unhurried")


# What is loaded and collected stays until the end: looking through it for garbage takes a tenth of a run of unit tests.
gc.disable()


def pytest_collection_finish() -> None:
    if "structlog" in sys.modules:
        _draw_no_tracebacks()
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 50)  # a test makes thousands of objects and few circles of them


def _draw_no_tracebacks() -> None:
    """Until somebody sets it up, structlog draws each traceback in colours and frames, which takes 0.2 s."""
    import structlog

    for processor in structlog.get_config()["processors"]:
        if isinstance(processor, structlog.dev.ConsoleRenderer):
            processor.exception_formatter = structlog.dev.plain_traceback


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--measure", action="store_true", help="measure how far tests of the inner rooms cover them")
    parser.addoption("--beside", action="store_true", help="run tests of whole programs beside the others")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that servers are stopped then, too
    config.pluginmanager.register(NotRun())
    runs_tests = "PYTEST_XDIST_WORKER" in os.environ or not config.getoption("numprocesses", None)
    if config.getoption("measure") and runs_tests:
        from tests.gates.measuring import Measuring

        measuring = Measuring(config.rootpath)
        measuring.load()
        config.pluginmanager.register(measuring)
    if sharing := getattr(config, "workerinput", None):
        place = int(sharing["workerid"].removeprefix("gw"))
        config.pluginmanager.register(Loading(config.rootpath, place, sharing["workercount"]))
    if config.getoption("beside"):
        config.pluginmanager.register(beside.Elsewhere(config.rootpath))


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if config.getoption("beside") and not config.getoption("collectonly") and not hasattr(config, "workerinput"):
        base = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # xdist, too, takes it from here
        config.pluginmanager.register(beside.Beside(config.rootpath, base))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def seconds(item: pytest.Item) -> float:
        marker = item.get_closest_marker("slow")
        return float(marker.args[0]) if marker and marker.args else 0

    servers = {item.path: name for name, asks in ASKS.items() for item in items if asks(item)}
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = arranged(items, workers, seconds, lambda item: servers.get(item.path, ""))


def _asks_postgres(item: pytest.Item) -> bool:
    called = getattr(item, "callspec", None)
    return "postgres_url" in _fixtures(item) or (called is not None and "postgresql" in called.params.values())


def _asks_temporal(item: pytest.Item) -> bool:
    """Either of its servers, or programs of ours that start one."""
    return not {"dev_server", "time_skipping_server", "nursery"}.isdisjoint(_fixtures(item))


def _fixtures(item: pytest.Item) -> Sequence[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else ()


def _asks_sources(item: pytest.Item) -> bool:
    """All Python of the project, parsed: a process keeps it, and none needs it but for these."""
    return isinstance(item, pytest.Function) and vars(item.module).get("sources") is sources


# A module whose tests ask several counts for the last.
ASKS = {"sources": _asks_sources, "postgresql": _asks_postgres, "temporal": _asks_temporal}


@pytest.fixture(scope="session")
def dev_server() -> "Generator[DevServer]":
    """Temporal's dev server, for lists, counts and whole paths. Use task queues and workflow ids of your own."""
    from tests import servers

    with servers.dev_server() as server:
        yield server


@pytest.fixture(scope="session")
def time_skipping_server() -> "Generator[TimeSkippingServer]":
    from tests import servers

    server = servers.TimeSkippingServer()
    yield server
    server.stop()


@pytest.fixture
def env(time_skipping_server: "TimeSkippingServer") -> "Generator[WorkflowEnvironment]":
    """The time-skipping server, connected with our plugin, our search attributes registered."""
    yield time_skipping_server.env()
    time_skipping_server.check_clock()


@pytest.fixture(scope="session")
def postgres_url() -> Generator[str]:
    """URL of a PostgreSQL server's maintenance database, for libpq. Most tests want `postgres_database`."""
    from tests import servers

    with servers.postgres_server() as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url: str) -> Generator[str]:
    """URL of a fresh database, for SQLAlchemy."""
    from tests import servers

    with servers.postgres_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> "Generator[Preloaded]":
    """A Python that has loaded our libraries, one for all processes of this run. See there what starts from it."""
    from tests import preloaded

    base = tmp_path_factory.getbasetemp()
    shares = "PYTEST_XDIST_WORKER" in os.environ or base.name == beside.FOLDER
    with preloaded.shared(base.parent if shares else base) as found:
        yield found


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listens on."""
    from pointsman import temporal_server

    return temporal_server.free_port()
