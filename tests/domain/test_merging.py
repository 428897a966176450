"""Three ways to one value: nobody's change is overwritten, nothing is written twice, no conflict is invented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.domain.echoes import tags_of
from pointsman.domain.merging import merge

# Few values, so that equal ones are common.
some: st.SearchStrategy[Json] = st.sampled_from([None, "", "a", "b", 1, "1", 2, {"uniqueName": "a@x"}, "Ada <a@x>"])
fields = st.dictionaries(st.sampled_from(["f", "g", "h"]), some)
names = st.sets(st.sampled_from(["f", "g", "h"]))


@given(fields, fields, fields, names)
def test_a_field_is_written_or_in_conflict_or_left_never_two_of_these(
    base: dict[str, Json], ours: dict[str, Json], theirs: dict[str, Json], force: set[str]
) -> None:
    merged = merge(base, ours, theirs, force=force)
    conflicts = {one.field for one in merged.conflicts}
    assert not conflicts & merged.fields.keys()
    assert conflicts | merged.fields.keys() <= ours.keys()
    assert all(merged.fields[name] == ours[name] for name in merged.fields)


@given(fields, fields, fields, names)
def test_a_conflict_is_where_both_changed_differently_and_nobody_forced(
    base: dict[str, Json], ours: dict[str, Json], theirs: dict[str, Json], force: set[str]
) -> None:
    for one in merge(base, ours, theirs, force=force).conflicts:
        assert one.field not in force
        assert theirs.get(one.field) != base.get(one.field)
        assert theirs.get(one.field) != ours[one.field]
        assert (one.base, one.ours, one.theirs) == (base.get(one.field), ours[one.field], theirs.get(one.field))


@given(fields, fields)
def test_an_item_that_nobody_else_touched_takes_all_of_ours(base: dict[str, Json], ours: dict[str, Json]) -> None:
    merged = merge(base, ours, base)
    assert merged.conflicts == ()
    after = {**base, **merged.fields}
    assert merge(after, ours, after).fields == {}


@given(fields, fields)
def test_what_is_there_already_needs_no_write(base: dict[str, Json], ours: dict[str, Json]) -> None:
    merged = merge(base, ours, ours)
    assert (merged.fields, merged.conflicts) == ({}, ())


@given(fields, fields, fields)
def test_what_a_human_forces_is_never_a_conflict(
    base: dict[str, Json], ours: dict[str, Json], theirs: dict[str, Json]
) -> None:
    merged = merge(base, ours, theirs, force=ours.keys())
    assert merged.conflicts == ()
    after = {**theirs, **merged.fields}
    assert merge(base, ours, after, force=ours.keys()).fields == {}


@given(fields, fields)
def test_what_others_changed_is_left_where_we_want_nothing(base: dict[str, Json], theirs: dict[str, Json]) -> None:
    merged = merge(base, {}, theirs)
    assert (merged.fields, merged.conflicts, merged.tags) == ({}, (), ())


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
        ({"uniqueName": "a@x", "_links": 1}, "Bo <b@x>", {"uniqueName": "A@x", "_links": 2}, True, False),
        (None, "a", "", True, False),
    ],
)
def test_the_three_ways_meet_as_people_expect(
    base: Json, ours: Json, theirs: Json, written: bool, conflict: bool
) -> None:
    merged = merge({"f": base}, {"f": ours}, {"f": theirs})
    assert ("f" in merged.fields, bool(merged.conflicts)) == (written, conflict)
