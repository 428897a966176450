"""Whom to tell of violations that have opened, and in which words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from pointsman.contracts.process_control import OnOpen
from pointsman.contracts.violations import ProcessViolation
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.process.foresight import at_least

COMMENTS_MAX, QUESTIONS_MAX = 20, 10
NAMED_MAX = 20
"""A project that is checked for the first time may break a rule in each of its items."""
NO_PLACE = "a project as a whole has no discussion to write into"


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


@dataclass(frozen=True)
class Plan:
    """What is done about violations that nobody was told of: messages by target, comments by item, questions. Policy
    wants a comment on each of `uncommented` too, but a project as a whole has no place for one."""

    told: tuple[ProcessViolation, ...] = ()
    messages: Mapping[str, Sequence[ProcessViolation]] = field(default_factory=dict)
    comments: Mapping[WorkItemKey, Sequence[ProcessViolation]] = field(default_factory=dict)
    questions: tuple[ProcessViolation, ...] = ()
    uncommented: tuple[ProcessViolation, ...] = ()


def planned(on_open: Iterable[OnOpen], untold: Iterable[ProcessViolation]) -> Plan:
    """Of one call at most 20 items get a comment, and about at most 10 violations people are asked: a first check of a
    large project must not flood its people."""
    rules = tuple(on_open)
    todo = {one: wanted(rules, one) for one in untold if concerns(rules, one)}
    messages: dict[str, list[ProcessViolation]] = {}
    comments: dict[WorkItemKey, list[ProcessViolation]] = {}
    for one, want in todo.items():
        for target in want.notify:
            messages.setdefault(target, []).append(one)
        if want.comment and one.key.id:
            comments.setdefault(one.key, []).append(one)
    return Plan(
        told=tuple(todo),
        messages=messages,
        comments=dict(list(comments.items())[:COMMENTS_MAX]),
        questions=tuple(one for one, want in todo.items() if want.escalate)[:QUESTIONS_MAX],
        uncommented=tuple(one for one, want in todo.items() if want.comment and not one.key.id),
    )


def subject(place: str, violations: Sequence[ProcessViolation]) -> str:
    if len(violations) == 1:
        return f"{violations[0].id}: {_who(violations[0])} of {place} breaks {violations[0].check}"
    return f"{len(violations)} rules are broken in {place}"


def _who(violation: ProcessViolation) -> str:
    return f"item {violation.key.id}" if violation.key.id else "the whole"


def text(violations: Sequence[ProcessViolation], uncommented: Sequence[ProcessViolation] = ()) -> str:
    """Markdown with the way to decide; of those in `uncommented` it says that no comment was written."""
    lines = [
        f"- {one.id} ({one.severity}): {_who(one)} breaks {one.check}, {one.title}. Found: {one.evidence}"
        for one in violations[:NAMED_MAX]
    ]
    more = len(violations) - len(lines)
    lines += [f"- and {more} more: `pointsman process violations --project '{violations[0].key.project}'`"] * bool(more)
    if without := [one.id for one in violations[:NAMED_MAX] if one in uncommented]:
        lines += ["", f"No comment on {', '.join(without)}: {NO_PLACE}."]
    return "\n".join([*lines, "", f"Take one on: `pointsman process acknowledge {violations[0].id} --reason ...`"])


def comment(violations: Sequence[ProcessViolation]) -> str:
    """HTML for the item. What others wrote is text in it."""
    rules = "".join(
        f"<li>{escape(one.check)} ({one.severity}): {escape(one.title)}. Found: {escape(one.evidence)} "
        f"<em>{one.id}</em></li>"
        for one in violations
    )
    return f"<p>Rules of the process that this item breaks:</p><ul>{rules}</ul><p><em>Checked by Pointsman.</em></p>"
