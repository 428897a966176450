"""What Azure DevOps answers about test plans, runs and results, reduced to what we read.

Outcomes are lower case here: points say `passed` where results say `Passed`. A reference's id is a text.
"""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

from pointsman.clients.azure_devops.answers import Answer
from pointsman.contracts.base import Json


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Outcome = Annotated[str, BeforeValidator(_lower)]
UNTESTED = frozenset({"", "none", "unspecified", "notexecuted", "notapplicable", "paused", "inprogress"})
"""Outcomes that prove nothing: the test was not run to its end."""


class Named(Answer):
    id: int
    name: str = ""


class Referred(Answer):
    """A reference in results, where ids are texts and may be absent or empty."""

    id: str = ""
    name: str = ""

    @property
    def number(self) -> int:
        """0 where it refers to nothing."""
        return int(self.id) if self.id.isdecimal() else 0


class Plan(Answer):
    id: int
    name: str = ""
    state: str = ""
    area_path: str = ""
    iteration: str = ""
    root_suite: Named | None = None


class Suite(Answer):
    """`requirement_id` is the item that a suite of type `requirementTestSuite` holds the tests of."""

    id: int
    name: str = ""
    suite_type: str = ""
    requirement_id: int = 0
    parent_suite: Named | None = None
    plan: Named | None = None
    has_children: bool = False


class TestCase(Answer):
    """A test case in a suite: an item and where it stands."""

    __test__ = False

    work_item: Named
    test_suite: Named | None = None
    test_plan: Named | None = None
    order: int = 0


class ResultDetails(Answer):
    date_completed: datetime | None = None
    duration: int = 0
    run_by: dict[str, Json] | str = ""


class PointResults(Answer):
    """The newest result of a point; ids are 0 where it was never run."""

    outcome: Outcome = ""
    state: str = ""
    last_test_run_id: int = 0
    last_result_id: int = 0
    last_run_build_number: str = ""
    last_result_details: ResultDetails = ResultDetails()


class Point(Answer):
    """A test case of a suite with a configuration. `is_active`: it is to be run, whatever it said last."""

    id: int
    test_case_reference: Named
    configuration: Named | None = None
    test_suite: Named | None = None
    is_active: bool = False
    results: PointResults = PointResults()

    @property
    def outcome(self) -> str:
        """Empty as long as it was not run to an end."""
        return "" if self.results.outcome in UNTESTED else self.results.outcome

    @property
    def completed_at(self) -> datetime | None:
        return self.results.last_result_details.date_completed


class Run(Answer):
    id: int
    name: str = ""
    state: str = ""
    is_automated: bool = False
    build: Referred = Referred()
    plan: Referred = Referred()
    total_tests: int = 0
    passed_tests: int = 0
    completed_date: datetime | None = None
    last_updated_date: datetime | None = None


class Result(Answer):
    """`id` is unique in its run only. `test_case` is empty for tests that no item stands for."""

    id: int
    outcome: Outcome = ""
    state: str = ""
    test_case: Referred = Referred()
    test_case_title: str = ""
    automated_test_name: str = ""
    test_run: Referred = Referred()
    test_point: Referred = Referred()
    build: Referred = Referred()
    completed_date: datetime | None = None
    error_message: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"


class HistoryGroup(Answer):
    results: list[Result] = Field(default_factory=list)


class History(Answer):
    """One page: `continuation_token` is asked with next, and empty at the end."""

    results_for_group: list[HistoryGroup] = Field(default_factory=list)
    continuation_token: str = ""
