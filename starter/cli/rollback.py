"""Writes taken back on the command line: what it comes to is shown first, then it is asked for."""

from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from pointsman.config import Settings
from pointsman.contracts.base import Json
from pointsman.contracts.records import ItemRow
from pointsman.contracts.rollback import FieldHeld, RollbackPlan, RollbackRequest, RollbackResult, RollbackScope
from pointsman.domain.loose import as_written
from starter import rollback
from starter.cli import items, times
from starter.cli.call import Call
from starter.cli.errors import CliError, ExitCode, usage
from starter.cli.output import Listing, Record, Single
from starter.cli.workers import served

COLUMNS = ("field", "outcome", "now", "then", "reason")
HELP = "pointsman sync rollback --help"
REVISION = "rev:"


def scope_of(fields: tuple[str, ...], write: str, turn: str, to: str) -> RollbackScope:
    """What the options name: one of write, turn and moment, or fields alone.

    Raises:
        CliError: nothing is named, or more than one thing, or what is no moment and no revision.
    """
    if sum(map(bool, (write, turn, to))) > 1:
        raise usage("Only one of --write, --turn and --to can be taken back at a time. Nothing was done.", HELP)
    if not (fields or write or turn or to):
        raise usage("Say what is to be taken back: --field, --write, --turn or --to. Nothing was done.", HELP)
    if to.startswith(REVISION):
        number = to.removeprefix(REVISION)
        if not number.isascii() or not number.isdigit() or int(number) < 1:
            raise usage(f"{to!r} names no revision. Nothing was done.", "Write it as --to rev:7")
        return RollbackScope(fields=fields, rev=int(number))
    return RollbackScope(fields=fields, write=write, turn=turn, moment=times.moment(to, "--to"))


async def roll_back(
    call: Call,
    settings: Settings,
    named: str,
    scope: RollbackScope,
    *,
    by: str,
    reason: str,
    force: bool,
    comments: bool,
    dry_run: bool,
    yes: bool,
) -> ExitCode:
    """Show what it comes to, ask, and have it done."""
    row = await items.found(settings, named)
    client = await served(settings, call.out.say, "; until then nothing is written")
    ask = _request(row, scope, by, reason, force=force, comments=comments, dry_run=True)
    found = await _done(client, ask, settings.task_queue)
    if dry_run or found.status != "would":
        return _told(call, found)
    if not yes:
        call.show(_listing(found))
        call.confirm(f"Take back {_count(found.plan)} of {row.key}?", yes)
    ask = _request(row, scope, by, reason, force=force, comments=comments, dry_run=False)
    return _told(call, await _done(client, ask, settings.task_queue))


def _request(
    row: ItemRow, scope: RollbackScope, by: str, reason: str, *, force: bool, comments: bool, dry_run: bool
) -> RollbackRequest:
    key, flags = row.key, {"force": force, "comments": comments, "dry_run": dry_run}
    return rollback.request(key, row.tenant, row.correlation_id, scope, by=by, reason=reason, **flags)


async def _done(client: Client, ask: RollbackRequest, task_queue: str) -> RollbackResult:
    try:
        return await rollback.roll_back(client, ask, task_queue)
    except WorkflowFailureError as error:
        cause: BaseException = error
        while cause.__cause__ is not None and not isinstance(cause, ApplicationError):
            cause = cause.__cause__
        raise CliError(
            "not_rolled_back",
            f"{ask.operation} ended: {cause}.",
            f"See what was written: pointsman items history {ask.key.organisation}/{ask.key.id}",
        ) from error


def _told(call: Call, result: RollbackResult) -> ExitCode:
    call.show(_single(result) if call.out.as_json else _listing(result))
    match result.status:
        case "written":
            made = f", in revision {result.rev}" if result.rev else ""
            call.out.say(f"{result.key} is as it was before{made}")
        case "would":
            call.out.say(f"{_count(result.plan)} would be taken back; nothing was done")
        case "refused":
            call.out.say(_next(result))
            return ExitCode.CONFLICT
        case _:
            call.out.say("nothing is left to take back")
    return ExitCode.OK


def _next(result: RollbackResult) -> str:
    if any(held.field for held in result.plan.refused):
        return "nothing was done; take --field for the others, or --force for these, too"
    key = result.key  # nothing of what was named is there, or the item takes no write at all
    return f"nothing was done; see what was written: pointsman items history {key.organisation}/{key.id}"


def _count(plan: RollbackPlan) -> str:
    counts = {"field": len(plan.back), "link": len(plan.links), "comment": len(plan.comments)}
    return ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items() if count)


def _single(result: RollbackResult) -> Single:
    told: Record = {
        "item": str(result.key),
        "status": result.status,
        "operation": result.operation,
        "rev": result.rev,
        "fields": _rows(result.plan),
    }
    return Single("rollback", told)


def _listing(result: RollbackResult) -> Listing:
    return Listing("fields to take back", COLUMNS, _rows(result.plan))


def _rows(plan: RollbackPlan) -> list[Record]:
    back: list[Record] = [
        {"field": one.field, "outcome": "back", "now": _text(one.now), "then": _text(one.then), "reason": ""}
        for one in plan.back
        if one.field not in {held.field for held in plan.refused}
    ]
    held = {one.field for one in plan.refused}
    beside = [row for row in (*_links(plan), *_comments(plan)) if row["field"] not in held]
    return [*back, *beside, *_held(plan.refused, "refused"), *_held(plan.kept, "kept")]


def _links(plan: RollbackPlan) -> list[Record]:
    there, gone = "linked", ""
    return [
        {
            "field": one.link,
            "outcome": "back",
            "now": gone if one.comes_back else there,
            "then": there if one.comes_back else gone,
            "reason": "",
        }
        for one in plan.links
    ]


def _comments(plan: RollbackPlan) -> list[Record]:
    return [
        {"field": f"comment {one.id}", "outcome": "back", "now": one.now, "then": one.then, "reason": ""}
        for one in plan.comments
    ]


def _held(held: tuple[FieldHeld, ...], outcome: str) -> list[Record]:
    return [
        {"field": one.field or "*", "outcome": outcome, "now": "", "then": "", "reason": one.reason} for one in held
    ]


def _text(value: Json) -> str:
    return "" if value is None else str(as_written(value))
