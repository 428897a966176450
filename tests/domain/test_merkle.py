"""The tree against published vectors, against the definition, and against proofs that are nearly right."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import merkle, tiles
from pointsman.domain.merkle import CompactRange, ProofError, check_consistency, check_inclusion, leaf_hash

# Certificate Transparency reference test data: entries, and the roots of the first 0, 1, 2, … of them.
ENTRIES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
ENTRIES.append(bytes(range(0x60, 0x70)))
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = range(1, 20)
leaf_lists = st.lists(st.binary(max_size=3).map(leaf_hash), min_size=1, max_size=70)


def defined_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(bytes([at])) for at in range(size)]


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_root_matches_the_published_vector(size: int) -> None:
    leaves = [leaf_hash(entry) for entry in ENTRIES]
    assert merkle.root(size, merkle.nodes_of(leaves)).hex() == ROOTS[size]
    growing = CompactRange()
    for leaf in leaves[:size]:
        growing.append(leaf)
    assert growing.root().hex() == ROOTS[size]


@given(leaf_lists)
def test_every_way_to_the_root_gives_the_defined_one(leaves: list[bytes]) -> None:
    growing = CompactRange()
    for leaf in leaves:
        growing.append(leaf)
    assert defined_root(leaves) == merkle.root(len(leaves), merkle.nodes_of(leaves)) == growing.root()


@given(leaf_lists, st.data())
def test_one_changed_leaf_changes_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    forged = [*leaves[:index], leaf_hash(b"forged"), *leaves[index + 1 :]]
    assert defined_root(forged) != merkle.root(len(leaves), merkle.nodes_of(leaves))


@pytest.mark.parametrize("size", SIZES)
def test_each_inclusion_proof_holds_for_its_entry_and_for_no_other(size: int) -> None:
    leaves = leaves_of(size)
    nodes, root = merkle.nodes_of(leaves), defined_root(leaves)
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, nodes)
        check_inclusion(leaves[index], index, size, proof, root)
        for other in range(-1, size + 2):
            if other != index:
                with pytest.raises(ProofError):
                    check_inclusion(leaves[index], other, size, proof, root)


@pytest.mark.parametrize("new", SIZES)
def test_each_consistency_proof_holds_for_its_sizes(new: int) -> None:
    leaves = leaves_of(new)
    nodes = merkle.nodes_of(leaves)
    roots = [defined_root(leaves[:size]) for size in range(new + 1)]
    for old in range(1, new + 1):
        proof = merkle.consistency_proof(old, new, nodes)
        check_consistency(old, roots[old], new, roots[new], proof)
        for other in range(1, new):
            if other != old:
                with pytest.raises(ProofError):
                    check_consistency(other, roots[old], new, roots[new], proof)


def damaged(proof: list[bytes]) -> list[list[bytes]]:
    """Proofs that are nearly this one."""
    flipped = [[*proof[:at], bytes([proof[at][0] ^ 4]) + proof[at][1:], *proof[at + 1 :]] for at in range(len(proof))]
    shorter = [proof[1:], proof[:-1]] if proof else []
    short_hash = [[*proof[:-1], proof[-1][:-1]], [b"", *proof[1:]]] if proof else []
    garbage = bytes(32)
    return [*flipped, *shorter, *short_hash, [*proof, garbage], [garbage, *proof], [*proof, b""]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_a_damaged_inclusion_proof_is_refused(size: int) -> None:
    leaves = leaves_of(size)
    nodes, root = merkle.nodes_of(leaves), defined_root(leaves)
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, nodes)
        for bad in damaged(proof):
            with pytest.raises(ProofError):
                check_inclusion(leaves[index], index, size, bad, root)
        for leaf, bad_root in ((b"", root), (leaves[index], b""), (root, leaves[index]), (bytes(32), root)):
            if leaf != leaves[index] or bad_root != root:
                with pytest.raises(ProofError):
                    check_inclusion(leaf, index, size, proof, bad_root)


@pytest.mark.parametrize(("old", "new"), [(1, 1), (1, 2), (2, 3), (3, 7), (4, 8), (6, 8), (7, 13), (8, 8)])
def test_a_damaged_consistency_proof_is_refused(old: int, new: int) -> None:
    leaves = leaves_of(new)
    old_root, new_root = defined_root(leaves[:old]), defined_root(leaves)
    proof = merkle.consistency_proof(old, new, merkle.nodes_of(leaves))
    for bad in damaged(proof):
        with pytest.raises(ProofError):
            check_consistency(old, old_root, new, new_root, bad)
    for before, after in ((bytes(32), new_root), (old_root, bytes(32)), (b"", new_root), (old_root, b"")):
        with pytest.raises(ProofError):
            check_consistency(old, before, new, after, proof)
    if old != new:
        with pytest.raises(ProofError):
            check_consistency(new, new_root, old, old_root, proof)


@pytest.mark.parametrize("new", [0, 1, 5])
@pytest.mark.parametrize("proof", [[], [bytes(32)]])
def test_consistency_from_an_empty_log_shows_nothing(new: int, proof: list[bytes]) -> None:
    root = defined_root(leaves_of(new))
    with pytest.raises(ProofError, match="it needs 0 < old <= new"):
        check_consistency(0, merkle.EMPTY_ROOT, new, root, proof)


def test_what_has_no_proof_is_refused_with_its_numbers() -> None:
    nodes = merkle.nodes_of(leaves_of(4))
    with pytest.raises(IndexError, match="no entry 4 in a log of 4"):
        merkle.inclusion_proof(4, 4, nodes)
    with pytest.raises(IndexError, match="from size 0 to size 4"):
        merkle.consistency_proof(0, 4, nodes)
    with pytest.raises(IndexError, match="from size 5 to size 4"):
        merkle.consistency_proof(5, 4, nodes)
    with pytest.raises(ValueError, match="a log of 3 entries has 2 subtrees, not 1"):
        CompactRange(3, [bytes(32)])


@given(st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_tiles_that_grow_in_any_steps_hold_the_same_tree(steps: list[int]) -> None:
    stored: dict[tiles.Tile, bytes] = {}
    size = 0
    for step in steps:
        edge = {tile: stored[tile] for tile in tiles.edge(size)}
        stored |= tiles.grow(size, edge, [leaf_hash(b"%d" % at) for at in range(size, size + step)])
        size += step
    leaves = [leaf_hash(b"%d" % at) for at in range(size)]
    nodes = merkle.nodes_of(leaves)

    def tiled(height: int, number: int) -> bytes:
        return tiles.node_of(lambda level, at: stored[level, at], height, number)

    assert {tile: len(data) // 32 for tile, data in stored.items()} == tiles.widths(size)
    assert merkle.root(size, tiled) == merkle.root(size, nodes)
    for index in {0, size // 2, size - 1}:
        assert merkle.inclusion_proof(index, size, tiled) == merkle.inclusion_proof(index, size, nodes)
    for old in {1, steps[0], size}:
        assert merkle.consistency_proof(old, size, tiled) == merkle.consistency_proof(old, size, nodes)
