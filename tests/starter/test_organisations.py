"""From settings to an answer: each kind of account signs in at the stand-in, through the stand-in's own authority."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import entra
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.credentials import Credential, EntraAccounts
from pointsman.config import Misconfigured, load
from pointsman.config.organisations import Organisation
from pointsman.ports import Rejected
from pointsman.sandbox.azure_devops import Principal
from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.serving import hosting
from starter.organisations import clients, credential_of, environment
from tests.clients.test_azure_devops_credentials import Plainly
from tests.sandbox.azure import SERVICE_TOKEN, config
from tests.test_config_organisations import CLIENT, GIVEN, SECRET, TENANT

ROBOT = Identity(unique_name=CLIENT, display_name="Pointsman of Entra")


class OverLoopback:
    """Accounts of Entra whose authority speaks no TLS, which azure-identity does not allow."""

    def default_chain(self, *, managed_client_id: str = "") -> Credential:
        return entra.default_chain(managed_client_id=managed_client_id)

    def managed_identity(self, client_id: str = "") -> Credential:
        return entra.managed_identity(client_id)

    def client_secret(self, tenant_id: str, client_id: str, secret: SecretStr) -> Credential:
        return entra.client_secret(tenant_id, client_id, secret, transport=Plainly())

    def workload_identity(self, tenant_id: str = "", client_id: str = "", token_file: str = "") -> Credential:
        return entra.workload_identity(tenant_id, client_id, token_file, transport=Plainly())


def accounts() -> EntraAccounts:
    return OverLoopback()


@pytest.fixture
async def url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncGenerator[str]:
    for name in GIVEN:
        monkeypatch.delenv(f"POINTSMAN_AZURE_DEVOPS_{name}", raising=False)
    principal = Principal(tenant_id=TENANT, client_id=CLIENT, secret=SecretStr(SECRET), identity=ROBOT)
    stand_in = config(seeded=True).model_copy(update={"principals": (principal,), "api_version_max": "6.0"})
    async with hosting(create_app(stand_in)) as root:
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", root.replace("http://", "https://"))
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{root}/_identity/token")
        monkeypatch.setenv("IDENTITY_HEADER", SECRET)
        for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
            monkeypatch.delenv(name, raising=False)
        (tmp_path / "proof").write_text(SECRET)
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "proof"))
        yield root


def told(monkeypatch: pytest.MonkeyPatch, **given: str) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"POINTSMAN_AZURE_DEVOPS_{name.upper()}", value)


async def name_of(organisation: Organisation) -> str:
    async with AzureDevOps(organisation.url, credential_of(organisation, accounts), version="6.0") as client:
        return (await client.connection_data()).authenticated_user.unique_name


@pytest.mark.parametrize(
    "given",
    [
        {"auth": "managed_identity"},
        {"auth": "workload_identity", "tenant_id": TENANT, "client_id": CLIENT},
        {"auth": "client_secret", "tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET},
    ],
    ids=lambda given: given["auth"],
)
async def test_each_kind_of_account_is_who_it_says(
    url: str, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    told(monkeypatch, url=f"{url}/fabrikam", **given)
    (organisation,) = load().organisations()
    assert await name_of(organisation) == ROBOT.unique_name


async def test_default_takes_the_account_of_the_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_FEDERATED_TOKEN_FILE")  # a pod's account would come first
    told(monkeypatch, url=f"{url}/fabrikam", auth="default", client_id=CLIENT)
    (organisation,) = load().organisations()
    assert await name_of(organisation) == ROBOT.unique_name


async def test_a_collection_is_asked_in_the_version_of_its_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, url=f"{url}/fabrikam,{url}/contoso", token=SERVICE_TOKEN, server="fabrikam:2020")
    async with clients(load()) as opened:
        assert (await opened["fabrikam"].work_items.get(1)).id == 1
        with pytest.raises(Rejected, match=r"latest REST API version this server supports is 6\.0"):
            await opened["contoso"].work_items.get(1)


async def test_a_credential_that_is_missing_is_named_with_its_organisation(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, url=f"{url}/fabrikam", auth="client_secret", client_id=CLIENT)
    with pytest.raises(Misconfigured, match=r"TENANT_ID and POINTSMAN_AZURE_DEVOPS_CLIENT_SECRET is not set: .*'fabr"):
        async with clients(load()):
            pass


async def test_another_process_comes_to_the_same_account(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, url=f"{url}/fabrikam,{url}/contoso", auth="default,contoso:token", token="contoso:t0ken")
    settings = load()
    given = environment(settings)
    assert given["IDENTITY_HEADER"] == SECRET
    for name in (*GIVEN, "TOKEN_FILE"):
        monkeypatch.delenv(f"POINTSMAN_AZURE_DEVOPS_{name}", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert load().organisations() == settings.organisations()
