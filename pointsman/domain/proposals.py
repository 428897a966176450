"""What a proposal may hold, and how it is referred to.

Workflows import this module into their sandbox anew for each run, so it builds no pydantic class.
"""

import json
import re
from hashlib import sha256

from pointsman.contracts.base import Json
from pointsman.contracts.policy import AgentPolicy
from pointsman.contracts.work_items import Proposal, ProposalRef
from pointsman.domain.texts import UNPRINTABLE
from pointsman.domain.words import how_many

COMMENT_CHARS_MAX = 20_000
COMMENT_START_CHARS = 800
VALUE_CHARS_MAX = 4_000
TAG_CHARS_MAX = 400  # the service's own limit for one tag
FIELDS_MAX, TAGS_MAX = 50, 20
NUMBER_MAX = 2**53  # beyond it JSON does not carry every whole number (RFC 8259, section 6)

FIELD_NAME = re.compile(r"[A-Za-z][\w.-]{0,254}", re.ASCII)  # hyphens: inherited processes make `Custom.<uuid>`


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
        raise InvalidAnswer(f"field {name}: {how_many(len(value), 'character')}, the limit is {VALUE_CHARS_MAX}")
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
    told = proposal.model_dump(mode="json")
    if not told["links"]:
        del told["links"]  # proposals that were hashed before there were any keep their hash
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def refer(proposal: Proposal) -> ProposalRef:
    """The proposal by reference, as it travels through histories."""
    return ProposalRef(
        hash=sha256(canonical(proposal)).hexdigest(),
        fields=tuple(proposal.fields),
        tags=proposal.tags,
        links=tuple(str(link) for link in proposal.links),
        link_kinds=tuple(dict.fromkeys(link.relation for link in proposal.links)),
        comment_chars=len(proposal.comment),
        comment_start=proposal.comment[:COMMENT_START_CHARS],
        summary=summarise(proposal),
    )


def summarise(proposal: Proposal) -> str:
    """One line: `System.State = Resolved, tags + triaged, comment of 120 characters`."""
    parts = [f"{name} = {' '.join(str(value).split())[:80]}" for name, value in proposal.fields.items()]
    if proposal.tags:
        parts.append(f"tags + {', '.join(proposal.tags)}")
    if proposal.links:
        parts.append(f"links + {', '.join(str(link)[:200] for link in proposal.links)}")
    if proposal.comment:
        parts.append(f"comment of {how_many(len(proposal.comment), 'character')}")
    return ", ".join(parts) or "nothing"


def fields_to_approve(agent: AgentPolicy, proposal: ProposalRef) -> tuple[str, ...]:
    """Fields of the proposal that the agent may not change without a human, and kinds of links: `Parent link`."""
    changed = [*proposal.fields, *(["System.Tags"] if proposal.tags else [])]
    linked = [kind for kind in proposal.link_kinds if kind in agent.approve_links]
    return (*(field for field in changed if field in agent.needs_approval), *map(link_kind, linked))


def link_kind(kind: str) -> str:
    """A kind of links, as it is told among fields."""
    return f"{kind} link"
