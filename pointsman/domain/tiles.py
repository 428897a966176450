"""The tree in tiles of 256 hashes, after C2SP tlog-tiles: what is stored, so that a log can grow and be proved.

Tile (level, number) holds the hashes of nodes at height `8 * level`, side by side, 32 bytes each, from number
`256 * number` on. Only the last tile of a level is ever rewritten, and only to grow.
"""

from collections.abc import Callable, Mapping, Sequence

from pointsman.domain.merkle import HASH_BYTES, complete_root

HEIGHT = 8
WIDTH = 1 << HEIGHT

Tile = tuple[int, int]
"""(level, number)"""
Tiles = Callable[[int, int], bytes]
"""Content of the tile (level, number)."""


def edge(size: int) -> list[Tile]:
    """The tiles that a log of `size` entries has not yet filled: what must be read before it can grow."""
    tiles = []
    level = 0
    while size >> (HEIGHT * level):
        count = size >> (HEIGHT * level)
        if count % WIDTH:
            tiles.append((level, count // WIDTH))
        level += 1
    return tiles


def widths(size: int) -> dict[Tile, int]:
    """Every tile of a log of `size` entries, with the number of hashes in it."""
    found = {}
    level = 0
    while count := size >> (HEIGHT * level):
        for number in range(-(-count // WIDTH)):
            found[level, number] = min(WIDTH, count - number * WIDTH)
        level += 1
    return found


def grow(size: int, partial: Mapping[Tile, bytes], leaves: Sequence[bytes]) -> dict[Tile, bytes]:
    """Tiles to write after `leaves` were appended to a log of `size` entries, `partial` being its edge.

    Costs one hash for each leaf and 1/256 more, whatever the size of the log.
    """
    written: dict[Tile, bytes] = {}
    level, count, hashes = 0, size, list(leaves)
    while hashes:
        first = count // WIDTH
        data = partial.get((level, first), b"") + b"".join(hashes)
        completed = []
        for offset in range(0, len(data), WIDTH * HASH_BYTES):
            tile = data[offset : offset + WIDTH * HASH_BYTES]
            written[level, first + offset // (WIDTH * HASH_BYTES)] = tile
            if len(tile) == WIDTH * HASH_BYTES:
                completed.append(complete_root(split(tile)))
        level, count, hashes = level + 1, count // WIDTH, completed
    return written


def node_of(tiles: Tiles, height: int, number: int) -> bytes:
    """Hash of node (height, number), from the one tile that holds what is under it."""
    level, rise = divmod(height, HEIGHT)
    first = number << rise
    tile = tiles(level, first // WIDTH)
    offset = (first % WIDTH) * HASH_BYTES
    return complete_root(split(tile[offset : offset + (HASH_BYTES << rise)]))


def split(tile: bytes) -> list[bytes]:
    """The hashes of a tile, in order."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
