"""What is counted of a project while its items go by."""

from collections.abc import Iterable, Mapping

from pointsman.contracts.process import Complete, Finding, ItemFacts, ProcessPolicy, ProjectFacts, Standing
from pointsman.contracts.violations import CheckTally, Settlement
from pointsman.domain.process.values import is_filled, said

VALUES_MAX, VALUE_CHARS_MAX = 50, 80
OTHERS = "(others)"


def counted(policy: ProcessPolicy, tally: CheckTally, item: ItemFacts, findings: Iterable[Finding]) -> CheckTally:
    """The tally with one more item in it."""
    has = [name for name in _completed(policy, item.type) if is_filled(item.fields.get(name))]
    says = {name: said(item.fields[name]) for name in _completed(policy, item.type, by_value=True) if name in has}
    standings: dict[str, int] = {}
    doubts: dict[str, int] = {}
    for one in findings:
        standings[one.standing.value] = standings.get(one.standing.value, 0) + 1
        if one.standing is Standing.NO_DATA:
            doubts[one.check] = 1
    return tally.model_copy(
        update={
            "items": tally.items + 1,
            "counts": _sum(tally.counts, {item.type: 1}),
            "filled": _sum(tally.filled, {f"{item.type}/{name}": 1 for name in has}),
            "values": _spread(tally.values, {f"{item.type}/{name}": value for name, value in says.items()}),
            "standings": _sum(tally.standings, standings),
            "doubts": _sum(tally.doubts, doubts),
        }
    )


def _spread(values: Mapping[str, dict[str, int]], says: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Values beyond the limit are counted together: a tally does not grow with the number of items."""
    found = dict(values)
    for name, whole in says.items():
        counts, value = found.get(name, {}), whole[:VALUE_CHARS_MAX]
        found[name] = _sum(counts, {value if value in counts or len(counts) < VALUES_MAX else OTHERS: 1})
    return found


def settled(tally: CheckTally, settlement: Settlement) -> CheckTally:
    return tally.model_copy(
        update={
            "opened": tally.opened + len(settlement.opened),
            "resolved": tally.resolved + len(settlement.resolved),
            "returned": tally.returned + len(settlement.returned),
            "standing": tally.standing + settlement.standing,
        }
    )


def project_facts(
    policy: ProcessPolicy, tally: CheckTally, project: str, seen: ProjectFacts | None = None
) -> ProjectFacts:
    """What was counted of the project, beside what was seen of it."""
    filled = {
        f"{kind}/{name}": (tally.filled.get(f"{kind}/{name}", 0), count)
        for kind, count in tally.counts.items()
        for name in _completed(policy, kind)
    }
    facts = seen or ProjectFacts(name=project)
    return facts.model_copy(update={"name": project, "counts": tally.counts, "filled": filled})


def _completed(policy: ProcessPolicy, kind: str, *, by_value: bool = False) -> set[str]:
    """Fields of which it is asked how many items of a type have them, or only those of which it is asked what they
    say."""
    rules = [check.rule for check in policy.checks if kind in check.types and isinstance(check.rule, Complete)]
    return {name for rule in rules if rule.by_value or not by_value for name in rule.fields}


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}
