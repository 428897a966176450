"""Each check of our sets, through the real client, at a project that keeps to it and breaks it."""

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import pytest_asyncio
from pydantic import SecretStr

from activities.rule_books import RuleBooks
from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.answers_code import Vote
from pointsman.clients.azure_devops.process_facts import ProcessReader
from pointsman.clients.azure_devops.test_results import NewResult
from pointsman.contracts.base import Json
from pointsman.contracts.process import Standing
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain import artifacts
from pointsman.domain.process.evaluation import Around, of_a_project, of_item
from pointsman.policies.process_graphs import load_graphs
from pointsman.policies.process_rules import load_processes
from pointsman.sandbox.azure_devops import edits
from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.config import ADA, NOOR, POINTSMAN, Account, Organisation, Project, SandboxConfig
from pointsman.sandbox.azure_devops.documents import parse
from pointsman.sandbox.azure_devops.edits import Manner
from pointsman.sandbox.azure_devops.state import Item
from pointsman.sandbox.serving import hosting
from tests.activities.process_cases import CASES, PROJECTS, Case, Fields, Step, To
from tests.sandbox.azure import PERSON_TOKEN, SERVICE_TOKEN, Azure

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOORS_TOKEN = "token-of-noor"
POLICIES = load_processes()
WORDS = {"passed": "Passed", "failed": "Failed"}


class Seeded:
    """Projects by process, in which items are made as cases want them. What cases link to is made once."""

    def __init__(self, azure: Azure, noor: AzureDevOps) -> None:
        self._azure = azure
        self._noor = noor
        self._world = azure.world
        self._shared: dict[tuple[str, str, tuple[tuple[str, str], ...]], Item] = {}
        self._special: dict[tuple[str, str], Json] = {}
        self.books = RuleBooks(ProcessReader({"fabrikam": azure.service}), POLICIES, load_graphs())

    async def make(self, project: str, wanted: Case) -> Item:
        first, *rest = wanted.steps
        links = [await self._link(project, one) for one in wanted.links]
        item = self._create(project, wanted.type, first, links)
        for step in rest:
            edits.patch(self._world, item, parse(_operations(step.fields)), step.by, Manner(bypass=step.forced))
        return item

    def _create(self, project: str, kind: str, step: Step, links: list[Json]) -> Item:
        organisation = self._world.organisations["fabrikam"]
        found = self._world.process_of(organisation, project).kinds[kind]
        operations = [*_operations({"System.Title": kind, **step.fields}), *links]
        return edits.create(self._world, organisation, project, found, parse(operations), step.by)[0]

    async def _link(self, project: str, to: To) -> Json:
        if to.special:
            return await self._to_special(project, to)
        name = (project, to.type, to.fields)
        if to.relation.endswith("Forward") or name not in self._shared:  # a child has one parent
            self._shared[name] = self._create(project, to.type, Step(dict(to.fields)), [])
        return _relation(to.relation, f"{self._azure.base_url}/_apis/wit/workItems/{self._shared[name].id}")

    async def _to_special(self, project: str, to: To) -> Json:
        if to.special in WORDS:
            if (project, "passed") not in self._special:
                await self._run_tests(project)
            return _relation(to.relation, str(self._special[project, to.special]))
        if ("", to.special) not in self._special:
            self._special["", to.special] = await self._pull_request(to.special, reviewed=to.special == "reviewed")
        return self._special["", to.special]

    async def _run_tests(self, project: str) -> None:
        """A case that passed and one that failed."""
        plans, results = self._azure.service.test_plans, self._azure.service.test_results
        plan = await plans.create_plan(project, "Release")
        assert plan.root_suite
        cases = {word: self._create(project, "Test Case", Step({}), []) for word in WORDS}
        await plans.add_test_cases(project, plan.id, plan.root_suite.id, [one.id for one in cases.values()])
        points = {p.test_case_reference.id: p.id async for p in plans.points(project, plan.id, plan.root_suite.id)}
        run = await results.create_run(project, "Nightly", plan_id=plan.id)
        told = [NewResult(word, WORDS[word], test_point_id=points[one.id]) for word, one in cases.items()]
        await results.add(project, run.id, told)
        await results.complete_run(project, run.id)
        for word, one in cases.items():
            self._special[project, word] = f"{self._azure.base_url}/_apis/wit/workItems/{one.id}"

    async def _pull_request(self, branch: str, *, reviewed: bool) -> Json:
        git, requests, project = self._azure.person.git, self._azure.person.pull_requests, "CMMI"
        repository = await git.repository(project, project)
        if not repository.default_branch:
            await git.first_commit(project, project, "main", "Begin", {"/README.md": "CMMI"})
        (head,) = [one.object_id async for one in git.refs(project, project) if one.name == "refs/heads/main"]
        await git.update_ref(project, project, branch, "0" * 40, head)
        await git.push(project, project, branch, head, "Work", add={f"/{branch}": "b"})
        made = await requests.create(project, project, branch, "main", "Work")
        voters = ((self._azure.service, POINTSMAN), (self._noor, NOOR)) if reviewed else ()
        for client, who in voters:
            await client.pull_requests.vote(project, project, made.pull_request_id, who.id, Vote.APPROVED)
        assert made.last_merge_source_commit
        await requests.complete(project, project, made.pull_request_id, made.last_merge_source_commit.commit_id)
        place = await self._azure.person.projects.get(project)
        uri = artifacts.pull_request(place.id, repository.id, made.pull_request_id).uri
        return _relation("ArtifactLink", uri, "Pull Request")

    async def standings(self, process: str, check: str, wanted: Case) -> set[Standing]:
        """What the check says of an item of this kind."""
        item = await self.make(PROJECTS[process], wanted)
        policy = await self.books.rules("fabrikam", PROJECTS[process])
        assert policy is POLICIES[process]
        facts = await self.books.item(WorkItemKey(organisation="fabrikam", project=item.project, id=item.id), policy)
        around = Around(datetime.now(UTC) + timedelta(days=wanted.days), await self.books.agents("fabrikam"))
        return {one.standing for one in of_item(policy, facts, around) if one.check == check}


def _operations(fields: Fields) -> list[Json]:
    return [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in fields.items()]


def _relation(rel: str, url: str, name: str = "") -> Json:
    attributes: Mapping[str, Json] = {"name": name} if name else {}
    return {"op": "add", "path": "/relations/-", "value": {"rel": rel, "url": url, "attributes": dict(attributes)}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seeded() -> AsyncGenerator[Seeded]:
    tokens = {PERSON_TOKEN: ADA, SERVICE_TOKEN: POINTSMAN, NOORS_TOKEN: NOOR}
    projects = tuple(Project(name=name, process=name) for name in PROJECTS.values())
    app = create_app(
        SandboxConfig(
            organisations=(Organisation(name="fabrikam", projects=projects),),
            accounts=tuple(Account(token=SecretStr(token), identity=who) for token, who in tokens.items()),
        )
    )
    async with (
        hosting(app) as url,
        AzureDevOps(f"{url}/fabrikam", SecretStr(PERSON_TOKEN)) as person,
        AzureDevOps(f"{url}/fabrikam", SecretStr(SERVICE_TOKEN)) as service,
        AzureDevOps(f"{url}/fabrikam", SecretStr(NOORS_TOKEN)) as noor,
        httpx2.AsyncClient() as http,
    ):
        yield Seeded(Azure(url, person, service, http, app.state.sandbox.world), noor)


EACH = [(process, check) for process, cases in CASES.items() for check in cases]


@pytest.mark.parametrize(("process", "check"), EACH)
async def test_check_holds_of_one_item_of_the_service_and_is_broken_by_another(
    seeded: Seeded, process: str, check: str
) -> None:
    good, bad = CASES[process][check]
    assert await seeded.standings(process, check, good) == {Standing.HELD}
    assert await seeded.standings(process, check, bad) == {Standing.VIOLATED}


async def test_every_check_of_an_item_has_its_two_cases() -> None:
    ours = {name: {one.id for one in policy.checks if not of_a_project(one.rule)} for name, policy in POLICIES.items()}
    assert ours == {name: set(cases) for name, cases in CASES.items()}
