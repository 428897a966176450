"""Code blocks of the documentation, each with the comment before it that says how it is known to be right.

The comment is the last line before the block, blank lines aside:

    <!-- run: GROUP -->             runs here; blocks of one group and page share a home and a folder, in order
    <!-- not run: REASON -->        cannot, and why
    <!-- tested by: FILE::TEST -->  another test, or a script with that line, runs the same

Where another file repeats a block, it is read like any other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<language>[\w+-]*).*$")
MARKER = re.compile(r"^ *<!-- (?P<how>run|not run|tested by): (?P<what>.+?) -->$")
# Languages that have a way to be run here; anything else can only be shown.
RUNNABLE = frozenset({"bash", "python", "yaml", "json"})


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    how: str
    """run, not run, tested by; empty where no comment says it."""
    what: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Fenced blocks in order. A fence that is not closed runs to the end, as Markdown has it."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        opened = FENCE.match(lines[number])
        if opened is None:
            number += 1
            continue
        end = _end(lines, number, opened["ticks"])
        indent = len(opened["indent"])
        text = "\n".join(line[indent:] if line[:indent].isspace() else line for line in lines[number + 1 : end])
        marker = MARKER.match(_before(lines, number))
        how, what = (marker["how"], marker["what"]) if marker else ("", "")
        yield Block(page, number + 1, opened["language"], text + "\n", how, what)
        number = end + 1


def _end(lines: list[str], start: int, ticks: str) -> int:
    for number in range(start + 1, len(lines)):
        if lines[number].strip().startswith(ticks) and not lines[number].strip().strip(ticks[0]):
            return number
    return len(lines)


def _before(lines: list[str], number: int) -> str:
    return next((line for line in reversed(lines[:number]) if line.strip()), "")
