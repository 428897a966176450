"""A small CMMI project in the stand-in: every column of the traceability matrix is filled, and each gap is there."""

from dataclasses import dataclass, field

from pointsman.clients.azure_devops.answers import WorkItem
from pointsman.clients.azure_devops.answers_code import Vote
from pointsman.clients.azure_devops.patches import add_artifact, add_relation, set_field
from pointsman.clients.azure_devops.test_results import NewResult
from pointsman.contracts.base import Json
from pointsman.domain import artifacts
from pointsman.sandbox.azure_devops.config import ADA, POINTSMAN, Organisation, Project, SandboxConfig
from tests.sandbox.azure import Azure, config

PROJECT = REPOSITORY = "Fabrikam"
CHILD = "System.LinkTypes.Hierarchy-Forward"
TESTED_BY, AFFECTS = "Microsoft.VSTS.Common.TestedBy-Forward", "Microsoft.VSTS.Common.Affects-Forward"
RELATED = "System.LinkTypes.Related"
FABRIKAM = Organisation(name="fabrikam", projects=(Project(name=PROJECT, process="CMMI"), Project(name="Other")))


def traced_config() -> SandboxConfig:
    return config().model_copy(update={"organisations": (FABRIKAM,)})


@dataclass
class Traced:
    """Ids of items by what they are called here, and commits by the requirement that they serve."""

    azure: Azure
    ids: dict[str, int] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    tip: str = ""
    pipeline: int = 0

    async def make(self, name: str, kind: str, parent: str = "", title: str = "") -> WorkItem:
        purpose = {"CMMI_Purpose": "Find what tests do not"} if kind == "Review" else {}
        made = await self.azure.make(kind, title or f"{kind} {name}", **purpose)
        self.ids[name] = made.id
        if parent:
            await self.link(parent, CHILD, name)
        return made

    async def link(self, source: str, relation: str, target: str) -> None:
        url = f"{self.azure.base_url}/_apis/wit/workItems/{self.ids[target]}"
        await self.azure.person.work_items.patch(self.ids[source], [add_relation(relation, url)])

    async def close(self, name: str, *states: str) -> None:
        for state in states or ("Active", "Resolved", "Closed"):
            change = [set_field("System.State", state), set_field("System.AssignedTo", ADA.unique_name)]
            await self.azure.person.work_items.patch(self.ids[name], change)

    async def begin_code(self) -> None:
        git = self.azure.person.git
        first = await git.first_commit(PROJECT, REPOSITORY, "main", "Begin", {"/README.md": "Fabrikam"})
        self.tip = first.commits[0].commit_id
        repository = await git.repository(PROJECT, REPOSITORY)
        self.pipeline = (await self.azure.service.pipelines.create(PROJECT, "Shop", repository.id, "/ci.yml")).id

    async def place(self) -> tuple[str, str]:
        repository = await self.azure.person.git.repository(PROJECT, REPOSITORY)
        return (await self.azure.person.projects.get(PROJECT)).id, repository.id

    async def request(self, name: str, *, approved: bool = True, merged: bool = True) -> int:
        """A pull request that item `name` is linked to."""
        git, requests, branch = self.azure.person.git, self.azure.person.pull_requests, f"work-{name}"
        await git.update_ref(PROJECT, REPOSITORY, branch, "0" * 40, self.tip)
        push = await git.push(PROJECT, REPOSITORY, branch, self.tip, f"Work on {name}", add={f"/{name}": name})
        self.commits[f"{name}/first"] = first = push.commits[0].commit_id
        await git.push(PROJECT, REPOSITORY, branch, first, f"More work on {name}", add={f"/{name}-more": name})
        made = await requests.create(PROJECT, REPOSITORY, branch, "main", f"Do {name}")
        number = made.pull_request_id
        artifact = artifacts.pull_request(*await self.place(), number)
        await self.azure.person.work_items.patch(self.ids[name], [add_artifact(artifact)])
        if approved:
            await self.azure.service.pull_requests.vote(PROJECT, REPOSITORY, number, POINTSMAN.id, Vote.APPROVED)
        if merged:
            assert made.last_merge_source_commit
            await requests.complete(PROJECT, REPOSITORY, number, made.last_merge_source_commit.commit_id)
            done = await requests.get(PROJECT, number)
            assert done.last_merge_commit
            self.tip = self.commits[name] = done.last_merge_commit.commit_id
        return number

    async def commit(self, name: str) -> None:
        """A commit on the main branch that item `name` is linked to."""
        push = await self.azure.person.git.push(
            PROJECT, REPOSITORY, "main", self.tip, f"Do {name}", add={f"/{name}": name}
        )
        self.tip = self.commits[name] = push.commits[0].commit_id
        artifact = artifacts.commit(*await self.place(), self.tip)
        await self.azure.person.work_items.patch(self.ids[name], [add_artifact(artifact)])

    async def build(self, name: str, result: str = "succeeded") -> int:
        made = await self.azure.service.builds.queue(PROJECT, self.pipeline, version=self.commits[name])
        told: Json = {"organisation": "fabrikam", "build_id": made.id, "result": result}
        await self.azure.control("POST", "builds/finish", told)
        return made.id

    async def run(self, outcomes: dict[str, str], *also: str) -> None:
        """A plan with these test cases, and a run of those that have an outcome."""
        plans, results = self.azure.service.test_plans, self.azure.service.test_results
        plan = await plans.create_plan(PROJECT, "Release 1")
        assert plan.root_suite
        cases = [self.ids[name] for name in (*outcomes, *also)]
        await plans.add_test_cases(PROJECT, plan.id, plan.root_suite.id, cases)
        points = {p.test_case_reference.id: p.id async for p in plans.points(PROJECT, plan.id, plan.root_suite.id)}
        run = await results.create_run(PROJECT, "Nightly", plan_id=plan.id)
        told = [NewResult(n, outcome, test_point_id=points[self.ids[n]]) for n, outcome in outcomes.items()]
        await results.add(PROJECT, run.id, told)
        await results.complete_run(PROJECT, run.id)


async def traced(azure: Azure) -> Traced:
    """`full` lacks nothing; the others are named by what they lack."""
    made = Traced(azure)
    await _items(made)
    await made.begin_code()
    await made.request("full-task")
    await made.build("full-task")
    await made.request("open-task", merged=False)
    await made.request("hasty", approved=False)
    await made.build("hasty", "failed")
    await made.commit("unbuilt")
    for requirement in ("full", "open", "unbuilt", "hasty"):
        await made.make(f"{requirement}-case", "Test Case")
        await made.link(requirement, TESTED_BY, f"{requirement}-case")
    await made.run({"full-case": "Passed", "unbuilt-case": "Failed", "hasty-case": "Passed"}, "open-case")
    for requirement, states in (("full", ("Closed",)), ("unbuilt", ())):
        await made.make(f"{requirement}-review", "Review")
        await made.link(f"{requirement}-review", RELATED, requirement)
        if states:
            await made.close(f"{requirement}-review", *states)
    for requirement in ("full", "hasty"):
        await made.make(f"{requirement}-change", "Change Request")
        await made.link(f"{requirement}-change", AFFECTS, requirement)
        await made.close(requirement)
    await made.close("full-change")
    return made


async def _items(made: Traced) -> None:
    await made.make("epic", "Epic")
    await made.make("feature", "Feature", "epic")
    await made.make("low", "Feature")
    for name, parent in (("full", "feature"), ("open", "low"), ("bare", ""), ("unbuilt", "feature")):
        await made.make(name, "Requirement", parent)
    await made.make("hasty", "Requirement", "feature")
    for name in ("full", "open", "unbuilt"):
        await made.make(f"{name}-task", "Task", name)
    for name, kind in (
        *(("lone-epic", "Epic"), ("lone-feature", "Feature"), ("lone-task", "Task"), ("lone-case", "Test Case")),
        *(("lone-review", "Review"), ("lone-change", "Change Request")),
    ):
        await made.make(name, kind, title=f"=1+1 <b>{name}</b>")
