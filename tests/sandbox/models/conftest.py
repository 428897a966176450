"""One stand-in for all tests of a module, the official SDK as its client, and its control from outside."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import httpx2
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from pydantic import SecretStr

from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.server import running
from tests.sandbox.models.scene import KEY


@pytest.fixture(autouse=True)
def no_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As `tests.loopback` has it, for the clients that SDKs make by themselves."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)  # counts for more than the folder
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path_factory.getbasetemp()))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncGenerator[str]:
    config = ModelsConfig(api_keys=(SecretStr(KEY),), first_token=timedelta(0), chunk=timedelta(0))
    async with running(config) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="module")
async def sandbox(url: str) -> AsyncGenerator[httpx2.AsyncClient]:
    """The control API, reset."""
    async with httpx2.AsyncClient(base_url=f"{url}/_sandbox", timeout=60) as control:
        await control.post("/reset")
        yield control


@pytest_asyncio.fixture(loop_scope="module")
async def sdk(url: str, sandbox: httpx2.AsyncClient) -> AsyncGenerator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0) as client:
        yield client
