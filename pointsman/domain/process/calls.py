"""Whom to tell of violations that have opened, and in which words."""

from collections.abc import Iterable, Sequence
from html import escape

from pointsman.contracts.process_control import OnOpen
from pointsman.contracts.violations import ProcessViolation
from pointsman.domain.process.foresight import at_least

NAMED_MAX = 20
"""A project that is checked for the first time may break a rule in each of its items."""


def wanted(on_open: Iterable[OnOpen], violation: ProcessViolation) -> OnOpen:
    """All that policy wants done about it, together."""
    fitting = [one for one in on_open if at_least(violation.severity, one.severity)]
    return OnOpen(
        severity=violation.severity,
        notify=tuple(dict.fromkeys(name for one in fitting for name in one.notify)),
        comment=any(one.comment for one in fitting),
        escalate=any(one.escalate for one in fitting),
    )


def concerns(on_open: Iterable[OnOpen], violation: ProcessViolation) -> bool:
    one = wanted(on_open, violation)
    return bool(one.notify or one.comment or one.escalate)


def subject(place: str, violations: Sequence[ProcessViolation]) -> str:
    if len(violations) == 1:
        return f"{violations[0].id}: item {violations[0].key.id} of {place} breaks {violations[0].check}"
    return f"{len(violations)} rules are broken in {place}"


def text(violations: Sequence[ProcessViolation]) -> str:
    """Markdown with the way to decide."""
    lines = [
        f"- {one.id} ({one.severity}): item {one.key.id} breaks {one.check}, {one.title}. Found: {one.evidence}"
        for one in violations[:NAMED_MAX]
    ]
    more = len(violations) - len(lines)
    lines += [f"- and {more} more: `pointsman process violations --project '{violations[0].key.project}'`"] * bool(more)
    return "\n".join([*lines, "", f"Take one on: `pointsman process acknowledge {violations[0].id} --reason ...`"])


def comment(violations: Sequence[ProcessViolation]) -> str:
    """HTML for the item. What others wrote is text in it."""
    rules = "".join(
        f"<li>{escape(one.check)} ({one.severity}): {escape(one.title)}. Found: {escape(one.evidence)} "
        f"<em>{one.id}</em></li>"
        for one in violations
    )
    return f"<p>Rules of the process that this item breaks:</p><ul>{rules}</ul><p><em>Checked by Pointsman.</em></p>"
