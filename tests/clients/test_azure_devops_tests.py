"""Test plans, runs and results, each call against the stand-in over HTTP."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest

from pointsman.clients.azure_devops.answers_tests import UNTESTED, Plan, Point, Referred
from pointsman.clients.azure_devops.patches import add_relation
from pointsman.clients.azure_devops.test_results import NewResult
from pointsman.ports import Missing, Rejected, Unavailable
from tests.sandbox.azure import Azure, azure_devops, config

PROJECT = "Fabrikam"
TESTED_BY = "Microsoft.VSTS.Common.TestedBy-Forward"
EMPTY = '{"count": 0, "value": []}'


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops(of=config().model_copy(update={"page_max": 2})) as running:
        yield running


async def planned(azure: Azure, count: int = 3) -> tuple[Plan, list[int]]:
    """A plan with as many test cases in its root suite, and their ids."""
    plans = azure.service.test_plans
    plan = await plans.create_plan(PROJECT, "Release 1")
    cases = [(await azure.make("Test Case", f"Case {number}")).id for number in range(count)]
    assert plan.root_suite
    await plans.add_test_cases(PROJECT, plan.id, plan.root_suite.id, cases)
    return plan, cases


async def points(azure: Azure, plan: Plan) -> dict[int, Point]:
    assert plan.root_suite
    found = azure.service.test_plans.points(PROJECT, plan.id, plan.root_suite.id)
    return {point.test_case_reference.id: point async for point in found}


async def ran(azure: Azure, plan: Plan, outcomes: dict[int, str], build_id: int = 0) -> int:
    """A run with outcomes by test case, and its number."""
    held, results = await points(azure, plan), azure.service.test_results
    run = await results.create_run(PROJECT, "Nightly", plan_id=plan.id, build_id=build_id)
    told = [NewResult(f"Case {case}", outcome, test_point_id=held[case].id) for case, outcome in outcomes.items()]
    await results.add(PROJECT, run.id, told)
    await results.complete_run(PROJECT, run.id)
    return run.id


async def test_plans_suites_and_cases_are_read_page_by_page(azure: Azure) -> None:
    plans = azure.service.test_plans
    plan, cases = await planned(azure)
    assert plan.root_suite
    story = await azure.make("User Story", "Pay by card")
    below = [
        await plans.create_suite(PROJECT, plan.id, plan.root_suite.id, name, requirement_id=requirement)
        for name, requirement in (("Plain", 0), ("Pay by card", story.id))
    ]
    assert [(suite.suite_type, suite.requirement_id) for suite in below] == [
        ("staticTestSuite", 0),
        ("requirementTestSuite", story.id),
    ]
    await plans.add_test_cases(PROJECT, plan.id, below[1].id, [cases[0]])
    suites = [suite async for suite in plans.suites(PROJECT, plan.id)]
    assert [suite.parent_suite.id if suite.parent_suite else 0 for suite in suites] == [0, *[plan.root_suite.id] * 2]
    root = plan.root_suite.id
    own = [case.work_item.id async for case in plans.test_cases(PROJECT, plan.id, root)]
    assert own == cases
    deep = [case.work_item.id async for case in plans.test_cases(PROJECT, plan.id, root, recursive=True)]
    assert deep == [*cases, cases[0]]
    assert [suite.id for suite in await plans.suites_of(cases[0])] == [root, below[1].id]
    for name in ("Release 2", "Release 3"):
        await plans.create_plan(PROJECT, name)
    names = [one.name async for one in plans.plans(PROJECT, active_only=True)]
    assert names == ["Release 1", "Release 2", "Release 3"]


async def test_only_test_cases_are_tested_and_once(azure: Azure) -> None:
    plan, cases = await planned(azure, 1)
    assert plan.root_suite
    bug = await azure.make()
    for item_id, why in ((bug.id, "no test case"), (cases[0], "in the suite")):
        with pytest.raises(Rejected, match=why):
            await azure.service.test_plans.add_test_cases(PROJECT, plan.id, plan.root_suite.id, [item_id])
    with pytest.raises(Missing):
        await azure.service.test_plans.plan(PROJECT, 99)


async def test_what_tests_an_item_is_a_link_of_items(azure: Azure) -> None:
    _, cases = await planned(azure, 1)
    story = await azure.make("User Story", "Pay by card")
    link = add_relation(TESTED_BY, f"{azure.base_url}/_apis/wit/workItems/{cases[0]}")
    await azure.service.work_items.patch(story.id, [link])
    (relation,) = (await azure.service.work_items.get(cases[0])).relations
    assert relation.rel == "Microsoft.VSTS.Common.TestedBy-Reverse"


async def test_last_outcome_of_a_case_is_the_newest_of_any_suite(azure: Azure) -> None:
    plans = azure.service.test_plans
    plan, cases = await planned(azure)
    assert plan.root_suite
    assert await plans.last_outcomes(PROJECT, plan.id) == {}
    suite = await plans.create_suite(PROJECT, plan.id, plan.root_suite.id, "Again")
    await plans.add_test_cases(PROJECT, plan.id, suite.id, [cases[0]])
    first = await ran(azure, plan, {cases[0]: "Failed", cases[1]: "Passed"})
    top = azure.service.test_plans.points(PROJECT, plan.id, plan.root_suite.id, recursive=False)
    upper = {point.test_case_reference.id: point.id async for point in top}
    run = await azure.service.test_results.create_run(PROJECT, "By hand", plan_id=plan.id, is_automated=False)
    await azure.service.test_results.add(PROJECT, run.id, [NewResult("Case", "Passed", test_point_id=upper[cases[0]])])
    found = await plans.last_outcomes(PROJECT, plan.id)
    assert {case: (last.outcome, last.run_id) for case, last in found.items()} == {
        cases[0]: ("passed", run.id),
        cases[1]: ("passed", first),
    }
    one = azure.service.test_plans.points(PROJECT, plan.id, plan.root_suite.id, test_case_id=cases[2])
    assert [(point.outcome, point.is_active, point.results.outcome) async for point in one] == [
        ("", True, "unspecified")
    ]


async def test_a_test_case_in_the_recycle_bin_takes_its_outcome_along_and_no_others(azure: Azure) -> None:
    plan, cases = await planned(azure)
    await ran(azure, plan, {cases[0]: "Passed", cases[1]: "Failed"})
    await azure.service.work_items.delete(cases[0])
    assert [*await azure.service.test_plans.last_outcomes(PROJECT, plan.id)] == [cases[1]]


async def test_page_of_points_that_fails_fails_the_outcomes(azure: Azure) -> None:
    plan, _ = await planned(azure)
    await azure.fail(path="/testpoint", status=200, body=EMPTY, headers={"x-ms-continuationtoken": "2"})
    await azure.fail(path="/testpoint", status=503)
    with pytest.raises(Unavailable):
        await azure.service.test_plans.last_outcomes(PROJECT, plan.id)


async def test_results_of_a_build_say_which_items_they_are_of(azure: Azure) -> None:
    results, plan_and_cases = azure.service.test_results, await planned(azure, 2)
    plan, cases = plan_and_cases
    await azure.service.git.first_commit(PROJECT, PROJECT, "main", "Begin", {"/a": "a"})
    repository = await azure.service.git.repository(PROJECT, PROJECT)
    pipeline = await azure.service.pipelines.create(PROJECT, "Shop", repository.id, "/azure-pipelines.yml")
    builds = [await azure.service.builds.queue(PROJECT, pipeline.id) for _ in range(2)]
    await ran(azure, plan, {cases[0]: "Failed"}, builds[0].id)
    run_id = await ran(azure, plan, {cases[0]: "Passed", cases[1]: "Failed"}, builds[1].id)
    found = [one async for one in results.results_of_build(PROJECT, builds[1].id)]
    assert [(one.test_case.number, one.passed, one.outcome) for one in found] == [
        (cases[0], True, "passed"),
        (cases[1], False, "failed"),
    ]
    assert {(one.test_run.number, one.build.number) for one in found} == {(run_id, builds[1].id)}
    assert [run.id async for run in results.runs(PROJECT, plan_id=plan.id)] == [run_id - 1, run_id]
    run = await results.get_run(PROJECT, run_id)
    assert (run.state, run.total_tests, run.passed_tests, run.build.number) == ("Completed", 2, 1, builds[1].id)
    held = await points(azure, plan)
    assert held[cases[0]].results.last_run_build_number == builds[1].build_number


async def test_results_of_a_case_come_branch_by_branch(azure: Azure) -> None:
    git, results = azure.service.git, azure.service.test_results
    plan, cases = await planned(azure, 1)
    first = await git.first_commit(PROJECT, PROJECT, "main", "Begin", {"/a": "a"})
    await git.update_ref(PROJECT, PROJECT, "next", "0" * 40, first.commits[0].commit_id)
    repository = await git.repository(PROJECT, PROJECT)
    pipeline = await azure.service.pipelines.create(PROJECT, "Shop", repository.id, "/azure-pipelines.yml")
    runs = []
    for branch, outcome in (("main", "Failed"), ("next", "Failed"), ("main", "Passed")):
        build = await azure.service.builds.queue(PROJECT, pipeline.id, branch)
        runs.append(await ran(azure, plan, {cases[0]: outcome}, build.id))
    found = [one async for one in results.results_of_case(PROJECT, cases[0], days=30)]
    assert [one.test_run.number for one in found] == [runs[2], runs[0], runs[1]]


async def test_history_that_does_not_go_on_is_an_error(azure: Azure) -> None:
    await azure.fail(path="/testhistory", status=200, body='{"continuationToken": "1"}', times=2)
    with pytest.raises(Rejected, match="does not go on behind"):
        assert [one async for one in azure.service.test_results.results_of_case(PROJECT, 1, days=7)]


async def test_runs_of_a_long_time_are_asked_week_by_week(azure: Azure) -> None:
    results = azure.service.test_results
    made = [(await results.create_run(PROJECT, f"Run {number}")).id for number in range(3)]
    now = datetime.now(UTC)
    since, until = now - timedelta(days=20), now + timedelta(days=1)
    assert [run.id async for run in results.runs_between(PROJECT, since, until)] == made
    counters = await azure.control("GET", "counters")
    requests = counters["requests"]
    assert isinstance(requests, dict)
    assert requests["test_runs.list 200"] == 4, "three weeks, and a second page of the last"
    changed = (await results.get_run(PROJECT, made[0])).last_updated_date
    assert changed
    between = results.runs_between(PROJECT, changed - timedelta(days=7), changed + timedelta(days=1))
    assert [run.id async for run in between] == made, "one on the border of two weeks is told once"


async def test_results_without_an_item_refer_to_none(azure: Azure) -> None:
    results = azure.service.test_results
    run = await results.create_run(PROJECT, "Unit tests")
    told = NewResult("adds", "Failed", automated_name="tests.adds", duration_ms=1.5, error="1 != 2")
    await results.add(PROJECT, run.id, [told, NewResult("Case", "Passed", test_case_id=7)])
    first, second = [one async for one in results.results(PROJECT, run.id)]
    assert (first.test_case.number, first.automated_test_name, first.error_message) == (0, "tests.adds", "1 != 2")
    assert second.test_case.number == 7


@pytest.mark.parametrize("text", ["", "none", "-1", "1.5", "²"])
def test_reference_that_is_no_number_refers_to_nothing(text: str) -> None:
    assert Referred(id=text).number == 0


@pytest.mark.parametrize("outcome", ["", *sorted(UNTESTED), "Unspecified", "NotExecuted"])
def test_outcome_that_proves_nothing_is_none(outcome: str) -> None:
    told = {"id": 1, "testCaseReference": {"id": 2}, "results": {"outcome": outcome}}
    assert Point.model_validate(told).outcome == ""
