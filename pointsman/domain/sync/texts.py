"""Two changes of one text, merged line by line: what diff3 does, over the matching that `difflib` finds.

After Khanna, Kunal and Pierce, "A Formal Investigation of Diff3" (FSTTCS 2007): where base, ours and theirs are the
same, they are in step; between two such places, a part that only one side changed is taken, and a part that both
changed to something else is a conflict. Edits of neighbouring lines are in conflict, too: nothing is in step between.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from pointsman.domain.markup import LINE_END
from pointsman.domain.sync.kinds import is_html

LINES_MAX = 2_000
"""Of each side. Matching takes quadratic time where many lines are the same."""
ELEMENT = re.compile(r"<(/?)([a-z][a-z0-9]*)\b[^<>]*?(/?)>", re.IGNORECASE)
VOID = frozenset({"br", "hr", "img", "input", "col", "meta", "link"})


class Unmergeable(ValueError):
    """The text says why, for people."""


class _Line(NamedTuple):
    """A line as it is written, with its end, and as it is compared: blanks at its ends do not count."""

    text: str
    key: str


class _Step(NamedTuple):
    """A place where all three are the same."""

    base: int
    ours: int
    theirs: int
    length: int


def merged(base: str, ours: str, theirs: str) -> str:
    """Both changes of `base` in one text.

    Raises:
        Unmergeable: both changed the same lines, one is HTML and the other is not, or there are too many lines.
    """
    if base.strip() and is_html(ours) != is_html(theirs):
        raise Unmergeable("one side is HTML, the other is not")
    before, mine, other = _lines(base), _lines(ours), _lines(theirs)
    if (longest := max(len(before), len(mine), len(other))) > LINES_MAX:
        raise Unmergeable(f"{longest} lines, merged are {LINES_MAX} at most")
    text = _joined(list(_merged(before, mine, other)))
    if not (ours.endswith("\n") or theirs.endswith("\n")):
        text = text.rstrip("\n")
    if _is_balanced(ours) and _is_balanced(theirs) and not _is_balanced(text):
        raise Unmergeable("the two changes do not fit into one another: elements would not be closed")
    return text


def _lines(text: str) -> list[_Line]:
    """Lines with their ends, of HTML at the ends of its paragraphs, list items, rows and breaks."""
    places = sorted({found.end() for found in LINE_END.finditer(text)} | {at + 1 for at in _breaks(text)} | {len(text)})
    parts = [text[start:end] for start, end in zip([0, *places], places, strict=False) if end > start]
    return [_Line(part, " ".join(part.split())) for part in parts]


def _breaks(text: str) -> Iterator[int]:
    return (found.start() for found in re.finditer("\n", text))


def _merged(base: Sequence[_Line], ours: Sequence[_Line], theirs: Sequence[_Line]) -> Iterator[_Line]:
    before = _Step(0, 0, 0, 0)
    for step in _in_step(base, ours, theirs):
        yield from _between(
            base[before.base + before.length : step.base],
            ours[before.ours + before.length : step.ours],
            theirs[before.theirs + before.length : step.theirs],
        )
        yield from theirs[step.theirs : step.theirs + step.length]
        before = step


def _between(base: Sequence[_Line], ours: Sequence[_Line], theirs: Sequence[_Line]) -> Sequence[_Line]:
    mine, other, was = _keys(ours), _keys(theirs), _keys(base)
    if mine in (was, other):
        return theirs
    if other == was:
        return ours
    where = next((line.key for line in (*theirs, *ours, *base) if line.key), "")
    raise Unmergeable(f"both changed the same lines, at {where[:80]!r}")


def _joined(lines: Sequence[_Line]) -> str:
    """The last line of a text may have no end, and gets one where it is the last no longer."""
    ended = [line.text if _has_end(line.text) else f"{line.text}\n" for line in lines[:-1]]
    return "".join([*ended, *(line.text for line in lines[-1:])])


def _has_end(line: str) -> bool:
    return line.endswith("\n") or any(found.end() == len(line) for found in LINE_END.finditer(line))


def _keys(lines: Sequence[_Line]) -> list[str]:
    return [line.key for line in lines if line.key]


def _in_step(base: Sequence[_Line], ours: Sequence[_Line], theirs: Sequence[_Line]) -> Iterator[_Step]:
    """Where lines of the base are in both sides, in order; at last the end of all three."""
    mine, other = _matching(base, ours), _matching(base, theirs)
    at_mine = at_other = 0
    while at_mine < len(mine) and at_other < len(other):
        first, second = mine[at_mine], other[at_other]
        start, end = max(first.a, second.a), min(first.a + first.size, second.a + second.size)
        if start < end:
            yield _Step(start, first.b + start - first.a, second.b + start - second.a, end - start)
        if first.a + first.size < second.a + second.size:
            at_mine += 1
        else:
            at_other += 1
    yield _Step(len(base), len(ours), len(theirs), 0)


class _Block(NamedTuple):
    a: int
    b: int
    size: int


def _matching(base: Sequence[_Line], side: Sequence[_Line]) -> list[_Block]:
    matcher = SequenceMatcher(None, [line.key for line in base], [line.key for line in side], autojunk=False)
    return [_Block(*found) for found in matcher.get_matching_blocks()]


def _is_balanced(html: str) -> bool:
    """Whether each element that is opened is closed as often."""
    open_elements: Counter[str] = Counter()
    for closing, name, closed in ELEMENT.findall(html):
        if name.lower() not in VOID and not closed:
            open_elements[name.lower()] += -1 if closing else 1
    return not any(open_elements.values())
