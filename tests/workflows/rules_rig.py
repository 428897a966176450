"""What an item under test needs where its project has rules: rules, violations in memory, guard, checks and calls."""

from activities.inspections import Inspections
from activities.process import ProcessChecks
from activities.rule_books import RuleBooks
from activities.sync import Writer
from activities.violation_calls import ViolationCalls
from activities.write_guard import WriteGuard
from pointsman.contracts.process import Check, CheckSeverity, Filled, Graph, ProcessPolicy, Transitions
from pointsman.contracts.process_control import OnOpen
from pointsman.contracts.violations import ViolationState
from tests.books_process import MemoryAudit, MemoryViolations, RulesOfTracker
from tests.workflows.rig import Rig
from tests.worlds import answer

PRIORITY = "Microsoft.VSTS.Common.Priority"
GRAPH = Graph(
    steps={"": {"Active": ()}, "Active": {"Resolved": ()}, "Resolved": {"Active": ()}, "Closed": {"Active": ()}}
)
RULES = ProcessPolicy(
    name="ours",
    version="1",
    processes=("Agile",),
    checks=(
        Check(
            id="DONE",
            practice="Done means judged",
            source="Us",
            title="A resolved bug has a priority",
            severity=CheckSeverity.CRITICAL,
            states=("Resolved",),
            rule=Filled(fields=(PRIORITY,)),
        ),
        Check(
            id="FLOW",
            practice="The process is followed",
            source="Us",
            title="Each change of state is allowed",
            severity=CheckSeverity.MAJOR,
            rule=Transitions(),
        ),
    ),
)
TOLD = OnOpen(severity=CheckSeverity.MAJOR, notify=("team",), comment=True, escalate=True)
RESOLVED = answer(System__State="Resolved")


class Rules:
    """Gives a rig the rooms that it has no use for without rules."""

    def __init__(self, item: Rig) -> None:
        self.violations = MemoryViolations()
        self.audit = MemoryAudit()
        books = RuleBooks(RulesOfTracker(item.tracker, "Agile", GRAPH), {"ours": RULES}, {})
        item.guard = WriteGuard(books, self.audit)
        item.rooms = (
            Inspections(books, self.violations),
            ViolationCalls(self.violations, item.people, item.tracker, Writer(item.tracker, item.ledger, item.sync)),
            ProcessChecks(books.source, self.violations),
        )

    @property
    def actions(self) -> list[str]:
        return [one.action for one in self.audit.kept.values()]

    def broken(self) -> dict[str, ViolationState]:
        return {one.check: one.state for one in self.violations.kept.values()}
