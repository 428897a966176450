"""Each check of our sets, through the real client, at a project that keeps to it and breaks it."""

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from activities.process import ProcessChecks
from activities.rule_books import RuleBooks
from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.answers_code import Vote
from pointsman.clients.azure_devops.answers_policies import PolicyKind, Scope
from pointsman.clients.azure_devops.nodes import Tree
from pointsman.clients.azure_devops.policies import Wanted
from pointsman.clients.azure_devops.process_facts import ProcessReader
from pointsman.clients.azure_devops.test_results import NewResult
from pointsman.contracts.base import Json
from pointsman.contracts.process import Standing
from pointsman.contracts.violations import CheckScope, CheckStep
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
from tests.activities.process_cases import CASES, PROJECTS, PURPOSE, Case, Fields, Step, To, with_fields
from tests.books_process import MemoryViolations
from tests.sandbox.azure import PERSON_TOKEN, SERVICE_TOKEN, Azure

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOORS_TOKEN = "token-of-noor"
POLICIES = load_processes()
WORDS = {"passed": "Passed", "failed": "Failed"}


class Seeded:
    """Projects by process, in which items are made as cases want them. What cases link to is made once."""

    def __init__(self, azure: Azure, noor: AzureDevOps) -> None:
        self.azure = azure
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
        return _relation(to.relation, f"{self.azure.base_url}/_apis/wit/workItems/{self._shared[name].id}")

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
        plans, results = self.azure.service.test_plans, self.azure.service.test_results
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
            self._special[project, word] = f"{self.azure.base_url}/_apis/wit/workItems/{one.id}"

    async def _pull_request(self, branch: str, *, reviewed: bool) -> Json:
        git, requests, project = self.azure.person.git, self.azure.person.pull_requests, "CMMI"
        await self.branch(project, branch)
        repository = await git.repository(project, project)
        made = await requests.create(project, project, branch, "main", "Work")
        voters = ((self.azure.service, POINTSMAN), (self._noor, NOOR)) if reviewed else ()
        for client, who in voters:
            await client.pull_requests.vote(project, project, made.pull_request_id, who.id, Vote.APPROVED)
        assert made.last_merge_source_commit
        await requests.complete(project, project, made.pull_request_id, made.last_merge_source_commit.commit_id)
        place = await self.azure.person.projects.get(project)
        uri = artifacts.pull_request(place.id, repository.id, made.pull_request_id).uri
        return _relation("ArtifactLink", uri, "Pull Request")

    async def branch(self, project: str, name: str) -> None:
        """Where there is none, a first commit on main; then a branch with work on it."""
        git = self.azure.person.git
        if not (await git.repository(project, project)).default_branch:
            await git.first_commit(project, project, "main", "Begin", {"/README.md": project})
        if name != "main":
            (head,) = [one.object_id async for one in git.refs(project, project) if one.name == "refs/heads/main"]
            await git.update_ref(project, project, name, "0" * 40, head)
            await git.push(project, project, name, head, "Work", add={f"/{name}": "b"})

    async def protect(self, project: str, kind: PolicyKind) -> None:
        repository = await self.azure.person.git.repository(project, project)
        main = frozenset({Scope(repository.id, "refs/heads/main")})
        settings: dict[str, Json] = {"minimumApproverCount": 2} if kind is PolicyKind.MIN_REVIEWERS else {}
        await self.azure.person.policies.create(project, Wanted(kind, main, settings))

    async def bypass(self, project: str) -> None:
        """As a person does it in the pages of the service: our client has no way to it."""
        await self.branch(project, "hurry")
        made = await self.azure.person.pull_requests.create(project, project, "hurry", "main", "Now")
        assert made.last_merge_source_commit
        path = f"{project}/_apis/git/repositories/{project}/pullrequests/{made.pull_request_id}?api-version=7.1"
        body: Json = {
            "status": "completed",
            "lastMergeSourceCommit": {"commitId": made.last_merge_source_commit.commit_id},
            "completionOptions": {"bypassPolicy": True, "bypassReason": "in a hurry"},
        }
        answer = await self.azure.http.patch(f"{self.azure.base_url}/{path}", json=body, auth=("", PERSON_TOKEN))
        assert answer.status_code == 200, answer.text

    async def standings(self, process: str, check: str, wanted: Case) -> set[Standing]:
        """What the check says of an item of this kind, which its query finds."""
        item = await self.make(PROJECTS[process], wanted)
        query = next(one.query for one in POLICIES[process].checks if one.id == check)
        assert item.id in await self.azure.service.queries.ids(query, item.project), query
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
    projects += tuple(Project(name=name, process="CMMI") for name in ("Tidy", "Untidy"))
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
        httpx2.AsyncClient(timeout=60) as http,
    ):
        for name, year in (("Now", 2199), ("Over", 2021)):
            start, finish = (datetime(one, 1, 1, tzinfo=UTC) for one in (2020, year))
            await person.nodes.create("CMMI", Tree.ITERATIONS, name, start=start, finish=finish)
        yield Seeded(Azure(url, person, service, http, app.state.sandbox.world), noor)


EACH = [(process, check) for process, cases in CASES.items() for check in cases]


@pytest.mark.parametrize(("process", "check"), EACH)
async def test_check_holds_of_one_item_of_the_service_and_is_broken_by_another(
    seeded: Seeded, process: str, check: str
) -> None:
    good, bad = CASES[process][check]
    assert await seeded.standings(process, check, good) == {Standing.HELD}
    assert await seeded.standings(process, check, bad) == {Standing.VIOLATED}


async def whole(seeded: Seeded, project: str) -> dict[str, Standing]:
    """What is said of the project at the end of its check."""
    reader = ProcessReader({"fabrikam": seeded.azure.service})
    checks = ProcessChecks(reader, MemoryViolations(), load_graphs(), reader)
    scope = CheckScope(tenant="default", organisation="fabrikam", project=project, policy=POLICIES["cmmi"])
    carry = await ActivityEnvironment().run(checks.check, CheckStep(scope=scope))
    assert carry.done
    return {one.check: one.standing for one in carry.whole}


async def test_each_check_of_a_project_holds_of_one_and_is_broken_by_another(seeded: Seeded) -> None:
    cause: Fields = {"Microsoft.VSTS.CMMI.HowFound": "Peer Review", "Microsoft.VSTS.CMMI.RootCause": "Coding Error"}
    for case in (with_fields("Bug", cause), with_fields("Requirement", {}), with_fields("Review", PURPOSE)):
        await seeded.make("Tidy", case)
    for case in (with_fields("Bug", {}), with_fields("Requirement", {})):
        await seeded.make("Untidy", case)
    policies = (PolicyKind.MIN_REVIEWERS, PolicyKind.WORK_ITEMS)
    for project in ("Tidy", "Untidy"):
        await seeded.branch(project, "main")
    for kind in policies:
        await seeded.protect("Tidy", kind)
    await seeded.protect("Untidy", policies[0])
    await seeded.bypass("Untidy")
    ours = {one.id for one in POLICIES["cmmi"].checks if of_a_project(one.rule)}
    assert await whole(seeded, "Tidy") == dict.fromkeys(ours, Standing.HELD)
    assert await whole(seeded, "Untidy") == dict.fromkeys(ours, Standing.VIOLATED)


async def test_every_check_of_an_item_has_its_two_cases_and_a_query() -> None:
    of_items = [one for policy in POLICIES.values() for one in policy.checks if not of_a_project(one.rule)]
    assert not [one.id for one in of_items if not one.query]
    ours = {name: {one.id for one in policy.checks if not of_a_project(one.rule)} for name, policy in POLICIES.items()}
    assert ours == {name: set(cases) for name, cases in CASES.items()}
