"""Rules of a process on the command line."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.project_facts import read
from pointsman.config import Settings
from pointsman.contracts.process import Finding, ProcessPolicy, Standing
from pointsman.contracts.violations import CheckTally
from pointsman.domain.loose import string
from pointsman.domain.process.evaluation import days_asked, of_project
from pointsman.domain.process.tallies import counted, project_facts
from pointsman.domain.words import how_many
from pointsman.policies.process_rules import load_processes
from pointsman.ports import Missing
from starter.cli import items
from starter.cli.beside import client_beside
from starter.cli.call import Call
from starter.cli.errors import CliError, ExitCode, usage
from starter.cli.organisations import chosen, no_project, patient
from starter.cli.output import Listing, Record
from starter.process import NoProcess, check_items, items_of, process_of

COLUMNS = ("item", "check", "standing", "severity", "update", "evidence")
SAY_EACH = 100
NEXT, HELP = "pointsman process rules", "pointsman process check --help"


@dataclass(frozen=True)
class Wanted:
    items: tuple[int, ...]
    project: str
    organisation: str
    process: str
    every: bool


@dataclass(frozen=True)
class Part:
    """Items of one project, and the checks for it."""

    project: str
    policy: ProcessPolicy
    ids: Sequence[int]
    whole: bool


def numbers(named: Sequence[str], organisation: str) -> tuple[str, tuple[int, ...]]:
    """The organisation and the numbers of items as people name them: `42`, `fabrikam/42`.

    Raises:
        CliError: one of them names no item, or they are of several organisations.
    """
    told = [items.parse(one) for one in named]
    places = {place for place, _ in told if place} | ({organisation.casefold()} if organisation else set())
    if len(places) > 1:
        raise usage(f"Items of one organisation at a time, and not of {', '.join(sorted(places))}.", HELP)
    return next(iter(places), ""), tuple(number for _, number in told)


async def check(call: Call, settings: Settings, wanted: Wanted) -> ExitCode:
    if bool(wanted.items) == bool(wanted.project):
        raise usage("Name items, or a project with --project.", HELP)
    rows: list[Record] = []
    broken = False
    place = chosen(settings, wanted.organisation, "pointsman process check")
    async with client_beside(settings, place) as client:
        async for title, finding in _findings(call, patient(call, client.in_bulk()), settings, wanted):
            broken = broken or finding.standing is Standing.VIOLATED
            if wanted.every or finding.standing is Standing.VIOLATED:
                rows.append(_row(place.name, title, finding))
    call.show(Listing("findings", COLUMNS, rows))
    return ExitCode.FINDINGS if broken else ExitCode.OK


async def _findings(
    call: Call, client: AzureDevOps, settings: Settings, wanted: Wanted
) -> AsyncGenerator[tuple[str, Finding]]:
    known = load_processes(settings.policy_dir)
    for part in await _parts(client, known, wanted):
        tally = CheckTally()
        async for item, found in check_items(client, part.policy, part.ids):
            tally = counted(part.policy, tally, item, found)
            for one in found:
                yield item.title, one
            if tally.items % SAY_EACH == 0:
                call.out.say(f"{tally.items} of {how_many(len(part.ids), 'item')} of {part.project} checked")
        gone = len(part.ids) - tally.items
        rules = f"{part.policy.name} {part.policy.version}"
        lost = f"; {how_many(gone, 'item')} went while this ran, or may not be seen" if gone else ""
        call.out.say(f"{how_many(tally.items, 'item')} of {part.project} checked by {rules}{lost}")
        if part.whole:
            seen = await read(client, part.project, *days_asked(part.policy))
            for one in of_project(part.policy, project_facts(part.policy, tally, part.project, seen)):
                yield part.project, one


async def _parts(client: AzureDevOps, known: Mapping[str, ProcessPolicy], wanted: Wanted) -> list[Part]:
    try:
        if wanted.project:
            policy = await process_of(client, wanted.project, known, wanted.process)
            return [Part(wanted.project, policy, await items_of(client, wanted.project, policy), whole=True)]
        places = await _projects(client, wanted.items)
        return [
            Part(project, await process_of(client, project, known, wanted.process), ids, whole=False)
            for project, ids in places.items()
        ]
    except NoProcess as error:
        raise CliError("no_process", f"Nothing was checked: {error}.", f"Name one: {NEXT}", ExitCode.USAGE) from error
    except Missing as error:
        if not wanted.project:
            raise
        raise await no_project(client, wanted.project) from error


async def _projects(client: AzureDevOps, ids: Sequence[int]) -> Mapping[str, list[int]]:
    found = await client.work_items.batch(ids, ["System.TeamProject"])
    if missing := sorted(set(ids) - {one.id for one in found}):
        raise CliError(
            "not_found",
            f"There is no item {', '.join(map(str, missing))} that we may see. Nothing was checked.",
            "See as whom we ask: pointsman doctor --online",
            ExitCode.NOT_FOUND,
        )
    places: dict[str, list[int]] = {}
    for one in found:
        places.setdefault(string(one.fields.get("System.TeamProject")), []).append(one.id)
    return places


def _row(organisation: str, title: str, finding: Finding) -> Record:
    return {
        "item": f"{organisation}/{finding.item or title}",
        "id": finding.item,
        "check": finding.check,
        "standing": finding.standing.value,
        "severity": finding.severity.value,
        "update": finding.update or "",
        "about": finding.about,
        "evidence": finding.evidence,
        "title": title,
    }


def rules(settings: Settings, process: str) -> Listing:
    known = load_processes(settings.policy_dir)
    if process and process not in known:
        raise usage(f"There is no process {process!r} in policy; there are: {', '.join(sorted(known))}.", NEXT)
    rows: list[Record] = [
        {
            "process": policy.name,
            "check": one.id,
            "severity": one.severity.value,
            "title": one.title,
            "practice": one.practice,
            "source": one.source,
            "query": one.query,
            "rule": one.rule.model_dump(mode="json"),
        }
        for name, policy in sorted(known.items())
        if not process or name == process
        for one in policy.checks
    ]
    return Listing("rules", ("process", "check", "severity", "title", "practice", "source"), rows)
