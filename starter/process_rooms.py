"""Rooms of activities about rules of processes, put together: full checks, checks of one item, calls, guard."""

from dataclasses import dataclass
from pathlib import Path

from activities.inspections import Inspections
from activities.process import ProcessChecks
from activities.rule_books import RuleBooks
from activities.sync import Writer
from activities.violation_calls import ViolationCalls
from activities.write_guard import WriteGuard
from pointsman.contracts.process_control import ProcessControl
from pointsman.policies.process_graphs import load_graphs
from pointsman.policies.process_rules import load_processes
from pointsman.ports import Audit, Notifier, WorkTracker
from pointsman.ports_process import KeptViolations, RuledProjects, WholeProjects


@dataclass(frozen=True)
class Outside:
    """What these rooms speak to."""

    source: RuledProjects
    projects: WholeProjects
    tracker: WorkTracker
    notifier: Notifier
    writer: Writer


@dataclass(frozen=True)
class ProcessRooms:
    checks: ProcessChecks
    inspections: Inspections
    calls: ViolationCalls
    guard: WriteGuard

    @property
    def all(self) -> tuple[object, ...]:
        """Those with activities."""
        return self.checks, self.inspections, self.calls


def process_rooms(
    outside: Outside,
    violations: KeptViolations,
    audit: Audit,
    control: ProcessControl,
    folder: Path | None,
) -> ProcessRooms:
    """`folder` is the one of the user's policy.

    Raises:
        PolicyError: a file of rules cannot be used.
    """
    graphs = load_graphs()
    books = RuleBooks(outside.source, load_processes(folder), graphs, control.projects)
    return ProcessRooms(
        checks=ProcessChecks(outside.source, violations, graphs, outside.projects),
        inspections=Inspections(books, violations),
        calls=ViolationCalls(violations, outside.notifier, outside.tracker, outside.writer),
        guard=WriteGuard(books, audit),
    )
