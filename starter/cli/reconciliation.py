"""Projects compared with our books on the command line: asked for, waited for, and how each was last found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import WorkflowFailureError

from pointsman.config import Settings
from pointsman.contracts.reconciliation import ReconcileReport, SyncStanding
from pointsman.domain.words import how_many
from starter import reconciliation, recovery
from starter.cli.call import Call
from starter.cli.context import policy
from starter.cli.errors import CliError, ExitCode
from starter.cli.output import Listing, Record
from starter.cli.recovery import ended, organisations_of
from starter.cli.workers import served

COLUMNS = ("organisation", "project", "item", "standing", "repaired", "reason")
COUNTED = tuple(one.value for one in SyncStanding)


@dataclass(frozen=True)
class Wanted:
    organisation: str
    project: str
    settle_minutes: int
    by: str
    dry_run: bool


async def reconcile(call: Call, settings: Settings, wanted: Wanted) -> ExitCode:
    """Compare each organisation of the settings, or the one that is named, and wait for what came of it."""
    places = organisations_of(settings, wanted.organisation)
    client = await served(settings, call.out.say)
    rules = policy(settings)
    reports: list[ReconcileReport] = []
    for organisation in places:
        for name in (wanted.project,) if wanted.project else recovery.projects_of(rules, organisation):
            ask = reconciliation.request(
                rules,
                organisation,
                name,
                settle=timedelta(minutes=wanted.settle_minutes),
                dry_run=wanted.dry_run,
                by=wanted.by,
                reason=f"asked for by {wanted.by}",
            )
            running = await reconciliation.start(client, ask, settings.task_queue)
            call.out.say(f"{running.id} compares {organisation}/{name or recovery.ALL}; it goes on when you leave")
            try:
                reports += (await running.result()).reports
            except WorkflowFailureError as error:
                raise _failed(running.id, name, error) from error
    if call.out.as_json:
        call.show(Listing("reports", (), [_document(one) for one in reports]))
    else:
        call.show(Listing("findings", COLUMNS, [row for one in reports for row in _rows(one)]))
    for one in reports:
        call.out.say(_told(one))
    return ExitCode.FINDINGS if any(one.tally.trouble for one in reports) else ExitCode.OK


def compared(found: Sequence[tuple[datetime, ReconcileReport]]) -> dict[tuple[str, str], Record]:
    """How each project was last found, for `sync status`."""
    return {(report.organisation, report.project): {**_document(report), "compared": at} for at, report in found}


def in_trouble(found: Sequence[tuple[datetime, ReconcileReport]]) -> int:
    return sum(report.tally.trouble for _, report in found)


def _document(report: ReconcileReport) -> Record:
    tally = report.tally
    return {
        "organisation": report.organisation,
        "project": report.project,
        "items": tally.items,
        **{name: tally.counts.get(name, 0) for name in COUNTED},
        "events": tally.events,
        "writes": tally.writes,
        "trouble": tally.trouble,
        "dry_run": report.dry_run,
        "findings": _rows(report),
    }


def _rows(report: ReconcileReport) -> list[Record]:
    return [
        {
            "organisation": report.organisation,
            "project": report.project,
            "item": f"{report.organisation}/{one.item_id}",
            "id": one.item_id,
            "standing": one.standing.value,
            "repaired": one.repaired,
            "reason": one.reason,
        }
        for one in report.tally.findings
    ]


def _told(report: ReconcileReport) -> str:
    tally = report.tally
    named = {name: name.replace("_", " ") for name in COUNTED if name in tally.counts}
    counts = ", ".join(f"{tally.counts[name]} {words}" for name, words in named.items()) or "no items"
    mended = f"; {how_many(tally.events, 'event')} brought back, {how_many(tally.writes, 'write')} settled"
    return f"{report.organisation}/{report.project}: {counts}" + ("; nothing was done" if report.dry_run else mended)


def _failed(name: str, project: str, error: WorkflowFailureError) -> CliError:
    return ended(name, project, error, "What it had brought back by then is in the inbox.", "pointsman sync reconcile")
