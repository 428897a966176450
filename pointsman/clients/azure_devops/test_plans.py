"""Test plans, their suites, and the test cases in them. A test case is a work item; what tests what is a link of items.

A test case, a suite and a configuration make a point, and a point remembers its newest result.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pointsman.clients.azure_devops.answers_tests import Plan, Point, Suite, TestCase
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, each_by_header, whole
from pointsman.contracts.base import Json
from pointsman.ports import Missing


@dataclass(frozen=True)
class LastOutcome:
    """How a test case ended when it was last run, in whichever suite and configuration. Outcomes are lower case."""

    test_case_id: int
    outcome: str
    run_id: int
    result_id: int
    build_number: str = ""
    completed_at: datetime | None = None


class TestPlansApi:
    __test__ = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def plans(self, project: str, *, active_only: bool = False) -> AsyncGenerator[Plan]:
        query = {"includePlanDetails": True, "filterActivePlans": active_only}
        return each_by_header(self._connection, Listed[Plan], _plans(project), query)

    async def plan(self, project: str, plan_id: int) -> Plan:
        return await self._connection.call(Plan, "GET", f"{_plans(project)}/{plan_id}")

    async def create_plan(self, project: str, name: str, area_path: str = "", iteration: str = "") -> Plan:
        """Not idempotent: names of plans may repeat. It comes with a suite that all others are below."""
        body: dict[str, Json] = {
            "name": name,
            "areaPath": area_path or project,
            "iteration": iteration or project,
        }
        return await self._connection.call(Plan, "POST", _plans(project), body=body)

    def suites(self, project: str, plan_id: int) -> AsyncGenerator[Suite]:
        """All of a plan, the one that all others are below too."""
        return each_by_header(self._connection, Listed[Suite], _suites(project, plan_id))

    async def create_suite(
        self, project: str, plan_id: int, parent_id: int, name: str, *, requirement_id: int = 0
    ) -> Suite:
        """A plain suite, or one that holds the tests of a requirement. Not idempotent."""
        kind = "requirementTestSuite" if requirement_id else "staticTestSuite"
        body: dict[str, Json] = {"suiteType": kind, "name": name, "parentSuite": {"id": parent_id}}
        if requirement_id:
            body["requirementId"] = requirement_id
        return await self._connection.call(Suite, "POST", _suites(project, plan_id), body=body)

    async def suites_of(self, test_case_id: int) -> list[Suite]:
        """Suites of any project that a test case is in."""
        query = {"testCaseId": test_case_id}
        return await whole(self._connection, Listed[Suite], "_apis/testplan/suites", query)

    def test_cases(
        self, project: str, plan_id: int, suite_id: int, *, recursive: bool = False
    ) -> AsyncGenerator[TestCase]:
        """Of a suite, or of those below it too."""
        path = f"{_suites(project, plan_id)}/{suite_id}/TestCase"
        return each_by_header(self._connection, Listed[TestCase], path, {"isRecursive": recursive})

    async def add_test_cases(
        self, project: str, plan_id: int, suite_id: int, test_case_ids: Sequence[int]
    ) -> list[TestCase]:
        """Put items into a suite, with the default configurations. One that is in it already is refused."""
        body: Json = [{"workItem": {"id": test_case_id}} for test_case_id in test_case_ids]
        path = f"{_suites(project, plan_id)}/{suite_id}/TestCase"
        return (await self._connection.call(Listed[TestCase], "POST", path, body=body)).value

    def points(
        self, project: str, plan_id: int, suite_id: int, *, test_case_id: int = 0, recursive: bool = True
    ) -> AsyncGenerator[Point]:
        """Points of a suite and those below it, each with its newest result."""
        query: dict[str, str | int | bool] = {"includePointDetails": True, "isRecursive": recursive}
        if test_case_id:
            query["testCaseId"] = test_case_id
        path = f"{_suites(project, plan_id)}/{suite_id}/TestPoint"
        return each_by_header(self._connection, Listed[Point], path, query)

    async def last_outcomes(self, project: str, plan_id: int) -> dict[int, LastOutcome]:
        """By test case, how it ended last in a plan. Those that were never run to an end are absent.

        Costs a request per page of points; memory grows with the test cases, not with their results.

        Raises:
            Missing: the plan tells no suite to begin at.
        """
        root = (await self.plan(project, plan_id)).root_suite
        if root is None:
            raise Missing(f"test plan {plan_id} of {project} tells no root suite", "NoRootSuite")
        found: dict[int, LastOutcome] = {}
        async for point in self.points(project, plan_id, root.id):
            if point.outcome:
                last = _last(point)
                found[last.test_case_id] = max(found.get(last.test_case_id, last), last, key=_age)
        return found


def _last(point: Point) -> LastOutcome:
    results = point.results
    return LastOutcome(
        point.test_case_reference.id,
        point.outcome,
        results.last_test_run_id,
        results.last_result_id,
        results.last_run_build_number,
        point.completed_at,
    )


def _age(last: LastOutcome) -> tuple[float, int]:
    """Without a moment the number of the run counts, which grows."""
    return (last.completed_at.timestamp() if last.completed_at else 0.0, last.run_id)


def _plans(project: str) -> str:
    return f"{segment(project)}/_apis/testplan/plans"


def _suites(project: str, plan_id: int) -> str:
    return f"{_plans(project)}/{plan_id}/suites"
