"""Work items on the command line: found, shown, waited for, started, cancelled."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote

import pydantic

from pointsman.config import Settings, variable
from pointsman.contracts.records import ItemRow
from pointsman.contracts.work_items import ENDED, WorkItemKey, WorkItemState
from pointsman.domain.history import standing_at
from pointsman.domain.routing import tenant_of
from pointsman.ports import Missing
from starter import history, work_items
from starter.cli import records, times
from starter.cli.choices import must_exist
from starter.cli.context import Books, opened, policy, temporal
from starter.cli.errors import CliError, ExitCode, not_found, usage
from starter.cli.output import Listing, Single, iso
from starter.cli.workers import served
from starter.timeline import merge_timeline

POLL_SECONDS = 0.5
ROWS_MAX = 10_000
STATES = tuple(state.value for state in WorkItemState)


async def listed(settings: Settings, state: str, limit: int) -> Listing:
    must_exist("state", state, STATES, "pointsman items list --help")
    async with opened(settings) as books:
        return records.items(list(await books.items.find(state, limit)))


def key(organisation: str, project: str, item_id: int) -> WorkItemKey:
    """Key as people type it: the organisation in any case."""
    try:
        return WorkItemKey(organisation=organisation.casefold(), project=project, id=item_id)
    except pydantic.ValidationError as error:
        raise usage(f"no such item: {error.errors()[0]['msg']}", "pointsman items start --help") from error


async def found(settings: Settings, named: str) -> ItemRow:
    """The item that `ID`, `ORGANISATION/ID` or `ORGANISATION/PROJECT/ID` means.

    Raises:
        CliError: none is known, more than one is meant, or the name is no name of an item.
    """
    parse(named)  # a wrong name is told before anything is opened
    async with opened(settings) as books:
        return await find(books, named, _organisations(settings))


async def find(books: Books, named: str, organisations: tuple[str, ...]) -> ItemRow:
    """As `found`, in open books. A bare number is looked up in `organisations` first, then in all that is kept."""
    organisation, item_id = parse(named)
    for one in (organisation,) if organisation else organisations:
        if row := await books.items.get(one, item_id):
            return row
    rows = [] if organisation else [row for row in await books.items.find(limit=ROWS_MAX) if row.key.id == item_id]
    if not rows:
        raise not_found(f"No work item {named} has come in.", "pointsman items list")
    if len(rows) > 1:
        names = ", ".join(f"{row.key.organisation}/{row.key.id}" for row in rows)
        raise usage(
            f"{named} is more than one work item: {names}.", f"Name one: pointsman items show {names.split(',')[0]}"
        )
    return rows[0]


def parse(named: str) -> tuple[str, int]:
    """Organisation (empty if not named) and number. The project says nothing more: numbers count per organisation."""
    parts = named.strip("/").split("/")
    number = parts[-1].lstrip("#")
    if not number.isascii() or not number.isdigit() or int(number) < 1 or len(parts) > 3:
        raise usage(
            f"{named!r} names no work item; write 42, fabrikam/42 or fabrikam/Web/42.", "See them: pointsman items list"
        )
    return (parts[0].casefold() if len(parts) > 1 else ""), int(number)


def _organisations(settings: Settings) -> tuple[str, ...]:
    return tuple(one.name for one in settings.organisations())


def shown(row: ItemRow, settings: Settings) -> Single:
    links = {"temporal_ui": workflow_url(settings, row.workflow_id, row.run_id)}
    if row.facts and row.facts.url:
        links["azure_devops"] = row.facts.url
    return records.item(row, links)


def workflow_url(settings: Settings, workflow_id: str, run_id: str = "") -> str:
    """The workflow in Temporal's UI."""
    base = f"{settings.ui_url}/namespaces/{quote(settings.temporal_namespace, safe='')}/workflows"
    run = f"/{quote(run_id, safe='')}/history" if run_id else ""
    return f"{base}/{quote(workflow_id, safe='')}{run}"


def exit_status(row: ItemRow) -> ExitCode:
    if row.state not in ENDED:
        return ExitCode.PENDING
    return ExitCode.FAILURE if row.state in (WorkItemState.FAILED, WorkItemState.PARKED) else ExitCode.OK


async def waited_for(
    settings: Settings, named: str, timeout_seconds: float, say: Callable[[str], None], after: datetime | None = None
) -> ItemRow:
    """The item once it has ended, and changed after `after`: an earlier run's end does not count then.

    However little time there is, it is looked at once: what the books have known all along is told.

    Raises:
        CliError: it has not ended after `timeout_seconds`; it goes on.
    """
    state = question = ""

    async def ended() -> ItemRow | None:
        nonlocal state, question
        row, asked = await _looked_at(settings, named)
        if row is None or (after is not None and row.changed_at <= after):
            return None
        if row.state in ENDED:
            return row
        if row.state != state:
            state = row.state
            say(f"{row.state}: {row.reason}")
        if asked != question and (question := asked):
            say(f"it waits for a human. {_decide(asked)}")
        return None

    found = await ended()
    try:
        async with asyncio.timeout(timeout_seconds):
            while found is None:
                await asyncio.sleep(POLL_SECONDS)
                found = await ended()
        return found
    except TimeoutError:
        raise CliError(
            "timed_out",
            f"{named} has not ended after {timeout_seconds:.0f} s; it is {state or 'not known yet'} and goes on.",
            _next(named, state, question),
            ExitCode.TIMED_OUT,
            retryable=True,
        ) from None


async def _looked_at(settings: Settings, named: str) -> tuple[ItemRow | None, str]:
    """The item, None while it is not known, and the open question that it waits for."""
    parse(named)
    async with opened(settings) as books:
        try:
            row = await find(books, named, _organisations(settings))
        except CliError as error:
            if error.exit_code is not ExitCode.NOT_FOUND:
                raise
            return None, ""
        if row.state is not WorkItemState.WAITING:
            return row, ""
        asked = [one for one in await books.escalations.find(limit=ROWS_MAX) if one.escalation.key == row.key]
        # A question about a rule that it breaks may be open as well: that is none of its own workflow.
        ours = [one.id for one in asked if one.workflow_id.startswith(f"{row.workflow_id}/")]
        return row, ours[0] if ours else ""


def _decide(question: str) -> str:
    return f"See what is asked, then decide: pointsman escalations show {question}"


def _next(named: str, state: str, question: str) -> str:
    if question:
        return _decide(question)
    if state == WorkItemState.WAITING:
        return "See what is asked: pointsman escalations list"
    return f"See where it stands: pointsman items timeline {named}"


async def timeline(settings: Settings, named: str) -> Listing:
    async with opened(settings) as books:
        key = await _told_of(books, named, _organisations(settings))
        deliveries = await books.inbox.find(item_id=key.id, limit=ROWS_MAX)
        escalations = await books.escalations.find(pending_only=False, limit=ROWS_MAX)
        return records.timeline(
            merge_timeline(
                deliveries=[one for one in deliveries if one.organisation == key.organisation],
                transitions=await books.items.transitions(key),
                attempts=await books.attempts.of_item(key),
                escalations=[one for one in escalations if one.escalation.key == key],
                writes=await books.ledger.writes(key),
                events=await books.audit.find(key=key, limit=ROWS_MAX),
            )
        )


async def past(settings: Settings, named: str, at: str) -> Listing | Single:
    """All that happened to the item, or how it stood at a moment."""
    moment = times.moment(at, "--at")
    async with opened(settings) as books:
        key = await _told_of(books, named, _organisations(settings))
        entries = await history.read(books.inbox, books.items, books.ledger, key)
    if moment is None:
        return records.history(entries)
    standing = standing_at(entries, moment)
    if standing.since is None:
        first = f"; its history begins at {iso(entries[0].at)}" if entries else ""
        raise not_found(f"Nothing is known of {named} at {iso(moment)}{first}.", f"pointsman items history {named}")
    return records.standing(key, standing)


async def _told_of(books: Books, named: str, organisations: tuple[str, ...]) -> WorkItemKey:
    """The item's key. One that nobody works on, because no scope rule takes it, is known from its deliveries, or from
    what it breaks."""
    try:
        return (await find(books, named, organisations)).key
    except CliError as error:
        if error.exit_code is not ExitCode.NOT_FOUND:
            raise
        organisation, item_id = parse(named)
        told = await books.inbox.find(item_id=item_id, limit=ROWS_MAX)
        known = [one for one in reversed(told) if not organisation or one.organisation == organisation]
        keys = {one.organisation: one.project for one in known if one.project or one is known[0]}
        broken = await books.violations.find(organisation=organisation, item_id=item_id, every=True, limit=ROWS_MAX)
        keys |= {one.key.organisation: one.key.project for one in reversed(broken)}
        if len(keys) != 1:
            raise
        ((name, project),) = keys.items()
        return WorkItemKey(organisation=name, project=project, id=item_id)


async def _heard_of(settings: Settings) -> tuple[str, ...]:
    """Organisations whose items our books know."""
    try:
        async with opened(settings) as books:
            return tuple(sorted({row.key.organisation for row in await books.items.find(limit=ROWS_MAX)}))
    except CliError as error:
        if error.code != "no_database":
            raise
        return ()


async def last_change(settings: Settings, item: WorkItemKey) -> datetime | None:
    """When the item last changed; None where nothing is known of it."""
    row = await _known(settings, item)
    return row.changed_at if row else None


async def _known(settings: Settings, item: WorkItemKey) -> ItemRow | None:
    try:
        async with opened(settings) as books:
            return await books.items.get(item.organisation, item.id)
    except CliError as error:
        if error.code != "no_database":
            raise
        return None


async def meant(settings: Settings, named: WorkItemKey, say: Callable[[str], None]) -> tuple[WorkItemKey, str]:
    """The item as the books know it, and its workflow's id: people type a project's name as they like. Where nothing
    tells whether there is such an organisation, that is said.

    Raises:
        CliError: settings name no such organisation.
    """
    known = _organisations(settings)
    if not known and named.organisation not in (heard := await _heard_of(settings)):
        others = f" Our books know others: {', '.join(heard)}." if heard else ""
        say(
            f"organisation {named.organisation!r} is taken as it was typed, because {variable('azure_devops_url')} is "
            f"not set here; the worker's settings are not known.{others} A worker without access to it asks a human."
        )
    if known and named.organisation not in known:
        raise usage(
            f"{named.organisation!r} is none of the organisations of settings: {', '.join(known)}. Nothing was done.",
            "pointsman config explain azure_devops_url",
        )
    if row := await _known(settings, named):
        return row.key, row.workflow_id
    return named, ""


async def start(settings: Settings, named: WorkItemKey, by: str, say: Callable[[str], None]) -> Single:
    """Start, or find running, the item's workflow."""
    item, known_id = await meant(settings, named, say)
    rules = policy(settings)
    client = await served(settings, say)
    workflow_id = await work_items.start_by_hand(
        client,
        item,
        rules,
        tenant_of(rules, item.organisation),
        by,
        known_workflow_id=known_id,
        task_queue=settings.task_queue,
    )
    return Single(
        "started",
        {"item": str(item), "workflow_id": workflow_id, "by": by, "temporal_ui": workflow_url(settings, workflow_id)},
    )


def must_run(row: ItemRow) -> None:
    if row.state in ENDED:
        raise CliError(
            "ended",
            f"{row.key} has ended already: {row.state}, {row.reason or 'without a reason'}. Nothing was done.",
            f"See its story: pointsman items timeline {row.key.organisation}/{row.key.id}",
            ExitCode.CONFLICT,
        )


async def cancel(settings: Settings, row: ItemRow, reason: str, by: str) -> Single:
    """Ask the item's workflow to end. It withdraws the item, and leaves what was written."""
    client = await temporal(settings)
    # Asked first, because the server takes a cancellation of a run that is closed, and does nothing.
    if not await work_items.is_open(client, row.workflow_id):
        raise _not_running(row)
    try:
        await work_items.cancel(client, row.workflow_id, f"{by}: {reason}")
    except Missing as error:
        raise _not_running(row) from error
    return Single(
        "cancelled",
        {"item": str(row.key), "workflow_id": row.workflow_id, "by": by, "reason": reason},
    )


def _not_running(row: ItemRow) -> CliError:
    return CliError(
        "not_running",
        f"Nothing runs for {row.key}: Temporal knows no open {row.workflow_id}. Nothing was done.",
        f"See its story: pointsman items timeline {row.key.organisation}/{row.key.id}",
        ExitCode.CONFLICT,
    )
