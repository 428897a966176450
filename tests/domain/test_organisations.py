"""The organisation of every kind of URL that is in use, in settings and in deliveries alike."""

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.contracts.base import Json
from pointsman.domain.deliveries import read
from pointsman.domain.organisations import organisation_of


@pytest.mark.parametrize(
    ("url", "organisation"),
    [
        ("https://dev.azure.com/Fabrikam", "fabrikam"),
        ("https://dev.azure.com/fabrikam/Web%20Shop/_apis/wit/workItems/5", "fabrikam"),
        ("https://vsrm.dev.azure.com/fabrikam/_apis/release", "fabrikam"),
        ("https://Fabrikam.visualstudio.com/WebShop/_workitems/edit/5", "fabrikam"),
        ("https://harbour.visualstudio.com/", "harbour"),
        ("https://fabrikam.visualstudio.com/DefaultCollection/_apis/wit/workItems/5", "fabrikam"),
        ("http://127.0.0.1:40123/fabrikam", "fabrikam"),
        ("http://127.0.0.1:40123/fabrikam/Fabrikam/_apis/wit/workItems/5", "fabrikam"),
        ("http://127.0.0.1:4711/harbour/_apis/wit/workItems/41", "harbour"),
        ("https://tfs.example/tfs/DefaultCollection/", "defaultcollection"),
        ("https://tfs.example/tfs/DefaultCollection/WebShop/_apis/wit/workItems/5", "defaultcollection"),
        ("https://tfs.harbour.example/tfs/Main%20Collection/", "main collection"),
        ("https://tfs.harbour.example/Main/_apis/wit/workItems/41", "main"),
        ("https://tfs.example:8443/Tools", "tools"),
        ("https://proxy.example/devops/Tools/", "tools"),
    ],
)
def test_a_url_names_its_organisation(url: str, organisation: str) -> None:
    assert organisation_of(url) == organisation


@pytest.mark.parametrize(
    "url",
    [
        "",
        "fabrikam",
        "https://dev.azure.com/",
        "https://dev.azure.com/_apis/projects",
        "https://tfs.example/_apis/projects",
        "https://host/_apis/wit/workItems/41",
        "https://host/%00/",
        "ftp://dev.azure.com/harbour",
        "http://[broken",
    ],
)
def test_a_url_without_organisation_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no organisation in"):
        organisation_of(url)


@pytest.mark.parametrize("url", ["https://dev.azure.com/Stra\N{LATIN SMALL LETTER SHARP S}e", "https://host/a/Tools/"])
def test_settings_and_deliveries_give_an_organisation_one_name(url: str) -> None:
    body: dict[str, Json] = {"eventType": "workitem.created", "resource": {"id": 1}}
    heard = read({**body, "resourceContainers": {"collection": {"baseUrl": url}}})
    assert heard.organisation == AzureDevOps(url, SecretStr("token")).organisation
