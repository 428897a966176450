"""Accounts of Microsoft Entra ID: service principals, managed and workload identities, over azure-identity.

The account has to be a user of the organisation. azure-identity keeps tokens in memory and renews them before they end.
Where no authority is named it asks the one of `AZURE_AUTHORITY_HOST`, or Microsoft's public one.
"""

import re
from asyncio import Lock

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.identity import CredentialUnavailableError
from azure.identity.aio import (
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from pydantic import SecretStr

from pointsman.domain.texts import clean
from pointsman.ports import Rejected, Unavailable

SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"  # the application id of Azure DevOps; a URI is not taken
MESSAGE_CHARS_MAX = 300
_NUMBER = re.compile(r"\bAADSTS\d+\b")

Transport = AsyncHttpTransport[HttpRequest, AsyncHttpResponse]


class Entra:
    """A credential of azure-identity as one of ours. Asks once for a token, however many requests wait for it."""

    def __init__(self, name: str, source: AsyncTokenCredential) -> None:
        self.name = name
        self._source = source
        self._asking = Lock()

    def __repr__(self) -> str:
        return f"Entra({self.name!r})"

    async def authorization(self) -> str:
        try:
            async with self._asking:
                token = await self._source.get_token(SCOPE)
        except CredentialUnavailableError as error:
            raise self._refused("is not there", "NoCredential", error) from None
        except ClientAuthenticationError as error:
            number = _NUMBER.search(str(error))
            raise self._refused("is refused", number.group() if number else "SignInRequired", error) from None
        except (ServiceRequestError, ServiceResponseError, HttpResponseError) as error:
            raise Unavailable(
                f"no token of Entra for {self.name}: {type(error).__name__}, {_first_line(error)}; nothing was sent"
            ) from None
        return f"Bearer {token.token}"

    async def close(self) -> None:
        await self._source.close()

    def _refused(self, how: str, code: str, error: Exception) -> Rejected:
        return Rejected(
            f"Entra: {self.name} {how}: {_first_line(error)}. Nothing was sent; check tenant, client id and what "
            "proves it, then that the account is a user of the organisation",
            code,
        )


def default_chain(*, managed_client_id: str = "") -> Entra:
    """Whatever is there: environment, workload identity, managed identity, the developer's own command line."""
    source = DefaultAzureCredential(managed_identity_client_id=managed_client_id or None)
    return Entra("the default chain", source)


def managed_identity(client_id: str = "") -> Entra:
    """The identity of the machine or container app; `client_id` names one that a user assigned."""
    source = ManagedIdentityCredential(client_id=client_id or None, retry_total=0)
    return Entra(f"managed identity {client_id or 'of the system'}", source)


def client_secret(
    tenant_id: str,
    client_id: str,
    secret: SecretStr,
    *,
    authority: str = "",
    transport: Transport | None = None,
) -> Entra:
    """A service principal with a secret. `transport` goes another way to the authority, for example by a proxy."""
    extra = {"transport": transport} if transport else {}
    source = ClientSecretCredential(
        tenant_id, client_id, secret.get_secret_value(), authority=authority or None, retry_total=0, **extra
    )
    return Entra(f"service principal {client_id}", source)


def workload_identity(
    tenant_id: str = "",
    client_id: str = "",
    token_file: str = "",
    *,
    authority: str = "",
    transport: Transport | None = None,
) -> Entra:
    """A pod's federated identity; what is empty comes from the environment that Kubernetes sets."""
    extra = {"transport": transport} if transport else {}
    source = WorkloadIdentityCredential(
        tenant_id=tenant_id or None,
        client_id=client_id or None,
        token_file_path=token_file or None,
        authority=authority or None,
        retry_total=0,
        **extra,
    )
    return Entra(f"workload identity {client_id or 'of the environment'}", source)


def _first_line(error: Exception) -> str:
    lines = clean(str(error)).strip().splitlines()
    return lines[0][:MESSAGE_CHARS_MAX].rstrip(". ") if lines else "no reason given"
