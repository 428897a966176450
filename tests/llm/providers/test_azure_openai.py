"""Azure OpenAI with Microsoft Entra ID: tokens are asked for when they are needed, and shown to nobody."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from time import time
from types import TracebackType

import pytest
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from pydantic import SecretStr

from pointsman.llm.client import LLMClient
from pointsman.llm.errors import AuthenticationError, ProviderConnectionError, ProviderError
from pointsman.llm.providers.openai.azure import SCOPE, AzureOpenAI
from pointsman.llm.types import LLMRequest, ReasoningPart, Role, text_message
from tests.llm.standin import KEY, Provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUEST = LLMRequest(model="gpt-6-luna", messages=(text_message(Role.USER, "hello"),))
HOUR = timedelta(hours=1)


class Tokens(AsyncTokenCredential):
    """A credential that has these tokens, in this order, each as long as it says; after them it fails."""

    def __init__(self, *tokens: tuple[str, timedelta], fails: Exception | None = None) -> None:
        self.tokens = list(tokens)
        self.scopes: list[str] = []
        self.is_closed = False
        self._fails = fails or ClientAuthenticationError("AADSTS7000222: the secret s3cr3t has expired")

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **options: object,
    ) -> AccessToken:
        self.scopes += scopes
        if not self.tokens:
            raise self._fails
        token, lasts = self.tokens.pop(0)
        return AccessToken(token, int(time() + lasts.total_seconds()))

    async def close(self) -> None:
        self.is_closed = True

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.close()


@asynccontextmanager
async def azure(provider: Provider, credential: Tokens) -> AsyncGenerator[LLMClient]:
    async with AzureOpenAI(f"{provider.root}/azure/", credential=credential) as adapter:
        yield adapter


async def test_one_token_serves_many_calls(provider: Provider) -> None:
    credential = Tokens((KEY, HOUR))
    async with azure(provider, credential) as adapter:
        for _ in range(3):
            assert (await adapter.complete(REQUEST)).provider == "azure_openai"
        assert (await adapter.health()).ok
    assert credential.scopes == [SCOPE]
    assert not credential.is_closed, "whoever made it closes it"


async def test_token_that_expires_is_replaced(provider: Provider) -> None:
    async with azure(provider, Tokens((KEY, -HOUR), ("eyJ-of-nobody", -HOUR), (KEY, HOUR))) as adapter:
        await adapter.complete(REQUEST)
        with pytest.raises(AuthenticationError) as caught:  # the second token, which the service does not know
            await adapter.complete(REQUEST)
        assert "eyJ-of-nobody" not in f"{caught.value!s}{adapter!r}"
        assert (await adapter.complete(REQUEST)).finish_reason == "stop"


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("fails", "kind"),
    [
        (ClientAuthenticationError("the secret s3cr3t has expired"), AuthenticationError),
        (ServiceRequestError("no route to login.example"), ProviderConnectionError),
    ],
    ids=["refused", "unreachable"],
)
async def test_credential_without_a_token_is_an_error_of_ours(
    provider: Provider, fails: Exception, kind: type[ProviderError], streamed: bool
) -> None:
    async with azure(provider, Tokens(fails=fails)) as adapter:
        with pytest.raises(ProviderError) as caught:
            await (anext(adapter.stream(REQUEST)) if streamed else adapter.complete(REQUEST))
        assert type(caught.value) is kind
        assert "s3cr3t" not in str(caught.value)
        assert not (await adapter.health()).ok
    assert provider.control.seen == []


async def test_model_is_called_by_the_name_of_its_deployment(provider: Provider) -> None:
    async with AzureOpenAI(f"{provider.root}/azure", SecretStr(KEY), deployments={"gpt-6": "gpt-6-luna"}) as adapter:
        response = await adapter.complete(REQUEST.model_copy(update={"model": "gpt-6"}))
    assert provider.last.model == "gpt-6-luna"
    assert response.cost_usd > 0


async def test_reasoning_goes_back_to_azure_alone(provider: Provider) -> None:
    async with azure(provider, Tokens((KEY, HOUR))) as adapter:
        response = await adapter.complete(REQUEST)
    states = [part.provider_state for part in response.message.parts if isinstance(part, ReasoningPart)]
    assert [state.provider for state in states if state] == ["azure_openai"]
    assert response.message.for_provider("openai").parts[0].provider_state is None


@pytest.mark.parametrize(("key", "credential"), [(None, None), (SecretStr(KEY), Tokens())], ids=["neither", "both"])
async def test_key_or_credential_is_needed(key: SecretStr | None, credential: Tokens | None) -> None:
    with pytest.raises(AuthenticationError, match="either a key or a credential"):
        AzureOpenAI("https://x.example", key, credential)
