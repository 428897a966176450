"""A command that reads much keeps to the pace of the services on its store, and needs no store."""

import shutil
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from pointsman.clients.azure_devops.pacing import CALLS_MAX
from pointsman.config import load
from pointsman.ports import Unavailable
from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.serving import hosting
from pointsman.store.engine import Store
from pointsman.store.tracker_pace import StoreSharedPace
from starter.cli.beside import client_beside
from starter.organisations import account, credential_of
from tests import databases
from tests.sandbox.azure import SERVICE_TOKEN, config


@pytest.fixture
async def there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncGenerator[Path]:
    """An organisation, and an empty folder of data."""
    async with hosting(create_app(config(seeded=True))) as root:
        monkeypatch.setenv("POINTSMAN_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_URL", f"{root}/fabrikam")
        monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_TOKEN", SERVICE_TOKEN)
        yield tmp_path


async def read() -> int:
    settings = load()
    (organisation,) = settings.organisations()
    async with client_beside(settings, organisation) as client:
        return (await client.work_items.get(1)).id


async def told_to_wait(store: Store) -> None:
    (organisation,) = load().organisations()
    pace = StoreSharedPace(store, account(organisation, credential_of(organisation)), CALLS_MAX)
    await pace.told(timedelta(seconds=50))


async def test_a_command_needs_no_store(there: Path) -> None:
    assert await read() == 1


async def test_a_command_waits_as_the_service_beside_it_was_told_to(there: Path, migrated_file: Path) -> None:
    shutil.copy(migrated_file, there / "pointsman.db")
    assert await read() == 1
    async with Store.open(f"sqlite:///{there / 'pointsman.db'}") as store:
        await told_to_wait(store)
        with pytest.raises(Unavailable, match=r"not sent, the service asked to wait another (4\d|50) s"):
            await read()


async def test_on_postgresql_a_command_is_one_of_those_who_share(
    there: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with databases.migrated(postgres_url) as several, several.one() as url:
        monkeypatch.setenv("POINTSMAN_DATABASE_URL", url)
        assert await read() == 1
        async with Store.open(url) as store:
            await told_to_wait(store)
        with pytest.raises(Unavailable, match=r"not sent, the service asked to wait another (4\d|50) s"):
            await read()
