"""A chain as a picture: SVG, from left to right in order of time, the same for the same chain.

The file stands alone: no script, no font, nothing from elsewhere. It follows the reader's choice of light or dark, and
says in words what it shows. All text in it may come from outside, and is escaped and cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from pointsman.contracts.chains import Edge, ThingKind, ThingTold, Walk
from pointsman.domain.chains import bare, kind_of
from pointsman.domain.words import how_many

WIDTH, HEIGHT = 250, 52
GAP_X, GAP_Y, MARGIN = 96, 18, 24
CHARS_MAX = 33  # of a line, at 12 pixels in any sans-serif
FONT = "font-family:system-ui,sans-serif"
STYLE = """
:root{--paper:#fff;--ink:#1b1f24;--faint:#57606a;--line:#8c959f;--event:#0969da;--item:#8250df;--code:#1a7f37;
--run:#9a6700;--write:#bc4c00;--escalation:#cf222e}
@media (prefers-color-scheme: dark){:root{--paper:#0d1117;--ink:#e6edf3;--faint:#9198a1;--line:#6e7681;--event:#4493f8;
--item:#ab7df8;--code:#3fb950;--run:#d29922;--write:#db6d28;--escalation:#f85149}}
.paper{fill:var(--paper)}.box{fill:var(--paper);stroke-width:1.5}.start{stroke-width:3.5}
text{font-size:12px;fill:var(--ink)}.kind{font-weight:600}.small,.edge-name{font-size:10px;fill:var(--faint)}
.edge{fill:none;stroke:var(--line)}.removed{stroke-dasharray:4 4}.tip{fill:var(--line)}
.edge-name{paint-order:stroke;stroke:var(--paper);stroke-width:3px}
.event{stroke:var(--event)}.item{stroke:var(--item)}.code{stroke:var(--code)}.run{stroke:var(--run)}
.write{stroke:var(--write)}.escalation{stroke:var(--escalation)}
""".replace("\n", "")
COLOURS = {
    ThingKind.EVENT: "event",
    ThingKind.ITEM: "item",
    ThingKind.RUN: "run",
    ThingKind.WRITE: "write",
    ThingKind.ESCALATION: "escalation",
}


@dataclass(frozen=True)
class Place:
    column: int
    row: int

    @property
    def x(self) -> int:
        return MARGIN + self.column * (WIDTH + GAP_X)

    @property
    def y(self) -> int:
        return MARGIN + self.row * (HEIGHT + GAP_Y)


def draw(walk: Walk, told: Sequence[ThingTold]) -> str:
    """`told` gives the order: causes before effects as far as time says so."""
    places = layout([one.thing for one in told], walk.edges)
    width = MARGIN * 2 + max((place.x for place in places.values()), default=0) + WIDTH - MARGIN
    height = MARGIN * 2 + max((place.y for place in places.values()), default=0) + HEIGHT - MARGIN
    title = f"Chain of {walk.start}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title desc" style="{FONT}">',
        f'<title id="title">{escape(_clean(title))}</title>',
        f'<desc id="desc">{escape(_clean(_in_words(walk, told)))}</desc>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8Z"/></marker></defs>',
        f'<rect class="paper" width="{width}" height="{height}"/>',
        *(_line(edge, places) for edge in walk.edges if edge.cause in places and edge.effect in places),
        *(_box(one, places[one.thing], is_start=one.thing == walk.start) for one in told),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def layout(things: Sequence[str], edges: Sequence[Edge]) -> dict[str, Place]:
    """A column right of all causes that come earlier, so that a circle has one edge that leads back. In a column, rows
    in the order of the nearest cause, then in the order given."""
    order = {name: number for number, name in enumerate(things)}
    causes: dict[str, list[str]] = {name: [] for name in things}
    for edge in edges:
        if order.get(edge.cause, len(order)) < order.get(edge.effect, -1):
            causes[edge.effect].append(edge.cause)
    columns: dict[str, int] = {}
    for name in things:
        columns[name] = max((columns[cause] + 1 for cause in causes[name]), default=0)
    places: dict[str, Place] = {}
    for column in range(max(columns.values(), default=-1) + 1):
        here = [name for name in things if columns[name] == column]
        here.sort(key=lambda name: (_row_of_causes(causes[name], places), order[name]))
        places.update({name: Place(column, row) for row, name in enumerate(here)})
    return places


def _row_of_causes(causes: Sequence[str], places: Mapping[str, Place]) -> float:
    rows = [places[cause].row for cause in causes if cause in places]
    return sum(rows) / len(rows) if rows else 0.0


def _line(edge: Edge, places: Mapping[str, Place]) -> str:
    cause, effect = places[edge.cause], places[edge.effect]
    leads_back = effect.column <= cause.column
    x1, y1 = cause.x + (0 if leads_back else WIDTH), cause.y + HEIGHT // 2
    x2, y2 = effect.x + (WIDTH if leads_back else 0), effect.y + HEIGHT // 2
    bend = -GAP_X if leads_back else GAP_X // 2
    if cause.column == effect.column:  # from the left side around to the left side
        x2 = effect.x
        path = f"M{x1} {y1}C{x1 - GAP_X // 2} {y1} {x2 - GAP_X // 2} {y2} {x2} {y2}"
    else:
        path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    style = "edge removed" if edge.removed else "edge"
    name = edge.kind.value.replace("_", " ") + (" (removed)" if edge.removed else "")
    aside = GAP_X // 2 if cause.column == effect.column else 0
    middle = f'x="{(x1 + x2) // 2 - aside}" y="{(y1 + y2) // 2 - 3}"'
    label = f'<text class="edge-name" {middle} text-anchor="middle">{escape(name)}</text>'
    return f'<path class="{style}" d="{path}" marker-end="url(#tip)"/>{label}'


def _box(one: ThingTold, place: Place, *, is_start: bool) -> str:
    kind = kind_of(one.thing)
    colour = COLOURS.get(kind, "code") if kind else "code"
    when = one.at.strftime("%Y-%m-%d %H:%M:%S") if one.at else ""
    small = ", ".join(filter(None, (when, one.who)))
    head = f"{kind.value.replace('_', ' ') if kind else 'thing'} {_tail(one.thing)}"
    lines = (("kind", head, 16), ("what", one.what, 31), ("small", small, 45))
    told = "".join(
        f'<text class="{style}" x="{place.x + 10}" y="{place.y + y}">{escape(_cut(line))}</text>'
        for style, line, y in lines
        if line
    )
    full = escape(_clean(f"{one.thing}: {one.what}"))
    edge = f"box {colour} start" if is_start else f"box {colour}"
    at = f'x="{place.x}" y="{place.y}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<g><title>{full}</title><rect class="{edge}" {at} rx="6"/>{told}</g>'


def _tail(name: str) -> str:
    """The end of a long name is what tells it from others."""
    rest = bare(name)
    if kind_of(name) is ThingKind.COMMIT:
        organisation, _, commit = rest.rpartition("/")
        return f"{organisation}/{commit[:10]}"
    return rest if len(rest) <= CHARS_MAX - 14 else f"…{rest[-(CHARS_MAX - 15) :]}"


def _cut(line: str) -> str:
    line = _clean(line)
    return line if len(line) <= CHARS_MAX else f"{line[: CHARS_MAX - 1]}…"


def _clean(line: str) -> str:
    """Without what XML cannot hold at all."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in line).split())


def _in_words(walk: Walk, told: Sequence[ThingTold]) -> str:
    count = f"{how_many(len(told), 'thing')} and {how_many(len(walk.edges), 'connection')}"
    more = "" if walk.complete else ", and there are more"
    led = "; ".join(f"{edge.cause} {edge.kind.value.replace('_', ' ')} {edge.effect}" for edge in walk.edges[:50])
    return f"{count}{more}. {led}"
