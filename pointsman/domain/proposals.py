"""What a proposal may hold, how it is referred to, and what a human's edit makes of it.

Workflows import this module into their sandbox anew for each run, so it builds no pydantic class.
"""

import json
import re
from collections.abc import Mapping
from hashlib import sha256

from pointsman.contracts.base import Json
from pointsman.contracts.policy import AgentPolicy
from pointsman.contracts.work_items import Proposal, ProposalRef

COMMENT_CHARS_MAX = 20_000
COMMENT_START_CHARS = 800
VALUE_CHARS_MAX = 4_000
TAG_CHARS_MAX = 400  # the service's own limit for one tag
FIELDS_MAX, TAGS_MAX = 50, 20
NUMBER_MAX = 2**53  # beyond it JSON does not carry every whole number (RFC 8259, section 6)

FIELD_NAME = re.compile(r"[A-Za-z][\w.-]{0,254}", re.ASCII)  # hyphens: inherited processes make `Custom.<uuid>`
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class InvalidAnswer(ValueError):
    """The model's answer is not what was asked for. The text says what, for the model and for people."""


def check_text(name: str, text: str) -> None:
    found = UNPRINTABLE.search(text)
    if found is not None:
        place = f"at character {found.start()} of {len(text)}"
        raise InvalidAnswer(f"{name}: holds the control character U+{ord(found[0]):04X} {place}")


def check_tag(tag: str) -> None:
    if not tag.strip() or len(tag) > TAG_CHARS_MAX or any(mark in tag for mark in ";,\n\r\t"):
        raise InvalidAnswer(f"tag {tag[:80]!r}: a tag is one line of 1 to {TAG_CHARS_MAX} characters, without ; and ,")
    check_text("tag", tag)


def check_value(name: str, value: Json) -> None:
    if FIELD_NAME.fullmatch(name) is None:
        raise InvalidAnswer(f"field {name[:80]!r}: is no reference name such as Microsoft.VSTS.Common.Priority")
    if name == "System.History":
        raise InvalidAnswer("field System.History: what to say goes into the comment")
    if isinstance(value, str) and len(value) > VALUE_CHARS_MAX:
        raise InvalidAnswer(f"field {name}: {len(value)} characters, the limit is {VALUE_CHARS_MAX}")
    if not isinstance(value, str | int | float | None):
        raise InvalidAnswer(f"field {name}: {type(value).__name__} cannot be a field's value")
    if isinstance(value, str):
        check_text(f"field {name}", value)
    elif value is not None and not abs(value) <= NUMBER_MAX:  # NaN is not comparable, so it is refused too
        raise InvalidAnswer(f"field {name}: the number must be finite, and at most {NUMBER_MAX}")


def distinct(tags: list[str]) -> tuple[str, ...]:
    """Each tag once, as it was first spelled: case does not tell tags apart."""
    found: dict[str, str] = {}
    for tag in tags:
        found.setdefault(tag.strip().casefold(), tag.strip())
    return tuple(found.values())


def canonical(proposal: Proposal) -> bytes:
    """The bytes that are hashed and stored: JSON with sorted keys, UTF-8."""
    return json.dumps(
        proposal.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()


def refer(proposal: Proposal) -> ProposalRef:
    """The proposal by reference, as it travels through histories."""
    return ProposalRef(
        hash=sha256(canonical(proposal)).hexdigest(),
        fields=tuple(proposal.fields),
        tags=proposal.tags,
        comment_chars=len(proposal.comment),
        comment_start=proposal.comment[:COMMENT_START_CHARS],
        summary=summarise(proposal),
    )


def summarise(proposal: Proposal) -> str:
    """One line: `System.State = Resolved, tags + triaged, comment of 120 characters`."""
    parts = [f"{name} = {' '.join(str(value).split())[:80]}" for name, value in proposal.fields.items()]
    if proposal.tags:
        parts.append(f"tags + {', '.join(proposal.tags)}")
    if proposal.comment:
        parts.append(f"comment of {len(proposal.comment)} characters")
    return ", ".join(parts) or "nothing"


def fields_to_approve(agent: AgentPolicy, proposal: ProposalRef) -> tuple[str, ...]:
    """Fields of the proposal that the agent may not change without a human."""
    changed = [*proposal.fields, *(["System.Tags"] if proposal.tags else [])]
    return tuple(field for field in changed if field in agent.needs_approval)


def edit(proposal: Proposal, edits: Mapping[str, Json]) -> Proposal:
    """The proposal with a human's edits. A field set to null is taken out; `comment` and `tags` replace theirs.

    Raises:
        InvalidAnswer: an edit is of the wrong type or breaks a limit.
    """
    if len(edits) > FIELDS_MAX:
        raise InvalidAnswer(f"edits: {len(edits)} are given, the limit is {FIELDS_MAX}")
    fields = dict(proposal.fields)
    comment, tags = proposal.comment, proposal.tags
    for name, value in edits.items():
        if name == "comment":
            comment = _edited_comment(value)
        elif name in ("tags", "System.Tags"):
            tags = _edited_tags(value)
        elif value is None:
            fields.pop(name, None)
        else:
            check_value(name, value)
            fields[name] = value
    return Proposal(comment=comment, fields=fields, tags=tags)


def _edited_comment(value: Json) -> str:
    if not isinstance(value, str) or len(value) > COMMENT_CHARS_MAX:
        raise InvalidAnswer(f"comment: must be text of at most {COMMENT_CHARS_MAX} characters")
    check_text("comment", value)
    return value


def _edited_tags(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > TAGS_MAX:
        raise InvalidAnswer(f"tags: must be a list of at most {TAGS_MAX} texts")
    tags = [tag for tag in value if isinstance(tag, str)]
    if len(tags) < len(value):
        raise InvalidAnswer("tags: must be a list of texts")
    for tag in tags:
        check_tag(tag)
    return distinct(tags)
