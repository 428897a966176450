"""Names: identities in both shapes, organisations in every kind of URL that is in use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.clients.azure_devops import organisation_of, unique_name
from pointsman.contracts.base import Json

NAME = st.text(st.characters(blacklist_characters="<>", blacklist_categories=("Cs", "Cc", "Z")), min_size=1)


@pytest.mark.parametrize(
    ("url", "organisation"),
    [
        ("https://dev.azure.com/Fabrikam", "fabrikam"),
        ("https://dev.azure.com/fabrikam/Web%20Shop/_apis/wit/workItems/5", "fabrikam"),
        ("https://vsrm.dev.azure.com/fabrikam/_apis/release", "fabrikam"),
        ("https://Fabrikam.visualstudio.com/WebShop/_workitems/edit/5", "fabrikam"),
        ("https://fabrikam.visualstudio.com/DefaultCollection/_apis/wit/workItems/5", "fabrikam"),
        ("http://127.0.0.1:40123/fabrikam", "fabrikam"),
        ("http://127.0.0.1:40123/fabrikam/Fabrikam/_apis/wit/workItems/5", "fabrikam"),
        ("https://tfs.example/tfs/DefaultCollection/", "defaultcollection"),
        ("https://tfs.example/tfs/DefaultCollection/WebShop/_apis/wit/workItems/5", "defaultcollection"),
        ("https://tfs.example:8443/Tools", "tools"),
    ],
)
def test_url_names_its_organisation(url: str, organisation: str) -> None:
    assert organisation_of(url) == organisation


@pytest.mark.parametrize("url", ["", "fabrikam", "https://dev.azure.com/", "https://tfs.example/_apis/projects"])
def test_url_without_organisation_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no organisation in"):
        organisation_of(url)


@given(NAME, NAME)
def test_both_shapes_of_an_identity_give_one_name(display: str, unique: str) -> None:
    whole: Json = {"displayName": display, "uniqueName": unique, "id": "0"}
    half: Json = {"displayName": f"{display} <{unique}>"}
    assert unique_name(whole) == unique_name(half) == unique_name(f"{display} <{unique}>") == unique


@pytest.mark.parametrize("nobody", [None, "", {}, {"uniqueName": None}, 5, []])
def test_nobody_has_no_name(nobody: Json) -> None:
    assert unique_name(nobody) == ""


def test_an_identity_without_unique_name_goes_by_its_display_name() -> None:
    assert unique_name({"displayName": "Build Service", "uniqueName": ""}) == unique_name("Build Service")
