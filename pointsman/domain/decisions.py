"""Which decision may be taken: well-formed, about what is asked, and about what was seen."""

import pydantic

from pointsman.contracts.escalations import Decision, Escalation, EscalationKind, Verb
from pointsman.contracts.work_items import Proposal, WorkItemKey
from pointsman.domain.edits import edit
from pointsman.domain.proposals import InvalidAnswer
from pointsman.domain.texts import UNPRINTABLE

SUBJECT_CHARS_MIN = 8  # of the hash that a human repeats: 32 bits, enough to tell two proposals of one item apart


class Undecidable(ValueError):
    """The decision cannot be taken. The text says why and what would do."""


def read(raw: bytes) -> Decision:
    """Read a decision as a human wrote it, as JSON.

    Raises:
        Undecidable: it is not JSON, or not a decision.
    """
    try:
        return Decision.model_validate_json(raw)
    except pydantic.ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'input'}: {one['msg']}" for one in error.errors()[:4])
        raise Undecidable(f'{faults}. Send for example {{"verb": "approve", "by": "you", "subject": "..."}}') from error


def check(escalation: Escalation, decision: Decision) -> None:
    """Refuse what does not answer the question.

    Raises:
        Undecidable: the verb is not asked for, an argument is missing, or the subject is another than the one asked.
    """
    if not decision.by.strip() or len(decision.by.splitlines()) > 1 or UNPRINTABLE.search(decision.by):
        raise Undecidable(f"by: {decision.by[:80]!r} must be a name in one line: who decides?")
    if decision.verb not in escalation.allowed:
        allowed = ", ".join(escalation.allowed)
        raise Undecidable(f"{decision.verb} is not possible here; possible are: {allowed}")
    if decision.verb in (Verb.APPROVE, Verb.EDIT):
        _check_subject(escalation, decision)
    if UNPRINTABLE.search(decision.comment):
        raise Undecidable("comment: holds control characters")
    if decision.verb in (Verb.REJECT, Verb.RESPOND) and not decision.comment.strip():
        raise Undecidable(f"{decision.verb} needs a comment: it is what the agent and the people on the item read")
    if decision.verb is Verb.EDIT:
        _check_edits(decision, escalation.key)
    if escalation.choices and decision.verb is Verb.RESPOND and decision.comment.strip() not in escalation.choices:
        raise Undecidable(f"{decision.comment.strip()[:80]!r} is none of: {', '.join(escalation.choices)}")


def _check_edits(decision: Decision, about: WorkItemKey) -> None:
    if not decision.edits:
        raise Undecidable("edit needs edits: field names to values, or comment, tags, links")
    try:
        edit(Proposal(), decision.edits, about)
    except InvalidAnswer as error:
        raise Undecidable(str(error)) from error


def _check_subject(escalation: Escalation, decision: Decision) -> None:
    subject = decision.subject.strip().casefold()
    if len(subject) < SUBJECT_CHARS_MIN:
        raise Undecidable(f"{decision.verb} needs the subject that you saw: {escalation.subject[:12]}")
    if not escalation.subject.startswith(subject):
        raise Undecidable(f"stale: you saw {subject[:12]}, asked is {escalation.subject[:12]}; look again")


def verbs_for(kind: EscalationKind) -> tuple[Verb, ...]:
    """Verbs that answer each kind of question."""
    return {
        EscalationKind.APPROVAL: (Verb.APPROVE, Verb.EDIT, Verb.REJECT, Verb.RESPOND),
        EscalationKind.ROUTING: (Verb.RESPOND, Verb.REJECT),
        EscalationKind.LIMIT: (Verb.APPROVE, Verb.RESPOND, Verb.REJECT),
        EscalationKind.QUESTION: (Verb.RESPOND, Verb.REJECT),
        EscalationKind.CONFLICT: (Verb.APPROVE, Verb.EDIT, Verb.RESPOND, Verb.REJECT),
        EscalationKind.FAILURE: (Verb.APPROVE, Verb.EDIT, Verb.RESPOND, Verb.REJECT),
        EscalationKind.RULE: (Verb.APPROVE, Verb.EDIT, Verb.RESPOND, Verb.REJECT),
        EscalationKind.VIOLATION: (Verb.APPROVE, Verb.RESPOND),
    }[kind]
