"""Processes that share tests load the same modules, and each begins where no other does."""

from pathlib import Path

from tests.loading import rotated

FILES = [Path(f"test_{number}.py") for number in range(7)]


def test_each_process_loads_all_and_begins_at_a_place_of_its_own() -> None:
    told = [rotated(FILES, place, 3) for place in range(3)]
    assert all(sorted(one) == FILES for one in told)
    assert [one[0].stem for one in told] == ["test_0", "test_2", "test_4"]


def test_where_there_is_nothing_to_load_nothing_is_loaded() -> None:
    assert rotated([], 1, 3) == []
