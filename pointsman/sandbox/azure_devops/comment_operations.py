"""Comments of items with their versions, and the stream of what was said, changed and taken back."""

from collections.abc import Iterator

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import edits
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.documents import HTML, MARKDOWN
from pointsman.sandbox.azure_devops.faults_of_service import invalid
from pointsman.sandbox.azure_devops.formats import comment_format
from pointsman.sandbox.azure_devops.item_operations import collection, item_of
from pointsman.sandbox.azure_devops.listing import at_most
from pointsman.sandbox.azure_devops.rendering import Links, comment_json, comment_ref, fields_json, version_json
from pointsman.sandbox.azure_devops.revisions import Fields
from pointsman.sandbox.azure_devops.state import Comment, Item

COMMENTS_MAX = 200
DISCUSSIONS_MAX = 1_000
MARKDOWN_VERSION = (7, 2)


def comments(call: Call) -> Reply:
    """Newest first unless asked otherwise; the token of the next page is the place where it begins."""
    item = item_of(call)
    found = [c for c in item.comments if not c.deleted or call.flag("includeDeleted")]
    if call.query.get("order", "desc").lower() == "desc":
        found.reverse()
    start = call.count("continuationToken", 0)
    top = at_most(call, min(call.count("$top", COMMENTS_MAX), COMMENTS_MAX))
    page = found[start : start + top]
    body: dict[str, Json] = {
        "totalCount": len(found),
        "count": len(page),
        "comments": [comment_json(item, comment, call.links) for comment in page],
    }
    if start + top < len(found):
        body["continuationToken"] = str(start + top)
        root = f"{call.links.project_tracking(item.project)}/workItems/{item.id}/comments"
        body["nextPage"] = f"{root}?$top={top}&continuationToken={start + top}"
    return Reply(body)


def add(call: Call) -> Reply:
    item = item_of(call)
    text = _text(call)
    call.sandbox.deliverer.publish(edits.comment(call.world, item, text, call.identity, _format(call)), call.links)
    return Reply(comment_json(item, item.comments[-1], call.links))


def get(call: Call) -> Reply:
    item = item_of(call)
    comment = _comment(call, item)
    if comment.deleted and not call.flag("includeDeleted"):
        raise _no_comment(call, item)
    return Reply(comment_json(item, comment, call.links))


def edit(call: Call) -> Reply:
    item = item_of(call)
    comment = _standing(call, item)
    text, last = _text(call), comment.versions[-1]
    wanted = _format(call) if call.query.get("format") else last.format
    written = comment_format(last.format, wanted, last.text, text)
    happened = edits.edit_comment(call.world, item, comment, text, call.identity, written)
    call.sandbox.deliverer.publish(happened, call.links)
    return Reply(comment_json(item, comment, call.links))


def delete(call: Call) -> Reply:
    item = item_of(call)
    happened = edits.delete_comment(call.world, item, _standing(call, item), call.identity)
    call.sandbox.deliverer.publish(happened, call.links)
    return Reply(status=204)


def versions(call: Call) -> Reply:
    """Also of a comment that was taken back: its last version has no text."""
    item = item_of(call)
    comment = _comment(call, item)
    return collection([version_json(item, comment, n + 1, call.links) for n in range(len(comment.versions))])


def version(call: Call) -> Reply:
    item = item_of(call)
    comment, number = _comment(call, item), call.number("version")
    if not 0 < number <= len(comment.versions):
        raise _no_comment(call, item)
    return Reply(version_json(item, comment, number, call.links))


def discussion_stream(call: Call) -> Reply:
    """Each version of each comment as a revision with `System.History`, behind a watermark as revisions are.

    The specification gives the envelope only; what stands in `values` is not confirmed.
    """
    after = call.count("continuationToken", 0)
    top = at_most(call, min(call.count("$maxPageSize", DISCUSSIONS_MAX), DISCUSSIONS_MAX))
    found = sorted((told for told in _told(call) if told[0] > after), key=lambda told: told[0])
    page = found[:top]
    token = str(page[-1][0] if page else after)
    root = f"{call.links.project_tracking(call.project)}/reporting/workItemRevisions/discussions"
    return Reply(
        {
            "values": [_discussed(call.links, *told) for told in page],
            "nextLink": f"{root}?continuationToken={token}&api-version=7.1-preview.1",
            "continuationToken": token,
            "isLastBatch": len(found) <= top,
        }
    )


Told = tuple[int, Item, Comment, int]
"""Watermark, item, comment, version."""


def _told(call: Call) -> Iterator[Told]:
    for item in call.world.items_of(call.organisation).values():
        if item.project == call.project:
            for comment in item.comments:
                yield from ((mark, item, comment, number) for mark, number in comment.marks)


def _discussed(links: Links, mark: int, item: Item, comment: Comment, number: int) -> Json:
    version = comment.versions[number - 1]
    fields: Fields = {
        "System.Id": item.id,
        "System.WorkItemType": item.kind.name,
        "System.TeamProject": item.project,
        "System.ChangedDate": version.at,
        "System.ChangedBy": version.by,
        "System.History": version.text,
        "System.Watermark": mark,
    }
    return {
        "id": item.id,
        "rev": comment.revision,
        "fields": fields_json(fields, links, quiet_too=True),
        "commentVersionRef": {**comment_ref(item, (comment.id, number), links), "isDeleted": version.deleted},
    }


def _format(call: Call) -> str:
    wanted = call.query.get("format", HTML).lower()
    if wanted not in (HTML, MARKDOWN):
        raise invalid(f"The request is invalid: {wanted!r} is not a valid value for format.")
    if wanted == MARKDOWN and call.version < MARKDOWN_VERSION:
        raise invalid("The format markdown of comments needs api-version 7.2-preview.4 or later.")
    return wanted


def _text(call: Call) -> str:
    text = call.body.get("text") if isinstance(call.body, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise invalid("The request is invalid: a comment needs a text.")
    return text


def _comment(call: Call, item: Item) -> Comment:
    number = call.number("comment_id")
    found = next((comment for comment in item.comments if comment.id == number), None)
    if found is None:
        raise _no_comment(call, item)
    return found


def _standing(call: Call, item: Item) -> Comment:
    found = _comment(call, item)
    if found.deleted:
        raise _no_comment(call, item)
    return found


def _no_comment(call: Call, item: Item) -> Exception:
    message = f"Comment {call.place['comment_id']} of work item {item.id} does not exist."
    return invalid(message, "CommentNotFoundException", 404)


_LIST = "wit/workitems/{id}/comments"
_ONE = f"{_LIST}/{{comment_id}}"
_STREAM = "wit/reporting/workitemrevisions/discussions"
OPERATIONS = (
    Operation("comments.list", "GET", _LIST, comments, scope="project", preview=True),
    Operation("comments.add", "POST", _LIST, add, scope="project", preview=True),
    Operation("comments.get", "GET", _ONE, get, scope="project", preview=True),
    Operation("comments.edit", "PATCH", _ONE, edit, scope="project", preview=True),
    Operation("comments.delete", "DELETE", _ONE, delete, scope="project", preview=True),
    Operation("comments.versions", "GET", f"{_ONE}/versions", versions, scope="project", preview=True),
    Operation("comments.version", "GET", f"{_ONE}/versions/{{version}}", version, scope="project", preview=True),
    Operation("streams.discussions", "GET", _STREAM, discussion_stream, scope="project", preview=True),
)
