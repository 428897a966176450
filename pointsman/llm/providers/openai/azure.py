"""OpenAI's models at Azure, through the v1 API of a resource of one's own, by key or with Microsoft Entra ID.

The wire is that of the Responses API. Models are called by the names of their deployments there.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from openai import AsyncAzureOpenAI
from pydantic import SecretStr

from pointsman.llm.errors import AuthenticationError, ProviderConnectionError
from pointsman.llm.providers.openai.responses import OpenAIResponses
from pointsman.llm.providers.openai.responses_request import Body
from pointsman.llm.providers.openai.sdk import options
from pointsman.llm.types import LLMRequest

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenProvider

SCOPE = "https://ai.azure.com/.default"
"""What a token is asked for (Microsoft, "Azure OpenAI v1 API")."""
VERSION = "v1"
_NONE: Mapping[str, str] = MappingProxyType({})


class AzureOpenAI(OpenAIResponses):
    """One resource, under one key or one credential. `endpoint` is `https://NAME.openai.azure.com`.

    `credential` is one of azure-identity's asynchronous ones; it is asked for a token when the last one is about to
    expire, and stays open: who made it closes it. `deployments` gives a model's deployment its name, where it has
    another than the model.
    """

    provider = "azure_openai"

    def __init__(
        self,
        endpoint: str,
        api_key: SecretStr | None = None,
        credential: "AsyncTokenProvider | None" = None,
        timeout: timedelta = timedelta(seconds=60),
        deployments: Mapping[str, str] = _NONE,
    ) -> None:
        if (api_key is None) is (credential is None):
            given = "neither" if credential is None else "both"
            raise AuthenticationError(f"give either a key or a credential, got {given}", provider=self.provider)
        self._deployments = dict(deployments)
        key, ask = None, None
        if api_key is not None:
            key = api_key.get_secret_value()
        elif credential is not None:
            from azure.identity.aio import get_bearer_token_provider  # 0.1 s that users of keys should not pay

            ask = self._asking(get_bearer_token_provider(credential, SCOPE))
        sdk = AsyncAzureOpenAI(
            api_key=key,
            azure_ad_token_provider=ask,
            base_url=f"{endpoint.rstrip('/')}/openai/v1/",
            api_version=VERSION,
            **options(timeout),
        )
        super().__init__(api_key or SecretStr("no token yet"), timeout=timeout, sdk=sdk)

    def _body(self, request: LLMRequest) -> Body:
        content, notes = super()._body(request)
        return Body({**content, "model": self._deployments.get(request.model, request.model)}, notes)

    def _asking(self, ask: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
        """The credential's token before each call; it never shows in an error, ours or Azure's."""
        from azure.core.exceptions import AzureError, ClientAuthenticationError  # as above

        async def token() -> str:
            try:
                found = await ask()
            except ClientAuthenticationError as error:
                raise self._no_token(AuthenticationError, error) from None
            except AzureError as error:
                raise self._no_token(ProviderConnectionError, error) from None
            self._key = SecretStr(found)
            return found

        return token

    def _no_token(
        self, kind: type[AuthenticationError] | type[ProviderConnectionError], error: Exception
    ) -> AuthenticationError | ProviderConnectionError:
        reason = f"Microsoft Entra ID gave no token: {type(error).__name__}. Nothing was sent to the model"
        return kind(reason, provider=self.provider)


class AzureOpenAIByEntra(AzureOpenAI):
    """With whatever identity azure-identity finds (environment, workload, managed identity, command line)."""

    def __init__(self, endpoint: str, timeout: timedelta, deployments: Mapping[str, str] = _NONE) -> None:
        from azure.identity.aio import DefaultAzureCredential  # as above

        self._credential = DefaultAzureCredential()
        super().__init__(endpoint, None, self._credential, timeout, deployments)

    async def aclose(self) -> None:
        await super().aclose()
        await self._credential.close()
