"""One web process and one model provider for all tests of a module: starting them takes longer than most tests."""

import shutil
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pointsman.sandbox.models.app import create_app
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.serving import hosting
from pointsman.store.engine import Store
from tests.llm.standin import KEY, Provider
from tests.starter.rpc.rig import Rpc, endpoint


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standin() -> AsyncGenerator[Provider]:
    app = create_app(ModelsConfig(api_keys=(SecretStr(KEY),), first_token=timedelta(0), chunk=timedelta(0)))
    async with hosting(app) as url:
        yield Provider(url, app.state.control)


@pytest.fixture
def provider(standin: Provider) -> Provider:
    """The stand-in, without what earlier tests left."""
    standin.control.reset()
    return standin


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_store(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Store]:
    file = tmp_path_factory.mktemp("rpc") / "pointsman.db"
    shutil.copy(migrated_file, file)
    async with Store.open(f"sqlite:///{file}") as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_store: Store, standin: Provider) -> AsyncGenerator[Rpc]:
    async with endpoint(shared_store, standin) as running:
        yield running


@pytest.fixture
def rpc(shared: Rpc, provider: Provider) -> Rpc:
    """The endpoint, with a provider that has forgotten earlier tests."""
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def alone(shared_store: Store, provider: Provider) -> AsyncGenerator[Rpc]:
    """An endpoint of this test's own: for what the service remembers."""
    async with endpoint(shared_store, provider) as running:
        yield running
