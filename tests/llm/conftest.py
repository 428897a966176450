"""A model provider on loopback, as fast as it can be, and an adapter that talks to it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pointsman.llm.openai_responses import OpenAIResponses
from pointsman.sandbox.models.app import create_app
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.control import Control, Fault, FaultKind, Script, Seen
from pointsman.sandbox.models.replies import Reply
from pointsman.sandbox.serving import hosting

KEY = "sk-test-4f1d0c7a9b2e"


@dataclass
class Provider:
    """The stand-in from inside: what it is told, what it saw."""

    url: str
    control: Control

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
    app = create_app(ModelsConfig(api_keys=(SecretStr(KEY),), first_token=timedelta(0), chunk=timedelta(0)))
    async with hosting(app) as url:
        yield Provider(f"{url}/v1", app.state.control)


@pytest.fixture
def provider(server: Provider) -> Provider:
    """The server, without what earlier tests left."""
    server.control.reset()
    return server


@pytest_asyncio.fixture(loop_scope="module")
async def client(provider: Provider) -> AsyncGenerator[OpenAIResponses]:
    async with OpenAIResponses(SecretStr(KEY), provider.url, timeout=timedelta(seconds=20)) as adapter:
        yield adapter
