"""Three ways to one value: nobody's change is overwritten, nothing is written twice, no conflict is invented."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import FieldConflict, Publish
from pointsman.contracts.sync import Agreed, FieldStrategy, SyncPolicy
from pointsman.contracts.tracker import ItemUpdate
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.echoes import equal, tags_of
from pointsman.domain.sync.kinds import STATE, TAGS
from pointsman.domain.sync.merging import Around, asks_when, base_of, changed_at, merge, unsure, values_at

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=1)
few = settings(max_examples=40)  # each law has many forms here, and there are many laws

# Few values, so that equal ones are common.
some: st.SearchStrategy[Json] = st.sampled_from([None, "", "a", "b", 1, "1", 2, {"uniqueName": "a@x"}, "Ada <a@x>"])
fields = st.dictionaries(st.sampled_from(["f", "g", "h"]), some)
tag_lists = st.lists(st.sampled_from(["crane", "Noon", "NOON", "x"]), max_size=3)


def wins(strategy: FieldStrategy) -> SyncPolicy:
    """One strategy for every field."""
    return SyncPolicy(kinds={}, default=strategy)


policies = st.sampled_from(FieldStrategy).map(wins)


@few
@given(fields, fields, fields, policies)
def test_a_field_is_written_or_in_conflict_or_left_never_two_of_these(
    base: dict[str, Json], ours: dict[str, Json], theirs: dict[str, Json], policy: SyncPolicy
) -> None:
    merged = merge(base, ours, theirs, policy=policy)
    conflicts = {one.field for one in merged.conflicts}
    assert not conflicts & merged.fields.keys()
    assert conflicts | merged.fields.keys() <= ours.keys()
    assert {one.field for one in merged.settled} | conflicts <= ours.keys()


@few
@given(fields, fields, fields, policies)
def test_only_where_both_changed_differently_is_anything_to_settle(
    base: dict[str, Json], ours: dict[str, Json], theirs: dict[str, Json], policy: SyncPolicy
) -> None:
    merged = merge(base, ours, theirs, policy=policy)
    for one in (*merged.conflicts, *merged.settled):
        was, mine, here = base.get(one.field), ours[one.field], theirs.get(one.field)
        assert (one.base, one.ours, one.theirs) == (was, mine, here)
        assert not any(equal(*pair) for pair in ((here, was), (mine, was), (mine, here)))


@few
@given(fields, fields, fields)
def test_one_side_wins_for_itself_what_the_other_would_win_for_it(
    base: dict[str, Json], ours: dict[str, Json], theirs: dict[str, Json]
) -> None:
    local = merge(base, ours, theirs, policy=wins(FieldStrategy.LOCAL_WINS))
    remote = merge(base, theirs, {**base, **ours}, policy=wins(FieldStrategy.REMOTE_WINS))
    assert local.conflicts == remote.conflicts == ()
    for one in local.settled:
        assert one.outcome == "ours"
        assert equal(local.fields.get(one.field, one.theirs), ours[one.field])
    assert {one.outcome for one in remote.settled} <= {"theirs"}
    assert {one.field for one in local.settled} >= {one.field for one in remote.settled if one.field in ours}


@few
@given(fields, fields, fields, policies)
def test_what_was_merged_is_merged_again_into_the_same(
    base: dict[str, Json], ours: dict[str, Json], theirs: dict[str, Json], policy: SyncPolicy
) -> None:
    once = merge(base, ours, theirs, policy=policy)
    after = {**theirs, **once.fields}
    again = merge(after, {name: after.get(name) for name in ours}, after, policy=policy)
    assert (again.fields, again.conflicts, again.settled) == ({}, (), ())


@few
@given(tag_lists, tag_lists, tag_lists)
def test_a_union_of_tags_has_what_either_added_and_lacks_what_either_removed(
    base: list[str], ours: list[str], theirs: list[str]
) -> None:
    was, mine, other = ("; ".join(names) for names in (base, ours, theirs))
    merged = merge({TAGS: was}, {TAGS: mine}, {TAGS: other})
    result = tags_of(merged.fields.get(TAGS, other))
    assert merged.conflicts == ()
    if any(one.field == TAGS for one in merged.settled):
        assert result == (tags_of(mine) | tags_of(other)) - (tags_of(was) - tags_of(mine)) - (
            tags_of(was) - tags_of(other)
        )
        mirrored = merge({TAGS: was}, {TAGS: other}, {TAGS: mine})
        assert tags_of(mirrored.fields.get(TAGS, mine)) == result


@pytest.mark.parametrize(("hour", "stands"), [(9, "theirs"), (11, "ours"), (10, "theirs")])
def test_the_later_of_two_changes_stands_and_of_two_at_once_the_one_that_is_there(hour: int, stands: str) -> None:
    ten = datetime(2026, 11, 20, 10, tzinfo=UTC)
    around = Around(ours_at=datetime(2026, 11, 20, hour, tzinfo=UTC), theirs_at={"f": ten})
    theirs: dict[str, Json] = {"f": "theirs", "System.ChangedDate": "2026-11-20T23:00:00Z"}
    merged = merge({"f": "base"}, {"f": "ours"}, theirs, policy=wins(FieldStrategy.NEWEST), around=around)
    assert ([one.outcome for one in merged.settled], merged.fields.get("f", "theirs")) == ([stands], stands)


def test_when_nobody_knows_which_is_newer_a_human_decides() -> None:
    theirs: dict[str, Json] = {"f": "theirs", "System.ChangedDate": "2026-11-20T10:00:00Z"}
    around = Around(ours_at=datetime(2026, 11, 20, 11, tzinfo=UTC))
    merged = merge({"f": "base"}, {"f": "ours"}, theirs, policy=wins(FieldStrategy.NEWEST), around=around)
    assert [one.reason for one in merged.conflicts] == ["nobody knows which was meant later"]


@given(st.lists(st.tuples(st.sampled_from(["f", "g"]), st.integers(0, 23) | st.none()), min_size=1), st.integers(0, 23))
def test_the_newest_change_is_told_by_the_entry_that_made_it_and_no_other(
    entries: list[tuple[str, int | None]], ours: int
) -> None:
    day = datetime(2026, 11, 20, tzinfo=UTC)
    updates = [
        ItemUpdate(
            id=number,
            rev=number,
            revised_at=None if hour is None else day + timedelta(hours=hour),
            changed={name: (None, number)},
        )
        for number, (name, hour) in enumerate(entries, 1)
    ]
    around = Around(ours_at=day + timedelta(hours=ours), theirs_at=changed_at(updates))
    merged = merge({"f": "base"}, {"f": "ours"}, {"f": "theirs"}, policy=wins(FieldStrategy.NEWEST), around=around)
    last = [hour for name, hour in entries if name == "f"][-1:]
    if last in ([], [None]):
        assert merged.conflicts, "nobody knows when"
    else:
        assert merged.fields == ({"f": "ours"} if ours > int(str(last[0])) else {})


@pytest.mark.parametrize(
    ("strategy", "theirs", "wanted"),
    [
        (FieldStrategy.NEWEST, "theirs", True),
        (FieldStrategy.NEWEST, "base", False),
        (FieldStrategy.NEWEST, "ours", False),
        (FieldStrategy.REMOTE_WINS, "theirs", False),
    ],
)
def test_the_history_is_read_only_where_both_changed_and_the_newest_counts(
    strategy: FieldStrategy, theirs: str, wanted: bool
) -> None:
    assert asks_when({"f": "base"}, {"f": "ours"}, {"f": theirs}, wins(strategy)) is wanted


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ({"Active": ["Resolved", "Closed"]}, ""),
        ({"Active": ["Closed"]}, "there is no transition from Active to Resolved; it leads to: Closed"),
        ({}, "there is no transition from Active to Resolved; it leads to: none"),
        (None, "the transitions of its type are not known"),
    ],
)
def test_a_state_wins_only_along_a_transition_from_the_one_that_is_there(
    steps: dict[str, list[str]] | None, why: str
) -> None:
    merged = merge(
        {STATE: "Proposed"},
        {STATE: "Resolved"},
        {STATE: "Active"},
        policy=SyncPolicy(fields={STATE: FieldStrategy.LOCAL_WINS}),
        around=Around(transitions=steps),
    )
    assert ([one.reason for one in merged.conflicts], STATE in merged.fields) == ([why] if why else [], not why)


def test_texts_of_both_become_one_and_what_does_not_fit_is_asked_about() -> None:
    base = {"System.Description": "a\nb\nc"}
    merged = merge(base, {"System.Description": "A\nb\nc"}, {"System.Description": "a\nb\nC"})
    assert merged.fields == {"System.Description": "A\nb\nC"}
    merged = merge(base, {"System.Description": "x\nb\nc"}, {"System.Description": "y\nb\nc"})
    assert [(one.strategy, one.reason) for one in merged.conflicts] == [
        (FieldStrategy.TEXT_MERGE, "both changed the same lines, at 'y'")
    ]


def test_a_value_is_made_from_what_the_agent_heard_of_and_not_from_what_came_behind_its_back() -> None:
    start: dict[str, Json] = {"a": 1, "b": 1, "c": 1, "d": 1}
    later: dict[str, tuple[int, Json]] = {"a": (4, 0), "b": (6, 2), "c": (7, 3), "d": (9, 4)}
    assert base_of(start, 5, later, heard_rev=7) == {"a": 1, "b": 2, "c": 3, "d": 1}


def test_what_the_agent_heard_last_is_looked_up_where_the_field_moved_on_and_may_be_back() -> None:
    ask = Publish(
        key=KEY,
        tenant="t",
        correlation_id="c",
        operation="o",
        proposal="p",
        base="b",
        base_rev=5,
        heard_rev=7,
        decided=(FieldConflict(field="e"),),
    )
    agreed = Agreed(key=KEY, rev=9, read_rev=5, field_revs={"a": 9, "b": 7, "e": 9})
    assert unsure(ask, "abce", agreed) == {"a"}
    assert unsure(ask, "abce", agreed.model_copy(update={"read_rev": 8, "field_revs": {}})) == {"a", "b", "c"}
    assert not unsure(ask.model_copy(update={"heard_rev": 5}), "abce", agreed)
    updates = [
        ItemUpdate(id=number, rev=number, changed={"a": (None, new), "b": (None, new)})
        for number, new in ((6, "x"), (7, "y"), (9, "z"))
    ]
    assert values_at(updates, unsure(ask, "ab", agreed), 7) == {"a": "y"}


@few
@given(fields, fields)
def test_an_item_that_nobody_else_touched_takes_all_of_ours(base: dict[str, Json], ours: dict[str, Json]) -> None:
    merged = merge(base, ours, base)
    assert merged.conflicts == ()
    after = {**base, **merged.fields}
    assert merge(after, ours, after).fields == {}


@few
@given(fields, fields)
def test_what_is_there_already_needs_no_write(base: dict[str, Json], ours: dict[str, Json]) -> None:
    merged = merge(base, ours, ours)
    assert (merged.fields, merged.conflicts) == ({}, ())


@few
@given(fields, fields)
def test_what_others_changed_is_left_where_we_want_nothing(base: dict[str, Json], theirs: dict[str, Json]) -> None:
    merged = merge(base, {}, theirs)
    assert (merged.fields, merged.conflicts, merged.tags) == ({}, (), ())


@few
@given(st.lists(st.sampled_from(["crane", "Noon", "x", " "])), st.lists(st.sampled_from(["CRANE", "noon", "y"])))
def test_tags_are_only_added_and_only_those_that_lack(ours: list[str], theirs: list[str]) -> None:
    there = "; ".join(theirs)
    merged = merge({}, {}, {"System.Tags": there}, tags=ours)
    assert merged.conflicts == ()
    assert not tags_of("; ".join(merged.tags)) & tags_of(there)
    assert tags_of(there) | tags_of("; ".join(merged.tags)) == tags_of(there) | tags_of("; ".join(ours))


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "written", "conflict"),
    [
        (2, "1", 2, True, False),
        (2, "1", 1, False, False),
        (2, "1", 3, False, True),
        ("<p>a</p>", "b", "<p>a</p>", True, False),
        ("a", "<p>b</p>", "<div>b </div>", False, False),
        # Markup alone is somebody's work too, on either side.
        ('<a href="1">x</a>', '<a href="2">x</a>', '<a href="1">x</a>', True, False),
        ('<a href="1">x</a>', "y", '<a href="2">x</a>', False, True),
        ("Use List<int>", "Use Set", "Use List<str>", False, True),
        # What we did not change, somebody else may.
        (2, "2", 3, False, False),
        ({"uniqueName": "a@x", "_links": 1}, "Bo <b@x>", {"uniqueName": "A@x", "_links": 2}, True, False),
        (None, "a", "", True, False),
    ],
)
def test_the_three_ways_meet_as_people_expect(
    base: Json, ours: Json, theirs: Json, written: bool, conflict: bool
) -> None:
    merged = merge({"f": base}, {"f": ours}, {"f": theirs})
    assert ("f" in merged.fields, bool(merged.conflicts)) == (written, conflict)
