"""What an agent's answer must look like, what of it the agent may write, and what a human's edit makes of it."""

import json
from collections.abc import Mapping
from hashlib import sha256

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.policy import AgentPolicy
from pointsman.contracts.work_items import Proposal, ProposalRef

COMMENT_CHARS_MAX = 20_000
VALUE_CHARS_MAX = 4_000
TAG_CHARS_MAX = 400  # the service's own limit for one tag

ANSWER_SCHEMA_NAME = "work_item_outcome"
# Every property is required and none may be added: what providers call strict, so that an answer is complete.
ANSWER_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        "comment": {"type": "string", "description": "What to tell the people on the work item, in Markdown."},
        "fields": {
            "type": "array",
            "description": "Fields to change, by reference name. Empty to change none.",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "description": "For example Microsoft.VSTS.Common.Priority."},
                    "value": {"type": ["string", "number"]},
                },
                "required": ["name", "value"],
                "additionalProperties": False,
            },
        },
        "tags": {"type": "array", "items": {"type": "string"}, "description": "Tags to add."},
        "question": {
            "type": "string",
            "description": "A question to a human, when the answer depends on it; empty otherwise.",
        },
    },
    "required": ["comment", "fields", "tags", "question"],
    "additionalProperties": False,
}


class _Field(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=255, pattern=r"^[A-Za-z][\w.]*$")
    value: str | int | float


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    comment: str = Field(max_length=COMMENT_CHARS_MAX)
    fields: list[_Field] = Field(max_length=50)
    tags: list[str] = Field(max_length=20)
    question: str = Field(max_length=COMMENT_CHARS_MAX)


class Answer(Contract):
    """An answer that holds. `dropped` names fields that the agent proposed and may not change."""

    proposal: Proposal
    question: str = ""
    dropped: tuple[str, ...] = ()


class InvalidAnswer(ValueError):
    """The model's answer is not what was asked for. The text says what, for the model and for people."""


def read_answer(text: str, agent: AgentPolicy) -> Answer:
    """Read a model's final text.

    Raises:
        InvalidAnswer: it is not JSON, not of the schema, breaks a limit, or neither answers nor asks.
    """
    try:
        answer = _Answer.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise InvalidAnswer(_faults(error)) from error
    for tag in answer.tags:
        check_tag(tag)
    for field in answer.fields:
        check_value(field.name, field.value)
    if not (answer.question.strip() or answer.comment.strip() or answer.fields or answer.tags):
        raise InvalidAnswer("the answer is empty: it has no comment, no field, no tag and no question")
    allowed: dict[str, Json] = {field.name: field.value for field in answer.fields if field.name in agent.may_change}
    may_tag = "System.Tags" in agent.may_change
    dropped = [field.name for field in answer.fields if field.name not in agent.may_change]
    if answer.tags and not may_tag:
        dropped.append("System.Tags")
    proposal = Proposal(comment=answer.comment, fields=allowed, tags=_distinct(answer.tags) if may_tag else ())
    return Answer(proposal=proposal, question=answer.question.strip(), dropped=tuple(dict.fromkeys(dropped)))


def _faults(error: pydantic.ValidationError) -> str:
    parts = [f"{'.'.join(map(str, one['loc'])) or 'answer'}: {one['msg']}" for one in error.errors()[:5]]
    return "; ".join(parts)


def check_tag(tag: str) -> None:
    if not tag.strip() or len(tag) > TAG_CHARS_MAX or any(mark in tag for mark in ";,"):
        raise InvalidAnswer(f"tag {tag[:80]!r}: a tag has 1 to {TAG_CHARS_MAX} characters, and no ; or ,")


def check_value(name: str, value: Json) -> None:
    if isinstance(value, str) and len(value) > VALUE_CHARS_MAX:
        raise InvalidAnswer(f"field {name}: {len(value)} characters, the limit is {VALUE_CHARS_MAX}")
    if not isinstance(value, str | int | float | None):
        raise InvalidAnswer(f"field {name}: {type(value).__name__} cannot be a field's value")


def _distinct(tags: list[str]) -> tuple[str, ...]:
    return tuple({tag.strip().casefold(): tag.strip() for tag in tags}.values())


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
        summary=summarise(proposal),
    )


def summarise(proposal: Proposal) -> str:
    """One line: `System.State = Resolved, tags + triaged, comment of 120 characters`."""
    parts = [f"{name} = {str(value)[:80]}" for name, value in proposal.fields.items()]
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
    fields = dict(proposal.fields)
    comment, tags = proposal.comment, proposal.tags
    for name, value in edits.items():
        if name == "comment":
            comment = _edited_comment(value)
        elif name == "tags":
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
    return value


def _edited_tags(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise InvalidAnswer("tags: must be a list of texts")
    tags = [str(tag) for tag in value]
    for tag in tags:
        check_tag(tag)
    return _distinct(tags)
