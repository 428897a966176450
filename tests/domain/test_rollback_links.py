"""Links of ours go again and those that we took away come back; what somebody else moved since stays theirs unless
forced. Comments go where that is asked for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.rollback import RollbackPlan, RollbackScope
from pointsman.contracts.tracker import CommentTold, ItemUpdate, ItemWrite, LinkWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.links import OF_ITEMS
from pointsman.domain.rollback import OPERATION, Known, plan, shown
from pointsman.domain.sync.agreeing import links_of
from pointsman.domain.sync.recognising import BY, COMMENT, HISTORY, linked_by, marked, values_of

US, ADA = "pointsman@fabrikam.example", "ada@fabrikam.example"
KEY = WorkItemKey(organisation="fabrikam", project="Web", id=1)
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TITLE = "System.Title"
RELATED = OF_ITEMS["Related"]


def relation(target: int, kind: str = "Related") -> dict[str, Json]:
    return {"rel": OF_ITEMS[kind], "url": f"https://ado/f/_apis/wit/workItems/{target}", "attributes": {"comment": "c"}}


def write_of_link(one: dict[str, Json]) -> LinkWrite:
    return LinkWrite(rel=str(one["rel"]), url=str(one["url"]))


class Book:
    """An item at revision 1 whose links move none, with its history and our ledger."""

    def __init__(self) -> None:
        self.relations: list[dict[str, Json]] = []
        made: dict[str, tuple[Json, Json]] = {TITLE: (None, "Login fails")}
        self.updates = [ItemUpdate(id=1, rev=1, revised_by=ADA, revised_at=START, changed=made)]
        self.writes: list[WriteRecord] = []
        self.comments: list[CommentTold] = []

    def link(
        self, by: str, added: Sequence[dict[str, Json]] = (), removed: Sequence[dict[str, Json]] = (), write: str = ""
    ) -> None:
        number = len(self.updates) + 1
        self.updates.append(
            ItemUpdate(
                id=number,
                rev=1,
                revised_by=by,
                revised_at=START + timedelta(hours=number),
                links_added=tuple(added),
                links_removed=tuple(removed),
            )
        )
        gone = links_of(removed)
        self.relations = [one for one in self.relations if links_of([one])[0] not in gone] + [*added]
        if write:
            change = ItemWrite(
                links=tuple(write_of_link(one) for one in added), unlinks=tuple(write_of_link(one) for one in removed)
            )
            self.row(write, values_of(change))

    def row(self, operation: str, values: dict[str, Json]) -> None:
        self.writes.append(
            WriteRecord(
                operation=operation,
                key=KEY,
                base_rev=1,
                values=values,
                intended_at=START,
                rev=0 if COMMENT in values else 1,
                status="written",
            )
        )

    def plan(self, *, force: bool = False, comments: bool = False, **scope: object) -> RollbackPlan:
        item = TrackedItem(id=1, rev=1, fields={TITLE: "Login fails"}, relations=tuple(self.relations))
        known = Known(item, self.updates, self.writes, US, comments=self.comments)
        return plan(known, RollbackScope.model_validate(scope), force=force, comments=comments)

    def carry_out(self, found: RollbackPlan, operation: str = f"{OPERATION}1") -> None:
        sides: dict[bool, list[dict[str, Json]]] = {True: [], False: []}
        for one in found.links:
            sides[one.comes_back].append({"rel": one.rel, "url": one.url, "attributes": {}})
        self.link(US, sides[True], sides[False], operation)

    @property
    def there(self) -> set[str]:
        return {name.partition(" ")[2] for name in links_of(self.relations)}


def test_a_link_that_we_added_goes_and_one_that_we_took_away_comes_back() -> None:
    book = Book()
    book.link(ADA, [relation(7)])
    book.link(US, [relation(8)], [relation(7)], "run-1/1.1")
    found = book.plan(write="run-1/1.1")
    assert [(one.link, one.comes_back) for one in found.links] == [("Related 7", True), ("Related 8", False)]
    assert (found.links[0].comment, found.refused, found.back) == ("c", (), ())
    book.carry_out(found)
    assert (book.there, book.plan(write="run-1/1.1").links) == ({"7"}, ())
    back = book.plan(write=f"{OPERATION}1")
    book.carry_out(back, f"{OPERATION}2")
    assert book.there == {"8"}


def test_links_are_taken_back_with_the_turn_and_since_a_moment_or_revision() -> None:
    book = Book()
    book.link(ADA, [relation(6)])
    book.link(US, [relation(7)], write="run-1/1.1")
    book.link(US, [relation(8)], write="run-1/2.2")
    assert [one.link for one in book.plan(turn="run-1/2").links] == ["Related 8"]
    assert [one.link for one in book.plan(turn="run-1").links] == ["Related 7", "Related 8"]
    since = book.plan(moment=START + timedelta(hours=2, minutes=30))
    assert ([one.link for one in since.links], since.refused) == (["Related 7", "Related 8"], ())
    whole = book.plan(rev=1)
    assert [one.field for one in whole.refused] == ["Related 6"]
    assert len(book.plan(rev=1, force=True).links) == 3
    assert book.plan(write="run-1/1.1", fields=(TITLE,)).links == ()


def test_a_link_that_somebody_moved_since_is_refused_with_the_reason() -> None:
    book = Book()
    book.link(US, [relation(7)], write="run-1/1.1")
    book.link(ADA, removed=[relation(7)])
    assert book.plan(write="run-1/1.1").links == (), "it is gone: nothing is left to take back"
    book.link(ADA, [relation(7)])
    found = book.plan(write="run-1/1.1")
    (held,) = found.refused
    assert (held.field, held.reason, held.by) == ("Related 7", f"{ADA} has changed it since, in update 4", ADA)
    assert book.plan(write="run-1/1.1", force=True).refused == ()


def test_our_own_later_write_is_named() -> None:
    book = Book()
    book.link(US, [relation(7)], write="run-1/1.1")
    book.link(US, removed=[relation(7)], write="run-1/2.2")
    book.link(US, [relation(7)], write="run-1/3.3")
    (held,) = book.plan(write="run-1/1.1").refused
    assert held.reason == "our later write run-1/3.3 has changed it since, in update 4"


def test_a_write_in_doubt_takes_no_entry_from_one_that_is_known_to_be_written() -> None:
    book = Book()
    book.row("run-1/1.1", {"+links": [f"{RELATED} 7"]})
    book.writes = [book.writes[0].model_copy(update={"rev": 0, "status": "intended"})]
    book.link(US, [relation(7)], write="run-2/1.1")
    assert [one.link for one in book.plan(write="run-2/1.1").links] == ["Related 7"]
    assert "was not carried out" in book.plan(write="run-1/1.1").refused[0].reason


def test_a_write_of_links_that_no_history_shows_was_not_carried_out() -> None:
    book = Book()
    book.row("run-1/1.1", {"+links": [f"{RELATED} 7"]})
    assert "was not carried out" in book.plan(write="run-1/1.1").refused[0].reason


moves = st.lists(
    st.tuples(st.sampled_from([US, ADA]), st.booleans(), st.integers(7, 9)),
    max_size=8,
)


@given(moves, st.integers(0, 7))
def test_taking_one_write_back_moves_its_links_alone_and_none_that_others_moved_since(
    steps: list[tuple[str, bool, int]], which: int
) -> None:
    book = Book()
    for number, (by, wants, target) in enumerate(steps):
        there = str(target) in book.there
        if wants and not there:
            book.link(by, [relation(target)], write=f"run-1/{number}.1" if by == US else "")
        elif not wants and there:
            book.link(by, removed=[relation(target)], write=f"run-1/{number}.1" if by == US else "")
    if not book.writes:
        return
    write = book.writes[which % len(book.writes)]
    before, found = book.there, book.plan(write=write.operation)
    its = {str(name).partition(" ")[2] for key in ("+links", "+unlinks") for name in _listed(write.values.get(key))}
    at = [one for one in book.updates if one.links_added or one.links_removed][book.writes.index(write) :]
    assert {one.link.rpartition(" ")[2] for one in found.links} <= its
    assert at or not found.links
    if not found.refused:
        book.carry_out(found)
        assert before ^ book.there <= its
        assert book.plan(write=write.operation).links == (), "once"


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


@given(st.integers(0, 3), st.booleans())
def test_a_write_of_a_link_in_doubt_counts_as_made_only_by_an_entry_of_its_own(others: int, carried_out: bool) -> None:
    book = Book()
    for number in range(others):
        book.link(US, [relation(7)], write=f"run-1/{number}.1")
        book.link(ADA, removed=[relation(7)])
    book.row("run-2/1.1", {"+links": [f"{RELATED} 7"]})
    doubtful = book.writes[-1].model_copy(update={"rev": 0, "status": "intended"})
    if carried_out:
        book.link(US, [relation(7)])
    made = linked_by(doubtful, book.updates, US, [*book.writes[:-1], doubtful])
    assert made == (len(book.updates) if carried_out else 0)


def test_an_entry_of_an_earlier_write_with_fields_is_no_proof_of_a_later_one_of_links() -> None:
    """Its revision is the one that the later write was made from."""
    book = Book()
    link: dict[str, Json] = relation(7)
    changed: dict[str, tuple[Json, Json]] = {TITLE: ("Login fails", "Login")}
    made = ItemUpdate(id=2, rev=2, revised_by=US, changed=changed, links_added=(link,))
    first = WriteRecord(
        operation="run/1.1",
        key=KEY,
        base_rev=1,
        values={TITLE: "Login", "+links": [f"{RELATED} 7"]},
        intended_at=START,
        rev=2,
        status="written",
    )
    doubtful = first.model_copy(
        update={"operation": "run/1.2", "base_rev": 2, "values": {"+links": [f"{RELATED} 7"]}, "rev": 0}
    ).model_copy(update={"status": "intended"})
    history = [*book.updates, made, ItemUpdate(id=3, rev=2, revised_by=ADA, links_removed=(link,))]
    assert linked_by(doubtful, history, US, [first, doubtful]) == 0
    again = ItemUpdate(id=4, rev=2, revised_by=US, links_added=(link,))
    assert linked_by(doubtful, [*history, again], US, [first, doubtful]) == 4
    unsent = doubtful.model_copy(update={"operation": "run/1.0", "base_rev": 1})
    assert linked_by(unsent, [*history, again], US, [unsent, first, doubtful]) == 0, "made from another revision"
    page: dict[str, Json] = {"rel": "Hyperlink", "url": "https://x.example"}
    revised = ItemUpdate(id=5, rev=3, revised_by=US, changed={"System.Rev": (2, 3)}, links_added=(page,))
    paged = doubtful.model_copy(update={"values": {"+links": ["Hyperlink https://x.example"]}})
    assert linked_by(paged, [*history, revised], US, [paged]) == 5, "a link that makes a revision"


# Comments


def said(book: Book, number: int, operation: str, text: str, *, edits: int | None = None, by: str = US) -> None:
    html = marked(f"<p>{text}</p>", operation)
    book.row(operation, {HISTORY: html} if edits is None else {HISTORY: html, COMMENT: edits, BY: US})
    book.comments = [one for one in book.comments if one.id != number]
    told = CommentTold(id=number, version=2 if edits else 1, text=html, created_by=US, modified_by=by)
    book.comments.insert(0, told)


def test_a_comment_stays_until_somebody_asks_for_it() -> None:
    book = Book()
    said(book, 5, "run-1/status.3", "Working", edits=0)
    found = book.plan(turn="run-1")
    assert (found.comments, [one.reason[:26] for one in found.kept]) == ((), ["what was said stays said: "])
    (gone,) = book.plan(turn="run-1", comments=True).comments
    assert (gone.id, gone.then) == (5, "")
    assert shown(book.plan(turn="run-1", comments=True)).comments[0].now == "Working"
    book.comments.clear()
    assert book.plan(turn="run-1", comments=True).is_empty


def test_a_comment_that_is_edited_in_place_gets_its_earlier_text_again() -> None:
    book = Book()
    said(book, 5, "run-1/status.3", "Working", edits=0)
    said(book, 5, "run-2/status.3", "Waiting", edits=5)
    (back,) = book.plan(turn="run-2", comments=True).comments
    assert (back.id, "Working" in back.then) == (5, True)
    (held,) = book.plan(turn="run-1", comments=True).refused
    assert (held.field, held.reason) == ("comment 5", "our later write run-2/status.3 has edited it")


@pytest.mark.parametrize("force", [False, True])
def test_a_comment_that_somebody_edited_since_is_theirs_unless_forced(force: bool) -> None:
    book = Book()
    said(book, 5, "run-1/status.3", "Working", edits=0, by=ADA)
    found = book.plan(turn="run-1", comments=True, force=force)
    assert [one.reason for one in found.refused] == ([] if force else [f"{ADA} has edited it since"])
