"""Two changes of one text: each line is somebody's, and nobody's line is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.domain.sync.texts import LINES_MAX, Unmergeable, merged

few = settings(max_examples=40)  # each law has many forms here, and there are many laws

lines = st.lists(st.sampled_from(["one", "two", "three", "", "four"]), max_size=6)
texts = lines.map("\n".join)


def told(base: str, ours: str, theirs: str) -> list[str] | str:
    """Lines of the merge that say something, or that there is none."""
    try:
        return [line.strip() for line in merged(base, ours, theirs).splitlines() if line.strip()]
    except Unmergeable as error:
        return str(error).partition(", at")[0]


def spoken(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


@few
@given(texts, texts)
def test_a_text_that_one_side_changed_is_taken_whichever_side(base: str, changed: str) -> None:
    assert told(base, changed, base) == told(base, base, changed) == spoken(changed)


@few
@given(texts, texts)
def test_two_equal_changes_are_one(base: str, changed: str) -> None:
    assert told(base, changed, changed) == spoken(changed)


@few
@given(texts, texts, texts)
def test_it_does_not_matter_which_side_is_ours(base: str, ours: str, theirs: str) -> None:
    assert told(base, ours, theirs) == told(base, theirs, ours)


@few
@given(texts, texts, texts)
def test_a_merge_merged_again_stays(base: str, ours: str, theirs: str) -> None:
    once = told(base, ours, theirs)
    if isinstance(once, list):
        text = "\n".join(once)
        assert told(text, text, text) == once
        assert told(theirs, text, theirs) == once


@few
@given(lines, lines, lines)
def test_what_either_side_added_is_in_the_merge(base: list[str], above: list[str], below: list[str]) -> None:
    body = ["start", *base, "end"]
    ours, theirs = ["ours", *above, *body], [*body, *below, "theirs"]
    found = told(*("\n".join(part) for part in (body, ours, theirs)))
    assert found == [line for line in ["ours", *above, *body, *below, "theirs"] if line]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "wanted"),
    [
        (
            "<p>a</p><p>b</p><p>c</p>",
            "<p>A</p><p>b</p><p>c</p>",
            "<p>a</p><p>b</p><p>C</p>",
            "<p>A</p><p>b</p><p>C</p>",
        ),
        (
            "<ul><li>a</li><li>b</li></ul>",
            "<ul><li>x</li><li>a</li><li>b</li></ul>",
            "<ul><li>a</li><li>b</li></ul>",
            "<ul><li>x</li><li>a</li><li>b</li></ul>",
        ),
        ("a<br>b<br>c", "a<br>b<br>C", "A<br>b<br>c", "A<br>b<br>C"),
        ("- a\n- b\n- c", "- a\n- b\n- c\n- d", "- A\n- b\n- c", "- A\n- b\n- c\n- d"),
        ("a\nb", "a\nb\nc", "b", "b\nc"),
    ],
)
def test_html_and_markdown_are_merged_by_what_people_see_as_lines(
    base: str, ours: str, theirs: str, wanted: str
) -> None:
    assert merged(base, ours, theirs) == wanted


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "why"),
    [
        ("a\nb", "A\nb", "x\nb", "both changed the same lines, at 'x'"),
        ("<p>a</p>", "a list:\n- b", "<p>c</p>", "one side is HTML"),
        ("<div>\na\nb\nc\n</div>", "<div>\na\n</div>\nb\nc", "<b>x</b>\na\nb\nc", "would not be closed"),
        ("a\n" * LINES_MAX, "a\n" * (LINES_MAX + 1), "b\n", "lines, merged are"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_reason(base: str, ours: str, theirs: str, why: str) -> None:
    with pytest.raises(Unmergeable, match=why):
        merged(base, ours, theirs)
