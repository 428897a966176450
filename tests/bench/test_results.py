"""Figures: quantiles are values that were seen, and what misses its goal is shown as missed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results import Figure, quantile, show, shown

SEEN = st.lists(st.floats(0, 1e6), min_size=1, max_size=300)


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (99.96, "100"), (100.4, "100"), (1_000, "1,000"), (12_553.2, "12,553")]
)
def test_values_are_shown_as_people_write_them(value: float, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_quantiles_of_one_to_a_hundred(share: float, value: int) -> None:
    assert quantile(list(range(100, 0, -1)), share) == value


@given(SEEN, st.floats(0, 1))
def test_a_quantile_is_a_value_that_was_seen(values: list[float], share: float) -> None:
    assert quantile(values, share) in values


@given(SEEN, st.floats(0, 0.99))
def test_no_more_than_the_rest_lies_above_a_quantile(values: list[float], share: float) -> None:
    above = sum(value > quantile(values, share) for value in values)
    assert above <= len(values) * (1 - share) + 1e-6


def test_figures_are_told_with_goal_and_whether_it_was_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "results" / "one.json"
    show("Rows", [Figure("inbox", 9_000.0, "rows/s", ">= 12,553", held=False)], target)
    assert json.loads(target.read_text())[0] == {
        "name": "inbox",
        "value": 9_000.0,
        "unit": "rows/s",
        "goal": ">= 12,553",
        "held": False,
        "note": "",
    }
    table = capsys.readouterr().out
    assert ">= 12,553" in table
    assert "NO" in table
