"""Rows counted: how much of a matrix is covered, by column and by gap."""

from collections import Counter

from pointsman.contracts.matrix import Column, Cover, MatrixCoverage, MatrixRow

COUNTED = frozenset({Cover.COVERED, Cover.GAP, Cover.NO_DATA})


def counted(coverage: MatrixCoverage, row: MatrixRow) -> MatrixCoverage:
    covers, gaps = Counter(coverage.covers), Counter(coverage.gaps)
    covers.update(f"{column}/{cell.cover}" for column, cell in row.cells.items() if cell.cover in COUNTED)
    gaps.update(f"{column}/{gap}" for column, gap in row.gaps)
    return MatrixCoverage(
        rows=coverage.rows + 1,
        complete=coverage.complete + (not row.gaps and not row.unknown),
        covers=dict(covers),
        gaps=dict(gaps),
    )


def of_column(coverage: MatrixCoverage, column: Column) -> tuple[int, int, int]:
    """Rows in which it is covered, in which it has a gap, and of which nothing is known."""
    covered, gap, unknown = (
        coverage.covers.get(f"{column}/{cover}", 0) for cover in (Cover.COVERED, Cover.GAP, Cover.NO_DATA)
    )
    return covered, gap, unknown


def share(covered: int, gap: int) -> float | None:
    """Percent of those that can be told; None where nothing can."""
    return 100 * covered / (covered + gap) if covered + gap else None
