"""What people are asked about rules of a process: before a write that would break some, and about a violation."""

from collections.abc import Sequence
from hashlib import sha256

from pointsman.contracts.escalations import Escalation, EscalationKind
from pointsman.contracts.lifecycle import Ask, Stage
from pointsman.contracts.policy import Ladder, Severity
from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.process_control import Breach, BrokenRule
from pointsman.contracts.violations import ProcessViolation
from pointsman.contracts.work_items import ProposalRef
from pointsman.domain.decisions import verbs_for
from pointsman.domain.story import BOTTOM, literal

CELL_CHARS = 600  # what was found, what was expected, and what mends it
URGENCY = {
    CheckSeverity.INFO: Severity.LOW,
    CheckSeverity.MINOR: Severity.LOW,
    CheckSeverity.MAJOR: Severity.MEDIUM,
    CheckSeverity.CRITICAL: Severity.HIGH,
}


def ask_rule(broken: Sequence[BrokenRule], proposal: ProposalRef) -> Ask:
    names = ", ".join(dict.fromkeys(one.check for one in broken))
    rows = "\n".join(f"| {one.check} | {one.severity} | {_cell(one.title)} | {_cell(one.evidence)} |" for one in broken)
    return Ask(
        kind=EscalationKind.RULE,
        severity=max((URGENCY[one.severity] for one in broken), key=tuple(Severity).index),
        summary=f"Writing {proposal.summary[:300]} would break rules of the process: {names}. Approve: it is written.",
        details=f"| Check | Severity | Rule | Here |\n| --- | --- | --- | --- |\n{rows}",
        allowed=verbs_for(EscalationKind.RULE),
        proposal=proposal,
        checks=tuple(dict.fromkeys(one.check for one in broken)),
        breaches=tuple(Breach(check=one.check, evidence=one.evidence) for one in broken),
        retry=Stage.PUBLISHING,
    )


def why_held_back(broken: Sequence[BrokenRule]) -> str:
    """For the agent whose proposal it was."""
    rules = "\n".join(f"- {one.check} ({one.severity}): {one.title}. Here: {one.evidence}." for one in broken)
    return (
        "Nothing of your last answer was written, because the change of the item would break rules of its process:\n"
        f"{rules}\n"
        "Answer again without what breaks them, or with a question where people must decide."
    )


def _cell(text: str) -> str:
    return " ".join(text.split())[:CELL_CHARS].replace("|", "\\|")


def about(violation: ProcessViolation, ladder: Ladder) -> Escalation:
    """The question who takes a violation on."""
    summary = f"{violation.id}: {violation.key} breaks {violation.check}: {violation.title or violation.evidence}."
    return Escalation(
        key=violation.key,
        tenant=violation.tenant,
        correlation_id="",
        number=int(violation.id.rpartition("-")[2]),
        kind=EscalationKind.VIOLATION,
        severity=URGENCY[violation.severity],
        summary=f"{summary} Approve: you take it on.",
        details=f"Found: {violation.evidence}\n\nPractice: {violation.practice or 'not told'}.",
        allowed=verbs_for(EscalationKind.VIOLATION),
        subject=_subject(violation),
        ladder=ladder,
    )


def _subject(violation: ProcessViolation) -> str:
    return sha256(f"{violation.id}\n{violation.check}\n{violation.update}".encode()).hexdigest()


def told(violation: ProcessViolation) -> str:
    """What Temporal's own UI tells of a violation, and of what was decided about it, in Markdown."""
    until = f", until {violation.until:%Y-%m-%d %H:%M} UTC" if violation.until else ""
    who = f", by {literal(violation.by)}" if violation.by else ""
    why = f": {literal(violation.reason)}" if violation.reason else ""
    lines = [
        f"### {violation.id}: {literal(violation.check)}, {violation.severity}",
        f"**{violation.state}**{until}{who}{why}",
        "",
        f"- {literal(str(violation.key))}: {literal(violation.evidence)}",
        f"- {literal(violation.title)}",
    ]
    return "\n".join([*lines, *BOTTOM])
