"""Escalations on the command line: found, shown, decided."""

import json
import shlex
from collections.abc import Sequence

import pydantic

from pointsman.config import Settings
from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Decision, Standing, Verb
from pointsman.contracts.records import EscalationRow
from pointsman.domain import decisions
from pointsman.ports import Missing, Rejected
from starter import escalations
from starter.cli import records
from starter.cli.call import Call
from starter.cli.context import opened, temporal
from starter.cli.errors import CliError, ExitCode, not_found, usage
from starter.cli.items import workflow_url
from starter.cli.output import Listing, Record, Single, iso

Edits = dict[str, Json]
NO_LINKS = "none"


async def listed(settings: Settings, pending_only: bool, limit: int) -> Listing:
    async with opened(settings) as books:
        return records.escalations(list(await books.escalations.find(pending_only=pending_only, limit=limit)))


async def found(settings: Settings, named: str) -> EscalationRow:
    """The escalation that `ESC-7`, `esc-7` or `7` means."""
    name = f"ESC-{named}" if named.isdigit() else named.upper()
    async with opened(settings) as books:
        row = await books.escalations.get(name)
    if row is None:
        raise not_found(f"There is no escalation {named!r}.", "pointsman escalations list --all")
    return row


def shown(row: EscalationRow, settings: Settings) -> Single:
    return records.escalation(row, {"temporal_ui": workflow_url(settings, row.workflow_id)})


def exit_status(row: EscalationRow) -> ExitCode:
    return ExitCode.PENDING if row.resolution is None else ExitCode.OK


def edits(values: Sequence[str], comment_text: str | None, tags: Sequence[str], links: Sequence[str] = ()) -> Edits:
    """What the options say. A value that reads as a JSON number, true, false or null is one; `none` is no link.

    Raises:
        CliError: a value is not FIELD=VALUE, or nothing is to be changed.
    """
    told: Edits = {}
    for one in values:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise usage(f"--set {one!r} is not FIELD=VALUE.", "pointsman escalations edit --help")
        told[name.strip()] = _scalar(value)
    if comment_text is not None:
        told["comment"] = comment_text
    if tags:
        told["tags"] = list(tags)
    if links:
        told["links"] = [one for one in links if one.strip().casefold() != NO_LINKS]
    if not told:
        raise usage("edit needs --set, --comment-text, --tag or --link.", "pointsman escalations edit --help")
    return told


def _scalar(text: str) -> str | int | float | bool | None:
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, int | float) else text


def decision(row: EscalationRow, verb: str, by: str, comment: str, subject: str, edits: Edits) -> Decision:
    """The decision, checked as the workflow will check it. It is bound to `subject`, or to what the row asks.

    Raises:
        CliError: it does not answer this question, or somebody has answered it.
    """
    must_be_pending(row)
    try:
        made = Decision(
            verb=Verb(verb),
            by=by,
            comment=comment,
            subject=subject or row.escalation.subject,
            edits=edits,
            channel="cli",
        )
        decisions.check(row.escalation, made)
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        raise usage(f"{fault['loc'][0]}: {fault['msg']}", f"pointsman escalations {verb} --help") from error
    except decisions.Undecidable as error:
        raise _refused(row, str(error)) from error
    return made


def told(row: EscalationRow, decision: Decision) -> Single:
    return Single(
        "decision",
        {
            "escalation": row.id,
            "workflow_id": row.workflow_id,
            "verb": decision.verb.value,
            "by": decision.by,
            "comment": decision.comment,
            "subject": decision.subject,
            "edits": {name: records.plain(value) for name, value in decision.edits.items()},
        },
    )


async def decide(settings: Settings, row: EscalationRow, decision: Decision) -> Standing:
    """Send the decision, and return the one that stands.

    Raises:
        CliError: the workflow refuses it, or has closed; then what stands is said.
    """
    client = await temporal(settings)
    try:
        return await escalations.decide(client, row.workflow_id, decision)
    except Missing:
        must_be_pending(await found(settings, row.id))
        raise CliError(
            "closed",
            f"{row.id} cannot be decided: its workflow {row.workflow_id} is closed, and no decision was kept. "
            "Nothing was changed.",
            f"See its story: {story_of(row)}",
            ExitCode.CONFLICT,
            correlation_id=row.escalation.correlation_id,
        ) from None
    except Rejected as error:
        raise _refused(row, str(error)) from error


def story_of(row: EscalationRow) -> str:
    """The command that tells what led to the question, and what became of it."""
    key = row.escalation.key
    if key.id:
        return f"pointsman items timeline {key.organisation}/{key.id}"
    return f"pointsman process violations --whole --project {shlex.quote(key.project)}"


def answered(call: Call, row: EscalationRow, standing: Standing, also: Record | None = None) -> ExitCode:
    """Print what stands, and what else belongs into the same document. Exit 5 when somebody else was first."""
    call.show(
        Single(
            "standing",
            {
                "escalation": row.id,
                "accepted": standing.accepted,
                "verb": standing.verb.value,
                "by": standing.by,
                "at": standing.at,
                "note": standing.note,
                **(also or {}),
            },
        )
    )
    if standing.accepted:
        call.out.say(f"decided; what follows: {story_of(row)}")
        return ExitCode.OK
    raise _taken(row, f"{standing.verb} by {standing.by} at {iso(standing.at)}")


def must_be_pending(row: EscalationRow) -> None:
    if row.resolution is None:
        return
    who = f" by {row.resolution.by}" if row.resolution.by else ""
    when = f" at {iso(row.closed_at)}" if row.closed_at else ""
    raise _taken(row, f"{records.status(row)}{who}{when}")


def _taken(row: EscalationRow, stands: str) -> CliError:
    return CliError(
        "already_decided",
        f"{row.id} is closed already, and this stands: {stands}. Yours changed nothing.",
        f"See all of it: pointsman escalations show {row.id}",
        ExitCode.CONFLICT,
        correlation_id=row.escalation.correlation_id,
    )


def _refused(row: EscalationRow, why: str) -> CliError:
    return CliError(
        "refused",
        f"{row.id} does not take this decision: {why}. Nothing was changed.",
        f"See what is asked: pointsman escalations show {row.id}",
        ExitCode.POLICY,
        correlation_id=row.escalation.correlation_id,
    )
