"""The write of an outcome, attempt by attempt, and what a model may put into a comment."""

import json

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.work_items import WorkItems, comment_html
from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import Publish, Published
from pointsman.contracts.records import Caller, Chain, WriteIntent
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.work_items import Proposal, WorkItemKey
from pointsman.domain.proposals import canonical
from pointsman.ports import Missing, Rejected, Unavailable
from tests.books import MemoryBodies, MemoryContents, MemoryItems, MemoryLedger
from tests.books_sync import memory_sync
from tests.worlds import ACCOUNT, FakeTracker

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=1)
PRIORITY = "Microsoft.VSTS.Common.Priority"
OPERATION = "run/1.1"


class RefusingTracker(FakeTracker):
    """Reads, but does not let us write."""

    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        raise Rejected("TF401320: rule error for field Priority", code="TF401320")


class Desk:
    """The item's activities over fakes, and one write of priority 1."""

    def __init__(self, tracker: FakeTracker | None = None, proposal: Proposal | None = None) -> None:
        self.tracker = tracker or FakeTracker()
        self.tracker.add(1)
        self.proposal = proposal or Proposal(fields={PRIORITY: 1})
        self.contents = MemoryContents()
        self.ledger = MemoryLedger()
        self.sync = memory_sync()
        self.room = WorkItems(self.tracker, self.contents, MemoryItems(), self.ledger, MemoryBodies(), sync=self.sync)

    async def publish(self) -> Published:
        ask = Publish(
            key=KEY,
            tenant="default",
            correlation_id="chain",
            operation=OPERATION,
            proposal=await self.contents.put(canonical(self.proposal)),
            base=await self.contents.put(json.dumps(dict(BASE)).encode()),
            base_rev=1,
            agent="triage",
        )
        return await ActivityEnvironment().run(self.room.publish, ask)

    async def intend(self) -> None:
        """As an attempt did whose process died in the middle."""
        chain = Chain(tenant="default", correlation_id="chain", key=KEY)
        intent = WriteIntent(operation=OPERATION, chain=chain, base_rev=1, values={PRIORITY: 1})
        await self.ledger.intend(intent, Caller(workflow_id="w", run_id="r"))

    @property
    def status(self) -> str:
        return self.ledger.kept[OPERATION].status if OPERATION in self.ledger.kept else ""


def _base() -> dict[str, Json]:
    tracker = FakeTracker()
    tracker.add(1)
    return dict(tracker.items[1].fields)


BASE = _base()


async def test_a_write_leaves_its_revision_in_the_ledger() -> None:
    desk = Desk()
    assert await desk.publish() == Published(status="written", rev=2)
    assert (desk.status, desk.ledger.kept[OPERATION].rev, desk.tracker.writes[1]) == ("written", 2, 1)


async def test_what_an_earlier_attempt_wrote_is_not_written_again() -> None:
    desk = Desk()
    await desk.publish()
    assert await desk.publish() == Published(status="written", rev=2, recovered=True)
    assert desk.tracker.writes[1] == 1


async def test_an_attempt_that_died_before_its_patch_is_made_up_for() -> None:
    desk = Desk()
    await desk.intend()
    assert await desk.publish() == Published(status="written", rev=2)
    assert (desk.status, desk.tracker.writes[1]) == ("written", 1)


async def test_an_attempt_whose_answer_was_lost_is_recognised() -> None:
    desk = Desk()
    lost = iter([Unavailable("connection reset")])

    def lose(key: WorkItemKey) -> None:
        for error in lost:
            raise error

    desk.tracker.after_write = lose
    with pytest.raises(ApplicationError, match="connection reset") as raised:
        await desk.publish()
    assert (raised.value.non_retryable, desk.status) == (False, "intended")
    assert await desk.publish() == Published(status="written", rev=2, recovered=True)
    assert (desk.status, desk.tracker.writes[1]) == ("written", 1)


async def test_somebody_elses_equal_change_is_not_taken_for_ours() -> None:
    desk = Desk()
    await desk.intend()
    desk.tracker.edit(1, Microsoft__VSTS__Common__Priority=1)
    assert await desk.publish() == Published(status="unchanged", rev=2)
    assert desk.tracker.writes[1] == 0


async def test_another_change_by_our_account_is_not_taken_for_the_write() -> None:
    desk = Desk()
    await desk.intend()
    desk.tracker.edit(1, by=ACCOUNT, System__Title="Renamed by a script of ours")
    assert await desk.publish() == Published(status="written", rev=3)


async def test_a_write_that_is_refused_is_given_up_in_the_ledger() -> None:
    desk = Desk(RefusingTracker())
    with pytest.raises(ApplicationError, match="rule error") as raised:
        await desk.publish()
    assert (raised.value.type, raised.value.non_retryable, raised.value.details) == ("Rejected", True, ("TF401320",))
    assert desk.status == "abandoned"


async def test_a_revision_that_moved_is_merged_by_the_next_attempt() -> None:
    desk = Desk()
    titles = iter(["Login fails on Monday"])

    def overtake(key: WorkItemKey) -> None:
        for title in titles:
            desk.tracker.edit(1, System__Title=title)

    desk.tracker.before_write = overtake
    with pytest.raises(ApplicationError, match="revision 1 was overtaken") as raised:
        await desk.publish()
    assert not raised.value.non_retryable
    assert await desk.publish() == Published(status="written", rev=3)
    assert desk.tracker.items[1].fields["System.Title"] == "Login fails on Monday"


async def test_what_is_there_already_is_not_written() -> None:
    desk = Desk(proposal=Proposal(fields={"System.State": "Active"}))
    assert await desk.publish() == Published(status="unchanged", rev=1)
    assert (desk.status, desk.tracker.writes[1]) == ("", 0)


async def test_a_conflict_writes_nothing_and_says_what_stands_against_what() -> None:
    desk = Desk()
    desk.tracker.edit(1, Microsoft__VSTS__Common__Priority=4)
    published = await desk.publish()
    (conflict,) = published.conflicts
    assert (published.status, desk.status, desk.tracker.writes[1]) == ("conflict", "", 0)
    assert (conflict.field, conflict.base, conflict.ours, conflict.theirs) == (PRIORITY, None, 1, 4)


async def test_an_item_that_is_gone_is_not_written() -> None:
    desk = Desk()
    desk.tracker.items.clear()
    with pytest.raises(ApplicationError, match="no item 1") as raised:
        await desk.publish()
    assert (raised.value.type, raised.value.non_retryable) == (Missing.__name__, True)


def test_a_comment_says_who_wrote_it() -> None:
    assert comment_html("Like **#7**.", "triage") == (
        "<p>Like <strong>#7</strong>.</p><p><em>Written by agent triage.</em></p>"
    )


@pytest.mark.parametrize("nothing", ["", " ", "\n\t"])
def test_no_comment_stays_no_comment(nothing: str) -> None:
    assert comment_html(nothing, "triage") == ""


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "[click](javascript:alert(1))",
        '[click](data:text/html,<script>alert(1)</script> "t")',
        "<https://host.invalid/\"onmouseover='x'>",
        "`<b onclick=x>`",
        "```html\n<iframe src=x>\n```",
        "| a |\n| - |\n| <svg onload=x> |",
    ],
)
def test_markup_of_a_model_stays_text(markdown: str) -> None:
    html = comment_html(markdown, "")
    for forbidden in ("<script", "<img", "<iframe", "<svg", "<b ", 'href="javascript:', 'href="data:'):
        assert forbidden not in html.casefold()


def test_a_picture_that_a_model_names_is_not_fetched_by_who_reads_the_item() -> None:
    html = comment_html("![seen](https://host.invalid/?q=what-the-item-says)", "")
    assert "<img" not in html


def test_the_name_of_an_agent_is_text() -> None:
    assert "<i>" not in comment_html("Done.", "<i>triage")
