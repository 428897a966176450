"""Rules about how an item stands: its fields, its links, and what proves it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pointsman.contracts.base import Json
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
from pointsman.domain.process import naming
from pointsman.domain.process.values import all_say, among, is_filled, is_one_of, said
from pointsman.domain.process.verdicts import Verdicts, broken, decided, held, short, unknown
from pointsman.domain.words import how_many, joined

CHANGED = "System.ChangedDate"
STATE_CHANGED = "Microsoft.VSTS.Common.StateChangeDate"
PASSED = "passed"


def filled(rule: Filled, item: ItemFacts) -> Verdicts:
    missing = [name for name in rule.fields if not is_filled(item.fields.get(name), rule.empty)]
    if not missing:
        return held()
    found = joined(f"{naming.field(name)} {_stands(item.fields.get(name))}" for name in missing)
    instead = f" (not {joined(rule.empty, 'or')})" if rule.empty else ""
    return broken(
        found,
        expected=f"{naming.fields(rule.fields)} filled in{instead}",
        mend=f"fill in {naming.fields(missing)}{instead}",
    )


def _stands(value: Json) -> str:
    """What a field says, as the end of a sentence."""
    return f"is {said(value)!r}" if is_filled(value) else "is empty"


def one_of(rule: OneOf, item: ItemFacts) -> Verdicts:
    value = item.fields.get(rule.field)
    if is_one_of(value, rule.values):
        return held(f"{rule.field} is {said(value)!r}")
    name, wanted = naming.field(rule.field), joined(rule.values, "or")
    return broken(f"{name} {_stands(value)}", expected=f"{name} is {wanted}", mend=f"set {name} to {wanted}")


def nested(rule: Nested, item: ItemFacts) -> Verdicts:
    path = said(item.fields.get(rule.field))
    if "\\" in path.strip("\\"):
        return held(path)
    name = naming.field(rule.field)
    return broken(
        f"{name} is {path!r}, the root that all of the project is in",
        expected=f"one below the root, such as {path}\\NAME",
        mend=f"choose {name} anew",
    )


def linked(rule: Linked, item: ItemFacts) -> Verdicts:
    if item.links is None:
        return unknown("its links were not read")
    links = [one for one in item.links if one.relation in rule.relations]
    fitting = [one for one in links if _fits(rule, one)]
    unseen = [one for one in links if one not in fitting and one.id and not one.type]
    strays = [one for one in links if one not in fitting and one not in unseen] if rule.only else []
    link, wanted = f"{naming.relations(rule.relations)} link", _wanted(rule)
    if strays:
        return broken(
            f"its {link} leads to {_named(strays)}",
            expected=f"{wanted} only",
            mend=f"bring what it leads to into that state, or take the {link} to {_named(strays)} away"
            if rule.states
            else f"take the {link} to {_named(strays)} away, and add one to {wanted}",
        )
    lacking = rule.at_least - len(fitting)
    if unseen and (rule.only or lacking > 0) and lacking <= len(unseen):
        return unknown(f"its {link} leads to {_named(unseen)}, which may not be seen")
    if lacking > 0:
        other = f" (there is one to {_named(links)})" if links else ""
        times = "" if rule.at_least == 1 else f", {rule.at_least} times"
        wanted = f" to {wanted}" if wanted else ""
        return broken(
            f"it has {'too few' if fitting else 'no'} {link}{wanted}{other}",
            expected=f"{_one([link])}{wanted}{times}",
            mend=f"add {_one([link])}{wanted}",
        )
    return held(f"{naming.relations(rule.relations)}: {_named(fitting)}" if fitting else "")


def _fits(rule: Linked, one: LinkedItem) -> bool:
    return among(one.type, rule.types) and among(one.state, rule.states) and all_say(one.fields, rule.values)


def _wanted(rule: Linked) -> str:
    to_items = any("." in name for name in rule.relations)  # code and builds have names without a dot, and no type
    criteria = [_one(rule.types)] if rule.types else ["any item"] if to_items else []
    criteria += [f"in state {joined(rule.states, 'or')}"] if rule.states else []
    criteria += [f"with {naming.field(name)} {joined(values, 'or')}" for name, values in rule.values.items()]
    return " ".join(criteria)


def _one(types: Iterable[str]) -> str:
    return joined((f"an {name}" if name[:1].casefold() in "aeio" else f"a {name}" for name in types), "or")


def _named(links: Iterable[LinkedItem]) -> str:
    return short(", ".join(f"{one.type or _untyped(one)} {one.id or ''}".strip() for one in links))


def _untyped(link: LinkedItem) -> str:
    return "work item" if link.id else link.relation


def age(rule: Age, item: ItemFacts, now: datetime) -> Verdicts:
    field = CHANGED if rule.since == "changed" else STATE_CHANGED
    since = moment(item.fields.get(field))
    if since is None:
        return unknown(f"{field} is not told")
    passed = max(now - since, timedelta())
    what = "unchanged" if rule.since == "changed" else f"in {item.state}"
    told = f"{what} since {since:%Y-%m-%d}"  # without how long: what breaks a rule must not change by the day
    if passed <= timedelta(days=rule.days):
        return held(told)
    mend = "look at it, and say how it stands" if rule.since == "changed" else f"move it on from {item.state}"
    return broken(told, expected=f"not more than {how_many(rule.days, 'day')}", mend=mend)


def not_overdue(rule: NotOverdue, item: ItemFacts, now: datetime) -> Verdicts:
    for name in rule.fields:
        if date := moment(item.fields.get(name)):
            told = f"{naming.field(name)} is {date:%Y-%m-%d}"
            if now <= date:
                return held(told)
            return broken(
                f"{told}, which has passed",
                expected="a date to come, as long as it is not done",
                mend=f"finish it, or agree on another {naming.field(name)}",
            )
    return unknown(f"{naming.fields(rule.fields, 'or')} is not told")


def in_time(item: ItemFacts, now: datetime) -> Verdicts:
    if item.planned is None:
        return unknown("the dates of its iteration were not read")
    name, start, finish = item.planned.path, item.planned.start, item.planned.finish
    if start is None or finish is None:
        return broken(
            f"iteration {name} has no dates",
            expected="an iteration with a first and a last day",
            mend="give the iteration its dates, or choose another one",
        )
    told = f"iteration {name} is from {start:%Y-%m-%d} to {finish:%Y-%m-%d}"
    if finish < start:
        return broken(f"{told}: it ends before it begins", expected="dates in order", mend="correct its dates")
    # The day of the end is one of its days.
    if now < finish + timedelta(days=1):
        return held(told)
    return broken(
        f"{told}: it is over",
        expected="an iteration that is not over, as long as it is not done",
        mend="finish the item, or move it to a later iteration",
    )


def tested(item: ItemFacts) -> Verdicts:
    if item.outcomes is None:
        return unknown("results of tests were not read")
    if not item.outcomes:
        return broken(
            "no test case proves it",
            expected="test cases that have passed",
            mend="add a Tested By link to a test case, and run it",
        )
    failing = {case: outcome for case, outcome in sorted(item.outcomes.items()) if outcome.casefold() != PASSED}
    if not failing:
        return held(f"{how_many(len(item.outcomes), 'test case')} passed")
    return broken(
        "; ".join(f"test case {case}: {outcome or 'never ran'}" for case, outcome in failing.items()),
        expected="the last run of each test case that proves it has passed",
        mend=f"make what they test right, and run {joined(map(str, failing))} again",
    )


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
            f"pull request {one.id} was completed with {how_many(len(others), 'approval')} of others than its author",
            expected=f"at least {how_many(rule.approvals, 'approval')}",
            mend=f"have somebody else review and approve pull request {one.id} now, and ask for it by branch policy",
        )
    ]
    return decided(too_few, evidence=f"{how_many(len(completed), 'pull request')} approved")
