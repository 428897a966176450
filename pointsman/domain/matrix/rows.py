"""Rows of the matrix: one for each requirement, and one for each item that belongs to none and should."""

from collections.abc import Iterable, Iterator, Sequence

from pointsman.contracts.matrix import Cell, Column, Cover, Gap, MatrixRow, Role
from pointsman.domain.matrix import cells
from pointsman.domain.matrix.around import BROKEN_DOWN, Around, above, below, hidden_next_to, next_to
from pointsman.domain.matrix.cells import NOTHING, UNKNOWN, Done, covered, entry, gap, upward
from pointsman.domain.matrix.shapes import COLUMN_OF

REMOVED = "removed"
BROKEN_INTO = frozenset({Role.FEATURE, Role.REQUIREMENT})
PROVED_ABOVE = (Column.TEST, Column.REVIEW)
PROOF_MISSING = ((Gap.NO_TEST,), (Gap.NO_REVIEW,))
"""What work may have through the requirement that it belongs to, which is not to be seen."""
ABOUT_OTHERS = frozenset({Role.TEST, Role.REVIEW, Role.CHANGE})


def rows(around: Around, unknown: Iterable[Column] = ()) -> Iterator[MatrixRow]:
    """Of the subjects, in their order. `unknown` could not be read for the project as a whole."""
    told = frozenset(unknown)
    for item_id in around.subjects:
        role = around.role(item_id)
        if role is None or around.items[item_id].state.casefold() == REMOVED:
            continue
        if role is Role.REQUIREMENT:
            yield _row(around, item_id, role, covered([entry(around, item_id)]), told)
        elif (lack := _lack(around, item_id, role)) is not None:
            yield _row(around, item_id, role, lack, told)


def _lack(around: Around, item_id: int, role: Role) -> Cell | None:
    """The cell of the requirement, for an item that is in no requirement's row; None for one that is."""
    if role in ABOUT_OTHERS:
        there = _served(around, item_id, role)
        hidden = hidden_next_to(around, [item_id], role)
    elif role is Role.WORK:
        there = [one for one in above(around, item_id) if around.role(one) in BROKEN_DOWN]
        hidden = any(around.hidden(one) for one in above(around, item_id))
    else:
        there = [one for one in below(around, item_id) if around.role(one) in BROKEN_INTO]
        hidden = any(around.hidden(one) for one in below(around, item_id))
    if there:
        return None
    return UNKNOWN if hidden else gap(Gap.NO_REQUIREMENT)


def _served(around: Around, item_id: int, role: Role) -> Sequence[int]:
    """Requirements and work that a test case, a review or a change request is about."""
    return [
        other
        for other in {other for _, other in around.beside.get(item_id, ())}
        if around.role(other) in BROKEN_DOWN and item_id in next_to(around, [other], role)
    ]


def _row(around: Around, item_id: int, role: Role, requirement: Cell, unknown: frozenset[Column]) -> MatrixRow:
    found = dict.fromkeys(Column, NOTHING)
    found[Column.REQUIREMENT] = requirement
    if role in BROKEN_DOWN:
        found |= _done(Done(around, item_id, unknown))
    if role is Role.WORK and requirement.cover is Cover.NO_DATA:
        found |= {column: UNKNOWN for column in PROVED_ABOVE if found[column].gaps in PROOF_MISSING}
    if role is Role.REQUIREMENT:
        found[Column.EPIC] = upward(around, item_id, Role.EPIC, Gap.NO_EPIC)
        found[Column.FEATURE] = upward(around, item_id, Role.FEATURE, Gap.NO_FEATURE)
    else:
        found[COLUMN_OF[role]] = found[COLUMN_OF[role]] if role is Role.WORK else covered([entry(around, item_id)])
    if role is Role.FEATURE:
        found[Column.EPIC] = upward(around, item_id, Role.EPIC, Gap.NO_EPIC)
    if role is Role.TEST:
        found[Column.OUTCOME] = cells.outcome(around, [item_id], unknown)
    return MatrixRow(subject=entry(around, item_id), role=role, cells=found)


def _done(done: Done) -> dict[Column, Cell]:
    code, test = cells.code(done), cells.test(done)
    outcome = cells.outcome(done.around, [one.item for one in test.entries], done.unknown)
    return {
        Column.WORK: cells.work(done),
        Column.CODE: code,
        Column.BUILD: cells.build(done, code),
        Column.TEST: test,
        Column.OUTCOME: UNKNOWN if test.cover is Cover.NO_DATA else outcome,
        Column.REVIEW: cells.review(done),
        Column.CHANGE: cells.change(done),
    }
