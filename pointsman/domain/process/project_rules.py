"""Rules that only a project as a whole can decide."""

from hashlib import sha256

from pointsman.contracts.process import Complete, ProjectFacts, Protected, Ratio, Unbypassed
from pointsman.domain.process import naming
from pointsman.domain.process.verdicts import Verdicts, broken, decided, held, unknown
from pointsman.domain.words import how_many, joined

PERCENT = 100


def protected(rule: Protected, project: ProjectFacts) -> Verdicts:
    if not project.policies:
        return unknown("policies of its repositories were not read" if project.policies is None else "no repository")
    violations: Verdicts = [
        verdict
        for name, policies in sorted(project.policies.items())
        if (missing := [one for one in rule.policies if one not in policies])
        for verdict in broken(
            f"the default branch of repository {name} is not protected by {naming.policies(missing)}",
            expected=f"{naming.policies(rule.policies)}, each on and required",
            mend=f"switch {naming.policies(missing)} on and make it required, in the branch policies of {name}",
            about=name,
        )
    ]
    return decided(violations, evidence=how_many(len(project.policies), "repository"))


def unbypassed(rule: Unbypassed, project: ProjectFacts) -> Verdicts:
    if rule.told_by == "pull_requests":
        return _accounted(rule, project)
    if project.bypasses is None:
        return unknown("the audit log was not read: it needs a right of its own, and may be switched off")
    violations = [
        verdict
        for at, told in sorted(project.bypasses)
        for verdict in broken(
            f"branch policies were bypassed on {at:%Y-%m-%d %H:%M} UTC: {told}",
            expected="nobody goes past them",
            mend="review what came in, and take the right to bypass policies away; it is found for "
            + how_many(rule.days, "day"),
            about=f"{at.isoformat()} {_digest(told)}",
        )
    ]
    return decided(violations, evidence=f"none within {how_many(rule.days, 'day')}")


def _accounted(rule: Unbypassed, project: ProjectFacts) -> Verdicts:
    if project.unaccounted is None:
        return unknown("pull requests of its repositories were not read")
    violations = [
        verdict
        for repository, number in sorted(project.unaccounted)
        for verdict in broken(
            f"pull request {number} went into the default branch of {repository} without a work item",
            expected="each names the work that it serves",
            mend=f"link pull request {number} to the item that it serves, and ask for a link by branch policy",
            about=f"{repository}/{number}",
        )
    ]
    return decided(violations, evidence=f"none without within {how_many(rule.days, 'day')}")


def ratio(rule: Ratio, project: ProjectFacts) -> Verdicts:
    if project.counts is None:
        return unknown("its items were not counted")
    have = sum(project.counts.get(name, 0) for name in rule.types)
    of = sum(project.counts.get(name, 0) for name in rule.of)
    told = f"there are {have} of type {joined(rule.types, 'or')} for {of} of type {joined(rule.of, 'or')}"
    if have * rule.per >= of:
        return held(told)
    wanted = -(-of // rule.per)
    return broken(
        told,
        expected=f"one for each {rule.per}, so {wanted}",
        mend=f"make {wanted - have} more of type {joined(rule.types, 'or')}",
    )


def complete(rule: Complete, project: ProjectFacts, types: tuple[str, ...]) -> Verdicts:
    if project.filled is None:
        return unknown("its fields were not counted")
    told = {f"{kind}/{name}": project.filled.get(f"{kind}/{name}", (0, 0)) for kind in types for name in rule.fields}
    counted = {name: (have, of) for name, (have, of) in told.items() if of}
    if not counted:
        return []
    violations = [
        verdict
        for name, (have, of) in sorted(counted.items())
        if have * PERCENT < of * rule.percent
        for verdict in broken(
            f"{naming.field(name)} is filled in {have} of {how_many(of, name.partition('/')[0])}",
            expected=f"in {rule.percent} % of them",
            mend=f"fill it in where it is empty, in {-(-of * rule.percent // PERCENT) - have} more at least",
            about=name,
        )
    ]
    return decided(violations, evidence=how_many(len(counted), "field"))


def _digest(text: str) -> str:
    """Short: of what is told of one moment only."""
    return sha256(text.encode()).hexdigest()[:8]
