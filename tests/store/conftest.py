"""A migrated database for each test, once as SQLite and once as PostgreSQL."""

import shutil
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from pointsman.store import schema
from pointsman.store.engine import Store
from pointsman.store.signing import Signer
from tests import databases
from tests.databases import Databases


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to copy: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "store.db"
    schema.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    path = tmp_path / "store.db"
    shutil.copy(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Generator[Databases]:
    with databases.migrated(postgres_url) as several:
        yield several


@pytest.fixture
def postgres_store_url(migrated_postgres: Databases) -> Generator[str]:
    with migrated_postgres.one() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_store_url"}[request.param]))


@pytest.fixture
async def store(url: str) -> AsyncGenerator[Store]:
    async with Store.open(url) as opened:
        yield opened


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.open(tmp_path / "keys")
