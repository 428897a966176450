"""An item's story: what came in, what was decided, done and written, merged into one order of time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import (
    Attempt,
    AttemptKind,
    AuditEvent,
    Delivery,
    EscalationRow,
    ItemTransition,
    WriteRecord,
)
from pointsman.contracts.work_items import Transition, WorkItemState
from pointsman.domain import links
from pointsman.domain.echoes import is_in_doubt
from pointsman.domain.sync.recognising import COMMENT, LINKS, UNLINKS, shown

# What happens at the same moment is told in the order of cause and effect.
KINDS = (
    "delivery",
    "state",
    "routing",
    "model",
    "tool",
    "agent",
    "escalation",
    "notice",
    "refusal",
    "decision",
    "write",
    "ledger",
    "rule",
)

# Events of the audit log that no other row tells. The rest of the log repeats what the rows say.
RULES = {
    Action.WRITE_HELD_BACK.value: "a write is held back",
    Action.WRITE_ALLOWED.value: "a write is let pass",
    Action.VIOLATION_OPENED.value: "broken",
    Action.VIOLATION_ACKNOWLEDGED.value: "taken on",
    Action.VIOLATION_WAIVED.value: "waived",
    Action.VIOLATION_RETURNED.value: "broken again, its waiver is over",
    Action.VIOLATION_RESOLVED.value: "kept to again",
}
TOLD_BY_EVENTS = {
    Action.ESCALATION_NOTIFIED.value: "notice",
    Action.ESCALATION_REFUSED.value: "refusal",
    **dict.fromkeys(RULES, "rule"),
}


@dataclass(frozen=True)
class TimelineRow:
    """One thing that happened. `ref` names it: a delivery, a run, an attempt, an escalation, an operation."""

    at: datetime
    kind: str
    what: str
    who: str = ""
    ref: str = ""


def merge_timeline(
    *,
    deliveries: Sequence[Delivery] = (),
    transitions: Sequence[ItemTransition] = (),
    attempts: Sequence[Attempt] = (),
    escalations: Sequence[EscalationRow] = (),
    writes: Sequence[WriteRecord] = (),
    events: Sequence[AuditEvent] = (),
) -> list[TimelineRow]:
    """All of it, oldest first."""
    rungs = {(row.id, number): line for row in escalations for number, line in enumerate(row.rungs, start=1)}
    rows = [
        *(_delivery(one) for one in deliveries),
        *(_transition(one.run_id, one.transition) for one in transitions),
        *(_attempt(one) for one in attempts),
        *(row for one in escalations for row in _escalation(one)),
        *(_write(one) for one in writes),
        *(_event(one, rungs) for one in events if one.action in TOLD_BY_EVENTS),
    ]
    return sorted(rows, key=lambda row: (row.at, KINDS.index(row.kind)))


def _delivery(row: Delivery) -> TimelineRow:
    outcome = f"{row.state}: {row.reason}" if row.reason else str(row.state)
    replayed = f"replay for {row.replayed_by}, " if row.replayed_by else ""
    replayed += f"recovered from {row.recovered_from}, " if row.recovered_from else ""
    return TimelineRow(
        row.received_at, "delivery", f"{row.event_type or 'unreadable'} ({replayed}{outcome})", ref=row.id
    )


def _transition(run_id: str, step: Transition) -> TimelineRow:
    routed = step.after is WorkItemState.ROUTED
    before = f"{step.before} -> " if step.before else ""
    what = f"{before}{step.after}: {step.reason}" if step.reason else f"{before}{step.after}"
    return TimelineRow(step.at, "routing" if routed else "state", what, step.agent, f"{run_id[:8]}/{step.number}")


def _attempt(call: Attempt) -> TimelineRow:
    outcome = call.outcome or "no outcome yet, or lost: in doubt"
    seconds = f", {(call.ended_at - call.started_at).total_seconds():.1f} s" if call.ended_at else ""
    tokens = call.usage.input_tokens + call.usage.output_tokens
    used = f", {tokens:,} tokens, {call.usage.cost_usd} USD" if call.kind is AttemptKind.MODEL and tokens else ""
    again = f" (attempt {call.caller.attempt})" if call.caller.attempt > 1 else ""
    return TimelineRow(
        call.started_at,
        call.kind.value,
        f"{call.target}{again}: {outcome}{seconds}{used}",
        call.caller.activity,
        call.id,
    )


def _escalation(row: EscalationRow) -> Iterator[TimelineRow]:
    asked = row.escalation
    yield TimelineRow(
        row.opened_at, "escalation", f"{asked.kind}, {asked.severity}: {asked.summary}", asked.agent, row.id
    )
    if row.closed_at is None:
        return
    if row.decision is None:
        outcome = row.resolution.outcome if row.resolution else "closed"
        reason = row.resolution.reason if row.resolution else ""
        yield TimelineRow(row.closed_at, "decision", f"{outcome}: {reason or 'nobody decided'}", ref=row.id)
        return
    decision = row.decision
    comment = f": {decision.comment}" if decision.comment else ""
    yield TimelineRow(row.closed_at, "decision", f"{decision.verb}{comment}", decision.by, row.id)


def _write(row: WriteRecord) -> TimelineRow:
    told = f"{wrote(row)} on revision {row.base_rev}: {_outcome(row)}"
    return TimelineRow(row.intended_at, "ledger", told, ref=row.operation)


def _outcome(row: WriteRecord) -> str:
    if row.status == "abandoned":
        return "abandoned: nothing was written"
    if is_in_doubt(row):
        return f"{row.status}, no revision known: in doubt"
    return f"{row.status}, revision {row.rev}" if row.rev else row.status  # comments have versions of their own


def wrote(row: WriteRecord) -> str:
    """What a write is of: fields by their names, links by what they lead to."""
    told = (_written(name, value) for name, value in shown(row.values).items())
    return ", ".join(filter(None, told)) or "nothing"


def _written(name: str, value: Json) -> str:
    if name in (LINKS, UNLINKS):
        return f"{'links' if name == LINKS else 'links taken away'}: {links.told(value)}"
    if name == COMMENT:  # of a new one its text tells
        return f"comment {value}" if value else ""
    return name


def _rule(event: AuditEvent) -> TimelineRow:
    data = event.data
    checks = data["checks"] if isinstance(data.get("checks"), list) else [data.get("check", "")]
    assert isinstance(checks, list), "checks are listed by their names"
    ref = str(data.get("violation") or data.get("operation") or "")
    why = str(data.get("reason") or data.get("evidence") or "")
    told = f"{', '.join(map(str, checks))}: {RULES[event.action]}" + (f" ({why})" if why else "")
    human = event.action in (Action.WRITE_ALLOWED, Action.VIOLATION_ACKNOWLEDGED, Action.VIOLATION_WAIVED)
    return TimelineRow(event.at, "rule", told, event.actor if human else "", ref)


def _event(event: AuditEvent, rungs: Mapping[tuple[str, int], str]) -> TimelineRow:
    if event.action in RULES:
        return _rule(event)
    escalation, rung = str(event.data.get("escalation", "")), event.data.get("rung")
    told = ", ".join(f"{name} {value}" for name, value in event.data.items() if name != "escalation")
    if isinstance(rung, int) and (line := rungs.get((escalation, rung))):
        told = line.partition(" ")[2]  # without the time that it begins with
    # A notice's actor is the workflow that sent it, which the escalation names already.
    who = event.actor if event.action == Action.ESCALATION_REFUSED else ""
    return TimelineRow(event.at, TOLD_BY_EVENTS[event.action], told, who, escalation)
