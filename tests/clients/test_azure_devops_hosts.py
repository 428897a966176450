"""An organisation has several names and hosts, and a server an older API: one rule each."""

from datetime import UTC, datetime

import httpx2
import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.hosts import Host, beside, organisation_url, server_version, version_for
from pointsman.ports import Rejected
from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.serving import hosting
from tests.sandbox.azure import SERVICE_TOKEN, config


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://dev.azure.com/fabrikam/", "https://dev.azure.com/fabrikam"),
        ("https://dev.azure.com/fabrikam/Fabrikam/_workitems", "https://dev.azure.com/fabrikam"),
        ("https://fabrikam.visualstudio.com", "https://dev.azure.com/fabrikam"),
        ("https://fabrikam.visualstudio.com/DefaultCollection/", "https://dev.azure.com/fabrikam"),
        ("https://fabrikam.vsrm.visualstudio.com", "https://dev.azure.com/fabrikam"),
        ("https://vssps.dev.azure.com/fabrikam", "https://dev.azure.com/fabrikam"),
        ("https://tfs.example/tfs/DefaultCollection/", "https://tfs.example/tfs/DefaultCollection"),
        ("http://127.0.0.1:8080/fabrikam", "http://127.0.0.1:8080/fabrikam"),
    ],
)
def test_each_name_of_an_organisation_leads_to_one_url(given: str, meant: str) -> None:
    assert organisation_url(given) == meant
    assert AzureDevOps(given, SecretStr("t")).base_url == meant


@pytest.mark.parametrize(
    ("host", "root"),
    [
        (Host.MAIN, "https://dev.azure.com/fabrikam"),
        (Host.GRAPH, "https://vssps.dev.azure.com/fabrikam"),
        (Host.RELEASE, "https://vsrm.dev.azure.com/fabrikam"),
        (Host.AUDIT, "https://auditservice.dev.azure.com/fabrikam"),
        (Host.SECURITY, "https://advsec.dev.azure.com/fabrikam"),
    ],
)
def test_areas_of_the_service_have_hosts_of_their_own(host: Host, root: str) -> None:
    assert beside("https://dev.azure.com/fabrikam", host) == root
    assert beside("https://tfs.example/tfs/Default", host) == "https://tfs.example/tfs/Default"


@pytest.mark.parametrize(
    ("wanted", "newest", "asked"),
    [
        ("7.1", "7.1", "7.1"),
        ("7.1", "6.0", "6.0"),
        ("7.1-preview.4", "6.0", "6.0-preview"),
        ("7.1-preview.4", "7.1", "7.1-preview.4"),
        ("5.0", "6.0", "5.0"),
        ("7.2-preview.4", "7.1", "7.1-preview"),
    ],
)
def test_version_is_never_above_what_a_server_knows(wanted: str, newest: str, asked: str) -> None:
    assert version_for(wanted, newest) == asked


def test_release_of_a_server_names_its_version() -> None:
    assert [server_version(release) for release in ("2020", "2022", "2022.1")] == ["6.0", "7.0", "7.1"]
    with pytest.raises(ValueError, match=r"'2015'; known: 2019, 2020, 2022, 2022\.1"):
        server_version("2015")


async def test_older_server_is_spoken_to_in_its_version() -> None:
    older = config(seeded=True).model_copy(update={"api_version_max": "6.0"})
    async with (
        hosting(create_app(older)) as url,
        AzureDevOps(f"{url}/fabrikam", SecretStr(SERVICE_TOKEN), version=server_version("2020")) as client,
        AzureDevOps(f"{url}/fabrikam", SecretStr(SERVICE_TOKEN)) as too_new,
    ):
        assert (await client.work_items.get(1)).id == 1
        assert len(await client.work_items.comments("Fabrikam", 1)) == 1
        with pytest.raises(Rejected, match=r"latest REST API version this server supports is 6\.0.*Name the release"):
            await too_new.work_items.get(1)


async def test_each_area_is_asked_at_its_own_host() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.host}{request.url.path}")
        return httpx2.Response(200, json={"count": 0, "value": [], "decoratedAuditLogEntries": []})

    now = datetime.now(UTC)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        client = AzureDevOps("https://fabrikam.visualstudio.com", SecretStr("t"), http=http)
        await client.projects.all()
        await client.graph.users()
        await client.identities.search("Ada")
        await client.audit.entries(now, now)
        await client.hooks.list("ms.vss-release.release-created-event", "rm")
        await client.hooks.list("ms.vss-alerts.alert-created-event", "advancedsecurity")
    assert asked == [
        "GET dev.azure.com/fabrikam/_apis/projects",
        "GET vssps.dev.azure.com/fabrikam/_apis/graph/users",
        "GET vssps.dev.azure.com/fabrikam/_apis/identities",
        "GET auditservice.dev.azure.com/fabrikam/_apis/audit/auditlog",
        "GET vsrm.dev.azure.com/fabrikam/_apis/hooks/subscriptions",
        "GET advsec.dev.azure.com/fabrikam/_apis/hooks/subscriptions",
    ]
