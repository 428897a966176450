"""How an agreement grows: by a look at the whole item, by a write of ours, by an event that was taken in.

Events come in any order and more than once, and a look may be older than what came since. So each field carries the
revision that brought it, and a later one is never taken back: whatever the order, the same is agreed in the end.
"""

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from pointsman.contracts.base import Json
from pointsman.contracts.sync import Advance, Agreed
from pointsman.domain.echoes import is_noise

OWN_COMMENTS_MAX = 200
"""Ids of comments of ours that are remembered: an event of an older one is known by its marker alone."""
LINK_UPDATES_MAX = 50
ITEM = re.compile(r"/_apis/wit/work_?items/(\d+)/?$", re.IGNORECASE)


def read_whole(agreed: Agreed, rev: int, fields: Mapping[str, Json], links: Sequence[str]) -> Agreed:
    """The item was read, at this revision. What a later one brought stays."""
    if rev < agreed.read_rev:
        return agreed
    later = {name: at for name, at in agreed.field_revs.items() if at > rev}
    kept = {name: agreed.fields[name] for name in later if name in agreed.fields}
    read = {name: value for name, value in fields.items() if name not in later}
    return agreed.model_copy(
        update={
            "rev": max(rev, agreed.rev),
            "read_rev": rev,
            "fields": read | kept,
            "field_revs": later,
            "links": tuple(sorted(links)),
        }
    )


def advanced(
    agreed: Agreed,
    rev: int,
    changes: Mapping[str, Json],
    links: Sequence[str] | None = None,
    comments: Mapping[int, int] | None = None,
    link_update: int = 0,
) -> Agreed:
    """These fields changed in this revision. Null takes a field away. Revision 0 is one that nobody told."""
    taken = (*agreed.link_updates, link_update) if link_update else agreed.link_updates
    at = rev or agreed.rev
    fields, revs = dict(agreed.fields), dict(agreed.field_revs)
    for name, value in changes.items():
        if is_noise(name) or name == "System.History" or at < revs.get(name, agreed.read_rev):
            continue
        revs[name] = at
        if value is None:
            fields.pop(name, None)
        else:
            fields[name] = value
    versions = dict(agreed.comments)
    for comment, version in (comments or {}).items():
        versions[comment] = max(version, versions.get(comment, 0))
    return agreed.model_copy(
        update={
            "rev": max(rev, agreed.rev),
            "fields": fields,
            "field_revs": revs,
            "links": agreed.links if links is None else tuple(sorted(links)),
            "link_updates": tuple(dict.fromkeys(taken))[-LINK_UPDATES_MAX:],
            "comments": versions,
        }
    )


def stepped(agreed: Agreed, step: Advance) -> Agreed:
    """What one event adds, whatever that is."""
    after = advanced(agreed, step.rev, step.changes, step.links, step.comments, step.link_update)
    return commented(after, step.own_comment, is_status=False) if step.own_comment else after


def commented(agreed: Agreed, comment_id: int, *, is_status: bool) -> Agreed:
    """We wrote this comment."""
    others = [one for one in agreed.own_comments if one != comment_id]
    own = (*others[-(OWN_COMMENTS_MAX - 1) :], comment_id)
    status = comment_id if is_status else agreed.status_comment
    return agreed.model_copy(update={"own_comments": own, "status_comment": status})


def link_name(relation: str, url: str) -> str:
    """A link as an agreement keeps it. An item has several addresses, and an artifact several spellings."""
    found = ITEM.search(url)
    return f"{relation} {found[1]}" if found else f"{relation} {unquote(url).strip()}"


def links_of(relations: Sequence[Mapping[str, Json]]) -> tuple[str, ...]:
    """Links of an item as it is read, sorted."""
    return tuple(sorted({link_name(str(one.get("rel") or ""), str(one.get("url") or "")) for one in relations}))


def canonical(fields: Mapping[str, Json]) -> bytes:
    """What the hash of a snapshot is taken of."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
