"""Figures as SVG, written by hand: rows of bars, and distributions as lines. Readable on light and dark pages."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from typing import NamedTuple

WIDTH, ROW, HEAD, LABELS, VALUES = 760, 24, 52, 190, 120
INK, FAINT, PAPER = "#1f2933", "#9aa5b1", "#ffffff"
OURS, OTHERS = "#0b7a75", "#b8c4ce"
LINES = ("#0b7a75", "#7b8794", "#c2410c", "#7c3aed", "#b45309", "#0369a1", "#be185d", "#4d7c0f", "#111827")


class Bar(NamedTuple):
    label: str
    value: float
    shown: str
    is_ours: bool = False


def bars(title: str, rows: Sequence[Bar]) -> str:
    """One bar each, from nought on. A value below nought has a bar to the left of it."""
    least, most = min(0.0, *(row.value for row in rows)), max(0.0, *(row.value for row in rows))
    scale = (WIDTH - LABELS - VALUES) / ((most - least) or 1)
    zero = LABELS - least * scale
    drawn = [_text(16, 28, title, weight=600, size=15)]
    for number, row in enumerate(rows):
        top = HEAD + number * ROW
        left, length = zero + min(0.0, row.value) * scale, max(1.0, abs(row.value) * scale)
        drawn += [
            _text(LABELS - 10, top + 13, row.label, "end", weight=600 if row.is_ours else 400),
            f'<rect x="{left:.1f}" y="{top}" width="{length:.1f}" height="{ROW - 6}" rx="2" '
            f'fill="{OURS if row.is_ours else OTHERS}"/>',
            _text(max(zero, left + length) + 8, top + 13, row.shown),
        ]
    bottom = HEAD + len(rows) * ROW
    drawn.append(_line(zero, HEAD - 6, zero, bottom, FAINT, 1))
    return _picture(bottom + 12, title, drawn)


def distributions(title: str, seen: Mapping[str, Mapping[float, int]], unit: str) -> str:
    """Share of values that took at most so long, on a logarithmic axis: one line for each name.

    `seen` has the upper end of each bucket, and how many values were in it.
    """
    height, left, right, top = 320, 60, 190, 52
    ends = [end for buckets in seen.values() for end in buckets]
    low, high = log10(min(ends) / 1.2), log10(max(ends))
    wide, tall = WIDTH - left - right, height - top - 46

    def across(value: float) -> float:
        return left + (log10(value) - low) / ((high - low) or 1) * wide

    drawn = [_text(16, 28, title, weight=600, size=15)]
    for share in (0.0, 0.5, 0.9, 1.0):
        at = top + (1 - share) * tall
        drawn += [_line(left, at, left + wide, at, FAINT, 0.5), _text(left - 8, at + 4, f"{share:.0%}", "end", size=11)]
    for mark in (step * 10.0**power for power in range(-3, 5) for step in (1, 2, 5)):
        if low <= log10(mark) <= high:
            drawn.append(_text(across(mark), top + tall + 18, f"{mark:g}", "middle", size=11))
    drawn.append(_text(left + wide / 2, height - 8, unit, "middle", size=11))
    for number, (name, buckets) in enumerate(seen.items()):
        total, sofar, points = sum(buckets.values()), 0, list[str]()
        for end in sorted(buckets):
            sofar += buckets[end]
            points.append(f"{across(end):.1f},{top + (1 - sofar / total) * tall:.1f}")
        colour, thick = LINES[number % len(LINES)], 2.4 if name.startswith("pointsman") else 1.4
        at = top + 8 + number * 18
        drawn += [
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="{thick}"/>',
            _line(WIDTH - right + 14, at, WIDTH - right + 34, at, colour, thick),
            _text(WIDTH - right + 40, at + 4, name, size=12),
        ]
    return _picture(height, title, drawn)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", *, weight: int = 400, size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{INK}">{escape(text)}</text>'
    )


def _picture(height: float, title: str, drawn: Sequence[str]) -> str:
    inside = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'font-family="system-ui, sans-serif">\n<title>{escape(title)}</title>\n'
        f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="{PAPER}"/>\n{inside}\n</svg>\n'
    )
