"""People hear of violations once: by one message each, in one comment, however often an attempt dies."""

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.inspections import Inspections
from activities.rule_books import RuleBooks
from activities.sync import Writer
from activities.violation_calls import ViolationCalls
from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.process_control import CheckedProject, OnOpen
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.violations import ActOn, Called, Inspected, InspectItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.process.calls import COMMENTS_MAX, NAMED_MAX, QUESTIONS_MAX
from pointsman.observability.metrics import Metrics
from pointsman.observability.violations import MeteredViolations
from pointsman.ports import Rejected, Unavailable
from tests.books import MemoryLedger
from tests.books_process import MemoryViolations, RulesOfTracker
from tests.books_sync import memory_sync
from tests.workflows.rules_rig import GRAPH, RULES, TOLD
from tests.worlds import FakePeople, FakeTracker


class LosesAnswers(FakeTracker):
    """Writes, but the answer to the first write is lost."""

    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        made = await super().write(key, rev, change)
        if self.writes.total() == 1:
            raise Unavailable("no answer")
        return made


class Refuses(FakeTracker):
    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        raise Rejected("VS403: you may not comment", code="VS403")


class Desk:
    """Items of one project, each of which breaks a critical rule."""

    def __init__(self, tracker: FakeTracker | None = None, items: int = 1) -> None:
        self.tracker = tracker or FakeTracker()
        for number in range(1, items + 1):
            self.tracker.add(number, System__State="Resolved")
        self.metrics = Metrics()
        self.kept = MemoryViolations()
        self.people = FakePeople()
        self.ledger = MemoryLedger()
        named = (CheckedProject(organisation="fabrikam", project="Web", process="ours"),)
        books = RuleBooks(RulesOfTracker(self.tracker, "Basic", GRAPH), {"ours": RULES}, {}, named)
        self.inspections = Inspections(books, MeteredViolations(self.kept, self.metrics))
        writer = Writer(self.tracker, self.ledger, memory_sync())
        self.calls = ViolationCalls(self.kept, self.people, self.tracker, writer)
        self.items = tuple(range(1, items + 1))

    async def inspect(self, number: int, project: str = "Web", *, gone: bool = False) -> Inspected:
        key = WorkItemKey(organisation="fabrikam", project=project, id=number)
        ask = InspectItem(key=key, tenant="default", correlation_id="c", on_open=(TOLD,), gone=gone)
        return await ActivityEnvironment().run(self.inspections.inspect, ask)

    async def act(self, *on_open: OnOpen) -> Called:
        for number in self.items:
            await self.inspect(number)
        ask = ActOn(
            tenant="default",
            correlation_id="c",
            organisation="fabrikam",
            project="Web",
            items=self.items,
            on_open=on_open or (TOLD,),
        )
        return await ActivityEnvironment().run(self.calls.act, ask)

    def count(self, name: str, **labels: str) -> float:
        told = {"target": "fabrikam", "project": "Web", **labels}
        return self.metrics.registry.get_sample_value(f"pointsman_process_{name}_total", told) or 0.0


async def test_each_target_hears_once_of_all_that_opened() -> None:
    desk = Desk(items=3)
    called = await desk.act()
    assert (called.told, called.commented, len(called.ask)) == (("team told",), 3, 3)
    ((_, text),) = desk.people.told
    assert all(f"item {number} breaks DONE" in text for number in (1, 2, 3))
    assert await desk.act() == Called()
    assert (len(desk.people.told), desk.tracker.writes.total()) == (1, 3)


async def test_an_attempt_whose_answer_was_lost_comments_no_second_time() -> None:
    desk = Desk(LosesAnswers())
    with pytest.raises(ApplicationError, match="no answer"):
        await desk.act()
    assert (await desk.act()).commented == 1
    assert desk.tracker.writes.total() == 1
    assert [(row.status, row.rev) for row in desk.ledger.kept.values()] == [("written", 2)]


async def test_a_comment_that_is_refused_keeps_nobody_from_hearing() -> None:
    desk = Desk(Refuses())
    assert (await desk.act()).commented == 0
    assert [row.status for row in desk.ledger.kept.values()] == ["abandoned"]
    assert await desk.kept.untold("fabrikam", [1]) == []


async def test_a_flood_is_told_in_one_message_and_comments_on_a_few_items_only() -> None:
    desk = Desk(items=NAMED_MAX + 5)
    called = await desk.act()
    assert (called.commented, len(called.ask)) == (COMMENTS_MAX, QUESTIONS_MAX)
    ((_, text),) = desk.people.told
    assert "- and 5 more: `pointsman process violations --project 'Web'`" in text


async def test_a_violation_below_what_policy_names_is_told_to_nobody() -> None:
    desk = Desk()
    desk.tracker.add(1, System__State="Active")
    desk.tracker.edit(1, System__State="Closed")
    found = await desk.inspect(1)
    assert (found.opened, found.act) == (1, True), "a major one"
    assert await desk.act(OnOpen(severity=CheckSeverity.CRITICAL, notify=("team",))) == Called()
    assert len(await desk.kept.untold("fabrikam", [1])) == 1, "a policy that wants it told may come yet"


async def test_a_project_follows_the_rules_that_policy_names_or_those_of_its_process_or_none() -> None:
    desk = Desk()
    assert (await desk.inspect(1)).process == "ours"
    assert await desk.inspect(1, "App") == Inspected()
    assert await desk.inspect(9) == Inspected(process="ours"), "what cannot be read is not known to break anything"


async def test_whether_an_item_is_there_is_looked_at_whatever_events_tell_in_whichever_order() -> None:
    desk = Desk()
    assert (await desk.inspect(1, gone=True)).opened == 1
    desk.tracker.remove(1)
    assert (await desk.inspect(1)).resolved == 1
    del desk.tracker.items[1]
    assert (await desk.inspect(1)).rev == 0


async def test_an_item_that_has_left_for_a_project_without_rules_breaks_none_whatever_late_events_tell() -> None:
    desk = Desk()
    await desk.inspect(1)
    desk.tracker.edit(1, System__TeamProject="App")
    assert (await desk.inspect(1, "Web")).resolved == 1, "an event of before it moved"


async def test_what_comes_and_goes_is_counted() -> None:
    desk = Desk()
    await desk.inspect(1)
    desk.tracker.edit(1, Microsoft__VSTS__Common__Priority=1)
    await desk.inspect(1)
    of = {"severity": "critical", "practice": "Done means judged"}
    assert (desk.count("violations_opened", **of), desk.count("violations_resolved", **of)) == (1, 1)
    assert (desk.count("findings", outcome="violated"), desk.count("findings", outcome="held")) == (1, 3)
