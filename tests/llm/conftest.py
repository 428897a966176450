"""Model providers on loopback, as fast as they can be."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pointsman.llm.providers.openai.responses import OpenAIResponses
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.control import Control, Fault, FaultKind, Script, Seen
from pointsman.sandbox.models.replies import Reply

KEY = "sk-test-4f1d0c7a9b2e"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks the stand-in: the rest is what `make test PART=llm` runs."""
    for item in items:
        if isinstance(item, pytest.Function) and {"server", "free_port"} & set(item.fixturenames):
            item.add_marker(pytest.mark.stand_in)


@dataclass
class Provider:
    """The stand-in from inside: what it is told, what it saw."""

    root: str
    control: Control

    @property
    def url(self) -> str:
        """Of OpenAI's API."""
        return f"{self.root}/v1"

    def says(self, *replies: Reply) -> None:
        self.control.scripts.append(Script(replies=list(replies)))

    def fails(self, kind: FaultKind, **details: object) -> None:
        self.control.faults.append(Fault.model_validate({"kind": kind, **details}))

    @property
    def last(self) -> Seen:
        return self.control.seen[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncGenerator[Provider]:
    """One for all tests of a module: starting and stopping it takes longer than most of them."""
    from pointsman.sandbox.models.app import create_app  # half a second that a run of unit tests should not spend
    from pointsman.sandbox.serving import hosting  # as above

    app = create_app(ModelsConfig(api_keys=(SecretStr(KEY),), first_token=timedelta(0), chunk=timedelta(0)))
    async with hosting(app) as url:
        yield Provider(url, app.state.control)


@pytest.fixture
def provider(server: Provider) -> Provider:
    """The server, without what earlier tests left."""
    server.control.reset()
    return server


@pytest_asyncio.fixture(loop_scope="module")
async def client(provider: Provider) -> AsyncGenerator[OpenAIResponses]:
    async with OpenAIResponses(SecretStr(KEY), provider.url, timeout=timedelta(seconds=20)) as adapter:
        yield adapter
