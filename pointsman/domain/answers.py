"""What an agent's answer must look like, and what of it the agent may write."""

import re
from typing import Annotated

import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.policy import AgentPolicy
from pointsman.contracts.work_items import Proposal, ProposedLink, WorkItemKey
from pointsman.domain.links import KINDS, LINKS_MAX, read_links
from pointsman.domain.proposals import (
    COMMENT_CHARS_MAX,
    FIELDS_MAX,
    TAGS_MAX,
    InvalidAnswer,
    check_tag,
    check_value,
    distinct,
    link_kind,
)
from pointsman.domain.texts import printable

# Models wrap JSON into one fence of Markdown, whatever they are told.
FENCED = re.compile(r"\s*```[a-zA-Z]*[ \t]*\r?\n(.*)\n[ \t]*```\s*", re.DOTALL)

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
        "links": {
            "type": "array",
            "description": "Links to add to the work item. Empty to add none.",
            "items": {
                "type": "object",
                "properties": {
                    "relation": {
                        "type": "string",
                        "description": f"What the target is to this item, one of: {', '.join(KINDS)}.",
                    },
                    "target": {
                        "type": "string",
                        "description": "Number of a work item of the same organisation, or the address of a pull "
                        "request, commit, build or web page.",
                    },
                    "comment": {"type": "string", "description": "Why, in a few words; may be empty."},
                },
                "required": ["relation", "target", "comment"],
                "additionalProperties": False,
            },
        },
        "question": {
            "type": "string",
            "description": "A question to a human, when the answer depends on it; empty otherwise.",
        },
    },
    "required": ["comment", "fields", "tags", "links", "question"],
    "additionalProperties": False,
}


Said = Annotated[StrictStr, AfterValidator(printable)]
"""Text for people. It may quote the item, and what somebody pasted there."""


class _Field(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: StrictStr
    value: Said | StrictInt | StrictFloat


class _Link(BaseModel):
    model_config = ConfigDict(extra="forbid")
    relation: StrictStr
    target: StrictStr | StrictInt
    comment: Said = ""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    comment: Said = Field(max_length=COMMENT_CHARS_MAX)
    fields: list[_Field] = Field(max_length=FIELDS_MAX)
    tags: list[Said] = Field(max_length=TAGS_MAX)
    links: list[_Link] = Field(default=[], max_length=LINKS_MAX)
    question: Said = Field(max_length=COMMENT_CHARS_MAX)


class Answer(Contract):
    """An answer that holds. `dropped` names fields that the agent proposed and may not change, and kinds of links."""

    proposal: Proposal
    question: str = ""
    dropped: tuple[str, ...] = ()


def read_answer(text: str, agent: AgentPolicy, about: WorkItemKey | None = None) -> Answer:
    """Read a model's final text. Tags among the fields count as tags. `about` is the item that it is for.

    Raises:
        InvalidAnswer: it is not JSON, not of the schema, breaks a limit, neither answers nor asks, or all that it
            proposes is not the agent's to change.
    """
    fenced = FENCED.fullmatch(text)
    try:
        answer = _Answer.model_validate_json(fenced[1] if fenced else text)
    except pydantic.ValidationError as error:
        raise InvalidAnswer(_faults(error)) from error
    fields, tags = _values(answer)
    dropped = tuple(name for name in fields if name not in agent.may_change)
    if tags and "System.Tags" not in agent.may_change:
        dropped, tags = (*dropped, "System.Tags"), ()
    allowed = {name: value for name, value in fields.items() if name in agent.may_change}
    links, refused = _links(answer, agent, about)
    dropped = (*dropped, *refused)
    question = answer.question.strip()
    if not (question or answer.comment.strip() or allowed or tags or links):
        raise InvalidAnswer(_why_empty(agent, dropped))
    proposal = Proposal(comment=answer.comment, fields=allowed, tags=tags, links=links)
    return Answer(proposal=proposal, question=question, dropped=dropped)


def _links(
    answer: _Answer, agent: AgentPolicy, about: WorkItemKey | None
) -> tuple[tuple[ProposedLink, ...], tuple[str, ...]]:
    """Those that the agent may propose, and the kinds of the others."""
    told = [
        ProposedLink(relation=link.relation, target=str(link.target), comment=link.comment) for link in answer.links
    ]
    links = read_links(told, about)
    refused = dict.fromkeys(link_kind(link.relation) for link in links if link.relation not in agent.may_link)
    return tuple(link for link in links if link.relation in agent.may_link), tuple(refused)


def _values(answer: _Answer) -> tuple[dict[str, Json], tuple[str, ...]]:
    """Fields and tags, each checked."""
    fields: dict[str, Json] = {}
    tags = list(answer.tags)
    for field in answer.fields:
        if field.name == "System.Tags":
            tags += [tag for tag in re.split("[;,]", str(field.value)) if tag.strip()]
            continue
        if field.name in fields:
            raise InvalidAnswer(f"field {field.name}: is given twice")
        check_value(field.name, field.value)
        fields[field.name] = field.value
    for tag in tags:
        check_tag(tag)
    return fields, distinct(tags)


def _why_empty(agent: AgentPolicy, dropped: tuple[str, ...]) -> str:
    if not dropped:
        return "the answer is empty: it has no comment, no field, no tag, no link and no question"
    may = ", ".join([*agent.may_change, *map(link_kind, agent.may_link)]) or "none"
    return f"nothing is left of the answer: {', '.join(dropped)} may not be changed by this agent, which may: {may}"


def _faults(error: pydantic.ValidationError) -> str:
    parts = [f"{'.'.join(map(str, one['loc'])) or 'answer'}: {one['msg']}" for one in error.errors()[:5]]
    return "; ".join(part[:300] for part in parts)
