"""The matrix as CSV, JSON and Excel. Each is written row by row: a form is begun, gets rows, and is ended."""

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TextIO

from pointsman.contracts.matrix import Cell, Column, Cover, Entry, MatrixCoverage, MatrixRow
from pointsman.domain.matrix.coverage import of_column, share
from starter.cli.output import SCHEMA_VERSION, iso

# What makes a spreadsheet take a text for a formula or a command (OWASP, CSV injection), full-width forms too.
STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
CELL_CHARS_MAX = 32_767  # Excel's own limit
HEAD = ("id", "kind", "title", *(name for column in Column for name in (str(column), f"{column} flag")), "gaps")
COVERAGE = ("column", "covered", "gap", "no data", "percent")


@dataclass(frozen=True)
class About:
    """What a matrix is of, and how it was made. `url` is that of the organisation."""

    organisation: str
    project: str
    process: str
    read_at: datetime | None
    url: str = ""

    @property
    def heading(self) -> str:
        return f"Traceability of {self.project} ({self.organisation}, {self.process})"

    @property
    def origin(self) -> str:
        read = f"as read at {iso(self.read_at)}" if self.read_at else "as far as it was read"
        return f"{read}. It shows evidence and gaps; whether a practice is lived is for people to judge."


class Sheet(Protocol):
    """A sheet of Excel, as far as headings need it."""

    def write_string(self, row: int, col: int, string: str, cell_format: object = ...) -> int: ...


class Form(Protocol):
    def begin(self, about: About) -> None: ...
    def row(self, row: MatrixRow) -> None: ...
    def end(self, coverage: MatrixCoverage) -> None: ...


def flag(cell: Cell) -> str:
    """`covered`, `gap: no test`, `no data`, `n/a`."""
    if cell.gaps:
        return "gap: " + ", ".join(words(gap) for gap in cell.gaps)
    return "n/a" if cell.cover is Cover.NOT_APPLICABLE else words(cell.cover)


def words(name: str) -> str:
    return name.replace("_", " ")


def shown(entry: Entry) -> str:
    """`41 Task, Active`; titles are in a column of their own, for the subject."""
    return f"{entry.name} {entry.told}".strip()


def texts(row: MatrixRow) -> list[str]:
    """The fields of `HEAD`."""
    told = [row.subject.name, str(row.role), row.subject.title]
    for column in Column:
        cell = row.cells[column]
        told += ["; ".join(map(shown, cell.entries)), flag(cell)]
    return [*told, "; ".join(f"{column}: {words(gap)}" for column, gap in row.gaps)]


def coverage_rows(coverage: MatrixCoverage) -> Iterator[tuple[str, int, int, int, str]]:
    """The fields of `COVERAGE` for each column about which anything can be told."""
    for column in Column:
        covered, gap, unknown = of_column(coverage, column)
        if covered or gap or unknown:
            percent = share(covered, gap)
            yield str(column), covered, gap, unknown, "" if percent is None else f"{percent:.1f}"


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe stands before what would begin one."""
    return f"'{text}" if text.startswith(STARTS_FORMULA) else text


class Csv:
    """RFC 4180, with a byte order mark, without which Excel takes it for another encoding."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._writer = csv.writer(out)

    def begin(self, about: About) -> None:
        self._out.write("\ufeff")
        self._writer.writerow(HEAD)

    def row(self, row: MatrixRow) -> None:
        self._writer.writerow([guarded(text) for text in texts(row)])

    def end(self, coverage: MatrixCoverage) -> None:
        """Coverage is no row."""


class Json:
    """One document; rows as the contract has them, without what is empty."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._between = "\n"

    def begin(self, about: About) -> None:
        head = {
            "organisation": about.organisation,
            "project": about.project,
            "process": about.process,
            "read_at": iso(about.read_at) if about.read_at else None,
        }
        told = json.dumps(head, ensure_ascii=False)
        self._out.write(f'{{"schema_version": {SCHEMA_VERSION}, "matrix": {told[:-1]}, "rows": [')

    def row(self, row: MatrixRow) -> None:
        self._out.write(self._between + row.model_dump_json(exclude_defaults=True))
        self._between = ",\n"

    def end(self, coverage: MatrixCoverage) -> None:
        self._out.write(f'\n], "coverage": {coverage.model_dump_json()}}}}}\n')


class Excel:
    """Rows go to disk as they come. Every cell is written as text or as a number, never as a formula."""

    def __init__(self, path: Path) -> None:
        import xlsxwriter  # 60 ms that no other form needs

        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book = xlsxwriter.Workbook(str(path), options)
        self._sheet = self._book.add_worksheet("Matrix")
        self._bold = self._book.add_format({"bold": True, "bottom": 1})
        self._wrapped = self._book.add_format({"text_wrap": True, "valign": "top"})
        self._colours = {
            Cover.GAP: self._format("#7a1420", "#fde7e9"),
            Cover.NO_DATA: self._format("#5c4a00", "#fff4ce"),
            Cover.COVERED: self._format("#0b4a1f", "#e6f4ea"),
        }
        self._line = 0

    def begin(self, about: About) -> None:
        self._book.set_properties({"title": about.heading, "comments": about.origin})
        self._sheet.freeze_panes(1, 3)
        self._sheet.set_column(0, 1, 12)
        self._sheet.set_column(2, len(HEAD) - 1, 26)
        self._strings(self._sheet, 0, HEAD, self._bold)

    def row(self, row: MatrixRow) -> None:
        self._line += 1
        formats = [self._wrapped] * len(HEAD)
        for place, column in enumerate(Column):
            formats[4 + 2 * place] = self._colours.get(row.cells[column].cover, self._wrapped)
        for place, (text, look) in enumerate(zip(texts(row), formats, strict=True)):
            if place == 0:
                self._sheet.write_number(self._line, 0, int(text), look)
            elif text:
                self._sheet.write_string(self._line, place, cut(text), look)

    def end(self, coverage: MatrixCoverage) -> None:
        self._sheet.autofilter(0, 0, self._line, len(HEAD) - 1)
        sheet = self._book.add_worksheet("Coverage")
        sheet.set_column(0, len(COVERAGE) - 1, 14)
        self._strings(sheet, 0, COVERAGE, self._bold)
        for line, (column, *counts, percent) in enumerate(coverage_rows(coverage), start=1):
            sheet.write_string(line, 0, column)
            for place, count in enumerate(counts, start=1):
                sheet.write_number(line, place, count)
            if percent:
                sheet.write_number(line, len(COVERAGE) - 1, float(percent))
        self._book.close()

    def _format(self, ink: str, ground: str) -> object:
        return self._book.add_format({"font_color": ink, "bg_color": ground, "text_wrap": True, "valign": "top"})

    def _strings(self, sheet: Sheet, line: int, told: Sequence[str], look: object) -> None:
        for place, text in enumerate(told):
            sheet.write_string(line, place, text, look)


def cut(text: str) -> str:
    """As much as a cell of Excel holds."""
    return text if len(text) <= CELL_CHARS_MAX else f"{text[: CELL_CHARS_MAX - 1]}…"


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` once it is whole; until then what was there stays."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
