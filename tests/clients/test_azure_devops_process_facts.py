"""What checks ask of code and tests is read from the service; what may not be read is no data."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.answers_code import Repository, Vote
from pointsman.clients.azure_devops.answers_policies import PolicyKind, Scope
from pointsman.clients.azure_devops.caching import Cache, MemoryLayer
from pointsman.clients.azure_devops.patches import add_artifact, add_relation
from pointsman.clients.azure_devops.policies import Wanted
from pointsman.clients.azure_devops.process_facts import FactsReader, ProcessReader
from pointsman.clients.azure_devops.project_facts import branch_policies, covers, read
from pointsman.clients.azure_devops.test_results import NewResult
from pointsman.contracts.base import Json
from pointsman.contracts.process import LinkedItem, PullRequest, Standing
from pointsman.domain import artifacts
from pointsman.domain.process.evaluation import of_project
from pointsman.policies.process_rules import load_processes
from pointsman.ports import Rejected
from pointsman.sandbox.azure_devops.config import ADA, POINTSMAN
from tests.sandbox.azure import SERVICE_TOKEN, Azure, at, azure_devops

PROJECT = REPOSITORY = "Fabrikam"
CHILD = "System.LinkTypes.Hierarchy-Forward"
TESTED_BY = "Microsoft.VSTS.Common.TestedBy-Forward"


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def merged(azure: Azure) -> artifacts.Artifact:
    """A pull request of Ada's that the service account has approved."""
    git, requests = azure.person.git, azure.person.pull_requests
    first = await git.first_commit(PROJECT, REPOSITORY, "main", "Begin", {"/README.md": "Fabrikam"})
    await git.update_ref(PROJECT, REPOSITORY, "basket", "0" * 40, first.commits[0].commit_id)
    await git.push(PROJECT, REPOSITORY, "basket", first.commits[0].commit_id, "Basket", add={"/basket": "b"})
    made = await requests.create(PROJECT, REPOSITORY, "basket", "main", "Keep the basket")
    number = made.pull_request_id
    await azure.service.pull_requests.vote(PROJECT, REPOSITORY, number, POINTSMAN.id, Vote.APPROVED)
    await requests.vote(PROJECT, REPOSITORY, number, ADA.id, Vote.WAITING)
    assert made.last_merge_source_commit
    await requests.complete(PROJECT, REPOSITORY, number, made.last_merge_source_commit.commit_id)
    repository = await git.repository(PROJECT, REPOSITORY)
    project = await azure.person.projects.get(PROJECT)
    return artifacts.pull_request(project.id, repository.id, number)


async def test_pull_requests_come_with_who_approved_them(azure: Azure) -> None:
    request = await merged(azure)
    story = await azure.make("User Story")
    await azure.person.work_items.patch(story.id, [add_artifact(request)])
    facts = await FactsReader(azure.service).item(story.id)
    made = PullRequest(id=1, author=ADA.unique_name, completed=True, approvers=(POINTSMAN.unique_name,))
    assert facts.pull_requests == (made,)
    assert facts.links is not None
    assert [one.relation for one in facts.links] == ["Pull Request"]


async def test_a_pull_request_that_nobody_finds_is_no_data(azure: Azure) -> None:
    bug = await azure.make()
    await azure.person.work_items.patch(bug.id, [add_artifact(artifacts.pull_request("p", "r", 99))])
    assert (await FactsReader(azure.service).item(bug.id)).pull_requests is None


async def test_each_test_case_that_proves_an_item_has_its_last_outcome(azure: Azure) -> None:
    plans, results = azure.service.test_plans, azure.service.test_results
    story = await azure.make("User Story")
    cases = [(await azure.make("Test Case", f"Case {number}")).id for number in range(3)]
    links = [add_relation(TESTED_BY, f"{azure.base_url}/_apis/wit/workItems/{case}") for case in cases]
    await azure.person.work_items.patch(story.id, links)
    for name, outcome in (("Release 1", "Failed"), ("Release 2", "Passed")):
        plan = await plans.create_plan(PROJECT, name)
        assert plan.root_suite
        await plans.add_test_cases(PROJECT, plan.id, plan.root_suite.id, cases[:2])
        points = {p.test_case_reference.id: p async for p in plans.points(PROJECT, plan.id, plan.root_suite.id)}
        run = await results.create_run(PROJECT, "Nightly", plan_id=plan.id)
        await results.add(PROJECT, run.id, [NewResult("Case", outcome, test_point_id=points[cases[0]].id)])
        await results.complete_run(PROJECT, run.id)
    facts = await FactsReader(azure.service).item(story.id)
    assert facts.outcomes == {cases[0]: "passed", cases[1]: "", cases[2]: ""}
    assert (await FactsReader(azure.service).item(cases[0])).outcomes == {}


async def test_a_link_to_what_was_deleted_is_none_and_one_to_what_may_not_be_seen_is_one(azure: Azure) -> None:
    story, gone, hidden = [await azure.make(kind) for kind in ("User Story", "Task", "Task")]
    links = [add_relation(CHILD, one.url) for one in (gone, hidden)]
    await azure.person.work_items.patch(story.id, links)
    await azure.person.work_items.delete(gone.id)
    reader = FactsReader(azure.service)
    await azure.fail(path="/workitemsbatch", status=200, body='{"value": []}')
    facts = await reader.item(story.id)
    assert facts.links == (LinkedItem(relation=CHILD, id=hidden.id),)


async def test_policies_of_default_branches_are_those_that_are_on_and_block(azure: Azure) -> None:
    assert await branch_policies(azure.service, PROJECT) == {}
    await merged(azure)
    repository = await azure.service.git.repository(PROJECT, REPOSITORY)
    main = frozenset({Scope(repository.id, "refs/heads/main")})
    elsewhere = frozenset({Scope(repository.id, "refs/heads/release")})
    for wanted in (
        Wanted(PolicyKind.MIN_REVIEWERS, main, {"minimumApproverCount": 2}),
        Wanted(PolicyKind.WORK_ITEMS, main, is_blocking=False),
        Wanted(PolicyKind.COMMENTS, elsewhere),
    ):
        await azure.service.policies.create(PROJECT, wanted)
    assert await branch_policies(azure.service, PROJECT) == {REPOSITORY: (PolicyKind.MIN_REVIEWERS,)}
    assert await branch_policies(azure.service, "Nowhere") is None


@pytest.mark.parametrize(
    ("scope", "holds"),
    [
        (Scope("", "", "defaultbranch"), True),
        (Scope("A", "refs/heads/main"), True),
        (Scope("b", "refs/heads/main"), False),
        (Scope("", "refs/heads/", "prefix"), True),
        (Scope("", "refs/heads/release/", "prefix"), False),
        (Scope("a", ""), True),
        (Scope("a", "refs/heads/other"), False),
    ],
)
def test_a_scope_is_of_a_repository_or_all_and_of_a_branch_or_more(scope: Scope, holds: bool) -> None:
    assert covers(scope, Repository(id="a", name="A", default_branch="refs/heads/main")) is holds


async def test_an_organisation_that_nobody_named_is_refused(azure: Azure) -> None:
    with pytest.raises(Rejected, match="organisation 'contoso' is not among fabrikam"):
        ProcessReader({"fabrikam": azure.service}).reader("contoso", frozenset())


async def test_a_log_without_any_entry_is_one_that_cannot_be_seen(azure: Azure) -> None:
    assert (await read(azure.service, PROJECT, 30)).bypasses is None
    await merged(azure)
    repository = await azure.service.git.repository(PROJECT, REPOSITORY)
    wanted = Wanted(PolicyKind.WORK_ITEMS, frozenset({Scope(repository.id, "refs/heads/main")}))
    await azure.service.policies.create(PROJECT, wanted)
    assert (await read(azure.service, PROJECT, 30)).bypasses == ()
    assert (await read(azure.service, PROJECT, 0)).bypasses is None, "nobody asks for it"


async def test_a_completed_pull_request_names_an_item_or_is_told(azure: Azure) -> None:
    assert (await read(azure.service, PROJECT, 0, 30)).unaccounted == ()
    request = await merged(azure)
    assert (await read(azure.service, PROJECT, 0, 30)).unaccounted == ((REPOSITORY, request.number),)
    assert (await read(azure.service, PROJECT, 0, 0)).unaccounted is None, "nobody asks for it"
    story = await azure.make("User Story")
    await azure.person.work_items.patch(story.id, [add_artifact(request)])
    assert (await read(azure.service, PROJECT, 0, 30)).unaccounted == ()
    assert (await read(azure.service, "Nowhere", 0, 30)).unaccounted is None


async def test_items_of_many_pull_requests_are_asked_for_at_once(azure: Azure) -> None:
    request = await merged(azure)
    held = azure.world.code.pull_requests["fabrikam"]
    held |= {number: replace(held[1], id=number) for number in range(2, 302)}
    story = await azure.make("User Story")
    linked = [replace(request, name=str(number)) for number in range(1, 300)]
    await azure.person.work_items.patch(story.id, [add_artifact(one) for one in linked])
    assert (await read(azure.service, PROJECT, 0, 30)).unaccounted == ((REPOSITORY, 301), (REPOSITORY, 300))
    asked = at(await azure.control("GET", "counters"), "requests")
    assert isinstance(asked, dict)
    assert asked["artifacts.items 200"] == 2
    page = (Path(__file__).parents[2] / "docs/process-rules.md").read_text(encoding="utf-8")
    assert "| whether each of 301 completed pull requests names an item | 301 | 2 |" in page
    assert "pull_requests.work_items 200" not in asked


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"{uri}": [{"id": 7}]}, ()),
        ({"{spelled}": [{"id": 7}]}, ()),
        ({"{uri}": []}, ((REPOSITORY, 1),)),
        ({"{uri}": None}, ((REPOSITORY, 1),)),
        ({}, ((REPOSITORY, 1),)),
        ({"vstfs:///Git/PullRequestId/p%2Fr%2F1": [{"id": 7}]}, None),
        (None, None),
    ],
)
async def test_only_what_the_service_tells_of_a_pull_request_accounts_for_it(
    azure: Azure, told: dict[str, Json] | None, found: tuple[tuple[str, int], ...] | None
) -> None:
    uri = (await merged(azure)).uri
    spelled = uri.upper().replace("%2F", "/")
    body = {name.format(uri=uri, spelled=spelled): items for name, items in (told or {}).items()}
    answer = {} if told is None else {"artifactUrisQueryResult": body}
    await azure.fail(path="/artifacturiquery", status=200, body=json.dumps(answer))
    assert (await read(azure.service, PROJECT, 0, 30)).unaccounted == found


async def test_items_that_may_not_be_asked_for_are_no_data(azure: Azure) -> None:
    await merged(azure)
    await azure.fail(path="/artifacturiquery", status=403, body='{"message": "TF50309: no"}')
    facts = await read(azure.service, PROJECT, 0, 30)
    told = {one.check: one.standing for one in of_project(load_processes()["cmmi"], facts)}
    assert (facts.unaccounted, told["CM-1.item"]) == (None, Standing.NO_DATA)


async def test_what_seldom_changes_is_asked_once_for_many_checks(azure: Azure) -> None:
    stories = [(await azure.make("User Story")).id for _ in range(2)]
    cache = Cache([MemoryLayer()])
    async with AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), cache=cache) as client:
        source = ProcessReader({"fabrikam": client})
        for story in stories:
            assert await source.process("fabrikam", PROJECT) == "Agile"
            facts = await source.at_once("fabrikam", frozenset()).item(story)
            assert (facts.id, facts.rev) == (story, 1)
    asked = at(await azure.control("GET", "counters"), "requests")
    assert isinstance(asked, dict)
    told = ("projects.get 200", "types.get 200", "work_items.get 200")
    assert [asked[name] for name in told] == [1, 1, 2], "an item is read anew each time, its type is not"
