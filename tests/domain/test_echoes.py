"""Our own writes are recognised however the service spells them; what a human changed never passes for ours."""

from datetime import UTC, datetime
from html import escape

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.records import WriteRecord
from pointsman.domain.echoes import alike, echo_of, equal, explains, is_another, is_noise, proves, same_value, tags_of
from tests.domain.samples import KEY, scalars, values

ADA: Json = {"displayName": "Ada Holm", "uniqueName": "Ada@Harbour.example", "imageUrl": "https://x/1"}
LATER: dict[str, tuple[Json, Json]] = {"System.Rev": (4, 5), "System.ChangedDate": ("a", "b")}

words = st.text("abcdefgh ", min_size=1, max_size=20).filter(str.strip)
numbers = st.integers(-1000, 1000) | st.integers(-9999, 9999).map(lambda number: number / 100)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def write(values: dict[str, Json], rev: int = 0, status: str = "intended", base: int = 4) -> WriteRecord:
    return WriteRecord(
        operation="run/1.1",
        key=KEY,
        base_rev=base,
        values=values,
        intended_at=datetime(2026, 3, 1, tzinfo=UTC),
        rev=rev,
        status=status,
    )


def spaced(text: str) -> str:
    return f"  {text.replace(' ', '  ')}\n"


@st.composite
def normalised(draw: st.DrawFn) -> tuple[Json, Json]:
    """A value as we write it, and as the service gives it back."""
    text, number, moment = draw(words), draw(numbers), draw(moments)
    stamp = moment.replace(tzinfo=None).isoformat(timespec="milliseconds")
    pairs: list[tuple[Json, Json]] = [
        (text, spaced(text)),
        ("", None),
        (number, str(number)),
        (str(number), number),
        (number, float(number)),
        (True, "True"),
        ("false", False),
        (moment.isoformat(), f"{stamp}Z"),
        (moment.isoformat().replace("+00:00", "Z"), f"{stamp}0000+00:00"),
        (moment.strftime("%Y-%m-%d"), moment.strftime("%Y-%m-%dT00:00:00Z")),
        ("ada@harbour.example", ADA),
        ("Ada <ada@harbour.example>", ADA),
        ("ada@harbour.example", "Ada Holm <ADA@harbour.example>"),
        ("Ada Holm", ADA),
        ("ada holm", "Ada Holm <ada@harbour.example>"),
        (ADA, "Ada Holm <ada@harbour.example>"),
        (f"<p>{text}</p>\n<p>x</p>", f"<div>{text}</div><div>x</div>"),
        (f"<p><b>{text}</b><br/></p>", f'<p style="margin:0"><strong>{text}</strong><br> </p>'),
        (f"<p>a &amp; {text}</p><!-- op=1 -->", f"<p>a & {text}</p>"),
        (f"a {escape('<x>')} {text}", f"a <x> {text}"),
    ]
    return draw(st.sampled_from(pairs))


@given(st.dictionaries(st.sampled_from("abc"), normalised(), min_size=1), st.booleans())
def test_what_we_write_is_recognised_as_the_service_spells_it(
    written: dict[str, tuple[Json, Json]], in_doubt: bool
) -> None:
    ours = {name: value for name, (value, _) in written.items()}
    row = write(ours) if in_doubt else write(ours, 5, "written")
    changed: dict[str, tuple[Json, Json]] = {name: ("before", new) for name, (_, new) in written.items()}
    assert echo_of([row], 5, {**changed, **LATER}) == row


@given(st.dictionaries(st.sampled_from("abc"), normalised(), min_size=1), scalars)
def test_a_change_of_another_field_is_nobodys_echo(written: dict[str, tuple[Json, Json]], value: Json) -> None:
    row = write({name: ours for name, (ours, _) in written.items()})
    changed: dict[str, tuple[Json, Json]] = {name: ("before", new) for name, (_, new) in written.items()}
    assert echo_of([row], 5, {**changed, "System.Title": (None, value)}) is None
    assert echo_of([write(row.values, 5, "written")], 6, {"System.Title": (None, value)}) is None


@given(words, words)
def test_another_value_of_our_field_is_no_echo(ours: str, theirs: str) -> None:
    assume(ours.split() != theirs.split())
    for row in (write({"System.Title": ours}), write({"System.Title": ours}, 5, "written")):
        assert echo_of([row], 5, {"System.Title": ("before", theirs)}) is None


def test_fields_that_rules_of_the_service_set_with_our_write_belong_to_its_echo() -> None:
    changed: dict[str, tuple[Json, Json]] = {"System.State": ("Active", "Resolved"), "System.AssignedTo": ("a", "b")}
    known = write({"System.State": "Resolved"}, 5, "written")
    assert echo_of([known], 5, changed) == known
    assert echo_of([write({"System.State": "Resolved"})], 5, changed) is None


def test_fields_that_follow_the_state_are_explained_by_a_change_of_the_state_only() -> None:
    follows: dict[str, tuple[Json, Json]] = {
        "System.Reason": ("New", "Fixed"),
        "Microsoft.VSTS.Common.ResolvedBy": (None, ADA),
        "Microsoft.VSTS.Common.StateChangeDate": (None, "2026-03-01T12:00:00Z"),
        "System.State": ("Active", "Resolved"),
    }
    assert explains({"System.State": "Resolved"}, follows)
    assert not explains({"System.Title": "x"}, {"System.Title": ("y", "x"), "System.Reason": ("New", "Fixed")})


def test_a_reason_that_we_wrote_must_be_the_one_that_comes_back() -> None:
    wrote: dict[str, Json] = {"System.State": "Resolved", "System.Reason": "Fixed"}
    assert not explains(wrote, {"System.State": ("Active", "Resolved"), "System.Reason": (None, "Obsolete")})


@pytest.mark.parametrize("rev", [3, 4])
def test_a_write_in_doubt_made_no_revision_up_to_its_base(rev: int) -> None:
    assert echo_of([write({"a": 1})], rev, {"a": (0, 1)}) is None


@pytest.mark.parametrize("rev", [4, 6])
def test_a_settled_write_made_its_own_revision_only(rev: int) -> None:
    assert echo_of([write({"a": 1}, 5, "written")], rev, {"a": (0, 1)}) is None


@pytest.mark.parametrize("status", ["intended", "abandoned"])
def test_a_write_in_doubt_has_an_echo_where_every_change_is_ours(status: str) -> None:
    row = write({"a": 1, "b": 2}, 0, status)
    assert echo_of([row], 6, {"a": (0, 1), "b": (0, 2)}) == row
    assert echo_of([row], 6, {"a": (0, 1)}) == row
    assert echo_of([row], 6, {"a": (0, 1), "c": (0, 2)}) is None
    assert echo_of([row], 6, {"a": (0, 7)}) is None


def test_a_revision_that_one_write_is_known_to_have_made_was_made_by_no_other() -> None:
    made, doubtful = write({"b": 2}, 5, "written"), write({"a": 1}, 0, "abandoned")
    assert echo_of([doubtful, made], 5, {"b": (0, 2), "a": (0, 1)}) == made
    assert echo_of([doubtful, made], 5, {"a": (0, 1)}) is None
    assert echo_of([doubtful, made], 6, {"a": (0, 1)}) == doubtful


def test_of_two_writes_in_doubt_the_later_one_is_taken() -> None:
    earlier, later = write({"a": 1}, 0, "abandoned"), write({"a": 1}, base=5)
    assert echo_of([earlier, later], 6, {"a": (0, 1)}) == later
    assert echo_of([earlier, later], 5, {"a": (0, 1)}) == earlier


def test_only_all_of_a_write_proves_it() -> None:
    row = write({"a": 1, "b": 2})
    assert proves(row, {"a": (0, 1), "b": (0, 2), **LATER})
    assert not proves(row, {"a": (0, 1), **LATER})


@pytest.mark.parametrize(
    ("actor", "another"),
    [
        ("bot@harbour.example", False),
        ("BOT@harbour.example", False),
        ("Bot <bot@harbour.example>", False),
        ("ada@harbour.example", True),
        ("Ada <ada@harbour.example>", True),
        ("HARBOUR\\ada", True),
        ("Ada Holm", False),
        ("", False),
    ],
)
def test_only_another_unique_name_is_somebody_else(actor: str, another: bool) -> None:
    assert is_another(actor, "bot@harbour.example") is another
    assert not is_another(actor, "")


def test_a_save_that_changes_nothing_anybody_meant_is_no_echo() -> None:
    for row in (write({"a": 1}), write({"a": 1}, 5, "written")):
        assert echo_of([row], 5, LATER) is None
        assert echo_of([row], 5, {}) is None


def test_the_write_that_fits_is_found_among_many() -> None:
    rows = [write({"a": 1}, 5, "written"), write({"a": 2}, 6, "written"), write({"a": 3}, base=6)]
    assert echo_of(rows, 6, {"a": (1, 2)}) == rows[1]
    assert echo_of(rows, 7, {"a": (2, 3)}) == rows[2]


@pytest.mark.parametrize(
    "field", ["System.Rev", "System.Watermark", "WEF_0A1B2C_Kanban.Column", "wef_0a1b2c_System.ExtensionMarker"]
)
def test_fields_that_move_with_every_save_are_noise(field: str) -> None:
    assert is_noise(field)
    assert not is_noise(f"Custom.{field}")


@given(st.lists(words, max_size=4), st.lists(words, max_size=4))
def test_written_tags_come_back_merged_in_any_order_and_case(old: list[str], ours: list[str]) -> None:
    merged = [*{tag.strip().casefold() for tag in [*ours, *old]}]
    new = "; ".join(tag.upper() for tag in reversed(merged))
    assert same_value("System.Tags", "; ".join(ours), "; ".join(old), new)
    assert not same_value("System.Tags", "; ".join(ours), "; ".join(old), f"{new}; another-one")


def test_tags_written_as_a_list_took_the_place_of_all_that_stood() -> None:
    assert same_value("System.Tags", ["Crane"], "crane; noon", "crane")
    assert same_value("System.Tags", [], "crane; noon", None)
    assert not same_value("System.Tags", ["crane"], "crane; noon", "crane; noon")


def test_a_tag_that_somebody_took_away_is_not_ours() -> None:
    assert not same_value("System.Tags", "triaged", "crane; noon", "crane; triaged")


def test_a_comma_separates_tags_as_the_service_splits_them() -> None:
    assert tags_of("a, b; A ;;") == {"a", "b"}
    assert same_value("System.Tags", "a, b", None, "a; b")


@given(values, values)
def test_likeness_is_mutual_and_follows_from_equality(left: Json, right: Json) -> None:
    assert equal(left, left)
    assert equal(left, right) == equal(right, left)
    assert alike(left, right) == alike(right, left)
    assert alike(left, right) or not equal(left, right)


@given(normalised())
def test_what_the_service_normalises_is_alike(pair: tuple[Json, Json]) -> None:
    ours, new = pair
    assert alike(ours, new)
    assert alike(new, ours)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1.10", "1.1"),
        ("Use List<int>", "Use List<str>"),
        ("a < b and c > d", "a < x and c > d"),
        ("Ada <ada@x.example>", "Ada <bo@x.example>"),
        (ADA, {"displayName": "Ada Holm", "uniqueName": "ada@other.example"}),
        (ADA, {"id": 1}),
        (ADA, None),
        ({"id": 1}, {"id": 2}),
        ("fix", "Fix"),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00+01:00"),
        ("2026-13-45", "2026-13-46"),
        ("20260301", 20260302),
        (1, "one"),
        (True, "yes"),
        ([1], [2]),
        ([1], "1"),
        (0, None),
        (10**400, "1"),
        (float("nan"), 1),
    ],
)
def test_what_differs_to_a_reader_is_not_alike(left: Json, right: Json) -> None:
    assert not alike(left, right)
    assert not alike(right, left)


def test_markup_counts_where_a_value_is_compared_strictly() -> None:
    left, right = '<a href="https://x/1">crane</a>', '<a href="https://x/2">crane</a>'
    assert alike(left, right)
    assert not equal(left, right)


def test_a_moment_has_many_notations_and_a_coarse_clock() -> None:
    assert equal("2026-03-01T12:00:00.1234567Z", "2026-03-01T13:00:00.127+01:00")
    assert equal("2026-03-01 12:00", "2026-03-01T12:00:00Z")
    assert not equal("2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z")


def test_an_account_of_a_domain_is_a_unique_name_too() -> None:
    person: Json = {"displayName": "Ada Holm <HARBOUR\\ada>", "uniqueName": "HARBOUR\\ada"}
    assert equal("harbour\\ada", person)
    assert alike("Ada <HARBOUR\\ada>", "harbour\\ada")


def test_without_unique_names_the_display_name_tells_who_it_is() -> None:
    assert equal({"displayName": "Ada", "imageUrl": "1"}, {"displayName": "ADA", "imageUrl": "2"})
    assert not equal({"displayName": "Ada"}, {"displayName": "Bo"})
