"""Conflicts on the command line: what both sides have, and a human's choice field by field."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from pointsman.config import Settings
from pointsman.contracts.base import Json
from pointsman.contracts.conflicts import SyncConflict
from pointsman.contracts.escalations import EscalationKind, Verb
from pointsman.contracts.records import EscalationRow
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.loose import as_written
from pointsman.domain.words import how_many
from pointsman.store.conflicts import Conflicts
from starter.cli import escalations, items
from starter.cli.call import Call
from starter.cli.context import opened, reading
from starter.cli.errors import CliError, ExitCode, not_found, usage
from starter.cli.output import Listing, Record

COLUMNS = ("conflict", "item", "field", "base", "mine", "theirs", "policy", "state", "by")
HELP, LIST = "pointsman sync resolve --help", "pointsman sync conflicts"
MINE, THEIRS, BASE = "mine", "theirs", "base"
SIDES = (MINE, THEIRS, BASE)
VALUE = "="
"""Before a value that reads like the name of a side."""
ALIKE = 0.7


async def listed(call: Call, settings: Settings, named: str, *, every: bool, limit: int, exit_status: bool) -> ExitCode:
    key = (await items.found(settings, named)).key if named else None
    place, number = (key.organisation, key.id) if key else ("", 0)
    async with reading(settings) as store:
        found = await Conflicts(store).find(organisation=place, item_id=number, every=every, limit=limit)
    call.show(Listing("conflicts", COLUMNS, [_row(one) for one in found]))
    standing = any(one.closed_at is None for one in found)
    return ExitCode.FINDINGS if standing and exit_status else ExitCode.OK


async def resolve(
    call: Call,
    settings: Settings,
    named: str,
    fields: Sequence[str],
    takes: Sequence[str],
    *,
    by: str,
    reason: str,
    dry_run: bool,
) -> ExitCode:
    """Decide all conflicts of an item that are asked about at once: its write waits for all of them."""
    key = (await items.found(settings, named)).key
    async with reading(settings) as store:
        standing = await Conflicts(store).find(organisation=key.organisation, item_id=key.id)
    if not standing:
        raise not_found(f"{key} is in no conflict.", f"{LIST} --all")
    row = await _asked(settings, key)
    standing = [one for one in standing if not row.escalation.fields or one.conflict.field in row.escalation.fields]
    chosen = choices(standing, fields, takes)
    edits = edits_of(standing, chosen)
    verb = Verb.EDIT if edits else Verb.APPROVE
    decision = escalations.decision(row, verb, by, reason, "", edits)
    taken = [_choice(one, chosen) for one in standing]
    if dry_run or not call.out.as_json:
        call.show(Listing("choices", ("field", "take", "value"), taken))
    if dry_run:
        call.out.say(f"{row.id} would be answered so; nothing was done")
        return ExitCode.OK
    also: Record = {"choices": taken} if call.out.as_json else {}
    return escalations.answered(call, row, await escalations.decide(settings, row, decision), also)


def choices(standing: Sequence[SyncConflict], fields: Sequence[str], takes: Sequence[str]) -> dict[str, str]:
    """What is taken in each field; one choice without a field is meant for all.

    Raises:
        CliError: fields and choices do not pair up, or a field in conflict is left out.
    """
    names, takes = [one.conflict.field for one in standing], [_meant(take) for take in takes]
    if not fields and len(takes) == 1:
        return dict.fromkeys(names, takes[0])
    if len(fields) != len(takes):
        raise usage(
            f"{how_many(len(fields), 'field')} and {how_many(len(takes), 'choice')}: each --field needs its --take.",
            HELP,
        )
    chosen = dict(zip(fields, takes, strict=True))
    if unknown := [name for name in chosen if name not in names]:
        raise usage(f"Not asked about: {', '.join(unknown)}. Asked about are: {', '.join(names)}.", HELP)
    if left := [name for name in names if name not in chosen]:
        raise usage(f"The write waits for all its fields, and these are left out: {', '.join(left)}.", HELP)
    return chosen


def _meant(take: str) -> str:
    """A side, or a value behind `=`. A slip of the pen must not be written to an item."""
    if take.startswith(VALUE):
        return take
    word = take.strip().casefold()
    if word == "ours":  # as the list of conflicts says of those that are settled
        return MINE
    if word in SIDES:
        return word
    if near := get_close_matches(word, SIDES, n=1, cutoff=ALIKE):
        raise usage(f"--take {take!r}: is {near[0]!r} meant? Nothing was decided.", f"As a value: --take {VALUE}{take}")
    return f"{VALUE}{take}"


def edits_of(standing: Sequence[SyncConflict], chosen: Mapping[str, str]) -> dict[str, Json]:
    """The choices as an edit of what is to be written: null leaves what is there. Empty where all of ours stands."""
    found: dict[str, Json] = {}
    for one in (each.conflict for each in standing):
        take = chosen[one.field]
        if take == THEIRS:
            found[one.field] = None
        elif take == BASE:
            found[one.field] = _written(one.base)
        elif take != MINE:
            found[one.field] = _typed(take.removeprefix(VALUE))
    return found


def _written(value: Json) -> Json:
    """As it can be written: a person by name, and what was empty as nothing."""
    return "" if value is None else as_written(value)


def _typed(text: str) -> Json:
    """A number where it reads as one of JSON, text otherwise."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text


async def _asked(settings: Settings, key: WorkItemKey) -> EscalationRow:
    """The question that the conflicts are in."""
    async with opened(settings) as books:
        pending = await books.escalations.find(pending_only=True, limit=10_000)
    for row in pending:
        if row.escalation.key == key and row.escalation.kind is EscalationKind.CONFLICT:
            return row
    raise CliError(
        "not_asked",
        f"Nobody is asked about {key} now: its run is about to ask, or has ended. Nothing was changed.",
        f"pointsman items timeline {key.organisation}/{key.id}",
        ExitCode.CONFLICT,
    )


def _choice(one: SyncConflict, chosen: Mapping[str, str]) -> Record:
    conflict, take = one.conflict, chosen[one.conflict.field]
    told = take.removeprefix(VALUE)
    value = {MINE: conflict.ours, THEIRS: conflict.theirs, BASE: conflict.base}.get(take, told)
    return {"field": conflict.field, "take": told, "value": as_written(value)}


def _row(one: SyncConflict) -> Record:
    conflict = one.conflict
    return {
        "conflict": one.id,
        "organisation": one.key.organisation,
        "project": one.key.project,
        "item": f"{one.key.organisation}/{one.key.id}",
        "id": one.key.id,
        "field": conflict.field,
        "base": as_written(conflict.base),
        "mine": as_written(conflict.ours),
        "theirs": as_written(conflict.theirs),
        "their_rev": one.their_rev,
        "policy": f"{conflict.strategy}: {conflict.reason}" if conflict.reason else conflict.strategy.value,
        "state": conflict.outcome or "open",
        "by": one.by,
        "operation": one.operation,
        "opened": one.opened_at,
        "closed": one.closed_at,
    }
