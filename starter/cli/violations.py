"""Violations of process rules on the command line: found by a durable check, listed, decided on."""

import asyncio
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.config import Settings
from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.violations import (
    CheckResult,
    CheckScope,
    ProcessViolation,
    ViolationDecision,
    ViolationState,
    ViolationVerb,
)
from pointsman.domain.process.violations import resolution
from pointsman.domain.routing import tenant_of
from pointsman.domain.words import how_many
from pointsman.policies.process_rules import load_processes
from pointsman.store import seen
from pointsman.store.engine import Store
from pointsman.store.process_violations import ProcessViolations
from starter import process_checks
from starter.cli import items, process_dry_run
from starter.cli.beside import client_beside
from starter.cli.call import Call
from starter.cli.choices import must_exist, nothing_of
from starter.cli.context import policy, reading
from starter.cli.errors import CliError, ExitCode, not_found, usage
from starter.cli.organisations import chosen, patient
from starter.cli.output import Listing, Record, Single
from starter.cli.times import moment
from starter.cli.workers import served
from starter.process import NoProcess, process_of
from starter.process_checks import Running

COLUMNS = ("violation", "item", "check", "severity", "standing", "opened", "by", "evidence")
LOOK = timedelta(seconds=2)
DAY = "%Y-%m-%d"
LIST, WAIVE = "pointsman process violations", "pointsman process waive --help"


@dataclass(frozen=True)
class Sought:
    """Which violations are meant; nothing means any. Those that are resolved only with `every`, or by their state."""

    project: str = ""
    item: str = ""
    state: str = ""
    severity: str = ""
    check: str = ""
    every: bool = False
    whole: bool = False


async def listed(call: Call, settings: Settings, wanted: Sought, limit: int) -> None:
    must_exist("state", wanted.state, ViolationState, f"{LIST} --help")
    must_exist("severity", wanted.severity, CheckSeverity, f"{LIST} --help")
    organisation, item_id = items.parse(wanted.item) if wanted.item else ("", 0)
    async with reading(settings) as store:
        found = await ProcessViolations(store).find(
            organisation=organisation,
            project=wanted.project,
            item_id=item_id,
            every=wanted.every or wanted.state == ViolationState.RESOLVED,
            whole=wanted.whole,
            state=wanted.state,
            severity=wanted.severity,
            check=wanted.check,
            limit=limit,
        )
        hint = "" if found else await _unknown(store, wanted)
    call.show(Listing("violations", COLUMNS, [_row(one) for one in found]))
    if hint:
        call.out.say(hint)


async def _unknown(store: Store, wanted: Sought) -> str:
    """What to say where no violation ever had this project or check: both are names that others choose."""
    for what, told, look in (
        ("project", wanted.project, seen.projects_with_violations),
        ("check", wanted.check, seen.broken_checks),
    ):
        if told and told not in (names := await look(store)):
            return nothing_of(what, told, names)
    return ""


@dataclass(frozen=True)
class Wanted:
    project: str
    organisation: str
    process: str
    by: str
    dry_run: bool = False


async def check(call: Call, settings: Settings, wanted: Wanted) -> ExitCode:
    """Have the worker check the project, say how far it is, and print what came of it; or say what would."""
    place = chosen(settings, wanted.organisation, "pointsman process check")
    async with client_beside(settings, place) as client:
        scope = await _scope(client, settings, place.name, wanted)
        if wanted.dry_run:
            return await process_dry_run.run(call, settings, patient(call, client), scope)
    running = await process_checks.start(await served(settings, call.out.say), scope, settings.task_queue)
    result = await _followed(call, running)
    whole = [one.model_dump(mode="json", exclude={"item", "update"}) for one in result.whole]
    told = {"workflow_id": running.id, "process": result.process, **result.tally.model_dump(), "whole": whole}
    call.show(Single("check", told))
    return ExitCode.FINDINGS if result.tally.standing else ExitCode.OK


async def _scope(client: AzureDevOps, settings: Settings, organisation: str, wanted: Wanted) -> CheckScope:
    try:
        rules = await process_of(client, wanted.project, load_processes(settings.policy_dir), wanted.process)
    except NoProcess as error:
        raise CliError("no_process", f"Nothing was checked: {error}.", "pointsman process rules") from error
    control = policy(settings)
    return CheckScope(
        tenant=tenant_of(control, organisation),
        organisation=organisation,
        project=wanted.project,
        policy=rules,
        reason=f"asked for by {wanted.by}",
        by=wanted.by,
        on_open=control.process.on_open,
        ladders=control.ladders,
    )


async def _followed(call: Call, running: Running) -> CheckResult:
    call.out.say(f"checking as {running.id}; it goes on when you leave")
    waiting = asyncio.create_task(running.result())
    told = 0
    while not (await asyncio.wait([waiting], timeout=LOOK.total_seconds()))[0]:
        tally = (await running.query("progress", result_type=dict))["tally"]
        if tally["items"] != told:
            told = tally["items"]
            call.out.say(f"{how_many(told, 'item')} inspected, violations: {tally['standing']}")
    return await waiting


async def decide(
    call: Call, settings: Settings, named: str, verb: str, by: str, reason: str, until: str, *, dry_run: bool
) -> Single:
    """Send the decision through Temporal, and tell what stands."""
    async with reading(settings) as store:
        known = await ProcessViolations(store).get(named)
    if known is None:
        raise not_found(f"There is no violation {named!r}.", f"{LIST} --all")
    decision = ViolationDecision(
        violation_id=known.id,
        verb=ViolationVerb(verb),
        by=by,
        reason=reason,
        until=moment(until, "--until", ahead=True),
    )
    _check(known, decision)
    if dry_run:
        call.out.say(f"would {verb} {known.id}; nothing was done")
        return Single(
            "would", {"violation": known.id, "verb": verb, "by": by, "reason": reason, "until": decision.until}
        )
    try:
        told = await process_checks.decide(
            await served(settings, call.out.say, "; what you decide is kept for it, also when you leave"),
            decision,
            settings.task_queue,
            tenant=known.tenant,
            project=known.key.project,
        )
        return Single("violation", _row(told))
    except WorkflowFailureError as error:
        raise CliError("refused", f"{_root(error)}.", f"{LIST} {_only(known)} --all") from error


def _only(one: ProcessViolation) -> str:
    """The options that list this and few others."""
    return f"--item {one.key.id}" if one.key.id else f"--whole --project {shlex.quote(one.key.project)}"


def _root(error: BaseException) -> BaseException:
    """Temporal wraps what an activity said in one error for each room that it passed through."""
    while error.__cause__ is not None and not isinstance(error, ApplicationError):
        error = error.__cause__
    return error


def _check(violation: ProcessViolation, decision: ViolationDecision) -> None:
    if violation.state is ViolationState.RESOLVED:
        raise CliError(
            "resolved",
            f"{violation.id} was {resolution(violation)}. Nothing was changed.",
            LIST,
            ExitCode.CONFLICT,
        )
    if decision.verb is not ViolationVerb.WAIVE:
        return
    if not decision.reason.strip():
        raise usage("A waiver needs a reason: --reason TEXT. Nothing was changed.", WAIVE)
    if decision.until is None or decision.until <= datetime.now(UTC):
        raise usage("A waiver ends some day: --until wants a time to come. Nothing was changed.", WAIVE)


def _standing(one: ProcessViolation) -> str:
    """Its state, as people want to know it."""
    if one.state is ViolationState.WAIVED and one.until:
        return f"waived until {one.until:{DAY}}"
    if one.state is ViolationState.OPEN and one.until:
        return f"open, was waived until {one.until:{DAY}}"
    if one.state is ViolationState.RESOLVED:
        return resolution(one).replace("in revision", "in")
    return one.state.value


def _row(one: ProcessViolation) -> Record:
    return {
        "violation": one.id,
        "organisation": one.key.organisation,
        "project": one.key.project,
        "item": f"{one.key.organisation}/{one.key.id or one.key.project}",
        "id": one.key.id,
        "process": one.process,
        "check": one.check,
        "severity": one.severity.value,
        "state": one.state.value,
        "standing": _standing(one),
        "opened": one.opened_at,
        "by": one.by,
        "reason": one.reason,
        "until": one.until,
        "update": one.update,
        "resolved_at": one.resolved_at,
        "resolved_rev": one.resolved_rev or None,
        "about": one.about,
        "evidence": one.evidence,
    }
