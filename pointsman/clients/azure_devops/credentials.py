"""Who we are to Azure DevOps: a personal access token, or an account of Microsoft Entra ID."""

import base64
from hashlib import sha256
from importlib import import_module
from typing import Protocol, cast

from pydantic import SecretStr


class Credential(Protocol):
    """Gives the header of each request. Nothing of a secret is in its `name` or its repr."""

    @property
    def name(self) -> str:
        """Tells accounts apart, for waits that one account's clients share."""

    async def authorization(self) -> str:
        """Value of the header `Authorization`. Raises `Rejected` or `Unavailable` if there is none to be had."""

    async def close(self) -> None: ...


class PersonalToken:
    """A personal access token: Basic, with any user name. Also what Azure DevOps Server takes."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token
        self.name = f"token {sha256(token.get_secret_value().encode()).hexdigest()[:12]}"

    def __repr__(self) -> str:
        return "PersonalToken()"

    async def authorization(self) -> str:
        pair = f":{self._token.get_secret_value()}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    async def close(self) -> None:
        """Nothing is held."""


class EntraAccounts(Protocol):
    """What `pointsman.clients.azure_devops.entra` offers."""

    def default_chain(self, *, managed_client_id: str = "") -> Credential: ...
    def managed_identity(self, client_id: str = "") -> Credential: ...
    def client_secret(self, tenant_id: str, client_id: str, secret: SecretStr) -> Credential: ...
    def workload_identity(self, tenant_id: str = "", client_id: str = "", token_file: str = "") -> Credential: ...


def entra() -> EntraAccounts:
    """Accounts of Entra. Loads azure-identity, 0.3 s that only its users pay."""
    return cast(EntraAccounts, import_module("pointsman.clients.azure_devops.entra"))


def credential_of(given: SecretStr | Credential) -> Credential:
    return PersonalToken(given) if isinstance(given, SecretStr) else given
