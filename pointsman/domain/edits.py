"""What a human's edit makes of a proposal."""

from collections.abc import Mapping

from pointsman.contracts.base import Json
from pointsman.contracts.work_items import Proposal, ProposedLink, WorkItemKey
from pointsman.domain.links import read_links
from pointsman.domain.proposals import (
    COMMENT_CHARS_MAX,
    FIELDS_MAX,
    TAGS_MAX,
    InvalidAnswer,
    check_tag,
    check_text,
    check_value,
    distinct,
)


def edit(proposal: Proposal, edits: Mapping[str, Json], about: WorkItemKey | None = None) -> Proposal:
    """The proposal with a human's edits. A field set to null is taken out; `comment`, `tags` and `links` replace
    theirs. `about` is the item that it is for.

    Raises:
        InvalidAnswer: an edit is of the wrong type or breaks a limit.
    """
    if len(edits) > FIELDS_MAX:
        raise InvalidAnswer(f"edits: {len(edits)} are given, the limit is {FIELDS_MAX}")
    fields = dict(proposal.fields)
    comment, tags, links = proposal.comment, proposal.tags, proposal.links
    for name, value in edits.items():
        if name == "comment":
            comment = _edited_comment(value)
        elif name in ("tags", "System.Tags"):
            tags = _edited_tags(value)
        elif name == "links":
            links = _edited_links(value, about)
        elif value is None:
            fields.pop(name, None)
        else:
            check_value(name, value)
            fields[name] = value
    return Proposal(comment=comment, fields=fields, tags=tags, links=links)


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


def _edited_links(value: Json, about: WorkItemKey | None) -> tuple[ProposedLink, ...]:
    if not isinstance(value, list):
        raise InvalidAnswer('links: must be a list, for example ["Parent 17"]')
    return read_links([_edited_link(one) for one in value], about)


def _edited_link(value: Json) -> ProposedLink:
    """`Parent 17`, or an object with relation, target and comment."""
    if isinstance(value, str):
        kind, _, where = value.strip().rpartition(" ")
        return ProposedLink(relation=kind, target=where)
    parts = value if isinstance(value, dict) else {}
    relation, target, comment = parts.get("relation"), parts.get("target"), parts.get("comment", "")
    if isinstance(target, int) and not isinstance(target, bool):
        target = str(target)
    if not (isinstance(relation, str) and isinstance(target, str) and isinstance(comment, str)):
        raise InvalidAnswer("links: each must be a text such as `Parent 17`, or have a relation and a target")
    return ProposedLink(relation=relation, target=target, comment=comment)
