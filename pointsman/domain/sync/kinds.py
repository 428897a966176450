"""What a field holds, and which strategy policy has for it.

The service tells no types with an item, so names tell that are the same in every process, and values tell the rest.
"""

import re

from pointsman.contracts.base import Json
from pointsman.contracts.sync import FieldKind, FieldStrategy, SyncPolicy
from pointsman.domain.echoes import DATE
from pointsman.domain.markup import plain

STATE, TAGS = "System.State", "System.Tags"
TEXTS = re.compile(
    r"System\.Description$|Microsoft\.VSTS\.(TCM\.(ReproSteps|SystemInfo|Steps)|Common\.(AcceptanceCriteria|Resolution)|"
    r"CMMI\.(Analysis|\w+Plan|\w*Html|ImpactOn\w+|Justification|MitigationTriggers|ProposedFix|StepsToReproduce|"
    r"Symptom|Comments|Minutes|Findings|MeetingNotes))$"
)
PEOPLE = re.compile(r"\.(AssignedTo|\w+By|Called\w+|\w*Reviewer|\w+Attendee\d?)$")
DATES = re.compile(r"\.\w*Date$")


def kind_of(field: str, *values: Json) -> FieldKind:
    """What the field holds, going by its name, then by those of the values that say anything."""
    if field in (STATE, TAGS):
        return FieldKind.STATE if field == STATE else FieldKind.TAGS
    told = [value for value in values if value not in (None, "")]
    if any(isinstance(value, dict) for value in told) or PEOPLE.search(field):
        return FieldKind.IDENTITY
    texts = [value for value in told if isinstance(value, str)]
    if TEXTS.match(field) or any(has_lines(text) for text in texts):
        return FieldKind.TEXT
    if DATES.search(field) or (texts and all(DATE.fullmatch(text) for text in texts)):
        return FieldKind.DATE
    if told and all(isinstance(value, int | float) and not isinstance(value, bool) for value in told):
        return FieldKind.NUMBER
    return FieldKind.PLAIN


def has_lines(text: str) -> bool:
    """Whether it is a text of several lines, or one with markup."""
    return "\n" in text.strip() or is_html(text)


def is_html(text: str) -> bool:
    """Whether it holds elements that HTML knows: other angle brackets are text."""
    return "<" in text and plain(text) != plain(text.replace("<", "&lt;"))


def strategy_for(policy: SyncPolicy, field: str, kind: FieldKind) -> FieldStrategy:
    """The field's own, else its kind's, else the default."""
    return policy.fields.get(field) or policy.kinds.get(kind) or policy.default
