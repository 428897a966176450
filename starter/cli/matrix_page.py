"""The matrix as one HTML page: nothing is loaded from elsewhere, no script runs, and what others wrote is escaped.

It is for a browser from a file or behind any server: its policy allows its own style sheet and nothing else. Rows
without a gap are hidden by a checkbox, which needs no script either.
"""

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import TextIO

from pointsman.contracts.matrix import Cell, Column, Cover, Entry, MatrixCoverage, MatrixRow
from pointsman.domain.words import how_many
from starter.cli.matrix_forms import COVERAGE, About, coverage_rows, flag

STYLE = """
:root {
  color-scheme: light dark;
  --ground: light-dark(#fff, #16191f);
  --ink: light-dark(#1b1f26, #e6e9ee);
  --line: light-dark(#c9cfd8, #3b424d);
  --head: light-dark(#eef1f5, #222831);
  --link: light-dark(#0b4fb3, #8ab8ff);
  --gap: light-dark(#a4161a, #ff9c9c);
  --unknown: light-dark(#6b5300, #f0d060);
  --covered: light-dark(#0b5a26, #8fdba6);
  background: var(--ground);
  color: var(--ink);
  font: 1rem/1.4 system-ui, sans-serif;
}
body { margin: 0; padding: 1rem; }
h1, h2 { line-height: 1.2; }
.scrolled { border: 1px solid var(--line); max-height: 80vh; overflow: auto; }
table { border-collapse: separate; border-spacing: 0; }
caption { padding: 0.4rem; text-align: start; }
th, td { border-bottom: 1px solid var(--line); padding: 0.3rem 0.6rem; text-align: start; vertical-align: top; }
thead th { background: var(--head); position: sticky; top: 0; z-index: 2; }
tbody th { background: var(--ground); font-weight: normal; left: 0; min-width: 14rem; position: sticky; z-index: 1; }
thead th:first-child { left: 0; z-index: 3; }
ul { list-style: none; margin: 0; padding: 0; }
li { white-space: nowrap; }
.flag { font-weight: bold; white-space: nowrap; }
.gap { box-shadow: inset 0.2rem 0 var(--gap); }
.gap .flag { color: var(--gap); }
.no_data .flag { color: var(--unknown); font-style: italic; }
.covered .flag { color: var(--covered); font-weight: normal; }
.not_applicable .flag { font-weight: normal; opacity: 0.75; }
a { color: var(--link); }
a:focus-visible, .scrolled:focus-visible, input:focus-visible { outline: 3px solid; outline-offset: 2px; }
body:has(#only:checked) tr.whole { display: none; }
@media print { .scrolled { max-height: none; overflow: visible; } thead th, tbody th { position: static; } }
"""
POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; base-uri 'none'"
)


class Page:
    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._url = ""

    def begin(self, about: About) -> None:
        self._url = about.url if about.url.startswith(("https://", "http://")) else ""
        heading = escape(about.heading)
        head = "".join(f'<th scope="col">{escape(str(column).title())}</th>' for column in Column)
        self._out.write(
            f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{heading}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{heading}</h1>
<p>{escape(about.origin[:1].upper() + about.origin[1:])} <a href="#coverage">Coverage by column</a></p>
</header>
<main>
<p><input type="checkbox" id="only"> <label for="only">Only rows with a gap, or with something unknown</label></p>
<div class="scrolled" role="region" aria-labelledby="matrix" tabindex="0">
<table>
<caption id="matrix">Each requirement, and each item that belongs to none</caption>
<thead><tr><th scope="col">Row</th>{head}</tr></thead>
<tbody>
"""
        )

    def row(self, row: MatrixRow) -> None:
        kind = "" if row.gaps or row.unknown else ' class="whole"'
        subject = f"{self._named(row.subject)} {escape(row.role)}<br>{escape(row.subject.title)}"
        cells = "".join(self._cell(row.cells[column]) for column in Column)
        self._out.write(f'<tr{kind}><th scope="row">{subject}</th>{cells}</tr>\n')

    def end(self, coverage: MatrixCoverage) -> None:
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in COVERAGE)
        lines = "".join(
            f'<tr><th scope="row">{escape(column)}</th>'
            + "".join(f"<td>{escape(str(one))}</td>" for one in told)
            + "</tr>\n"
            for column, *told in coverage_rows(coverage)
        )
        self._out.write(
            f"""</tbody>
</table>
</div>
<section aria-labelledby="coverage">
<h2 id="coverage">Coverage</h2>
<p>{how_many(coverage.rows, "row")}, {coverage.complete} without any gap.</p>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{lines}</tbody>
</table>
</section>
</main>
</body>
</html>
"""
        )

    def _cell(self, cell: Cell) -> str:
        listed = "".join(f"<li>{self._entry(one)}</li>" for one in cell.entries)
        shown = f"<ul>{listed}</ul>" if listed else ""
        told = "" if cell.cover is Cover.COVERED and listed else f'<span class="flag">{escape(flag(cell))}</span>'
        return f'<td class="{escape(cell.cover)}">{told}{shown}</td>'

    def _entry(self, entry: Entry) -> str:
        return f"{self._named(entry)} {escape(entry.told)}"

    def _named(self, entry: Entry) -> str:
        name = escape(entry.name)
        if not entry.item or not self._url:
            return name
        return f'<a href="{escape(self._url)}/_workitems/edit/{entry.item}">{name}</a>'
