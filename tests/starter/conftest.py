"""A store of each test's own: SQLite's file is migrated once, and copied."""

import shutil
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from bench.faults.forks import Nursery
from pointsman.store import schema
from pointsman.store.engine import Store
from tests.preloaded import Preloaded


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("migrated") / "pointsman.db"
    schema.upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
async def store(migrated_file: Path, tmp_path: Path) -> AsyncGenerator[Store]:
    file = tmp_path / "pointsman.db"
    shutil.copy(migrated_file, file)
    async with Store.open(f"sqlite:///{file}") as opened:
        yield opened


@pytest.fixture(scope="session")
def nursery(preloaded: Preloaded) -> Generator[Nursery]:
    """Forks our programs from a process that has loaded them, which takes longer than what most tests look at."""
    began = preloaded.nursery()
    yield began
    began.close()
