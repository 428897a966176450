"""Names of people: identities in both shapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.clients.azure_devops import unique_name
from pointsman.contracts.base import Json

NAME = st.text(st.characters(blacklist_characters="<>", blacklist_categories=("Cs", "Cc", "Z")), min_size=1)


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
