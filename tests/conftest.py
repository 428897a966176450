"""Fixtures that tests of several rooms share. A server starts only when a test asks for it."""

from collections.abc import Generator

import pytest
from temporalio.testing import WorkflowEnvironment

from pointsman.temporal_server import DevServer
from pointsman.temporal_server import free_port as unused_port
from tests import servers


@pytest.fixture(scope="session")
def dev_server() -> Generator[DevServer]:
    """Temporal's dev server, for lists, counts and whole paths. Use task queues and workflow ids of your own."""
    with servers.dev_server() as server:
        yield server


@pytest.fixture(scope="session")
def env() -> Generator[WorkflowEnvironment]:
    """The time-skipping server, connected with our plugin, our search attributes registered."""
    with servers.time_skipping_server() as environment:
        yield environment


@pytest.fixture(scope="session")
def postgres_url() -> Generator[str]:
    """URL of a PostgreSQL server's maintenance database, for libpq. Most tests want `postgres_database`."""
    with servers.postgres_server() as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url: str) -> Generator[str]:
    """URL of a fresh database, for SQLAlchemy."""
    with servers.postgres_database(postgres_url) as url:
        yield url


@pytest.fixture
def free_port() -> int:
    return unused_port()
