"""How an item stands on both sides: told from one line each, and from its history only where those differ."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.policy import Match, Policy, ScopeRule
from pointsman.contracts.reconciliation import (
    Compared,
    OurItem,
    ReconcileTally,
    SyncStanding,
    TheirItem,
    Tombstone,
)
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.recovery import CommentVersionTold
from pointsman.contracts.tracker import ItemUpdate
from pointsman.contracts.work_items import EventKind, WorkItemKey, WorkItemState
from pointsman.domain.reconciliation import (
    TEXTS,
    Settled,
    after_look,
    compare,
    fields_asked,
    gone,
    has_gap,
    is_over,
    settled_writes,
    to_settle,
    window,
)
from pointsman.domain.reconciliation_tally import FINDINGS_MAX, counted
from pointsman.domain.recovery import Missed
from pointsman.domain.sync.recognising import marked

US = "pointsman@fabrikam.example"
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTES = timedelta(minutes=10)
POLICY = Policy(version="1", scope=(ScopeRule(name="bugs", match=Match(types=("Bug",))),))
KEY = WorkItemKey(organisation="fabrikam", project="Web", id=7)
WRITE = WriteRecord(operation="op-1", key=KEY, base_rev=2, values={"System.Title": "B"}, intended_at=NOW)


def theirs(kind: str = "Bug", rev: int = 3, changed_at: datetime = NOW, **more: object) -> TheirItem:
    fields = {"System.WorkItemType": kind, "System.Title": "A", "System.Tags": "web; slow"}
    told = {"id": 7, "rev": rev, "project": "Web", "changed_at": changed_at, "fields": fields, **more}
    return TheirItem.model_validate(told)


def ours(**more: object) -> OurItem:
    told = {"id": 7, "project": "Web", "state": WorkItemState.DONE, "rev": 3, "heard": 1, **more}
    return OurItem.model_validate(told)


STRANGER = {"state": None, "rev": 0, "heard": 0, "project": ""}
STONE = Tombstone(since=NOW - timedelta(days=3))


@pytest.mark.parametrize(
    ("there", "here", "standing", "look"),
    [
        (theirs(), ours(), "equal", False),
        (theirs(rev=4), ours(), "lost", True),
        (theirs(rev=4), ours(agreed_rev=4, agreed=theirs().fields), "equal", False),
        (theirs(), ours(gap=True), "lost", True),
        (theirs(rev=2), ours(), "conflicting", False),
        (theirs(), ours(agreed_rev=3, agreed={"System.Title": "B"}), "conflicting", True),
        (
            theirs(),
            ours(agreed_rev=3, agreed={**theirs().fields, "System.Tags": "slow; WEB"}),
            "equal",
            False,
        ),
        (theirs(), ours(agreed_rev=2, agreed={"System.Title": "B"}), "equal", False),
        (theirs("Task"), ours(), "abandoned", False),
        (theirs(), ours(conflicts=("CON-1",), pending=1), "conflicting", False),
        (theirs(), ours(dead=1), "lost", False),
        (theirs(), ours(pending=1), "pending", False),
        (theirs(rev=4), ours(pending=1), "pending", False),
        (theirs(), ours(state=WorkItemState.WAITING), "pending", False),
        (theirs(rev=4), ours(state=WorkItemState.WAITING), "pending", True),
        (theirs(), ours(in_doubt=(WRITE,)), "pending", True),
        (theirs(), ours(tombstone=STONE), "lost", True),
        (theirs(), ours(tombstone=STONE.model_copy(update={"cleared_at": NOW})), "equal", False),
        (theirs("Task"), ours(**STRANGER), "foreign", False),
        (theirs(), ours(**STRANGER), "lost", True),
        (theirs(changed_at=NOW - timedelta(days=2)), ours(**STRANGER), "unheard", False),
        (theirs(), ours(**{**STRANGER, "pending": 1, "heard": 1}), "pending", False),
        (theirs(), ours(**{**STRANGER, "dead": 1, "heard": 1}), "lost", False),
    ],
)
def test_one_line_of_each_side_tells_how_an_item_stands(
    there: TheirItem, here: OurItem, standing: str, look: bool
) -> None:
    told = compare(POLICY, "fabrikam", there, here, NOW - timedelta(days=1))
    assert (told.standing, told.look) == (standing, look)


def missed(minutes: float | None) -> Missed:
    at = None if minutes is None else NOW - timedelta(minutes=minutes)
    return Missed(EventKind.UPDATED, "k", 4, at)


@pytest.mark.parametrize(
    ("here", "never_came", "standing"),
    [
        (ours(), [missed(60)], "lost"),
        (ours(), [missed(1)], "pending"),
        (ours(), [missed(60), missed(1)], "lost"),
        (ours(), [missed(None)], "lost"),
        (ours(), [missed(None), missed(1)], "lost"),
        (ours(), [], "equal"),
        (ours(gap=True), [], "equal"),
        (ours(agreed_rev=4, agreed={"System.Title": "B"}), [], "conflicting"),
        (ours(state=WorkItemState.WORKING), [], "pending"),
        (ours(**STRANGER), [], "unheard"),
        (ours(**{**STRANGER, "pending": 1}), [], "pending"),
    ],
)
def test_the_history_tells_what_never_came(here: OurItem, never_came: list[Missed], standing: str) -> None:
    told = after_look(POLICY, "fabrikam", theirs(rev=4), here, never_came, NOW, MINUTES)
    if standing == "lost" and any(one.at is None for one in never_came) and len(never_came) == 2:
        standing = "pending"  # a change of links does not say when it was: it counts as old as what came with it
    assert told.standing == standing


@pytest.mark.parametrize(
    ("found", "here", "standing", "look"),
    [
        (None, ours(), "hidden", False),
        (theirs(deleted=True), ours(), "deleted", True),
        (theirs(deleted=True), ours(tombstone=STONE), "deleted", False),
        (theirs(deleted=True), ours(tombstone=STONE.model_copy(update={"cleared_at": NOW})), "deleted", True),
        (theirs(project="Shop"), ours(), "moved", False),
        (theirs(project="Shop", rev=4), ours(), "moved", True),
        (theirs(project="Shop", rev=4), ours(pending=1), "moved", False),
        (theirs(project="web"), ours(), "pending", False),
    ],
)
def test_what_a_project_no_longer_has_is_elsewhere_in_the_bin_or_hidden(
    found: TheirItem | None, here: OurItem, standing: str, look: bool
) -> None:
    told = gone(here, found, "Web")
    assert (told.standing, told.look) == (standing, look)


def test_a_tombstone_is_looked_after_until_its_grace_is_over() -> None:
    assert not is_over(ours(tombstone=STONE), NOW, timedelta(days=4))
    assert is_over(ours(tombstone=STONE), NOW, timedelta(days=3))
    assert not is_over(ours(tombstone=STONE.model_copy(update={"cleared_at": NOW})), NOW, timedelta(days=3))
    assert not is_over(ours(), NOW, timedelta())


def tells(settled: Sequence[Settled]) -> list[tuple[bool, int]]:
    return [(one.is_written, one.rev) for one in settled]


@pytest.mark.parametrize(
    ("state", "passed", "left"),
    [
        (WorkItemState.DONE, MINUTES * 2, False),
        (WorkItemState.WAITING, MINUTES * 2, False),
        (None, MINUTES * 2, False),
        (WorkItemState.PUBLISHING, MINUTES * 2, True),
        (WorkItemState.DONE, MINUTES, True),
    ],
)
def test_a_write_in_doubt_is_left_alone_while_somebody_may_be_at_it(
    state: WorkItemState | None, passed: timedelta, *, left: bool
) -> None:
    found = to_settle(ours(in_doubt=(WRITE,), state=state), NOW + passed, MINUTES)
    assert found == ([] if left else [WRITE])


def test_a_write_in_doubt_is_settled_by_the_history() -> None:
    made = ItemUpdate(id=3, rev=3, revised_by=US, changed={"System.Title": ("A", "B")})
    assert tells(settled_writes([WRITE], [made], US)) == [(True, 3)]
    assert tells(settled_writes([WRITE], [], US)) == [(False, 0)]


def test_a_write_of_links_in_doubt_is_settled_by_the_history_of_links() -> None:
    linked = WRITE.model_copy(update={"values": {"+links": ["System.LinkTypes.Related 9"]}})
    relation: dict[str, Json] = {"rel": "System.LinkTypes.Related", "url": "https://x.example/_apis/wit/workItems/9"}
    made = ItemUpdate(id=4, rev=2, revised_by=US, links_added=(relation,))
    assert tells(settled_writes([linked], [made], US, [linked])) == [(True, 2)]
    assert tells(settled_writes([linked], [], US, [linked])) == [(False, 0)]
    before = linked.model_copy(update={"operation": "op-0", "status": "written", "rev": 2})
    assert tells(settled_writes([linked], [made], US, [before, linked])) == [(False, 0)], "that was another's"


def comment(text: str, version: int = 1, *, is_deleted: bool = False) -> CommentVersionTold:
    return CommentVersionTold(comment_id=5, version=version, text=text, is_deleted=is_deleted)


NEW, OLD, OTHER = (
    marked(f"<p>{says}</p>", f"op-{number}") for number, says in ((1, "Working"), (0, "Waits"), (2, "Ends"))
)


@pytest.mark.parametrize(
    ("wanted", "comment_id", "said", "written"),
    [
        (NEW, 0, [comment(NEW)], True),
        (NEW, 0, [comment("<p>Working</p>")], True),  # the service took the mark out
        (NEW, 5, [comment(OLD), comment(NEW, 2), comment("<p>Mine</p>", 3)], True),
        (NEW, 5, [comment(OLD)], False),
        (NEW, 0, [], False),
        (NEW, 0, [comment("", is_deleted=True)], None),
        (OLD, 5, [comment(OLD), comment(OTHER, 2), comment(OLD, 3)], True),
        (OLD, 5, [comment(OLD), comment(OTHER, 2)], None),  # that it said so before proves nothing
        ("", 5, [comment(OLD), comment("", 2, is_deleted=True)], True),
        ("", 5, [comment(OLD)], False),
        ("", 6, [comment(OLD)], None),
    ],
)
def test_what_was_said_is_settled_by_the_versions_of_comments(
    wanted: str, comment_id: int, said: list[CommentVersionTold], written: bool | None
) -> None:
    write = WRITE.model_copy(update={"values": {"System.History": wanted, "+comment": comment_id}})
    found = settled_writes([write], [], US, [write], said)
    assert [one.is_written for one in found] == ([] if written is None else [written])


@pytest.mark.parametrize(
    ("keys", "gap"),
    [
        ([], False),
        (["created:fabrikam:7"], False),
        (["created:fabrikam:7", "updated:fabrikam:7:2", "updated:fabrikam:7:3"], False),
        (["updated:fabrikam:7:12", "updated:fabrikam:7:13"], False),
        (["created:fabrikam:7", "updated:fabrikam:7:3"], True),
        (["updated:fabrikam:7:5", "commented:fabrikam:7:1:1", "updated:fabrikam:7:7"], True),
        (["deleted:fabrikam:7:3", "event:fabrikam:0b1c"], False),
    ],
)
def test_updates_that_came_tell_by_their_numbers_that_one_between_them_did_not(keys: list[str], gap: bool) -> None:
    assert has_gap(keys) is gap


def test_findings_are_those_that_somebody_may_want_to_see_up_to_a_limit() -> None:
    tally = ReconcileTally()
    lost = Compared(standing=SyncStanding.LOST, reason="1 events never came")
    for number in range(FINDINGS_MAX + 5):
        tally = counted(tally, number, lost)
    tally = counted(tally, 900, Compared(standing=SyncStanding.EQUAL))
    tally = counted(tally, 901, lost, repaired=True)
    assert (tally.items, tally.counts) == (FINDINGS_MAX + 7, {"lost": FINDINGS_MAX + 6, "equal": 1})
    assert (len(tally.findings), tally.trouble) == (FINDINGS_MAX, FINDINGS_MAX + 5)


def test_long_texts_are_read_only_where_a_rule_looks_at_them() -> None:
    assert set(TEXTS).isdisjoint(fields_asked(POLICY))
    worded = Policy(version="1", scope=(ScopeRule(name="urgent", match=Match(text=("urgent",))),))
    assert set(TEXTS) <= set(fields_asked(worded))


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)), st.integers(1, 7))
def test_two_lists_are_gone_through_side_by_side_each_id_once(there: set[int], here: set[int], limit: int) -> None:
    seen_there: list[int] = []
    seen_here: list[int] = []
    after = 0
    while True:
        first, second = (sorted(one for one in side if one > after)[:limit] for side in (there, here))
        left, right, end = window(first, second, limit)
        assert len(left) <= limit
        assert len(right) <= limit
        assert all(one > after for one in [*left, *right])
        assert not end or all(one <= end for one in [*left, *right])
        seen_there += left
        seen_here += right
        if not end:
            break
        assert end > after
        after = end
    assert seen_there == sorted(there)
    assert seen_here == sorted(here)
