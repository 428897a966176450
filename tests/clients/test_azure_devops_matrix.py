"""What the traceability matrix reads of the service: items as they are, links from their forward end, code by name."""

import json
from collections.abc import AsyncGenerator

import pytest

from pointsman.clients.azure_devops.history import LinkChange
from pointsman.clients.azure_devops.matrix_facts import MatrixReader, _link
from pointsman.clients.azure_devops.patches import add_artifact, set_field
from pointsman.contracts.base import Json
from pointsman.contracts.matrix import CodeKind, CodeLink, LinkKind, LinkTold
from pointsman.domain import artifacts
from pointsman.ports import Rejected
from pointsman.sandbox.azure_devops import git_edits
from pointsman.sandbox.azure_devops.config import ADA
from pointsman.sandbox.azure_devops.git_state import NO_COMMIT, FileChange, Moved
from tests.sandbox.azure import Azure, azure_devops

PROJECT = "Fabrikam"


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def test_an_item_is_told_once_as_it_is_and_only_a_told_zero_spares_its_links(azure: Azure) -> None:
    reader = MatrixReader({"fabrikam": azure.service})
    first, second = await azure.make("Bug", "One"), await azure.make("Bug", "Two")
    await azure.person.work_items.patch(first.id, [set_field("System.Title", "Once more")])
    azure.world.items["fabrikam"][second.id].fields["System.ExternalLinkCount"] = 0
    batch = await reader.items("fabrikam", PROJECT, "")
    assert [(one.id, one.title, one.rev, one.linked_to_code) for one in batch.items] == [
        (second.id, "Two", 1, False),
        (first.id, "Once more", 2, True),
    ]
    assert batch.is_last
    await azure.person.work_items.delete(first.id)
    (gone,) = (await reader.items("fabrikam", PROJECT, batch.token)).items
    assert (gone.id, gone.deleted) == (first.id, True)


async def test_links_to_code_are_told_by_name_and_others_are_left_out(azure: Azure) -> None:
    reader = MatrixReader({"fabrikam": azure.service})
    bug = await azure.make()
    links = [artifacts.commit("p", "r", "AB" * 20), artifacts.build(7), artifacts.branch("p", "r", "main")]
    await azure.person.work_items.patch(bug.id, [add_artifact(one) for one in links])
    assert await reader.code("fabrikam", [bug.id, 99]) == {
        bug.id: [CodeLink(kind=CodeKind.COMMIT, name="ab" * 20, place="p/r"), CodeLink(kind=CodeKind.BUILD, name="7")]
    }
    assert [one.id for one in await reader.some("fabrikam", [99, bug.id])] == [bug.id]
    assert await reader.build("fabrikam", PROJECT, 7) is None


async def test_a_completed_pull_request_has_all_that_it_brought_or_is_no_data(azure: Azure) -> None:
    organisation = azure.world.organisation("fabrikam")
    assert organisation
    (repository,) = azure.world.code.repositories(organisation, PROJECT)
    changes = [(f"Commit {number}", [FileChange(f"/{number}", "add", "a")]) for number in range(601)]
    first = git_edits.push(azure.world, repository, Moved("refs/heads/main", NO_COMMIT, ""), changes[:1], ADA)
    begin = Moved("refs/heads/basket", NO_COMMIT, first.commits[0])
    git_edits.moved(azure.world, repository, [begin], [], ADA)
    git_edits.push(azure.world, repository, Moved(begin.name, first.commits[0], ""), changes[1:], ADA)
    made = await azure.person.pull_requests.create(PROJECT, PROJECT, "basket", "main", "Much")
    assert made.last_merge_source_commit
    seen = made.last_merge_source_commit.commit_id
    await azure.person.pull_requests.complete(PROJECT, PROJECT, made.pull_request_id, seen)
    project_id = (await azure.person.project(PROJECT)).id
    place = f"{project_id}/{repository.id}"
    reader = MatrixReader({"fabrikam": azure.service})
    wanted = [CodeLink(kind=CodeKind.PULL_REQUEST, name=str(made.pull_request_id), place=place)]
    ((_, told),) = [one async for one in reader.requests("fabrikam", wanted)]
    assert told
    assert len(told.commits) == 601, "and the commit that the merge made"
    page: Json = {"value": [{"commitId": "a" * 40}]}
    round_and_round: Json = {"x-ms-continuationtoken": "1"}
    await azure.fail(path="/commits", status=200, body=json.dumps(page), headers=round_and_round, times=2)
    assert [one async for one in reader.requests("fabrikam", wanted)] == [(wanted[0], None)], "no data"


@pytest.mark.parametrize(
    ("rel", "found"),
    [
        ("System.LinkTypes.Hierarchy", (LinkKind.CHILD, 1, 2)),
        ("System.LinkTypes.Hierarchy-Forward", (LinkKind.CHILD, 1, 2)),
        ("System.LinkTypes.Hierarchy-Reverse", (LinkKind.CHILD, 2, 1)),
        ("Microsoft.VSTS.Common.TestedBy", (LinkKind.TESTED_BY, 1, 2)),
        ("System.LinkTypes.Dependency", None),
    ],
)
def test_a_link_is_the_same_from_either_end(rel: str, found: tuple[LinkKind, int, int] | None) -> None:
    told = _link(LinkChange(rel=rel, source_id=1, target_id=2))
    assert told == (LinkTold(kind=found[0], source=found[1], target=found[2]) if found else None)


async def test_an_organisation_that_nobody_named_is_refused(azure: Azure) -> None:
    with pytest.raises(Rejected, match="organisation 'contoso' is not among fabrikam"):
        await MatrixReader({"fabrikam": azure.service}).items("contoso", PROJECT, "")
