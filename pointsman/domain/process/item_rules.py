"""Rules about how an item stands: its fields, its links, and what proves it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pointsman.contracts.process import (
    Age,
    Filled,
    ItemFacts,
    Linked,
    LinkedItem,
    Nested,
    NotOverdue,
    OneOf,
    Reviewed,
)
from pointsman.domain.loose import moment
from pointsman.domain.process.values import all_say, among, is_filled, is_one_of, said
from pointsman.domain.process.verdicts import Verdicts, broken, decided, held, short, unknown

CHANGED = "System.ChangedDate"
STATE_CHANGED = "Microsoft.VSTS.Common.StateChangeDate"
PASSED = "passed"


def filled(rule: Filled, item: ItemFacts) -> Verdicts:
    missing = [name for name in rule.fields if not is_filled(item.fields.get(name), rule.empty)]
    return broken(f"says nothing in {', '.join(missing)}") if missing else held()


def one_of(rule: OneOf, item: ItemFacts) -> Verdicts:
    value = item.fields.get(rule.field)
    if is_one_of(value, rule.values):
        return held(f"{rule.field} is {said(value)!r}")
    return broken(f"{rule.field} is {said(value)!r}, not one of: {', '.join(rule.values)}")


def nested(rule: Nested, item: ItemFacts) -> Verdicts:
    path = said(item.fields.get(rule.field))
    return held(path) if "\\" in path.strip("\\") else broken(f"{rule.field} is {path!r}, the root")


def linked(rule: Linked, item: ItemFacts) -> Verdicts:
    if item.links is None:
        return unknown("its links were not read")
    links = [one for one in item.links if one.relation in rule.relations]
    fitting = [one for one in links if _fits(rule, one)]
    strays = [one for one in links if one not in fitting] if rule.only else []
    if strays:
        return broken(f"{_relations(rule)} leads to {_named(strays)}, not to {_wanted(rule)}")
    if len(fitting) < rule.at_least:
        return broken(f"{len(fitting)} of at least {rule.at_least} links {_relations(rule)} to {_wanted(rule)}")
    return held(f"{_relations(rule)}: {_named(fitting)}" if fitting else "")


def _fits(rule: Linked, one: LinkedItem) -> bool:
    return among(one.type, rule.types) and among(one.state, rule.states) and all_say(one.fields, rule.values)


def _relations(rule: Linked) -> str:
    return " or ".join(name.rpartition(".")[2] for name in rule.relations)


def _wanted(rule: Linked) -> str:
    criteria = [" or ".join(rule.types) or "any item"]
    criteria += [f"in {' or '.join(rule.states)}"] if rule.states else []
    criteria += [f"with {name} {' or '.join(values)}" for name, values in rule.values.items()]
    return " ".join(criteria)


def _named(links: Iterable[LinkedItem]) -> str:
    return short(", ".join(f"{one.type or one.relation} {one.id or ''}".strip() for one in links))


def age(rule: Age, item: ItemFacts, now: datetime) -> Verdicts:
    field = CHANGED if rule.since == "changed" else STATE_CHANGED
    since = moment(item.fields.get(field))
    if since is None:
        return unknown(f"{field} is not told")
    passed = max(now - since, timedelta())
    what = "unchanged" if rule.since == "changed" else f"in {item.state}"
    told = f"{what} for {passed.days} days, since {since:%Y-%m-%d}"
    return held(told) if passed <= timedelta(days=rule.days) else broken(f"{told}; the limit is {rule.days} days")


def not_overdue(rule: NotOverdue, item: ItemFacts, now: datetime) -> Verdicts:
    for name in rule.fields:
        if date := moment(item.fields.get(name)):
            told = f"{name} is {date:%Y-%m-%d}"
            return held(told) if now <= date else broken(f"{told}, which has passed")
    return unknown(f"none of {', '.join(rule.fields)} is told")


def in_time(item: ItemFacts, now: datetime) -> Verdicts:
    if item.planned is None:
        return unknown("the dates of its iteration were not read")
    name, start, finish = item.planned.path, item.planned.start, item.planned.finish
    if start is None or finish is None:
        return broken(f"iteration {name} has no dates")
    told = f"iteration {name} is from {start:%Y-%m-%d} to {finish:%Y-%m-%d}"
    if finish < start:
        return broken(f"{told}: it ends before it begins")
    # The day of the end is one of its days.
    return held(told) if now < finish + timedelta(days=1) else broken(f"{told}: it is over")


def tested(item: ItemFacts) -> Verdicts:
    if item.outcomes is None:
        return unknown("results of tests were not read")
    if not item.outcomes:
        return broken("no test case proves it")
    failing = [
        f"test case {case}: {outcome or 'never ran'}"
        for case, outcome in sorted(item.outcomes.items())
        if outcome.casefold() != PASSED
    ]
    return broken(short("; ".join(failing))) if failing else held(f"{len(item.outcomes)} test cases passed")


def reviewed(rule: Reviewed, item: ItemFacts) -> Verdicts:
    if item.pull_requests is None:
        return unknown("its pull requests were not read")
    completed = [one for one in item.pull_requests if one.completed]
    if not completed:
        return []
    too_few: Verdicts = [
        verdict
        for one in completed
        if len(others := {who.casefold() for who in one.approvers} - {one.author.casefold()}) < rule.approvals
        for verdict in broken(
            f"pull request {one.id} was approved by {len(others)} people other than its author, of {rule.approvals}"
        )
    ]
    return decided(too_few, evidence=f"{len(completed)} pull requests approved")
