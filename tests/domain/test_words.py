"""Things are counted as people say it, and by one helper."""

import re
from pathlib import Path

import pytest

from pointsman.domain.words import how_many, joined

ROOT = Path(__file__).parents[2]
COUNTED_BY_HAND = re.compile(r"\{len\([^{}]*\)\} (?!of )[a-z]+s\b(?! are| is)")


@pytest.mark.parametrize(
    ("count", "noun", "told"),
    [
        (0, "row", "0 rows"),
        (1, "active secret", "1 active secret"),
        (2, "active secret", "2 active secrets"),
        (2, "query", "2 queries"),
        (2, "day", "2 days"),
        (2, "branch", "2 branches"),
        (2, "echo", "2 echoes"),
        (1_000, "pull request", "1,000 pull requests"),
    ],
)
def test_a_noun_is_counted(count: int, noun: str, told: str) -> None:
    assert how_many(count, noun) == told


def test_names_are_joined() -> None:
    assert [joined(names) for names in ((), "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
    assert joined("ab", "or") == "a or b"


def test_entrances_count_in_words_by_that_helper() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "starter").rglob("*.py")}
    assert len(sources) > 50
    found = {f"{path.name}: {one}" for path, text in sources.items() for one in COUNTED_BY_HAND.findall(text)}
    assert found == set()
