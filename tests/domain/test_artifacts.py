"""Links of items to code and builds: what is written is read back, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import artifacts
from pointsman.domain.artifacts import Artifact, ArtifactKind, parse

PROJECT, REPOSITORY = "a7573007-bbb3-4341-b726-0c4148a07853", "3411ebc1-d5aa-464f-9615-0b527bc66719"
COMMIT = "53d54ac915144006c2c9e90d2c7d3880920db49c"
ids = st.uuids().map(str)
branches = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: not name.startswith("refs/heads/"))
made = st.one_of(
    st.builds(artifacts.pull_request, ids, ids, st.integers(min_value=1)),
    st.builds(artifacts.commit, ids, ids, st.text("0123456789abcdef", min_size=40, max_size=40)),
    st.builds(artifacts.branch, ids, ids, branches),
    st.builds(artifacts.build, st.integers(min_value=1)),
)


@given(made)
def test_what_is_written_is_read_back(artifact: Artifact) -> None:
    assert parse(artifact.uri) == artifact


@given(made)
def test_scheme_and_kind_may_be_in_any_case_and_slashes_unescaped(artifact: Artifact) -> None:
    head, _, place = artifact.uri.rpartition("/")
    assert parse(f"{head.lower()}/{place}") == artifact
    assert parse(f"{head}/{place.replace('%2F', '/').replace('%2f', '/')}") == artifact


@given(st.text())
def test_nothing_else_fails_to_be_read(text: str) -> None:
    assert parse(text) is None or text.lower().startswith("vstfs:///")


def test_uris_are_as_documented() -> None:
    assert artifacts.pull_request(PROJECT, REPOSITORY, 22).uri == (
        f"vstfs:///Git/PullRequestId/{PROJECT}%2F{REPOSITORY}%2F22"
    )
    assert (
        artifacts.commit(PROJECT, REPOSITORY, COMMIT).uri == f"vstfs:///Git/Commit/{PROJECT}%2F{REPOSITORY}%2F{COMMIT}"
    )
    assert artifacts.branch(PROJECT, REPOSITORY, "refs/heads/a/b").uri == (
        f"vstfs:///Git/Ref/{PROJECT}%2F{REPOSITORY}%2FGBa%2Fb"
    )
    assert artifacts.build(7).uri == "vstfs:///Build/Build/7"


def test_number_is_of_pull_requests_and_builds() -> None:
    assert [artifacts.pull_request("p", "r", 22).number, artifacts.build(7).number] == [22, 7]
    assert artifacts.commit("p", "r", "12345").number == 0


def test_each_kind_has_the_name_of_its_link() -> None:
    assert [kind.link_name for kind in ArtifactKind] == ["Pull Request", "Fixed in Commit", "Branch", "Build"]


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://example.com/vstfs:///Build/Build/7",
        "vstfs:///VersionControl/Changeset/7",
        "vstfs:///Build/Build/",
        "vstfs:///Build/Build/seven",
        "vstfs:///Build/Build/٧",
        "vstfs:///Git/PullRequestId/p%2Fr",
        "vstfs:///Git/PullRequestId/p%2Fr%2Fone",
        "vstfs:///Git/Commit/p%2F%2Fc",
        "vstfs:///Git/Ref/p%2Fr%2FGTv1",
        "vstfs:///Git/Ref/p%2Fr%2FGB",
    ],
)
def test_what_names_nothing_of_these_is_none(uri: str) -> None:
    assert parse(uri) is None
