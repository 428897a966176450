"""Whatever was stored by a released version goes on loading, and no shape changes without a record of it."""

from pathlib import Path

import pytest

from tests.contracts.shapes import breaches
from tests.llm import record

SAMPLES = [(kind, file) for kind in record.KINDS for file in record.samples(kind)]


def test_nothing_that_was_stored_is_lost_or_changed() -> None:
    assert breaches(record.recorded(), record.current()) == []


def test_the_record_holds_all_shapes_of_today() -> None:
    assert record.recorded() == record.current(), f"run `{record.COMMAND}` and commit tests/llm/recorded"


@pytest.mark.parametrize("kind", record.KINDS)
def test_every_field_of_today_is_in_a_sample(kind: str) -> None:
    assert record.unseen(kind) == set(), f"run `{record.COMMAND}` and commit tests/llm/recorded"


@pytest.mark.parametrize(("kind", "file"), SAMPLES, ids=lambda value: value.stem if isinstance(value, Path) else value)
def test_sample_loads_and_comes_back(kind: str, file: Path) -> None:
    model = record.KINDS[kind]
    loaded = model.model_validate_json(file.read_bytes())
    assert model.model_validate_json(loaded.model_dump_json()) == loaded
