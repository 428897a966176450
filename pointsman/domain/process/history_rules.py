"""Rules about what happened to an item: each entry of its history in order, with what held at that time."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.contracts.process import Before, Change, Graph, ItemFacts, OtherPerson, Standing, Unchanged
from pointsman.domain.process import naming
from pointsman.domain.process.graphs import MOVED
from pointsman.domain.process.item_rules import linked
from pointsman.domain.process.values import is_filled, person, said
from pointsman.domain.process.verdicts import STAYS, Verdict, Verdicts, broken, decided, held, short, unknown
from pointsman.domain.words import joined

STATE, REASON, TYPE = "System.State", "System.Reason", "System.WorkItemType"
_GRAPH_OF = {TYPE, "System.TeamProject"}
UNREAD = "its history was not read"
VALUE_CHARS = 50


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
    every = list(moments(item.changes))
    # Another type, or another project with a process of its own, begins a graph of its own.
    changed = [place for place, one in enumerate(every) if one.state and _GRAPH_OF & one.change.after.keys()]
    violations: list[Verdict] = []
    doubts = ["which ways it might go before its type or project was changed was not read"] if changed else []
    for one in every[max(changed, default=-1) + 1 :]:
        if not one.entered:
            continue
        violations += _step(one, item.graph)
        if one.state and one.state not in item.graph.steps:
            doubts.append(f"its process does not know the state {one.state!r} that it had")
    return decided(violations, doubts)


def _step(one: Moment, graph: Graph) -> Verdicts:
    allowed = graph.steps.get(one.state)
    if allowed is None:
        return []
    step = f"it went from {one.state} to {one.entered}" if one.state else f"it was made in {one.entered}"
    if one.entered not in allowed:
        begins = f"from {one.state} to" if one.state else "made in"
        ways = f"{begins} {joined(sorted(allowed), 'or')}" if allowed else f"no step from {one.state}"
        return broken(
            step, expected=ways, mend=f"go a way that is allowed the next time; {STAYS}", update=one.change.update
        )
    reasons, reason = allowed[one.entered], said(one.change.after.get(REASON))
    if reasons and reason and reason not in reasons and not reason.startswith(MOVED):
        return broken(
            f"{step} for the reason {reason!r}",
            expected=f"for the reason {joined(reasons, 'or')}",
            mend=f"choose a reason that is allowed the next time; {STAYS}",
            update=one.change.update,
        )
    return []


def unchanged(rule: Unchanged, item: ItemFacts) -> Verdicts:
    if item.changes is None:
        return unknown(UNREAD)
    violations = [
        verdict
        for one in moments(item.changes)
        if one.state in rule.states
        for name in rule.fields
        if name in one.change.after and said(one.change.after[name]) != said(one.fields.get(name))
        for verdict in broken(
            f"{naming.field(name)} was changed from {_quoted(one.fields.get(name))} to "
            f"{_quoted(one.change.after[name])} while it was {one.state}",
            expected=f"no change of it in {joined(rule.states, 'or')}",
            mend=f"have the change agreed upon first the next time; {STAYS}",
            update=one.change.update,
        )
    ]
    if not violations or rule.unless is None:
        return decided(violations)
    excuse = linked(rule.unless, item)
    if all(one.standing is not Standing.VIOLATED for one in excuse):
        return excuse
    told = excuse[0]
    return [
        one._replace(
            evidence=f"{one.evidence}, and {told.evidence}",
            expected=f"{one.expected} without {told.expected}",
            mend=told.mend,
        )
        for one in violations
    ]


def _quoted(value: Json) -> str:
    return repr(short(said(value), VALUE_CHARS)) if is_filled(value) else "nothing"


def before(rule: Before, item: ItemFacts) -> Verdicts:
    if item.changes is None:
        return unknown(UNREAD)
    entered = [one for one in moments(item.changes) if one.entered == rule.state]
    if not entered:
        return []
    first = entered[0]
    missing = [name for name in rule.fields if not is_filled(first.since.get(name))]
    if not missing:
        return held()
    return broken(
        f"it came into {rule.state} without {naming.fields(missing)}",
        expected=f"{naming.fields(rule.fields)} filled in before that",
        mend=f"fill in {naming.fields(missing)} now; {STAYS}",
        update=first.change.update,
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
        return broken(
            f"the agent account {one.change.by} brought it into {rule.state}",
            expected="a person does that",
            mend=f"have a person look at it and bring it into {rule.state}; {STAYS}",
            update=one.change.update,
        )
    if who and who in others:
        return broken(
            f"{one.change.by} brought their own work into {rule.state}",
            expected="somebody else does that",
            mend=f"have somebody else look at it and bring it into {rule.state}; {STAYS}",
            update=one.change.update,
        )
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
        verdict
        for one in told
        if one.by.casefold() != one.authorised_as.casefold()
        for verdict in broken(
            f"{one.authorised_as} wrote in the name of {one.by}",
            expected="each account writes in its own name",
            mend=f"take the right to bypass rules from {one.authorised_as}; {STAYS}",
            update=one.update,
        )
    ]
    return decided(violations, () if told else ["who was authorised is not told"])
