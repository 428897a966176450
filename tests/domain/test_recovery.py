"""Whatever is lost of an item's history is found, once, and comes as the delivery that it would have been."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.events import WorkItemTold
from pointsman.contracts.recovery import CommentVersionTold, Containers, Snapshot, UpdateTold
from pointsman.contracts.work_items import EventKind
from pointsman.domain import recovery
from pointsman.domain.deliveries import read_bytes
from pointsman.domain.events.reading import parse_bytes
from pointsman.domain.recovery import Listened, Missed

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
WHERE = Containers(base_url="https://dev.azure.com/fabrikam", project_id="0c9e")
STEPS = ("edit", "link", "comment", "edit_comment", "delete_comment", "delete", "restore")


@dataclass
class Item:
    """An item's history as the service keeps it: links make no revision, all else does."""

    updates: list[UpdateTold] = field(default_factory=list)
    comments: list[CommentVersionTold] = field(default_factory=list)
    rev: int = 0
    deleted: bool = False
    pace: timedelta = timedelta(minutes=1)
    """Between two entries."""

    def save(self, **changes: Json) -> None:
        self.rev += 1
        at = self._at()
        fields: dict[str, Json] = {name.replace("__", "."): {"newValue": value} for name, value in changes.items()}
        fields["System.ChangedDate"] = {"newValue": at.isoformat()}
        self._add(at, {"fields": fields})

    def link(self) -> None:
        self._add(None, {"relations": {"added": [{"rel": "System.LinkTypes.Related", "url": "https://x/9"}]}})

    def say(self, comment_id: int, version: int, text: str, *, is_deleted: bool = False) -> None:
        count = len({one.comment_id for one in self.comments}) + 1
        self.save(**({"System__CommentCount": count} if is_deleted else {"System__History": text}))
        at = self.updates[-1].at
        told = CommentVersionTold(comment_id=comment_id, version=version, text=text, at=at, is_deleted=is_deleted)
        self.comments.append(told)

    def put_away(self, deleted: bool) -> None:
        self.deleted = deleted
        self.rev += 1
        side = "newValue" if deleted else "oldValue"
        at = self._at()
        self._add(at, {"fields": {"System.IsDeleted": {side: True}, "System.ChangedDate": {"newValue": str(at)}}})

    def _at(self) -> datetime:
        return START + self.pace * len(self.updates)

    def _add(self, at: datetime | None, resource: dict[str, Json]) -> None:
        number = len(self.updates) + 1
        told: dict[str, Json] = {"id": number, "workItemId": 7, "rev": self.rev, **resource}
        if self.updates:
            self.updates[-1] = self.updates[-1].model_copy(update={"until": self._at()})
        self.updates.append(UpdateTold(id=number, rev=self.rev, at=at, resource=told))


def history(steps: Sequence[str], pace: timedelta = timedelta(minutes=1)) -> Item:
    """Steps that make no sense where they stand are passed over."""
    item = Item(pace=pace)
    item.save(System__Title="Basket is empty", System__TeamProject="Web")
    for step in steps:
        last = {one.comment_id: one for one in item.comments}
        open_comments = [one for one in last.values() if not one.is_deleted]
        if step == "restore" and item.deleted:
            item.put_away(False)
        elif item.deleted or step == "restore":
            continue
        elif step == "delete":
            item.put_away(True)
        elif step == "edit":
            item.save(System__Title=f"Basket {item.rev}")
        elif step == "link":
            item.link()
        elif step == "comment":
            item.say(100 + len(last), 1, f"<p>said {item.rev}</p>")
        elif open_comments:
            one = open_comments[-1]
            gone = step == "delete_comment"
            item.say(one.comment_id, one.version + 1, "" if gone else f"<p>{item.rev}</p>", is_deleted=gone)
    return item


def all_of(item: Item, keys: Sequence[str] = (), floor: datetime | None = None) -> tuple[Missed, ...]:
    return recovery.missing(Listened("fabrikam", 7, frozenset(keys), floor), item.updates, item.comments).missed


def body(missed: Missed, fields: dict[str, Json] | None = None) -> bytes:
    snapshot = Snapshot(rev=missed.rev, fields=fields or {"System.TeamProject": "Web", "System.Rev": missed.rev})
    return recovery.body_of(missed, Listened("fabrikam", 7), snapshot, WHERE)


PACES = st.sampled_from([timedelta(minutes=1), timedelta(milliseconds=300)])
HISTORIES = st.builds(history, st.lists(st.sampled_from(STEPS), max_size=25), PACES)


@given(HISTORIES, st.data())
def test_what_is_not_there_comes_back_and_nothing_else(item: Item, data: st.DataObject) -> None:
    everything = {one.key for one in all_of(item)}
    heard = data.draw(st.sets(st.sampled_from(sorted(everything))))
    missed = [one.key for one in all_of(item, sorted(heard))]
    assert len(missed) == len(set(missed))
    assert set(missed) | heard == everything
    assert set(missed) & heard == set()
    assert all_of(item, sorted(everything)) == ()


@given(HISTORIES)
def test_every_update_and_every_version_of_a_comment_is_told(item: Item) -> None:
    found = all_of(item)
    assert [one.update.id for one in found if one.update and one.kind is not EventKind.COMMENTED] == [
        update.id for update in item.updates
    ]
    told = {(one.comment.comment_id, one.comment.version) for one in found if one.comment}
    assert told == {(one.comment_id, one.version) for one in item.comments}
    said = {one.comment.comment_id for one in found if one.kind is EventKind.COMMENTED and one.comment}
    assert said == {one.comment_id for one in item.comments}


@given(HISTORIES)
def test_a_recovered_delivery_is_heard_as_the_real_one(item: Item) -> None:
    for one in all_of(item):
        heard = read_bytes(body(one))
        assert (heard.kind, heard.idempotency_key, heard.item_id) == (one.kind, one.key, 7)
        assert (heard.organisation, heard.project, heard.rev) == ("fabrikam", "Web", one.rev)
        if one.kind is EventKind.UPDATED and one.comment:
            assert (heard.comment_id, heard.comment_version) == (one.comment.comment_id, one.comment.version)


@given(HISTORIES, st.integers(0, 25), st.data())
def test_entries_before_the_front_need_not_be_read(item: Item, count: int, data: st.DataObject) -> None:
    everything = sorted(one.key for one in all_of(item))
    keys = [one.key for one in all_of(item) if one.update and one.update.id <= count]
    keys += data.draw(st.lists(st.sampled_from(everything)))
    skip = recovery.front(keys, "fabrikam", 7)
    listened = Listened("fabrikam", 7, frozenset(keys), floor=START)
    assert {one.key for one in recovery.missing(listened, item.updates[skip:], item.comments).missed} == {
        one.key for one in all_of(item, keys)
    }


def test_of_edits_within_a_breath_each_is_told_by_its_own_entry() -> None:
    item = history(["comment", "edit_comment", "edit_comment"], timedelta(milliseconds=300))
    keys = frozenset(one.key for one in all_of(item))
    later = recovery.missing(Listened("fabrikam", 7, keys, floor=START), item.updates[3:], item.comments)
    assert later.missed == (), "the entry of the first edit was not read, and the second is told by its own"


def test_what_happened_before_we_listened_is_not_missed() -> None:
    item = history(["edit", "link", "comment", "edit"])
    found = all_of(item, floor=START + timedelta(minutes=2))
    assert [(one.kind, one.update.id) for one in found if one.update] == [
        ("updated", 3),  # a change of links does not say when: the entry before it does
        ("updated", 4),
        ("commented", 4),
        ("updated", 5),
    ]
    later = START + timedelta(days=1)
    assert all_of(item, floor=later) == ()


def test_gaps_behind_the_first_that_was_heard_are_missed_however_old() -> None:
    item = history(["edit", "link", "edit", "edit"])
    heard = ["updated:fabrikam:7:2", "updated:fabrikam:7:4"]
    found = all_of(item, heard, floor=START + timedelta(days=1))
    assert [one.key for one in found] == ["updated:fabrikam:7:3", "updated:fabrikam:7:5"]


def test_the_streams_word_counts_for_more_than_a_date_that_was_set_by_hand() -> None:
    item = history(["edit", "edit"])
    listened = Listened("fabrikam", 7, floor=START + timedelta(days=1), streamed_rev=2)
    assert [one.rev for one in recovery.missing(listened, item.updates).missed] == [2, 3]


def test_what_came_in_the_second_before_the_floor_is_as_old_as_its_date_says() -> None:
    item = history(["edit"])
    at = item.updates[1].at
    assert at is not None
    listened = Listened("fabrikam", 7, floor=at + timedelta(milliseconds=400), streamed_rev=2)
    assert recovery.missing(listened, item.updates).missed == ()
    assert [one.rev for one in recovery.missing(replace(listened, floor=at), item.updates).missed] == [2]


def test_a_version_that_no_entry_tells_of_comes_as_an_event_of_its_own() -> None:
    item = history(["comment"])
    at = START + timedelta(hours=1)
    silent = CommentVersionTold(comment_id=100, version=2, text="<p>better</p>", at=at)
    item.comments.append(silent)
    (loose,) = [one for one in all_of(item) if one.update is None]
    assert (loose.kind, loose.key, loose.rev) == ("commented", "commented:fabrikam:7:100:2", 2)
    event = parse_bytes(body(loose))
    assert isinstance(event, WorkItemTold)
    assert (event.comment, event.comment_id, event.comment_version) == ("<p>better</p>", 100, 2)
    keys = [one.key for one in all_of(item)]
    assert all_of(item, keys) == ()


def test_a_deletion_is_told_once_by_the_stream_alone() -> None:
    before = Snapshot(rev=2, fields={"System.TeamProject": "Web"})
    gone = Snapshot(rev=3, fields={"System.TeamProject": "Web", "System.IsDeleted": True})
    listened = Listened("fabrikam", 7)
    ((missed, snapshot),) = recovery.deletion_of(listened, [before, gone])
    heard = read_bytes(recovery.body_of(missed, listened, snapshot, WHERE))
    assert (heard.kind, heard.idempotency_key) == ("deleted", "deleted:fabrikam:7:3")
    known = Listened("fabrikam", 7, {"deleted:fabrikam:7:3"})
    assert list(recovery.deletion_of(known, [before, gone])) == []


def test_an_item_is_shown_as_it_was_then() -> None:
    snapshots = [Snapshot(rev=rev, fields={"System.Rev": rev}) for rev in (2, 3, 5)]
    missed = [Missed(EventKind.UPDATED, "k", rev, None) for rev in (1, 3, 4, 9)]
    assert [recovery.snapshot_for(one, snapshots).rev for one in missed] == [2, 3, 3, 5]
    assert recovery.snapshot_for(missed[0], []).rev == 1


def test_a_delivery_has_the_same_id_each_time_and_another_for_each_tenant() -> None:
    first = recovery.delivery_id("a", "updated:fabrikam:7:2")
    assert first == recovery.delivery_id("a", "updated:fabrikam:7:2")
    assert first != recovery.delivery_id("b", "updated:fabrikam:7:2")
