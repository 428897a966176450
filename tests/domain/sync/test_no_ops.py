"""What a proposal would write that is so already: compared as the merge before a write compares, and nothing more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.work_items import Proposal, ProposedLink
from pointsman.domain.sync.merging import merge
from pointsman.domain.sync.no_ops import without_no_ops

STATE, TITLE, PRIORITY = "System.State", "System.Title", "Microsoft.VSTS.Common.Priority"
ASSIGNED, TAGS, STEPS, DUE = "System.AssignedTo", "System.Tags", "Microsoft.VSTS.TCM.ReproSteps", "Custom.DueDate"
ADA: Json = {"displayName": "Ada Holm", "uniqueName": "ada@fabrikam.example"}
THERE: dict[str, Json] = {
    STATE: "Active",
    TITLE: "Login fails",
    PRIORITY: 2,
    ASSIGNED: ADA,
    TAGS: "Crane; triaged",
    STEPS: '<p>See <a href="https://a.example">this</a></p>',
    DUE: "2026-03-01T09:00:00Z",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (STATE, "Active"),
        (TITLE, "Login  fails "),
        (PRIORITY, "2"),
        (ASSIGNED, "ada@fabrikam.example"),
        (ASSIGNED, "Ada Holm"),
        (TAGS, "triaged, crane"),
        (DUE, "2026-03-01T10:00:00+01:00"),
        ("Custom.Empty", None),
        ("Custom.Empty", ""),
    ],
)
def test_what_is_so_already_is_left_out_however_it_is_spelled(name: str, value: Json) -> None:
    assert without_no_ops(Proposal(fields={name: value}), THERE) == (Proposal(), (name,))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (STATE, "Resolved"),
        (TITLE, "Login Fails"),
        (PRIORITY, 1),
        (PRIORITY, None),
        (ASSIGNED, "bob@fabrikam.example"),
        (TAGS, "crane"),
        (STEPS, '<p>See <a href="https://b.example">this</a></p>'),
    ],
)
def test_what_would_change_stays(name: str, value: Json) -> None:
    proposal = Proposal(fields={name: value})
    assert without_no_ops(proposal, THERE) == (proposal, ())


def test_tags_that_are_there_are_left_out_and_the_rest_stays_as_it_is() -> None:
    proposal = Proposal(fields={STATE: "Active", PRIORITY: 1}, tags=("Triaged", "harbour"), comment="Seen.")
    left, gone = without_no_ops(proposal, THERE)
    assert left == Proposal(fields={PRIORITY: 1}, tags=("harbour",), comment="Seen.")
    assert gone == (STATE, "tag Triaged")


def test_links_that_are_there_are_left_out_and_others_stay() -> None:
    uri = "vstfs:///Git/PullRequestId/1f%2F2a%2F7"
    page = "https://dev.azure.com/fabrikam/Web/_git/Till/pullrequest/7"
    proposed = [("Related", "8"), ("Parent", "8"), ("Pull Request", uri), ("Pull Request", page), ("Hyperlink", page)]
    links = tuple(ProposedLink(relation=relation, target=target) for relation, target in proposed)
    linked = ("ArtifactLink vstfs:///Git/PullRequestId/1F/2A/7", f"Hyperlink {page}", "System.LinkTypes.Related 8")
    left, gone = without_no_ops(Proposal(links=links), {}, linked)
    assert left.links == (links[1], links[3])
    assert gone == ("link Related 8", f"link Pull Request {uri}", f"link Hyperlink {page}")


VALUES: st.SearchStrategy[Json] = st.one_of(
    st.none(), st.sampled_from(["", "Active", " active", "1.0", "1"]), st.just(1)
)


@given(st.dictionaries(st.sampled_from([STATE, TITLE, PRIORITY]), VALUES), VALUES)
def test_what_the_merge_would_write_is_never_left_out(proposed: dict[str, Json], here: Json) -> None:
    there: dict[str, Json] = dict.fromkeys((STATE, TITLE, PRIORITY), here)
    left, _ = without_no_ops(Proposal(fields=proposed), there)
    assert left.fields == merge(there, proposed, there).fields
