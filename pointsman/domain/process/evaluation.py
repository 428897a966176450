"""Apply the checks of a process: to an item, as far as it is known, and to a project as a whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from pointsman.contracts import process as rules
from pointsman.contracts.process import (
    Check,
    Finding,
    ItemFacts,
    OfProject,
    ProcessPolicy,
    ProjectFacts,
    Rule,
)
from pointsman.domain.process import history_rules, item_rules, project_rules
from pointsman.domain.process.values import all_say, among
from pointsman.domain.process.verdicts import Verdicts, all_of, any_of


@dataclass(frozen=True)
class Around:
    """What rules ask for beside the item: the time, and the accounts under which agents work, in small letters."""

    now: datetime
    agents: frozenset[str] = frozenset()


def of_item(policy: ProcessPolicy, item: ItemFacts, around: Around) -> list[Finding]:
    """What each check that applies says of the item, in the order of the policy."""
    return [
        finding
        for check in policy.checks
        if not of_a_project(check.rule) and applies(check, item)
        for finding in _findings(check, judge(check.rule, item, around), item.id)
    ]


def of_project(policy: ProcessPolicy, project: ProjectFacts) -> list[Finding]:
    """What the checks say that no single item can decide."""
    return [
        finding
        for check in policy.checks
        if of_a_project(check.rule)
        for finding in _findings(check, _judge_project(check, project), 0)
    ]


def applies(check: Check, item: ItemFacts) -> bool:
    return among(item.type, check.types) and among(item.state, check.states) and all_say(item.fields, check.when)


def of_a_project(rule: Rule) -> bool:
    return isinstance(rule, OfProject)


def judge(rule: Rule, item: ItemFacts, around: Around) -> Verdicts:
    match rule:
        case rules.AnyOf():
            return any_of([judge(one, item, around) for one in rule.rules])
        case rules.AllOf():
            return all_of([judge(one, item, around) for one in rule.rules])
        case rules.Filled():
            return item_rules.filled(rule, item)
        case rules.OneOf():
            return item_rules.one_of(rule, item)
        case rules.Nested():
            return item_rules.nested(rule, item)
        case rules.Linked():
            return item_rules.linked(rule, item)
        case rules.Age():
            return item_rules.age(rule, item, around.now)
        case rules.NotOverdue():
            return item_rules.not_overdue(rule, item, around.now)
        case rules.InTime():
            return item_rules.in_time(item, around.now)
        case rules.Tested():
            return item_rules.tested(item)
        case rules.Reviewed():
            return item_rules.reviewed(rule, item)
        case _:
            return _judge_history(rule, item, around)


def _judge_history(rule: Rule, item: ItemFacts, around: Around) -> Verdicts:
    match rule:
        case rules.Transitions():
            return history_rules.transitions(item)
        case rules.Unchanged():
            return history_rules.unchanged(rule, item)
        case rules.Before():
            return history_rules.before(rule, item)
        case rules.OtherPerson():
            return history_rules.other_person(rule, item, around.agents)
        case rules.OwnName():
            return history_rules.own_name(item)
    raise ValueError(f"a rule of the kind {rule.kind!r} is about a project and cannot stand inside another")


def _judge_project(check: Check, project: ProjectFacts) -> Verdicts:
    match check.rule:
        case rules.Protected():
            return project_rules.protected(check.rule, project)
        case rules.Unbypassed():
            return project_rules.unbypassed(check.rule, project)
        case rules.Ratio():
            return project_rules.ratio(check.rule, project)
        case rules.Complete():
            return project_rules.complete(check.rule, project, check.types)
    raise ValueError(f"a rule of the kind {check.rule.kind!r} is about items")


def _findings(check: Check, verdicts: Verdicts, item_id: int) -> Iterator[Finding]:
    for one in verdicts:
        yield Finding(
            check=check.id,
            standing=one.standing,
            severity=check.severity,
            item=item_id,
            evidence=one.told(),
            update=one.update,
            title=check.title,
            practice=check.practice,
            about=one.about,
        )


def fields_asked(policy: ProcessPolicy) -> frozenset[str]:
    """Fields of linked items that rules look at: whoever reads facts reads these too."""
    return frozenset(name for check in policy.checks for rule in inside(check.rule) for name in _asked(rule))


def inside(rule: Rule) -> Iterator[Rule]:
    """The rule, and those that it is made of."""
    yield rule
    inner: Iterable[Rule] = rule.rules if isinstance(rule, rules.AnyOf | rules.AllOf) else ()
    if isinstance(rule, rules.Unchanged) and rule.unless is not None:
        inner = (rule.unless,)
    for one in inner:
        yield from inside(one)


def _asked(rule: Rule) -> Iterable[str]:
    return rule.values if isinstance(rule, rules.Linked) else ()


def days_asked(policy: ProcessPolicy) -> tuple[int, int]:
    """How far back the audit log is looked through, and how far completed pull requests; 0 where no check asks."""
    found = [check.rule for check in policy.checks if isinstance(check.rule, rules.Unbypassed)]
    log = max((rule.days for rule in found if rule.told_by == "audit_log"), default=0)
    return log, max((rule.days for rule in found if rule.told_by == "pull_requests"), default=0)


def types_asked(policy: ProcessPolicy) -> str:
    """Condition in WIQL that finds all items which any check may concern; empty for every item, as where a check is of
    all types."""
    if any(not check.types and not of_a_project(check.rule) for check in policy.checks):
        return ""
    lists = (*policy.levels, *(check.types for check in policy.checks))
    names = ", ".join(f"'{name}'" for name in sorted({name.replace("'", "''") for types in lists for name in types}))
    return f"[System.WorkItemType] IN ({names})" if names else ""
