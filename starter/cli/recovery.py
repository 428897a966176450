"""Lost events on the command line: recovered, and how subscriptions were last found."""

from datetime import UTC, datetime

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from pointsman.config import Settings, variable
from pointsman.contracts.recovery import HookState, RecoverRequest, RecoverResult, Unrecovered
from pointsman.domain.routing import tenant_of
from pointsman.domain.words import how_many
from pointsman.store.recoveries import Recoveries
from starter import recovery
from starter.cli import organisations
from starter.cli.call import Call
from starter.cli.context import policy, reading
from starter.cli.errors import CliError, ExitCode, usage
from starter.cli.output import Listing, Record
from starter.cli.times import moment
from starter.cli.workers import served

RECOVERED = ("organisation", "project", "event", "recovered", "reason")
FOUND = ("organisation", "event", "subscription", "problem", "status", "since")
RESULTS_MAX, GAPS_MAX = 200, 20


def since_of(text: str) -> datetime | None:
    """Where to read from.

    Raises:
        CliError: it is no time, or is still to come.
    """
    found = moment(text, "--since")
    if found is not None and found > datetime.now(UTC):
        raise usage(f"--since {text!r} is still to come. Nothing was done.", "pointsman hooks recover --help")
    return found


async def recover(
    call: Call, settings: Settings, *, organisation: str, project: str, since: datetime | None, dry_run: bool, by: str
) -> ExitCode:
    """Recover each organisation of the settings, or the one that is named, and wait for what came of it."""
    places = organisations_of(settings, organisation)
    client = await served(settings, call.out.say)
    rules = policy(settings)
    results: list[RecoverResult] = []
    for place in places:
        for name in (project,) if project else recovery.projects_of(rules, place):
            ask = RecoverRequest(
                organisation=place,
                project=name,
                tenant=tenant_of(rules, place),
                since=since,
                dry_run=dry_run,
                watch=True,
                by=by,
                reason=f"asked for by {by}",
            )
            running = await recovery.start(client, ask, settings.task_queue)
            call.out.say(f"{running.id} reads {place}/{name or recovery.ALL}; it goes on when you leave")
            try:
                results.append(await running.result())
            except WorkflowFailureError as error:
                raise _failed(running.id, name, error) from error
    call.show(Listing("recovered", RECOVERED, [row for result in results for row in _rows(result)]))
    return _told(call, results, dry_run=dry_run)


def organisations_of(settings: Settings, named: str) -> list[str]:
    """
    Raises:
        CliError: settings have no organisation of that name, or none at all.
    """
    known = organisations.names(settings)
    if named and named.casefold() not in known:
        raise usage(f"--organisation {named!r} is none of {', '.join(known)}.", "pointsman config explain")
    return [named.casefold()] if named else known


async def status(call: Call, settings: Settings, *, exit_status: bool) -> ExitCode:
    """Subscriptions in trouble as they were last looked at, when lost events were last looked for, and what of them
    cannot be brought back."""
    async with reading(settings) as store:
        recoveries = Recoveries(store)
        found, latest = await recoveries.hooks(), await recoveries.latest(RESULTS_MAX)
    call.show(Listing("trouble", FOUND, [_trouble(one) for one in found]))
    newest: dict[tuple[str, str], tuple[datetime, RecoverResult]] = {}
    for at, result in latest:
        newest.setdefault((result.organisation, result.project), (at, result))
    for (organisation, project), (at, result) in newest.items():
        tally, place = result.tally, f"{organisation}/{project or recovery.ALL}"
        told = f"{tally.events} recovered, {tally.unrecovered_count} not"
        if tally.standing:
            told += f", and {len(tally.standing)} not as an earlier recovery told"
        call.out.say(f"{place} was looked through {at:%Y-%m-%d %H:%M} UTC: {told}")
        for one in (*tally.unrecovered, *tally.standing)[:GAPS_MAX]:
            call.out.say(f"{place} cannot recover {one.what}: {_why(one)}")
    if not settings.public_url:
        call.out.say(f"{variable('public_url')} is not set: a worker without it looks after no subscription")
    if not newest:
        call.out.say("lost events were never looked for; do it now: pointsman hooks recover")
    return ExitCode.FINDINGS if found and exit_status else ExitCode.OK


def _rows(result: RecoverResult) -> list[Record]:
    place: Record = {"organisation": result.organisation, "project": result.project}
    came: list[Record] = [
        {**place, "event": kind, "recovered": count, "reason": ""} for kind, count in result.tally.recovered.items()
    ]
    return [
        *came,
        *({**place, "event": one.what, "recovered": 0, "reason": _why(one)} for one in result.tally.unrecovered),
    ]


def _why(one: Unrecovered) -> str:
    if one.since is None and one.until is None:
        return one.reason
    since = f"{one.since:%Y-%m-%d %H:%M}" if one.since else "an unknown moment"
    return f"{one.reason}; from {since} to {f'{one.until:%Y-%m-%d %H:%M} UTC' if one.until else 'now'}"


def _trouble(state: HookState) -> Record:
    return {
        "organisation": state.organisation,
        "event": state.event_type,
        "subscription": state.subscription_id,
        "problem": str(state.problem or ""),
        "status": state.status,
        "since": state.since,
    }


def _told(call: Call, results: list[RecoverResult], *, dry_run: bool) -> ExitCode:
    events = sum(result.tally.events for result in results)
    lost = sum(result.tally.unrecovered_count for result in results)
    verb = "would be recovered; nothing was done" if dry_run else "recovered"
    call.out.say(f"{how_many(events, 'event')} {verb}" + (f"; cannot be: {lost}, see reason" if lost else ""))
    if standing := [one for result in results for one in result.tally.standing]:
        named = ", ".join(dict.fromkeys(one.what for one in standing[:GAPS_MAX]))
        call.out.say(f"as an earlier recovery told, cannot be: {named}; see pointsman hooks status")
    return ExitCode.FINDINGS if lost else ExitCode.OK


def _failed(name: str, project: str, error: WorkflowFailureError) -> CliError:
    return ended(
        name,
        project,
        error,
        "What it had found by then is in the inbox, and the watermark stands there.",
        "pointsman hooks recover",
    )


def ended(name: str, project: str, error: WorkflowFailureError, state: str, again: str) -> CliError:
    """A run that failed, as its caller is told; a `project` that is not there is a wrong word and no outage."""
    cause = error.cause.__cause__ or error.cause
    if project and isinstance(cause, ApplicationError) and cause.type == "Missing":
        return CliError(
            "not_found",
            f"There is no project {project!r} that we may see, so nothing was read or changed: {cause}.",
            "See whether Azure DevOps lets us read: pointsman doctor --online",
            ExitCode.NOT_FOUND,
        )
    return CliError(
        "run_failed",
        f"{name} ended: {cause}. {state}",
        f"See whether Azure DevOps lets us read: pointsman doctor --online; then: {again}",
        ExitCode.FAILURE,
        retryable=True,
    )
