"""Merkle tree over a log, after RFC 9162 (Certificate Transparency 2.0), section 2.1: hashes, proofs, their checks.

Whoever keeps a root can later check that no entry was changed, dropped or slipped in. An entry is any bytes;
a hash is SHA-256, 32 bytes. A node is named by (height, number): it stands for the complete subtree over the
leaves `number << height` to `(number + 1) << height`, the last excluded; height 0 is the leaves.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()
# Leaves and nodes hash under different prefixes, or a node could pass for an entry (RFC 9162, 2.1.1).
LEAF, NODE = b"\x00", b"\x01"

Nodes = Callable[[int, int], bytes]
"""Hash of the complete subtree at (height, number)."""


class ProofError(ValueError):
    """A proof does not lead to the root that it was given with. Says which rule it broke."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(NODE + left + right).digest()


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """Root of a complete subtree: the number of hashes is a power of two, and they lie side by side."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def root(size: int, nodes: Nodes) -> bytes:
    """Hash that commits to the first `size` entries and to their order."""
    return range_root(0, size, nodes) if size else EMPTY_ROOT


def range_root(start: int, end: int, nodes: Nodes) -> bytes:
    """Hash of the subtree over leaves `start` to `end`, cut as RFC 9162 cuts: `start` is a multiple of its width."""
    assert start < end, "a subtree has leaves"
    hashes = [nodes(height, number) for height, number in _complete_parts(start, end)]
    return _fold_right(hashes)


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Sibling hashes on the way from entry `index` up to the root of `size` entries (RFC 9162, 2.1.3.1).

    Raises:
        IndexError: the log has no entry `index`.
    """
    if not 0 <= index < size:
        raise IndexError(f"no entry {index} in a log of {size}")
    siblings, start, end = [], 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            siblings.append((split, end))
            end = split
        else:
            siblings.append((start, split))
            start = split
    return [range_root(*sibling, nodes) for sibling in reversed(siblings)]


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """Hashes which show that the first `old` entries of a log of `new` are what they were (RFC 9162, 2.1.4.1).

    Raises:
        IndexError: there is nothing to prove from an empty log, or the log has fewer than `old` entries.
    """
    if not 0 < old <= new:
        raise IndexError(f"no consistency from size {old} to size {new}: it needs 0 < old <= new")
    parts, start, end = [], 0, new
    while end != old:
        split = start + _split(end - start)
        if old <= split:
            parts.append((split, end))
            end = split
        else:
            parts.append((start, split))
            start = split
    if start:
        # The old root itself is known to whoever checks; only a part of it must be told.
        parts.append((start, end))
    return [range_root(*part, nodes) for part in reversed(parts)]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> None:
    """Entry `index` of a log of `size` entries with this root has the hash `leaf` (RFC 9162, 2.1.3.2).

    Raises:
        ProofError: it has not, or the proof has a hash too many or too few, or one of another length.
    """
    _check_lengths(leaf, root_hash, *proof)
    if not 0 <= index < size:
        raise ProofError(f"no entry {index} in a log of {size}")
    node, last, seen = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError(f"{len(proof)} hashes are too many for entry {index} of {size}")
        if node & 1 or node == last:
            seen = node_hash(sibling, seen)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            seen = node_hash(seen, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError(f"{len(proof)} hashes are too few for entry {index} of {size}")
    _check_equal(f"entry {index} of {size}", seen, root_hash)


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """The log of `new` entries begins with the log of `old` entries (RFC 9162, 2.1.4.2).

    Raises:
        ProofError: it does not, or the proof does not show it. A proof from an empty log shows nothing, so it is
            refused, too.
    """
    _check_lengths(old_root, new_root, *proof)
    if not 0 < old <= new:
        raise ProofError(f"no consistency from size {old} to size {new}: it needs 0 < old <= new")
    if old == new:
        if proof:
            raise ProofError(f"{len(proof)} hashes are too many for two logs of {old} entries")
        _check_equal(f"log of {old}", old_root, new_root)
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not proof:
        raise ProofError(f"an empty proof shows nothing about sizes {old} and {new}")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_seen = new_seen = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError(f"{len(proof)} hashes are too many for sizes {old} and {new}")
        if node & 1 or node == last:
            old_seen, new_seen = node_hash(sibling, old_seen), node_hash(sibling, new_seen)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_seen = node_hash(new_seen, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError(f"{len(proof)} hashes are too few for sizes {old} and {new}")
    _check_equal(f"log of {old}", old_seen, old_root)
    _check_equal(f"log of {new}", new_seen, new_root)


def nodes_of(leaves: Sequence[bytes]) -> Nodes:
    """All nodes over these leaf hashes, computed once: for many proofs. Holds twice as many hashes in memory."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return lambda height, number: levels[height][number]


class CompactRange:
    """The least that must be kept to go on appending: one hash per set bit of the size. Cheap to copy."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)
        if len(self._hashes) != size.bit_count():
            raise ValueError(f"a log of {size} entries has {size.bit_count()} subtrees, not {len(self._hashes)}")

    def append(self, leaf: bytes) -> None:
        """Take the hash of the next entry. Costs one hash on average."""
        carry = self.size
        while carry & 1:
            leaf = node_hash(self._hashes.pop(), leaf)
            carry >>= 1
        self._hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        return _fold_right(self._hashes) if self._hashes else EMPTY_ROOT


def _complete_parts(start: int, end: int) -> list[tuple[int, int]]:
    """Complete subtrees that lie side by side from `start` to `end`, widest first: (height, number) each."""
    parts = []
    while start < end:
        height = (end - start).bit_length() - 1
        parts.append((height, start >> height))
        start += 1 << height
    return parts


def _fold_right(hashes: Sequence[bytes]) -> bytes:
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node_hash(left, folded)
    return folded


def _split(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)  # the largest power of two below `count`


def _check_lengths(*hashes: bytes) -> None:
    for hashed in hashes:
        if len(hashed) != HASH_BYTES:
            raise ProofError(f"a hash has {HASH_BYTES} bytes, not {len(hashed)}")


def _check_equal(what: str, seen: bytes, expected: bytes) -> None:
    if seen != expected:
        raise ProofError(f"{what}: the proof leads to {seen.hex()}, the root is {expected.hex()}")
