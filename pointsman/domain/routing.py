"""Which tenant an item belongs to, whether it is ours to handle, and which agent gets it.

Rules are read in the order of the file and the first that matches decides, so that a reader of the file can tell
the outcome. What no rule matches goes to a human: a default would hide the gap.
"""

import re
from collections.abc import Sequence

from pointsman.contracts.policy import Match, MatchFacts, Policy, RoutingDecision
from pointsman.contracts.work_items import Facts
from pointsman.domain.words import how_many

DEFAULT_TENANT = "default"


def match_facts(facts: Facts) -> MatchFacts:
    return MatchFacts(
        organisation=facts.key.organisation,
        project=facts.key.project,
        area_path=facts.area_path,
        type=facts.type,
        tags=facts.tags,
        title=facts.title,
        text=facts.text,
    )


def tenant_of(policy: Policy, organisation: str) -> str:
    """The tenant that lists the organisation, or `default`."""
    wanted = organisation.casefold()
    for tenant in policy.tenants:
        if wanted in {name.casefold() for name in tenant.organisations}:
            return tenant.name
    return DEFAULT_TENANT


def in_scope(policy: Policy, facts: MatchFacts) -> str | None:
    """Name of the first scope rule that takes the item, or None: then it is recorded and nothing else."""
    return next((rule.name for rule in policy.scope if why_matches(rule.match, facts) is not None), None)


def route(policy: Policy, facts: MatchFacts) -> RoutingDecision:
    """First rule that matches, with what matched as its reason."""
    for rule in policy.routes:
        matched = why_matches(rule.match, facts)
        if matched is not None:
            return RoutingDecision(agent=rule.agent, rule=rule.name, reason=f"rule {rule.name!r}: {matched}")
    return RoutingDecision(reason=f"none of {how_many(len(policy.routes), 'rule')} matches", confidence=0.0)


def why_matches(match: Match, facts: MatchFacts) -> str | None:
    """What of the item satisfied each criterion, in words, or None where one of them fails."""
    found = [
        _equal("organisation", match.organisations, facts.organisation),
        _equal("project", match.projects, facts.project),
        _below("area path", match.area_paths, facts.area_path),
        _equal("type", match.types, facts.type),
        _any_tag(match.tags, facts.tags),
        _any_text(match.text, f"{facts.title}\n{facts.text}"),
    ]
    if any(one is None for one in found):
        return None
    return ", ".join(one for one in found if one) or "matches everything"


def _equal(name: str, wanted: Sequence[str], value: str) -> str | None:
    if not wanted:
        return ""
    return f"{name} {value}" if value.casefold() in {one.casefold() for one in wanted} else None


def _below(name: str, wanted: Sequence[str], value: str) -> str | None:
    if not wanted:
        return ""
    path = _segments(value)
    above = next((one for one in wanted if path[: len(_segments(one))] == _segments(one)), None)
    return f"{name} {value} is in {above}" if above is not None else None


def _segments(area_path: str) -> list[str]:
    return [segment.casefold() for segment in area_path.strip("\\/").replace("/", "\\").split("\\")]


def _any_tag(wanted: Sequence[str], tags: Sequence[str]) -> str | None:
    if not wanted:
        return ""
    present = {tag.casefold() for tag in tags}
    tag = next((one for one in wanted if one.casefold() in present), None)
    return f"tag {tag}" if tag is not None else None


def _any_text(wanted: Sequence[str], text: str) -> str | None:
    if not wanted:
        return ""
    phrase = next((one for one in wanted if _phrase(one).search(text.casefold())), None)
    return f"text {phrase!r}" if phrase is not None else None


def _phrase(words: str) -> re.Pattern[str]:
    """Word boundaries, or "log" would route every "login" and "catalogue"; between words any space will do."""
    spaced = r"\s+".join(map(re.escape, words.casefold().split()))
    return re.compile(rf"(?<!\w){spaced}(?!\w)")
