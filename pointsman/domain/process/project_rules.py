"""Rules that only a project as a whole can decide."""

from hashlib import sha256

from pointsman.contracts.process import Complete, ProjectFacts, Protected, Ratio, Standing, Unbypassed
from pointsman.domain.process.verdicts import Verdict, Verdicts, broken, decided, held, unknown

PERCENT = 100


def protected(rule: Protected, project: ProjectFacts) -> Verdicts:
    if not project.policies:
        return unknown("policies of its repositories were not read" if project.policies is None else "no repository")
    violations: Verdicts = [
        Verdict(Standing.VIOLATED, f"repository {name}: not on and blocking: {', '.join(missing)}", about=name)
        for name, policies in sorted(project.policies.items())
        if (missing := [one for one in rule.policies if one not in policies])
    ]
    return decided(violations, evidence=f"{len(project.policies)} repositories")


def unbypassed(rule: Unbypassed, project: ProjectFacts) -> Verdicts:
    if project.bypasses is None:
        return unknown("the audit log was not read: it needs a right of its own, and may be switched off")
    violations = [
        Verdict(Standing.VIOLATED, f"{at:%Y-%m-%d %H:%M}: {told}", about=f"{at.isoformat()} {_digest(told)}")
        for at, told in sorted(project.bypasses)
    ]
    return decided(violations, evidence=f"none within {rule.days} days")


def ratio(rule: Ratio, project: ProjectFacts) -> Verdicts:
    if project.counts is None:
        return unknown("its items were not counted")
    have = sum(project.counts.get(name, 0) for name in rule.types)
    of = sum(project.counts.get(name, 0) for name in rule.of)
    told = f"{have} {' or '.join(rule.types)} for {of} {' or '.join(rule.of)}"
    return held(told) if have * rule.per >= of else broken(f"{told}; wanted: one for each {rule.per}")


def complete(rule: Complete, project: ProjectFacts, types: tuple[str, ...]) -> Verdicts:
    if project.filled is None:
        return unknown("its fields were not counted")
    told = {f"{kind}/{name}": project.filled.get(f"{kind}/{name}", (0, 0)) for kind in types for name in rule.fields}
    counted = {name: (have, of) for name, (have, of) in told.items() if of}
    if not counted:
        return []
    violations = [
        Verdict(Standing.VIOLATED, f"{name} is filled in {have} of {of} items; wanted: {rule.percent} %", about=name)
        for name, (have, of) in sorted(counted.items())
        if have * PERCENT < of * rule.percent
    ]
    return decided(violations, evidence=f"{len(counted)} fields")


def _digest(text: str) -> str:
    """Short: of what is told of one moment only."""
    return sha256(text.encode()).hexdigest()[:8]
