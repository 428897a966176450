"""Five hundred distinct deliveries, a tenth of them late and a tenth doubled, leave what they leave in order; and what
compares the books sees when they do not."""

import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench.disorder import taken
from bench.lives import SUBSCRIPTION, disordered, lives
from tests.workflows.recovery_rig import migrated

COUNT, ITEMS = 500, 40


def empty(folder: Path) -> Path:
    """A folder with an empty database."""
    folder.mkdir()
    shutil.copy(migrated(), folder / "pointsman.db")
    return folder


@pytest.mark.slow(5)
async def test_late_and_doubled_deliveries_leave_what_ordered_ones_do(tmp_path: Path) -> None:
    bodies = list(lives(COUNT, ITEMS, custom_fields=2))
    order = disordered(bodies, random.Random(7))
    plain = await taken(bodies, ITEMS, empty(tmp_path / "plain"))
    mixed = await taken(order, ITEMS, empty(tmp_path / "mixed"))
    assert mixed.differences(plain) == []
    assert set(mixed.effects.values()) == {1}
    assert (plain.duplicates, mixed.duplicates) == (0, COUNT // 10)
    assert (plain.rows, sum(plain.states.values())) == (COUNT, COUNT)
    assert len(plain.items) == ITEMS
    lost = replace(mixed, effects=dict(list(mixed.effects.items())[1:]), edges=frozenset(list(mixed.edges)[1:]))
    assert lost.differences(plain) == ["effects", "edges"]


def test_disorder_keeps_every_delivery_and_moves_a_tenth() -> None:
    bodies = list(lives(COUNT, ITEMS))
    order = disordered(bodies, random.Random(7))
    once = [body for body in order if SUBSCRIPTION.encode() in body]
    assert Counter(once) == Counter(bodies)
    assert len(order) == COUNT + COUNT // 10
    place = {body: number for number, body in enumerate(bodies)}
    newest, late = -1, 0
    for body in once:
        late += place[body] < newest
        newest = max(newest, place[body])
    assert COUNT * 0.05 < late < COUNT * 0.15


def test_each_delivery_is_of_an_event_of_its_own() -> None:
    bodies = list(lives(COUNT, ITEMS))
    assert len(set(bodies)) == COUNT
    assert 4_000 < sum(map(len, bodies)) / COUNT < 10_000, "as large as real ones"
