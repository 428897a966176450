"""Operations of a JSON Patch document (RFC 6902), as far as Azure DevOps takes them for work items."""

from collections.abc import Iterable

from pointsman.contracts.base import Json
from pointsman.contracts.tracker import ItemWrite, LinkWrite
from pointsman.domain.artifacts import ARTIFACT_LINK, Artifact
from pointsman.ports import Rejected

Operation = dict[str, Json]
TAGS, TAG_SEPARATORS = "System.Tags", ";,"


def at_rev(rev: int) -> Operation:
    """Refuse the whole document unless the item is at `rev`. Says nothing about links: they do not move it."""
    return {"op": "test", "path": "/rev", "value": rev}


def set_field(name: str, value: Json) -> Operation:
    """Set a field; None clears it."""
    path = f"/fields/{name}"
    return {"op": "remove", "path": path} if value is None else {"op": "add", "path": path, "value": value}


def set_markdown(name: str, text: str) -> list[Operation]:
    """Set a long text, written in Markdown from now on: there is no way back to HTML."""
    written: Operation = {"op": "add", "path": f"/multilineFieldsFormat/{name}", "value": "Markdown"}
    return [set_field(name, text), written]


def add_tags(tags: Iterable[str]) -> Operation:
    """Add tags to those that stand: `add` merges, only `replace` would drop any."""
    names = [tag.strip() for tag in tags]
    for name in names:
        if not name or any(separator in name for separator in TAG_SEPARATORS):
            raise Rejected(f"{name!r} is no tag: it must not be empty or hold {TAG_SEPARATORS!r}", code="BadTag")
    return {"op": "add", "path": f"/fields/{TAGS}", "value": "; ".join(names)}


def replace_tags(tags: str) -> Operation:
    """These tags, `; ` between them, in the place of those that stand; none where the text is empty."""
    return {"op": "replace", "path": f"/fields/{TAGS}", "value": tags}


def add_comment(html: str) -> Operation:
    """Comment in the same revision as the other changes, under the same test of `/rev`."""
    return {"op": "add", "path": "/fields/System.History", "value": html}


def add_relation(rel: str, url: str, comment: str = "") -> Operation:
    attributes: dict[str, Json] = {"comment": comment} if comment else {}
    return {"op": "add", "path": "/relations/-", "value": {"rel": rel, "url": url, "attributes": attributes}}


def add_artifact(artifact: Artifact, name: str = "") -> Operation:
    """Link the item to a pull request, commit, branch or build. Without its name the service refuses the link."""
    attributes: dict[str, Json] = {"name": name or artifact.kind.link_name}
    value: dict[str, Json] = {"rel": ARTIFACT_LINK, "url": artifact.uri, "attributes": attributes}
    return {"op": "add", "path": "/relations/-", "value": value}


def add_link(link: LinkWrite) -> Operation:
    told = {"name": link.name, "comment": link.comment}
    attributes: dict[str, Json] = {name: text for name, text in told.items() if text}
    return {"op": "add", "path": "/relations/-", "value": {"rel": link.rel, "url": link.url, "attributes": attributes}}


def remove_relation(index: int) -> Operation:
    """By place in the list as just read. Send several in descending order."""
    return {"op": "remove", "path": f"/relations/{index}"}


def document(rev: int, change: ItemWrite, unlinked: Iterable[int] = ()) -> list[Operation]:
    """All of a write as one document, guarded by the revision that it was made from. Tags among its fields are all
    that the item is to have; those beside them are added. `unlinked` are places of links to take away."""
    fields = dict(change.fields)
    operations = [at_rev(rev)]
    if TAGS in fields:
        operations.append(replace_tags(str(fields.pop(TAGS) or "")))
    operations += [set_field(name, value) for name, value in fields.items()]
    if change.tags:
        operations.append(add_tags(change.tags))
    if change.comment:
        operations.append(add_comment(change.comment))
    # From the last to the first: each that goes moves those behind it. What is added comes behind all of them.
    operations += [remove_relation(index) for index in sorted(unlinked, reverse=True)]
    operations += [add_link(link) for link in change.links]
    return operations
