"""What a write would do to rules of the process, before it is sent."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from pointsman.contracts.base import Json
from pointsman.contracts.process import (
    AllOf,
    Change,
    Check,
    CheckSeverity,
    Filled,
    Finding,
    ItemFacts,
    Linked,
    LinkedItem,
    ProcessPolicy,
    Rule,
    Standing,
)
from pointsman.contracts.process_control import BrokenRule
from pointsman.domain.process.evaluation import Around, inside, of_item
from pointsman.domain.process.history_rules import STATE, TYPE
from pointsman.domain.process.item_rules import CHANGED, STATE_CHANGED
from pointsman.domain.process.values import among, said
from pointsman.domain.process.verdicts import STAYS

CHANGED_BY = "System.ChangedBy"
REVIEWED, PROVED_BY = "Pull Request", "Microsoft.VSTS.Common.TestedBy-Forward"
PART = "\0"
"""Stands in no name of a check."""
SEVERITIES = tuple(CheckSeverity)


def at_least(severity: CheckSeverity, limit: CheckSeverity) -> bool:
    return SEVERITIES.index(severity) >= SEVERITIES.index(limit)


def changed(
    item: ItemFacts, fields: Mapping[str, Json], by: str, at: datetime, links: Sequence[LinkedItem] = ()
) -> ItemFacts:
    """The item as it would be after a write of these fields and links: with what the service itself sets, and one more
    entry in its history."""
    return _rewritten(_linked(item, links), fields, by, at) if fields else _linked(item, links)


def _linked(item: ItemFacts, links: Sequence[LinkedItem]) -> ItemFacts:
    """With these links. What they would bring to light, reviews and results of tests, is not known any more."""
    if not links:
        return item
    relations = {one.relation for one in links}
    return item.model_copy(
        update={
            "links": None if item.links is None else (*item.links, *links),
            "pull_requests": None if REVIEWED in relations else item.pull_requests,
            "outcomes": None if PROVED_BY in relations else item.outcomes,
        }
    )


def unlinked(item: ItemFacts, gone: Collection[tuple[str, int]]) -> ItemFacts:
    """Without its links of this relation to this item."""
    if item.links is None or not gone:
        return item
    return item.model_copy(update={"links": tuple(one for one in item.links if (one.relation, one.id) not in gone)})


def end_of(item: ItemFacts, relation: str) -> LinkedItem:
    """The item as it is seen through a link that leads to it."""
    fields = {name: value for name, value in item.fields.items() if name not in (TYPE, STATE)}
    return LinkedItem(relation=relation, id=item.id, type=item.type, state=item.state, fields=fields)


def _rewritten(item: ItemFacts, fields: Mapping[str, Json], by: str, at: datetime) -> ItemFacts:
    moved = STATE in fields and said(fields[STATE]) != item.state
    stamps: dict[str, Json] = {CHANGED: at.isoformat(), CHANGED_BY: by}
    stamps |= {STATE_CHANGED: at.isoformat()} if moved else {}
    after: dict[str, Json] = {**fields, **stamps}
    return item.model_copy(
        update={
            "state": said(fields[STATE]) if moved else item.state,
            "type": said(fields[TYPE]) if TYPE in fields else item.type,
            "rev": item.rev + 1,
            "fields": {**item.fields, **after},
            "changes": _one_more(item, after, by, at),
        }
    )


def _one_more(item: ItemFacts, after: Mapping[str, Json], by: str, at: datetime) -> tuple[Change, ...] | None:
    if item.changes is None:
        return None
    before = {name: item.fields[name] for name in after if item.fields.get(name) is not None}
    number = max((one.update for one in item.changes), default=0) + 1
    return (*item.changes, Change(update=number, at=at, by=by, authorised_as=by, before=before, after=dict(after)))


def broken_by(
    policy: ProcessPolicy, before: ItemFacts, fields: Mapping[str, Json], by: str, around: Around, limit: CheckSeverity
) -> tuple[BrokenRule, ...]:
    """What `newly_broken` finds of a write of these fields."""
    return newly_broken(policy, before, changed(before, fields, by, around.now), around, limit)


def newly_broken(
    policy: ProcessPolicy, before: ItemFacts, after: ItemFacts, around: Around, limit: CheckSeverity
) -> tuple[BrokenRule, ...]:
    """Rules of at least this severity that hold, or are not known to be broken, and would be broken by the write; also
    those of which more would be broken."""
    in_parts = policy.model_copy(update={"checks": tuple(part for check in policy.checks for part in _parts(check))})
    standing = {(one.check, one.update) for one in _violations(in_parts, before, around)}
    then = {(one.check, one.update) for one in _violations(in_parts, after, around)}
    new = {(name.partition(PART)[0], update) for name, update in then - standing}
    found = _violations(policy, after, around)
    checks = {check.id: check for check in policy.checks}
    return tuple(
        BrokenRule(
            check=one.check,
            title=checks[one.check].title,
            practice=checks[one.check].practice,
            severity=one.severity,
            evidence=one.evidence.removesuffix(f"; {STAYS}"),  # what is not sent stays nowhere
        )
        for one in found
        if (one.check, one.update) in new and at_least(one.severity, limit)
    )


def _parts(check: Check) -> Iterator[Check]:
    """All that must hold by itself, so that what is broken already hides nothing else that a write would break."""
    for number, rule in enumerate(_each(check.rule)):
        yield check.model_copy(update={"id": f"{check.id}{PART}{number}", "rule": rule})


def _each(rule: Rule) -> Iterator[Rule]:
    if isinstance(rule, AllOf):
        for one in rule.rules:
            yield from _each(one)
    elif isinstance(rule, Filled):
        yield from (rule.model_copy(update={"fields": (name,)}) for name in rule.fields)
    else:
        yield rule


def asks_of_links(policy: ProcessPolicy, limit: CheckSeverity, kind: str = "") -> bool:
    """Whether a check of at least this severity looks at links of an item of this type; without one, of any."""
    fitting = (one for one in policy.checks if at_least(one.severity, limit) and (not kind or among(kind, one.types)))
    return any(isinstance(rule, Linked) for check in fitting for rule in inside(check.rule))


def _violations(policy: ProcessPolicy, item: ItemFacts, around: Around) -> list[Finding]:
    return [one for one in of_item(policy, item, around) if one.standing is Standing.VIOLATED]
