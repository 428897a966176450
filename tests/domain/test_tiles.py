"""A log of a thousand entries in tiles: what is stored, what must be read before it grows, and that its root holds."""

from pointsman.domain import tiles
from pointsman.domain.merkle import CompactRange, leaf_hash, root

LEAVES = [leaf_hash(b"%d" % number) for number in range(1_000)]


def test_a_log_of_a_thousand_entries_has_three_full_tiles_and_two_edges() -> None:
    full = {(0, 0): 256, (0, 1): 256, (0, 2): 256}
    assert tiles.widths(1_000) == full | {(0, 3): 232, (1, 0): 3}
    assert tiles.edge(1_000) == [(0, 3), (1, 0)]
    assert tiles.widths(0) == {}
    assert tiles.edge(256) == [(1, 0)]


def test_what_is_written_entry_by_entry_is_what_is_written_at_once_and_gives_the_same_root() -> None:
    at_once = tiles.grow(0, {}, LEAVES)
    stored: dict[tiles.Tile, bytes] = {}
    for start in range(0, 1_000, 100):
        edge = {tile: stored[tile] for tile in tiles.edge(start)}
        stored |= tiles.grow(start, edge, LEAVES[start : start + 100])
    assert stored == at_once
    assert b"".join(stored[0, number] for number in range(4)) == b"".join(LEAVES)
    whole = CompactRange()
    for leaf in LEAVES:
        whole.append(leaf)
    found = root(1_000, lambda height, number: tiles.node_of(lambda level, at: stored[level, at], height, number))
    assert found == whole.root()
