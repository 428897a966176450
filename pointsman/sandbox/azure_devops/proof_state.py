"""Test plans, suites, points, runs and results that the stand-in holds. In memory only."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pointsman.sandbox.azure_devops.config import Identity, Organisation


@dataclass
class Result:
    """`run_id` and `id` together are unique. `test_case` is 0 where no item stands for the test."""

    id: int
    run_id: int
    title: str
    outcome: str
    at: str
    by: Identity
    state: str = "Completed"
    test_case: int = 0
    point_id: int = 0
    suite_id: int = 0
    automated_name: str = ""
    duration_ms: float = 0.0
    error: str = ""


@dataclass
class Run:
    id: int
    organisation: Organisation
    project: str
    name: str
    by: Identity
    at: str
    state: str = "InProgress"
    build_id: int = 0
    plan_id: int = 0
    is_automated: bool = False
    completed_at: str = ""
    results: list[Result] = field(default_factory=list)


@dataclass
class Point:
    """A test case in a suite with a configuration. `last` is the newest result."""

    id: int
    test_case: int
    suite_id: int
    last: Result | None = None
    last_build_number: str = ""


@dataclass
class Suite:
    """`requirement` is the item that the suite is the tests of, 0 where it is a plain one."""

    id: int
    plan_id: int
    name: str
    parent_id: int = 0
    requirement: int = 0
    at: str = ""
    points: list[Point] = field(default_factory=list)


@dataclass
class Plan:
    id: int
    organisation: Organisation
    project: str
    name: str
    area: str
    iteration: str
    by: Identity
    at: str
    state: str = "Active"
    suites: dict[int, Suite] = field(default_factory=dict)

    @property
    def root(self) -> Suite:
        return next(iter(self.suites.values()))

    def below(self, suite_id: int) -> Iterator[Suite]:
        """A suite and all below it."""
        yield self.suites[suite_id]
        for suite in self.suites.values():
            if suite.parent_id == suite_id:
                yield from self.below(suite.id)


@dataclass
class Proofs:
    """By organisation in lower case, then by id. Plans, suites and points share their numbers."""

    plans: dict[str, dict[int, Plan]] = field(default_factory=dict)
    runs: dict[str, dict[int, Run]] = field(default_factory=dict)
    last_number: int = 0

    def plans_of(self, organisation: Organisation) -> dict[int, Plan]:
        return self.plans.setdefault(organisation.name.lower(), {})

    def runs_of(self, organisation: Organisation) -> dict[int, Run]:
        return self.runs.setdefault(organisation.name.lower(), {})

    def next_number(self) -> int:
        self.last_number += 1
        return self.last_number
