"""What commands print: data on stdout as table, TSV or JSON; talk on stderr.

A terminal gets a table, a pipe gets TSV without a header line (so that `cut -f1` gives the first column), `--json`
gives one document with `schema_version`. Machine forms carry times as ISO 8601 in UTC and never cut a value.
"""

import json
import os
import re
import select
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from errno import EPIPE
from typing import TextIO

from starter.cli.errors import CliError

SCHEMA_VERSION = 1

Value = str | int | float | bool | datetime | None | Sequence["Value"] | Mapping[str, "Value"]
Record = Mapping[str, Value]

# What could move the cursor or colour the terminal: titles and comments come from outside.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Listing:
    """Many records of one kind. The table shows `columns`, JSON all of each record."""

    name: str
    columns: tuple[str, ...]
    records: Sequence[Record]


@dataclass(frozen=True)
class Single:
    """One record, shown as lines of name and value."""

    name: str
    record: Record


@dataclass(frozen=True)
class Output:
    """Where and how to print. `colour` is for tables; JSON and TSV never have any."""

    as_json: bool = False
    quiet: bool = False
    colour: bool = True
    stdout: TextIO = sys.stdout
    stderr: TextIO = sys.stderr

    @property
    def terminal(self) -> bool:
        return self.stdout.isatty()

    def show(self, what: Listing | Single) -> None:
        if self.as_json:
            body: Value = list(what.records) if isinstance(what, Listing) else what.record
            self.document({what.name: body})
        elif isinstance(what, Listing):
            self._rows(what)
        else:
            self.lines(what.record)

    def document(self, body: Record) -> None:
        """One JSON document."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **body}, default=_plain, ensure_ascii=False, indent=2)
        self.stdout.write(text + "\n")

    def line(self, text: str) -> None:
        """One line of data, as it is."""
        self.stdout.write(text + "\n")

    def flush(self) -> None:
        """Let the reader see at once what was printed, because this process goes on."""
        self.stdout.flush()

    def require_reader(self) -> None:
        """Of a pipe: who has nothing to print never hears otherwise that nobody reads any more.

        Raises:
            BrokenPipeError: the other end is closed.
        """
        try:
            descriptor = self.stdout.fileno()
        except (OSError, ValueError):
            return  # it is no file
        waiting = select.poll()
        waiting.register(descriptor, select.POLLOUT)  # macOS tells of a closed end only who asks whether he may write
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in waiting.poll(0)):
            raise BrokenPipeError(EPIPE, os.strerror(EPIPE))

    def raw(self, data: bytes) -> None:
        """Bytes of somebody else, unchanged."""
        self.stdout.flush()
        self.stdout.buffer.write(data)
        self.stdout.flush()

    def event(self, body: Record) -> None:
        """One JSON document on one line, at once."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **body}, default=_plain, ensure_ascii=False)
        self.stdout.write(text + "\n")
        self.stdout.flush()

    def piece(self, text: str) -> None:
        """A part of a text that is still coming."""
        self.stdout.write(printable(text) if self.terminal else text)
        self.stdout.flush()

    def murmur(self, text: str) -> None:
        """A part of something that is no data, and is still coming."""
        if not self.quiet:
            self.stderr.write(printable(text) if self.stderr.isatty() else text)
            self.stderr.flush()

    def say(self, text: str) -> None:
        """Talk: what is being done, where to look. Not data."""
        if not self.quiet:
            self.stderr.write(text + "\n")
            self.stderr.flush()

    def fail(self, error: CliError) -> None:
        """Print the error. `--quiet` does not silence it."""
        if self.as_json:
            document = {"schema_version": SCHEMA_VERSION, **error.document()}
            self.stderr.write(json.dumps(document, ensure_ascii=False) + "\n")
            return
        message = printable(error.message.strip())
        # One paragraph that ends with the next command, unless the message has said it already.
        hint = error.hint if error.hint and error.hint not in message else ""
        self.stderr.write(f"error: {message}\n{hint}\n" if hint else f"error: {message}\n")

    def _rows(self, what: Listing) -> None:
        if not self.terminal:
            for record in what.records:
                self.stdout.write("\t".join(tsv(record.get(column)) for column in what.columns) + "\n")
            return
        if not what.records:
            self.say(f"no {what.name}")
            return
        _print_table(self, what)

    def lines(self, record: Record) -> None:
        """One record, a line for each value that it has."""
        if not self.terminal:
            for name, value in record.items():
                self.stdout.write(f"{name}\t{tsv(value)}\n")
            return
        width = max(map(len, record), default=0)
        for name, value in ((name, value) for name, value in record.items() if value not in (None, "", [], ())):
            lines = human(value).split("\n")
            self.stdout.write(f"{name.replace('_', ' '):<{width}}  {lines[0]}\n")
            self.stdout.writelines(f"{'':<{width}}  {line}\n" for line in lines[1:])


def output(as_json: bool, quiet: bool, no_color: bool) -> Output:
    """Output of this process. `NO_COLOR` (no-color.org) and a terminal that is `dumb` switch colour off, too."""
    colour = not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Output(as_json=as_json, quiet=quiet, colour=colour, stdout=sys.stdout, stderr=sys.stderr)


def printable(text: str) -> str:
    """Text without characters that steer a terminal. Line ends and tabs stay."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def tsv(value: Value) -> str:
    """One field of a TSV line: tab, line end and backslash are escaped."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value) if isinstance(value, int | float) else json.dumps(value, default=_plain, ensure_ascii=False)
    escaped = value.replace("\\", "\\\\").replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")
    return printable(escaped)


def human(value: Value) -> str:
    """A value for people: local time, short numbers, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {human(one)}" for name, one in value.items())
    return "\n".join(human(one) for one in value)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"{type(value).__name__} has no place in the output")


# A terminal shows how they begin, to leave room for words; TSV and JSON have all of them.
REFERENCES = ("ref", "correlation_id")
REFERENCE_CHARS_MAX = WORD_CHARS_MAX = 14
COLUMN_GAP = "  "


def _print_table(out: Output, what: Listing) -> None:
    from rich.console import Console  # 150 ms that only a table needs
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in what.columns:
        title = column.replace("_", " ").upper()
        if column in REFERENCES:
            table.add_column(title, overflow="ellipsis", no_wrap=True, max_width=REFERENCE_CHARS_MAX)
        else:
            table.add_column(title, overflow="fold")
    console = Console(file=out.stdout, color_system="auto" if out.colour else None, highlight=False)
    if _width_wanted(what) > console.width:
        _print_blocks(out, what)
        return
    for record in what.records:
        table.add_row(*(Text(human(record.get(column)), style=_style(column, record)) for column in what.columns))
    console.print(table)


def _width_wanted(what: Listing) -> int:
    """Where words stay whole, but for very long ones."""
    widths = [max(map(len, column.split("_"))) for column in what.columns]
    for record in what.records:
        for place, column in enumerate(what.columns):
            longest = max(map(len, human(record.get(column)).split()), default=0)
            widths[place] = max(widths[place], min(longest, WORD_CHARS_MAX))
    return sum(widths) + len(COLUMN_GAP) * (len(widths) - 1)


def _print_blocks(out: Output, what: Listing) -> None:
    """One record below the other: a terminal that is too narrow for a table would cut words into pieces."""
    for number, record in enumerate(what.records):
        out.stdout.write("\n" if number else "")
        out.lines({column: record.get(column) for column in what.columns})


STYLES = {
    "ok": "green",
    "done": "green",
    "dispatched": "green",
    "warn": "yellow",
    "waiting": "yellow",
    "pending": "yellow",
    "parked": "yellow",
    "fail": "red",
    "failed": "red",
    "dead": "red",
    "critical": "red",
}


def _style(column: str, record: Record) -> str:
    value = record.get(column)
    return STYLES.get(value, "") if column in ("state", "status", "severity") and isinstance(value, str) else ""
