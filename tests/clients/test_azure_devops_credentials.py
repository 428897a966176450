"""Each way to prove who one is, over real HTTP: personal tokens, and accounts of Entra through azure-identity."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from azure.core.pipeline.transport import AioHttpTransport
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.credentials import Credential, PersonalToken, entra
from pointsman.clients.azure_devops.entra import client_secret, managed_identity, workload_identity
from pointsman.clients.azure_devops.errors import NotSignedIn
from pointsman.ports import Rejected, Unavailable
from pointsman.sandbox.azure_devops import Principal
from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.serving import hosting
from tests.sandbox.azure import SERVICE_TOKEN, config

TENANT, CLIENT, SECRET = "00000000-1111-4222-8333-444444444444", "55555555-1111-4222-8333-444444444444", "proof~of.it"
ROBOT = Identity(unique_name=CLIENT, display_name="Pointsman of Entra")


class Plainly(AioHttpTransport):  # type: ignore[misc]  # azure-core loads the class late, untyped
    """azure-identity speaks https only: this one takes the same requests to loopback without TLS."""

    async def send(self, request: Any, **config: Any) -> Any:
        request.url = request.url.replace("https://127.0.0.1", "http://127.0.0.1")
        return await super().send(request, **config)


@pytest.fixture
async def url() -> AsyncGenerator[str]:
    principal = Principal(tenant_id=TENANT, client_id=CLIENT, secret=SecretStr(SECRET), identity=ROBOT)
    async with hosting(create_app(config().model_copy(update={"principals": (principal,)}))) as root:
        yield root


async def name_of(url: str, credential: Credential) -> str:
    async with AzureDevOps(f"{url}/fabrikam", credential) as client:
        return (await client.connection_data()).authenticated_user.unique_name


def principal_of(url: str, secret: str) -> Credential:
    authority = url.replace("http://", "https://")
    return client_secret(TENANT, CLIENT, SecretStr(secret), authority=authority, transport=Plainly())


async def test_personal_token_says_who_we_are(url: str) -> None:
    assert await name_of(url, PersonalToken(SecretStr(SERVICE_TOKEN))) == "pointsman@fabrikam.example"


async def test_service_principal_says_who_we_are(url: str) -> None:
    assert await name_of(url, principal_of(url, SECRET)) == ROBOT.unique_name


async def test_workload_identity_says_who_we_are(url: str, tmp_path: Path) -> None:
    proof = tmp_path / "token"
    proof.write_text(SECRET)
    authority = url.replace("http://", "https://")
    pod = workload_identity(TENANT, CLIENT, str(proof), authority=authority, transport=Plainly())
    assert await name_of(url, pod) == ROBOT.unique_name


async def test_managed_identity_says_who_we_are(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/_identity/token")
    monkeypatch.setenv("IDENTITY_HEADER", SECRET)
    assert await name_of(url, managed_identity()) == ROBOT.unique_name
    assert await name_of(url, entra().managed_identity(CLIENT)) == ROBOT.unique_name


async def test_default_chain_takes_what_the_environment_has(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/_identity/token")
    monkeypatch.setenv("IDENTITY_HEADER", SECRET)
    assert await name_of(url, entra().default_chain()) == ROBOT.unique_name


async def test_wrong_secret_is_refused_with_the_number_of_entra(url: str) -> None:
    with pytest.raises(Rejected, match=r"service principal 5555.* is refused: .*Nothing was sent") as refused:
        await name_of(url, principal_of(url, "wrong~secret"))
    assert refused.value.code == "AADSTS7000215"
    assert "wrong~secret" not in f"{refused.value!r} {refused.value.__cause__!r}"


async def test_entra_that_does_not_answer_is_unavailable(url: str) -> None:
    away = client_secret(TENANT, CLIENT, SecretStr(SECRET), authority="https://127.0.0.1:9", transport=Plainly())
    with pytest.raises(Unavailable, match="nothing was sent"):
        await name_of(url, away)


async def test_token_of_entra_that_the_organisation_does_not_know_is_no_sign_in(url: str) -> None:
    class Stranger:
        name = "stranger"

        async def authorization(self) -> str:
            return "Bearer eyJ.unknown"

        async def close(self) -> None: ...

    with pytest.raises(NotSignedIn, match="TF400813"):
        await name_of(url, Stranger())


async def test_no_secret_is_in_a_name_or_a_repr(url: str) -> None:
    principal = principal_of(url, SECRET)
    token = PersonalToken(SecretStr("s3cret"))
    await principal.close()
    assert SECRET not in f"{principal!r} {principal.name}"
    assert "s3cret" not in f"{token!r} {token.name}"
    assert token.name != PersonalToken(SecretStr("other")).name
