"""Test runs and their results."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pointsman.clients.azure_devops.answers_tests import History, Result, Run
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, each_by_header, each_by_skip, moved
from pointsman.contracts.base import Json
from pointsman.domain import artifacts

RUNS, RESULTS, HISTORY = "7.1-preview.1", "7.1-preview.2", "7.1-preview.2"
WINDOW = timedelta(days=7)  # the service refuses a longer one
RUNS_MAX = 100  # of a page


@dataclass(frozen=True)
class NewResult:
    """What is said of one test. `test_point_id` is the point that it is a result of, where it is planned."""

    title: str
    outcome: str
    test_case_id: int = 0
    test_point_id: int = 0
    automated_name: str = ""
    duration_ms: float = 0.0
    error: str = ""

    @property
    def body(self) -> dict[str, Json]:
        body: dict[str, Json] = {
            "testCaseTitle": self.title,
            "outcome": self.outcome,
            "state": "Completed",
            "durationInMs": self.duration_ms,
        }
        if self.test_case_id:
            body["testCase"] = {"id": str(self.test_case_id)}
        if self.test_point_id:
            body["testPoint"] = {"id": str(self.test_point_id)}
        texts = {"automatedTestName": self.automated_name, "errorMessage": self.error}
        return body | {name: text for name, text in texts.items() if text}


class TestResultsApi:
    __test__ = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def runs(self, project: str, *, build_id: int = 0, plan_id: int = 0) -> AsyncGenerator[Run]:
        """Runs of a build or of a plan, with what they are about; or all that there ever were."""
        query: dict[str, str | int | bool] = {"includeRunDetails": True}
        if build_id:
            query["buildUri"] = artifacts.build(build_id).uri
        if plan_id:
            query["planId"] = plan_id
        return each_by_skip(self._connection, Listed[Run], _runs(project), query, RUNS)

    async def runs_between(self, project: str, since: datetime, until: datetime) -> AsyncGenerator[Run]:
        """Runs that were last changed in a time, oldest window first; asked week by week, as the service wants it."""
        begin, before = since, set[int]()
        while begin < until:
            told = set[int]()
            end = min(begin + WINDOW, until)
            query: dict[str, str | int | bool] = {
                "minLastUpdatedDate": begin.isoformat(),
                "maxLastUpdatedDate": end.isoformat(),
                "$top": RUNS_MAX,
            }
            async for run in each_by_header(self._connection, Listed[Run], _runs(project), query, RUNS):
                told.add(run.id)
                if run.id not in before:  # one that changed at the very moment between two windows is in both
                    yield run
            begin, before = end, told

    async def get_run(self, project: str, run_id: int) -> Run:
        path = f"{_runs(project)}/{run_id}"
        return await self._connection.call(Run, "GET", path, version=RUNS)

    async def create_run(
        self, project: str, name: str, *, build_id: int = 0, plan_id: int = 0, is_automated: bool = True
    ) -> Run:
        """Begin a run. Not idempotent."""
        body: dict[str, Json] = {"name": name, "automated": is_automated, "state": "InProgress"}
        if build_id:
            body["build"] = {"id": str(build_id)}
        if plan_id:
            body["plan"] = {"id": str(plan_id)}
        return await self._connection.call(Run, "POST", _runs(project), body=body, version=RUNS)

    async def complete_run(self, project: str, run_id: int) -> Run:
        """Idempotent."""
        path = f"{_runs(project)}/{run_id}"
        return await self._connection.call(Run, "PATCH", path, body={"state": "Completed"}, version=RUNS)

    async def add(self, project: str, run_id: int, results: Sequence[NewResult]) -> list[Result]:
        """Not idempotent: each call adds them again."""
        body: Json = [result.body for result in results]
        path = f"{_runs(project)}/{run_id}/results"
        return (await self._connection.call(Listed[Result], "POST", path, body=body, version=RESULTS)).value

    def results(self, project: str, run_id: int) -> AsyncGenerator[Result]:
        return each_by_skip(self._connection, Listed[Result], f"{_runs(project)}/{run_id}/results", version=RESULTS)

    async def results_of_build(self, project: str, build_id: int) -> AsyncGenerator[Result]:
        """All results of all runs of a build.

        Costs a request per run and more: the service's own list of a build's results does not say which items they
        are of.
        """
        async for run in self.runs(project, build_id=build_id):
            async for result in self.results(project, run.id):
                yield result

    async def results_of_case(self, project: str, test_case_id: int, days: int) -> AsyncGenerator[Result]:
        """Results of one test case of the last days, branch by branch, each newest first."""
        path = f"{segment(project)}/_apis/testresults/results/testhistory"
        token, passed = "", set[str]()
        while True:
            body: dict[str, Json] = {"testCaseId": test_case_id, "groupBy": "branch", "trendDays": days}
            if token:
                body["continuationToken"] = token
            page = await self._connection.call(History, "POST", path, body=body, version=HISTORY)
            for group in page.results_for_group:
                for result in group.results:
                    yield result
            token = moved(path, passed, page.continuation_token)
            if not token:
                return
            passed.add(token)


def _runs(project: str) -> str:
    return f"{segment(project)}/_apis/testresults/runs"
