"""Each layer that tells an echo from news, and what each must not take for one."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pointsman.contracts.base import Json
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.sync import Agreed
from pointsman.contracts.tracker import ItemWrite, LinkWrite
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.deliveries import Heard
from pointsman.domain.sync.agreeing import advanced, read_whole
from pointsman.domain.sync.recognising import (
    HISTORY,
    known_already,
    mark_of,
    marked,
    other_ends,
    own_comment,
    values_of,
    write_of,
)

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=1)
OPERATION = "0199c1d2-7f3a-7c11-b2a4-6d1f0e9a5b77/1.2~3"
LINK = LinkWrite(rel="System.LinkTypes.Related", url="https://dev.azure.com/f/_apis/wit/workItems/7")
NAMED = "System.LinkTypes.Related 7"
AGREED = read_whole(Agreed(key=KEY), 5, {"a": 1, "System.Tags": "x; Y"}, [NAMED])


def write(change: ItemWrite, status: str = "written", rev: int = 6) -> WriteRecord:
    return WriteRecord(
        operation=OPERATION,
        key=KEY,
        base_rev=5,
        values=values_of(change),
        intended_at=datetime.now(UTC),
        rev=rev if status == "written" else 0,
        status=status,
    )


def test_a_comment_carries_its_operation_where_no_reader_sees_it() -> None:
    html = marked("<p>Done.</p>", OPERATION)
    assert mark_of(html) == OPERATION
    assert mark_of("<p>Done.</p>") == marked("", OPERATION) == ""
    assert "--" not in marked("x", "a--b -->c").removeprefix("x<!--").removesuffix("-->")


def test_a_marked_comment_is_ours_however_the_service_rewrote_it() -> None:
    ours = write(ItemWrite(comment=marked("<p>Use &lt;b&gt;</p>", OPERATION)))
    told: dict[str, tuple[Json, Json]] = {HISTORY: (None, marked("<div>Use  bold</div>", OPERATION))}
    assert write_of([ours], 6, told) == ours
    unmarked: dict[str, tuple[Json, Json]] = {HISTORY: (None, "<div>Use bold</div>")}
    assert write_of([ours], 6, unmarked) is None
    assert write_of([ours], 9, told) is None, "another revision is not that write"
    assert write_of([ours], 6, {**told, "a": (1, 2)}) == ours, "in our revision, what we did not write follows from it"


@pytest.mark.parametrize("status", ["written", "intended", "abandoned"])
def test_links_are_known_by_what_they_connect(status: str) -> None:
    ours = write(ItemWrite(links=(LINK,)), status)
    heard = Heard(links_changed=True, links_added=(NAMED,))
    assert write_of([ours], 5, {}, heard) == ours
    assert write_of([ours], 5, {}, replace(heard, links_added=(NAMED, "Related 8"))) is None
    assert write_of([ours], 5, {}, replace(heard, links_removed=(NAMED,))) is None
    assert write_of([write(ItemWrite(fields={"a": 1}))], 5, {}, heard) is None


def test_a_write_of_fields_and_links_is_one_happening() -> None:
    ours = write(ItemWrite(fields={"a": 2}, links=(LINK,)))
    heard = Heard(links_changed=True, links_added=(NAMED,))
    assert write_of([ours], 6, {"a": (1, 2)}, heard) == ours
    assert write_of([ours], 6, {"a": (1, 2)}, replace(heard, links_added=("Related 9",))) is None


@pytest.mark.parametrize("first", [True, False])
def test_of_two_attempts_the_one_that_has_just_these_links_is_meant(first: bool) -> None:
    more = write(ItemWrite(fields={"a": 2}, links=(LINK,)), "intended")
    less = write(ItemWrite(fields={"a": 2}), "intended")
    told: dict[str, tuple[Json, Json]] = {"a": (1, 2)}
    rows = [more, less] if first else [less, more]
    assert write_of(rows, 6, told, Heard(links_changed=True, links_added=(NAMED,))) == more
    assert write_of(rows, 6, told, Heard()) == less


def test_an_edit_of_our_comment_moves_no_revision_and_is_known_by_its_mark() -> None:
    edit = write(ItemWrite(comment=marked("working", OPERATION)))
    edit = edit.model_copy(update={"values": {**edit.values, "+comment": 9}, "rev": 0})
    assert write_of([edit], 30, {HISTORY: (None, marked("working", OPERATION))}) == edit
    assert write_of([edit], 30, {HISTORY: (None, marked("working", OPERATION)), "a": (1, 2)}) is None


def test_a_list_of_tags_takes_the_place_of_all_that_stood() -> None:
    assert values_of(ItemWrite(fields={"System.Tags": "x; y"}))["System.Tags"] == ["x", "y"]
    assert values_of(ItemWrite(tags=("x", "y")))["System.Tags"] == "x; y"


@pytest.mark.parametrize(
    ("changed", "known"),
    [
        ({"a": (0, 1)}, True),
        ({"a": (0, "1")}, True),
        ({"System.Tags": ("", "y; X")}, True),
        ({"a": (0, 2)}, False),
        ({"a": (0, 1), "b": (None, 1)}, False),
        ({"a": (0, 1), HISTORY: (None, "said")}, False),
        ({"System.Rev": (6, 7)}, False),
    ],
)
def test_what_both_sides_agree_on_is_no_news(changed: dict[str, tuple[Json, Json]], known: bool) -> None:
    assert bool(known_already(AGREED, Heard(), 7, changed)) is known


def test_what_an_earlier_attempt_took_in_is_news_still() -> None:
    taken = advanced(AGREED, 7, {"a": 2})
    assert not known_already(taken, Heard(), 7, {"a": (1, 2)})
    assert known_already(taken, Heard(), 8, {"a": (1, 2)})
    linked = advanced(AGREED, 5, {}, links=[NAMED, "Related 8"], link_update=12)
    heard = Heard(links_changed=True, links_added=("Related 8",), update_id=12)
    assert not known_already(linked, heard, 5, {})
    assert known_already(linked, replace(heard, update_id=13), 5, {})


def test_an_older_event_says_nothing_that_a_later_one_has_not_overtaken() -> None:
    later = advanced(AGREED, 9, {"a": 3})
    assert known_already(later, Heard(), 8, {"a": (1, 2)}) == "later revisions than 8 are taken into account"
    assert not known_already(later, Heard(), 8, {"a": (1, 2), "b": (None, 1)})
    assert not known_already(None, Heard(), 8, {"a": (1, 2)})


@pytest.mark.parametrize(("comment_id", "version", "ours"), [(9, 2, True), (9, 3, False), (8, 1, False), (0, 0, False)])
def test_a_version_of_our_own_comment_that_we_know_is_ours(comment_id: int, version: int, ours: bool) -> None:
    agreed = AGREED.model_copy(update={"own_comments": (9,), "comments": {9: 2}})
    assert own_comment(agreed, Heard(comment_id=comment_id, comment_version=version)) is ours
    assert not own_comment(None, Heard(comment_id=comment_id, comment_version=version))


def test_links_that_we_take_away_are_known_as_those_that_we_add_are() -> None:
    ours = write(ItemWrite(unlinks=(LINK,)))
    gone = Heard(links_changed=True, links_removed=(NAMED,))
    assert write_of([ours], 5, {}, gone) == ours
    assert write_of([ours], 5, {}, Heard(links_changed=True, links_added=(NAMED,))) is None
    assert write_of([write(ItemWrite(links=(LINK,)))], 5, {}, gone) is None


def test_a_write_of_links_alone_stands_in_no_revision_s_way() -> None:
    """It has the number of a revision that somebody else made, or another write of ours."""
    linking, doubtful = write(ItemWrite(links=(LINK,)), rev=6), write(ItemWrite(fields={"a": 2}), "intended")
    assert write_of([doubtful, linking], 6, {"a": (1, 2)}) == doubtful
    assert write_of([linking], 6, {"a": (1, 2)}) is None


def test_a_late_event_of_a_link_settles_no_later_write_that_is_in_doubt() -> None:
    heard = Heard(links_changed=True, links_added=(NAMED,))
    known, doubtful = write(ItemWrite(links=(LINK,))), write(ItemWrite(links=(LINK,)), "intended")
    assert write_of([known, doubtful], 5, {}, heard) == known
    assert write_of([doubtful], 5, {}, heard) == doubtful


def test_the_other_end_of_a_link_names_the_item_and_how_it_is_seen_from_there() -> None:
    parent, child = "System.LinkTypes.Hierarchy-Reverse", "System.LinkTypes.Hierarchy-Forward"
    heard = Heard(item_id=1, links_added=(f"{parent} 7", NAMED), links_removed=(f"{child} 8",))
    assert other_ends(heard) == {
        7: (frozenset({f"{child} 1", "System.LinkTypes.Related 1"}), frozenset()),
        8: (frozenset(), frozenset({f"{parent} 1"})),
    }
    assert other_ends(Heard(item_id=1, links_added=(NAMED, "Hyperlink https://x.example"))) == {}
