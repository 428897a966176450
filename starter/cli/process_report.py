"""The report on the process of a project on the command line: as Markdown, as an HTML page, as JSON."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path

from pointsman.config import Settings
from pointsman.contracts.actions import Action
from pointsman.contracts.process_report import ProcessReport, Waiver
from pointsman.contracts.records import AuditEvent
from pointsman.contracts.violations import Checked
from pointsman.domain.loose import string
from pointsman.domain.matrix.reports import Kept, Span, report
from pointsman.domain.words import how_many
from pointsman.policies.process_rules import load_processes
from pointsman.ports import Missing
from pointsman.store.audit import Audit
from pointsman.store.process_violations import ProcessViolations
from starter.cli.call import Call
from starter.cli.choices import one_format
from starter.cli.context import reading
from starter.cli.errors import ExitCode, folder_must_exist, usage
from starter.cli.matrix import Wanted, opened
from starter.cli.matrix_forms import COVERAGE, coverage_rows, replaced
from starter.cli.matrix_page import POLICY, STYLE
from starter.cli.organisations import chosen, no_project
from starter.cli.output import printable
from starter.cli.times import moment
from starter.organisations import client_of
from starter.process import NoProcess, process_of

COMMAND = "pointsman process report"
FORMATS = ("md", "html", "json")
SPAN = timedelta(days=28)
ROWS_MAX = 1_000_000
DISCLAIMER = (
    "This report tells what checks of Azure DevOps found and what is kept of it. It is evidence and gaps; it is no "
    "appraisal, and no rating or level follows from it."
)
PRACTICES = ("Practice", "Opened", "Resolved", "Waived", "Standing")
TREND = ("Week from", "Opened", "Resolved", "Not resolved at its end")
WHOLE = ("Violation", "Check", "Severity", "State", "Opened", "Found")
VALUES = ("Type", "Field", "Value", "Items")
WAIVERS = ("Violation", "Check", "By", "Until", "Reason")
Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""Heading, columns, rows."""


async def show(
    call: Call, settings: Settings, wanted: Wanted, since: str, until: str, *, matrix: bool = True
) -> ExitCode:
    form = one_format(wanted.format, "md", as_json=call.out.as_json, hint=f"{COMMAND} --help")
    if form not in FORMATS:
        raise usage(f"There is no format {form!r}; there are: {', '.join(FORMATS)}.", f"{COMMAND} --help")
    if not wanted.project:
        raise usage("Name a project: --project NAME.", f"{COMMAND} --help")
    if wanted.output:
        folder_must_exist(Path(wanted.output))
    told = await made(call, settings, wanted, _span(since, until), matrix=matrix)
    text = {"md": markdown, "html": page, "json": document}[form](told)
    if not wanted.output:
        call.out.stdout.write(text)
        return ExitCode.OK
    with replaced(Path(wanted.output)) as part:
        part.write_text(text, encoding="utf-8")
    call.out.say(f"written to {wanted.output}")
    return ExitCode.OK


def _span(since: str, until: str) -> Span:
    end = moment(until, "--until") or datetime.now(UTC)
    begin = moment(since, "--since") or end - SPAN
    if begin >= end:
        raise usage(f"--since {begin:%Y-%m-%d} is not before --until {end:%Y-%m-%d}.", f"{COMMAND} --help")
    return Span(begin, end)


async def made(call: Call, settings: Settings, wanted: Wanted, span: Span, *, matrix: bool) -> ProcessReport:
    place = chosen(settings, wanted.organisation, COMMAND)
    async with client_of(place) as client:
        try:
            policy = await process_of(client, wanted.project, load_processes(settings.policy_dir), wanted.process)
        except NoProcess as error:
            raise usage(f"Nothing is reported: {error}.", "pointsman process rules") from error
        except Missing as error:
            raise await no_project(client, wanted.project) from error
    async with reading(settings) as store:
        found = await ProcessViolations(store).find(
            organisation=place.name, project=wanted.project, every=True, limit=ROWS_MAX
        )
        told = await Audit(store).find(action=Action.VIOLATION_WAIVED, limit=ROWS_MAX)
        checks = await Audit(store).find(action=Action.PROCESS_CHECKED, limit=ROWS_MAX)
    ids = {one.id for one in found}
    waivers = [
        Waiver(
            violation=string(one.data.get("violation")),
            check=string(one.data.get("check")),
            at=one.at,
            by=one.actor,
            reason=string(one.data.get("reason")),
            until=string(one.data.get("until"))[:10],
        )
        for one in told
        if one.data.get("violation") in ids
    ]
    kept = Kept(found, waivers, checked=_last(checks, place.name, wanted.project, span.until))
    if matrix:
        async with opened(call, settings, wanted) as traced:
            async for _ in traced.rows(wanted):
                pass
            kept = replace(kept, coverage=traced.coverage, read_at=traced.about.read_at, unknown=traced.mark.unknown)
    return report(place.name, wanted.project, policy, span, kept, datetime.now(UTC))


def _last(events: Sequence[AuditEvent], organisation: str, project: str, until: datetime) -> Checked | None:
    """The last check of all of the project before a moment."""
    place = (organisation.casefold(), project.casefold())
    every = (Checked.model_validate({**one.data, "tenant": one.chain.tenant, "at": one.at}) for one in events)
    found = [one for one in every if (one.organisation.casefold(), one.project.casefold()) == place and one.at < until]
    return max(found, key=lambda one: one.at, default=None)


def tables(told: ProcessReport) -> list[Table]:
    practices = [[p.practice, *map(str, (p.opened, p.resolved, p.waived, p.standing))] for p in told.practices]
    trend = [[_day(w.since), *map(str, (w.opened, w.resolved, w.standing))] for w in told.trend]
    waivers = [[w.violation, w.check, w.by, w.until, w.reason] for w in told.waivers]
    whole = [[w.violation, w.check, w.severity.value, w.state, _day(w.opened_at), w.evidence] for w in told.whole]
    severities = [[severity.value, str(count)] for severity, count in told.severities.items()]
    values = [[v.type, v.field, v.value, str(v.items)] for v in told.values]
    coverage = list(coverage_rows(told.coverage)) if told.coverage else []
    return [
        ("Violations by practice", PRACTICES, practices),
        ("Standing at the end, by severity", ("Severity", "Violations"), severities),
        ("Trend", TREND, trend),
        ("Of the project as a whole", WHOLE, whole),
        ("What items say in fields that are counted", VALUES, values),
        ("Waivers", WAIVERS, waivers),
        ("How work is traced", COVERAGE, [list(map(str, row)) for row in coverage]),
    ]


def _lead(told: ProcessReport) -> list[str]:
    lines = [
        f"{_day(told.since)} to {_day(told.until)}, checks of {told.process}.",
        f"Made at {told.made_at:%Y-%m-%d %H:%M} UTC.",
        DISCLAIMER,
    ]
    if told.checked_at:
        items = how_many(told.checked_items, "item")
        lines.append(f"All of it was last checked at {told.checked_at:%Y-%m-%d %H:%M} UTC: {items}.")
    if told.coverage:
        read = f" as of {told.read_at:%Y-%m-%d %H:%M} UTC" if told.read_at else ""
        rows, complete = told.coverage.rows, told.coverage.complete
        lines.append(f"The matrix has {how_many(rows, 'row')}{read}; without any gap: {complete}.")
    return lines


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _title(told: ProcessReport) -> str:
    return f"Process of {told.project} ({told.organisation})"


def markdown(told: ProcessReport) -> str:
    parts = [f"# {_plain(_title(told))}", *map(_plain, _lead(told))]
    for heading, columns, rows in tables(told):
        parts.append(f"## {heading}")
        parts.append(_table(columns, rows) if rows else "None.")
    parts.append("## What could not be decided")
    parts.append("\n".join(f"- {_plain(one)}" for one in told.undecided) or "Nothing that is known of.")
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([_plain(one) for one in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text of others in Markdown: it makes no markup, no table and no HTML."""
    escaped = "".join(f"\\{one}" if one in "\\`*_[]|#<>~" else one for one in printable(text))
    return " ".join(escaped.split())


def page(told: ProcessReport) -> str:
    title = escape(_title(told))
    lead = "".join(f"<p>{escape(one)}</p>\n" for one in _lead(told))
    sections = "".join(_section(number, *table) for number, table in enumerate(tables(told)))
    undecided = "".join(f"<li>{escape(one)}</li>" for one in told.undecided) or "<li>Nothing that is known of.</li>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{lead}{sections}<section aria-labelledby="undecided">
<h2 id="undecided">What could not be decided</h2>
<ul>{undecided}</ul>
</section>
</main>
</body>
</html>
"""


def _section(number: int, heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    name = f"part-{number}"
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in columns)
    lines = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(one)}</td>" for one in rest)}</tr>\n'
        for first, *rest in rows
    )
    shown = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table>" if rows else "<p>None.</p>"
    return f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(heading)}</h2>\n{shown}\n</section>\n'


def document(told: ProcessReport) -> str:
    return f'{{"schema_version": 1, "report": {told.model_dump_json()}}}\n'
