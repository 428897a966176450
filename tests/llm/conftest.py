"""Model providers on loopback, as fast as they can be.

What they need is imported when a test asks for it: the process that only hands out tests reads this file, too.
"""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from pydantic import SecretStr

if TYPE_CHECKING:
    from pointsman.llm.providers.openai.responses import OpenAIResponses
    from tests.llm.service_rig import Bench
    from tests.llm.standin import Provider


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks the stand-in: the rest is what `make test PART=llm` runs."""
    for item in items:
        if isinstance(item, pytest.Function) and {"server", "free_port"} & set(item.fixturenames):
            item.add_marker(pytest.mark.stand_in)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> "AsyncGenerator[Provider]":
    """One for all tests of a module: starting and stopping it takes longer than most of them."""
    from pointsman.sandbox.models.app import create_app
    from pointsman.sandbox.models.config import ModelsConfig
    from pointsman.sandbox.serving import hosting
    from tests.llm.standin import KEY, Provider

    app = create_app(ModelsConfig(api_keys=(SecretStr(KEY),), first_token=timedelta(0), chunk=timedelta(0)))
    async with hosting(app) as url:
        yield Provider(url, app.state.control)


@pytest.fixture
def provider(server: "Provider") -> "Provider":
    """The server, without what earlier tests left."""
    server.control.reset()
    return server


@pytest_asyncio.fixture(loop_scope="module")
async def client(provider: "Provider") -> "AsyncGenerator[OpenAIResponses]":
    from pointsman.llm.providers.openai.responses import OpenAIResponses
    from tests.llm.standin import KEY

    async with OpenAIResponses(SecretStr(KEY), provider.url, timeout=timedelta(seconds=60)) as adapter:
        yield adapter


@pytest_asyncio.fixture(loop_scope="module")
async def bench(provider: "Provider") -> "AsyncGenerator[Bench]":
    from tests.llm.service_rig import Bench

    made = Bench(provider)
    yield made
    for service in made.services:
        await service.aclose()
    assert made.observer.active == 0
