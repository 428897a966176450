"""Links of a proposal: named as people name them, led to what people write, and refused before anything is sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.tracker import TrackedItem
from pointsman.contracts.work_items import Proposal, ProposedLink
from pointsman.domain.answers import ANSWER_SCHEMA, read_answer
from pointsman.domain.artifacts import ArtifactKind, commit, pull_request
from pointsman.domain.edits import edit
from pointsman.domain.links import (
    KINDS,
    LINKS_MAX,
    OF_ITEMS,
    CodePlace,
    code_place,
    item_number,
    kind_named,
    name_of,
    opposite,
    read_links,
    told,
)
from pointsman.domain.proposals import InvalidAnswer, canonical, fields_to_approve, refer
from pointsman.domain.sync.linking import there_already, why_not
from pointsman.sandbox.azure_devops.process import LINKS
from tests.domain.samples import AGENT, KEY

LINKING = AGENT.model_copy(update={"may_link": ("Parent", "Related", "Pull Request", "Hyperlink")})
DEV = "https://dev.azure.com/harbour"


def link(relation: str, target: str, comment: str = "") -> ProposedLink:
    return ProposedLink(relation=relation, target=target, comment=comment)


def document(*links: Json) -> str:
    return json.dumps({"comment": "x", "fields": [], "tags": [], "links": list(links), "question": ""})


def item(item_id: int, *links: tuple[str, int], deleted: bool = False) -> TrackedItem:
    relations: tuple[dict[str, Json], ...] = tuple(
        {"rel": OF_ITEMS[kind], "url": f"{DEV}/_apis/wit/workItems/{other}"} for kind, other in links
    )
    return TrackedItem(id=item_id, rev=1, relations=relations, deleted=deleted)


def test_names_of_links_are_those_of_the_service() -> None:
    assert {rel: name for name, rel in OF_ITEMS.items()} == {rel: name for rel, (name, _) in LINKS.items()}
    assert {rel: opposite(rel) for rel in LINKS} == {rel: other for rel, (_, other) in LINKS.items()}
    assert (opposite("ArtifactLink"), opposite("Hyperlink"), name_of("Hyperlink")) == ("", "", "Hyperlink")


@given(st.sampled_from(KINDS), st.sampled_from([str.upper, str.lower, str.title]), st.sampled_from([" ", "-", "_", ""]))
def test_a_kind_is_known_in_any_case_and_with_any_blanks(kind: str, case: object, blank: str) -> None:
    assert callable(case)
    assert kind_named(case(kind).replace(" ", blank)) == kind


@pytest.mark.parametrize("rel", LINKS)
def test_a_kind_is_known_by_the_service_s_own_name(rel: str) -> None:
    assert kind_named(rel) == LINKS[rel][0]


def test_an_answer_proposes_links_of_the_kinds_that_policy_names() -> None:
    text = document(
        {"relation": "parent", "target": 7, "comment": "belongs there"},
        {"relation": "Parent", "target": "#7", "comment": ""},
        {"relation": "child", "target": "9", "comment": ""},
    )
    answer = read_answer(text, LINKING, KEY)
    assert answer.proposal.links == (link("Parent", "7", "belongs there"),)
    assert answer.dropped == ("Child link",)
    assert read_answer(text, AGENT, KEY).dropped == ("Parent link", "Child link")


def test_an_answer_without_links_is_one_as_before() -> None:
    text = json.dumps({"comment": "x", "fields": [], "tags": [], "question": ""})
    assert read_answer(text, AGENT).proposal.links == ()
    assert canonical(Proposal(comment="x")) == b'{"comment":"x","fields":{},"tags":[]}'
    assert "links" in str(ANSWER_SCHEMA["required"])


@pytest.mark.parametrize(
    ("relation", "target", "why"),
    [
        ("Sibling", "7", "link 'Sibling': no such relation; there are: Child, Parent"),
        ("Parent", "41", "41 is the work item itself"),
        ("Parent", f"{DEV}/Quay/_workitems/edit/41", "41 is the work item itself"),
        ("Related", "seven", "'seven' is no number of a work item of harbour"),
        ("Related", "https://dev.azure.com/other/Quay/_workitems/edit/7", "is no number of a work item of harbour"),
        ("Related", "0", "is no number"),
        ("Pull Request", "7", "'7' is no address of a pull request in Azure DevOps"),
        ("Pull Request", f"{DEV}/Quay/_git/web/commit/0a1b2c3", "is no address of a pull request"),
        ("Fixed in Commit", f"{DEV}/Quay/_git/web/pullrequest/7", "is no address of a commit"),
        ("Build", f"{DEV}/Quay/_build/results?buildId=x", "is no address of a build"),
        ("Pull Request", "https://github.com/harbour/web/pull/7", "is no address of a pull request in Azure DevOps"),
        ("Hyperlink", "javascript:alert(1)", "no address that begins with http"),
        ("Hyperlink", "https://x.example/a b", "no address that begins with http"),
        ("Hyperlink", "https://x.example/" + "a" * 2_000, "a target has 1 to 2000 characters"),
        ("Hyperlink", "", "a target has 1 to 2000 characters"),
    ],
)
def test_a_link_that_leads_nowhere_is_refused_with_the_reason(relation: str, target: str, why: str) -> None:
    with pytest.raises(InvalidAnswer) as refused:
        read_answer(document({"relation": relation, "target": target, "comment": ""}), LINKING, KEY)
    assert why in str(refused.value)


def test_two_parents_too_many_links_and_long_comments_are_refused() -> None:
    with pytest.raises(InvalidAnswer, match="an item has one parent, and 2 are given: 7, 8"):
        read_links([link("Parent", "7"), link("Parent", "8")])
    with pytest.raises(InvalidAnswer, match=f"the limit is {LINKS_MAX}"):
        read_links([link("Related", str(number)) for number in range(1, LINKS_MAX + 2)])
    with pytest.raises(InvalidAnswer, match="has 256 of 255 characters"):
        read_links([link("Related", "7", "x" * 256)])


@given(st.lists(st.builds(link, st.sampled_from(list(OF_ITEMS)), st.integers(1, 40).map(str)), max_size=5))
def test_links_that_were_read_are_read_as_the_same(links: list[ProposedLink]) -> None:
    parents = {one.target for one in links if one.relation == "Parent"}
    if len(parents) > 1:
        with pytest.raises(InvalidAnswer):
            read_links(links, KEY)
    else:
        once = read_links(links, KEY)
        assert read_links(once, KEY) == once
        assert len({str(one) for one in once}) == len(once)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"{DEV}/Quay/_git/web/pullrequest/7", CodePlace(ArtifactKind.PULL_REQUEST, "7", "Quay", "web")),
        (f"{DEV}/Old%20Quay/_git/web%20app/pullrequest/7?_a=files", None),
        (f"{DEV}/_git/web/pullrequest/7", CodePlace(ArtifactKind.PULL_REQUEST, "7", "web", "web")),
        ("https://harbour.visualstudio.com/Quay/_git/web/commit/0A1B", None),
        ("https://tfs.example/tfs/Main/Quay/_git/web/commit/0a1b", None),
        (f"{DEV}/Quay/_build/results?buildId=12&view=logs", CodePlace(ArtifactKind.BUILD, "12", "Quay")),
        (f"{DEV}/Quay/_git/web/pullrequest/0a", "none"),
        (f"{DEV}/Quay/_git/web", "none"),
        ("vstfs:///Git/Commit/a%2Fb%2Fc", "none"),
    ],
)
def test_a_page_of_code_says_what_it_shows(url: str, place: CodePlace | str | None) -> None:
    expected = {
        "web%20app": CodePlace(ArtifactKind.PULL_REQUEST, "7", "Old Quay", "web app"),
        "visualstudio": CodePlace(ArtifactKind.COMMIT, "0a1b", "Quay", "web"),
        "tfs.example": CodePlace(ArtifactKind.COMMIT, "0a1b", "Quay", "web"),
    }
    wanted = place or next(found for part, found in expected.items() if part in url)
    assert code_place(url) == (None if wanted == "none" else wanted)


@pytest.mark.parametrize("uri", [pull_request("p", "r", 7).uri, commit("p", "r", "0a1b").uri])
def test_what_the_service_calls_code_is_taken_as_it_is(uri: str) -> None:
    kind = "Pull Request" if "PullRequest" in uri else "Fixed in Commit"
    assert read_links([link(kind, uri)]) == (link(kind, uri),)


def test_the_item_behind_a_page_or_an_address_is_known() -> None:
    assert item_number(f"{DEV}/Quay/_workitems/edit/17/", "harbour") == 17
    assert item_number(f"{DEV}/_apis/wit/workItems/17") == 17
    assert (item_number("#17"), item_number("https://x.example/17"), item_number("http://[")) == (17, 0, 0)


def test_links_count_for_the_hash_and_a_human_approves_those_that_say_where_an_item_belongs() -> None:
    reference = refer(Proposal(links=(link("Parent", "7"), link("Related", "8"))))
    assert reference.hash != refer(Proposal(links=(link("Related", "8"), link("Parent", "7")))).hash
    assert reference.hash != refer(Proposal(links=(link("Parent", "7"), link("Related", "8", "why")))).hash
    assert (reference.links, reference.link_kinds) == (("Parent 7", "Related 8"), ("Parent", "Related"))
    assert reference.summary == "links + Parent 7, Related 8"
    assert fields_to_approve(LINKING, reference) == ("Parent link",)
    assert fields_to_approve(LINKING.model_copy(update={"approve_links": ()}), reference) == ()
    assert fields_to_approve(LINKING.model_copy(update={"approve_links": ("Related",)}), reference) == ("Related link",)


def test_a_human_edits_links_as_text_or_in_parts() -> None:
    before = Proposal(comment="x", links=(link("Parent", "7"),))
    assert edit(before, {"links": []}).links == ()
    assert edit(before, {"comment": "y"}).links == before.links
    edited = edit(before, {"links": ["Duplicate Of 8", {"relation": "related", "target": 9, "comment": "z"}]}, KEY)
    assert edited.links == (link("Duplicate Of", "8"), link("Related", "9", "z"))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("Parent 7", "links: must be a list"),
        ([7], "each must be a text such as `Parent 17`"),
        ([{"relation": "Parent"}], "or have a relation and a target"),
        (["Parent 41"], "41 is the work item itself"),
        (["7"], "no such relation"),
    ],
)
def test_an_edit_of_links_that_leads_nowhere_is_refused(value: Json, why: str) -> None:
    with pytest.raises(InvalidAnswer) as refused:
        edit(Proposal(), {"links": value}, KEY)
    assert why in str(refused.value)


def test_a_link_that_is_there_is_none_to_make() -> None:
    here = item(1, ("Related", 2))
    assert there_already(here, link("Related", "2"))
    assert not there_already(here, link("Related", "3"))
    assert not there_already(here, link("Parent", "2"))


@pytest.mark.parametrize(
    ("here", "wanted", "there", "why"),
    [
        (item(1), link("Related", "2"), item(2), ""),
        (item(1), link("Parent", "2"), item(2), ""),
        (item(1), link("Hyperlink", "https://x.example"), None, ""),
        (item(1), link("Related", "1"), item(1), "it leads to the work item itself"),
        (item(1), link("Related", "2"), item(2, deleted=True), "2 is in the recycle bin"),
        (item(1, ("Parent", 3)), link("Parent", "2"), item(2), "1 has the parent 3 already"),
        (item(1), link("Child", "2"), item(2, ("Parent", 3)), "2 has the parent 3 already"),
        (item(1), link("Parent", "2"), item(2, ("Parent", 1)), "so it cannot be below it"),
        (item(1, ("Parent", 2)), link("Child", "2"), item(2), "so it cannot be below it"),
    ],
)
def test_an_item_has_one_parent_and_is_not_below_itself(
    here: TrackedItem, wanted: ProposedLink, there: TrackedItem | None, why: str
) -> None:
    assert why in why_not(here, wanted, there)
    assert bool(why) == bool(why_not(here, wanted, there))


def test_links_of_the_ledger_are_told_as_people_say_them() -> None:
    listed: list[Json] = [
        f"{OF_ITEMS['Parent']} 7",
        "ArtifactLink vstfs:///Build/Build/3",
        "Hyperlink https://x.example",
    ]
    assert told(listed) == "Parent 7, link vstfs:///Build/Build/3, Hyperlink https://x.example"
