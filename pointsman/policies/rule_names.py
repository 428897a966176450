"""Names that people write into rules: kinds of links as Azure DevOps shows them or by reference name, fields by
reference name. One that cannot be right is refused: no item would ever have it, and the check would say what is not so.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from pointsman.contracts.base import Json
from pointsman.contracts.process import (
    AllOf,
    AnyOf,
    Before,
    Check,
    Complete,
    Filled,
    Linked,
    Nested,
    NotOverdue,
    OneOf,
    OtherPerson,
    Rule,
    Unchanged,
)
from pointsman.domain.links import KINDS, OF_ITEMS, kind_named
from pointsman.domain.proposals import InvalidAnswer

REFERENCE = re.compile(r"\w+(?:\.[\w-]+)+", re.ASCII)
ARTIFACTS = (
    *("AttachedFile", "Branch", "Tag", "Fixed in Changeset", "Found in build", "Integrated in release environment"),
    *("Test Result", "Result Attachment", "Storyboard", "Model Link", "Source Code File", "Work Item Commit"),
    *("Wiki Page", "GitHub Commit", "GitHub Pull Request", "GitHub Issue", "GitHub Branch"),
)
"""Kinds of links beside those that agents may make."""
A_FIELD = "must be a reference name, for example Microsoft.VSTS.Common.Severity"
A_RELATION = f"must be a reference name, for example System.LinkTypes.Related, or one of: {', '.join(KINDS)}"

Steps = Sequence[str | int]
Refuse = Callable[[Steps, Json, str], Exception]


def checked(check: Check, refuse: Refuse) -> Check:
    """The check with reference names for the links that it names.

    Raises:
        Exception: what `refuse` makes of a place within the check, the value there and what is allowed.
    """
    _fields(check.when, ["when"], refuse)
    return check.model_copy(update={"rule": _rule(check.rule, ["rule"], refuse)})


def _rule(rule: Rule, place: Steps, refuse: Refuse) -> Rule:
    match rule:
        case Linked():
            return _linked(rule, place, refuse)
        case Unchanged():
            _fields(rule.fields, [*place, "fields"], refuse)
            unless = rule.unless and _linked(rule.unless, [*place, "unless"], refuse)
            return rule.model_copy(update={"unless": unless})
        case AnyOf() | AllOf():
            inner = [_rule(one, [*place, "rules", number], refuse) for number, one in enumerate(rule.rules)]
            return rule.model_copy(update={"rules": tuple(inner)})
        case Filled() | Before() | NotOverdue() | Complete():
            _fields(rule.fields, [*place, "fields"], refuse)
        case OneOf() | Nested():
            _fields([rule.field], [*place, "field"], refuse)
        case OtherPerson():
            _fields(rule.than_fields, [*place, "than_fields"], refuse)
    return rule


def _linked(rule: Linked, place: Steps, refuse: Refuse) -> Linked:
    _fields(rule.values, [*place, "values"], refuse)
    named = [_relation(one, [*place, "relations"], refuse) for one in rule.relations]
    return rule.model_copy(update={"relations": tuple(named)})


def _relation(name: str, place: Steps, refuse: Refuse) -> str:
    if REFERENCE.fullmatch(name) or name in ARTIFACTS:
        return name
    try:
        kind = kind_named(name)
    except InvalidAnswer:
        raise refuse(place, name, A_RELATION) from None
    return OF_ITEMS.get(kind, kind)


def _fields(names: Iterable[str], place: Steps, refuse: Refuse) -> None:
    for name in names:
        if not REFERENCE.fullmatch(name):
            raise refuse(place, name, A_FIELD)
