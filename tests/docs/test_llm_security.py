"""Each point of the security page names the tests that hold it, and they are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security/llm.md").read_text(encoding="utf-8")
POINTS = {row[0]: row[1] for row in re.findall(r"^\| ((?:LLM|API)\d+) (.*)$", PAGE, re.MULTILINE)}


def test_the_page_has_every_point_of_both_lists() -> None:
    assert list(POINTS) == [f"LLM{number:02}" for number in range(1, 11)] + [f"API{number}" for number in range(1, 11)]


@pytest.mark.parametrize("point", POINTS)
def test_what_holds_a_point_is_there(point: str) -> None:
    held = re.findall(r"`(tests/[^`:]+)(?:::(\w+))?`", POINTS[point])
    assert held
    for path, name in held:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert f"def {name or 'test_'}" in text
