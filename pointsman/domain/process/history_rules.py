"""Rules about what happened to an item: each entry of its history in order, with what held at that time."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.contracts.process import Before, Change, Graph, ItemFacts, OtherPerson, Standing, Unchanged
from pointsman.domain.process.graphs import MOVED
from pointsman.domain.process.item_rules import linked
from pointsman.domain.process.values import is_filled, person, said
from pointsman.domain.process.verdicts import Verdict, Verdicts, broken, decided, unknown

STATE, REASON, TYPE = "System.State", "System.Reason", "System.WorkItemType"
UNREAD = "its history was not read"


class Moment(NamedTuple):
    """One change. `fields` are those of the item just before it, `state` its state then; empty before it was made."""

    change: Change
    state: str
    fields: Mapping[str, Json]

    @property
    def entered(self) -> str:
        """The state that it came into by this change; empty if it stayed."""
        told = said(self.change.after.get(STATE))
        return told if STATE in self.change.after and told != self.state else ""

    @property
    def since(self) -> Mapping[str, Json]:
        return {**self.fields, **self.change.after}


def moments(changes: tuple[Change, ...]) -> Iterator[Moment]:
    """Oldest first. What a change tells of before counts more than what was added up until then."""
    fields: dict[str, Json] = {}
    for change in sorted(changes, key=lambda one: one.update):
        before = {**fields, **change.before}
        yield Moment(change, said(before.get(STATE)), before)
        fields = {**before, **change.after}


def transitions(item: ItemFacts) -> Verdicts:
    if item.changes is None or item.graph is None:
        return unknown(UNREAD if item.changes is None else "what its process allows was not read")
    violations: list[Verdict] = []
    doubts: list[str] = []
    for one in moments(item.changes):
        if not one.entered or (one.state and TYPE in one.change.after):
            continue  # another type begins a graph of its own
        violations += _step(one, item.graph)
        if one.state and one.state not in item.graph.steps:
            doubts.append(f"its process does not know the state {one.state!r} that it had")
    return decided(violations, doubts)


def _step(one: Moment, graph: Graph) -> Verdicts:
    allowed = graph.steps.get(one.state)
    if allowed is None:
        return []
    step = f"{one.state or 'nothing'} -> {one.entered}"
    if one.entered not in allowed:
        return broken(f"{step} is not allowed; allowed: {', '.join(sorted(allowed)) or 'nothing'}", one.change.update)
    reasons, reason = allowed[one.entered], said(one.change.after.get(REASON))
    if reasons and reason and reason not in reasons and not reason.startswith(MOVED):
        told = f"{step} for the reason {reason!r} is not allowed; allowed: {', '.join(reasons)}"
        return broken(told, one.change.update)
    return []


def unchanged(rule: Unchanged, item: ItemFacts) -> Verdicts:
    if item.changes is None:
        return unknown(UNREAD)
    violations = [
        Verdict(Standing.VIOLATED, f"{name} was changed in {one.state}", one.change.update)
        for one in moments(item.changes)
        if one.state in rule.states
        for name in rule.fields
        if name in one.change.after and said(one.change.after[name]) != said(one.fields.get(name))
    ]
    if not violations or rule.unless is None:
        return decided(violations)
    excuse = linked(rule.unless, item)
    if all(one.standing is not Standing.VIOLATED for one in excuse):
        return excuse
    return [one._replace(evidence=f"{one.evidence}, and {excuse[0].evidence}") for one in violations]


def before(rule: Before, item: ItemFacts) -> Verdicts:
    if item.changes is None:
        return unknown(UNREAD)
    entered = [one for one in moments(item.changes) if one.entered == rule.state]
    if not entered:
        return []
    first = entered[0]
    missing = [name for name in rule.fields if not is_filled(first.since.get(name))]
    return decided(
        broken(f"came into {rule.state} without {', '.join(missing)}", first.change.update) if missing else ()
    )


def other_person(rule: OtherPerson, item: ItemFacts, agents: frozenset[str]) -> Verdicts:
    if item.changes is None:
        return unknown(UNREAD)
    worker = ""
    entered = 0
    violations: list[Verdict] = []
    doubts: list[str] = []
    for one in moments(item.changes):
        if one.entered == rule.state and one.state:
            entered += 1
            others = {person(one.fields.get(name)) for name in rule.than_fields} | {worker}
            violations += _same(rule, one, others, agents)
            doubts += _doubts(rule, one, others)
        if rule.than_state and one.entered == rule.than_state:
            worker = one.change.by.casefold()
    return decided(violations, doubts) if entered else []


def _same(rule: OtherPerson, one: Moment, others: set[str], agents: frozenset[str]) -> Verdicts:
    who = one.change.by.casefold()
    if who and rule.no_agent and who in agents:
        return broken(f"the agent account {one.change.by} brought it into {rule.state}", one.change.update)
    if who and who in others:
        return broken(f"{one.change.by} brought own work into {rule.state}", one.change.update)
    return ()


def _doubts(rule: OtherPerson, one: Moment, others: set[str]) -> list[str]:
    if not one.change.by:
        return [f"who brought it into {rule.state} is not told"]
    asked = bool(rule.than_fields or rule.than_state)
    return [f"whose work it was when it came into {rule.state} is not told"] if asked and not others - {""} else []


def own_name(item: ItemFacts) -> Verdicts:
    if item.changes is None:
        return unknown(UNREAD)
    told = [one for one in item.changes if one.by and one.authorised_as]
    violations: Verdicts = [
        Verdict(Standing.VIOLATED, f"{one.authorised_as} wrote in the name of {one.by}", one.update)
        for one in told
        if one.by.casefold() != one.authorised_as.casefold()
    ]
    return decided(violations, () if told else ["who was authorised is not told"])
