"""Whose change is it? Layers over the write ledger, because each alone fails: the mark that our comments carry, the
comments that are known to be ours, links by what they connect, and values on which both sides agree anyway.

`domain.echoes` has the first layer: what the ledger says of a revision.
"""

import re
from collections.abc import Mapping, Sequence

from pointsman.contracts.base import Json
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.sync import Agreed
from pointsman.contracts.tracker import ItemUpdate, ItemWrite
from pointsman.domain.deliveries import Heard
from pointsman.domain.echoes import alike, echo_of, equal, is_another, is_in_doubt, is_noise, is_of_fields, tags_of
from pointsman.domain.links import opposite
from pointsman.domain.sync.agreeing import link_name, links_of

HISTORY, TAGS = "System.History", "System.Tags"
LINKS, UNLINKS, COMMENT, BY = "+links", "+unlinks", "+comment", "+by"
"""Keys of a ledger row for what is no field: links that it adds, those that it takes away, the comment that it edits
(0: a new one), and the account that says it or makes the links."""
AGAIN = "~"
"""Between an operation and the number of a later row of it: each row is one PATCH that may have been carried out."""
MARK = re.compile(r"<!--\s*pointsman:op=([\w./~@:-]{1,200})\s*-->", re.ASCII)

Changes = Mapping[str, tuple[Json, Json]]
NO_LINKS: frozenset[str] = frozenset()


def marked(html: str, operation: str) -> str:
    """The comment with a mark that readers do not see. The service may take it out: it is one layer of several."""
    safe = re.sub(r"[^\w./~@:-]", "-", operation, flags=re.ASCII).replace("--", "-.")[:200]
    return f"{html}<!-- pointsman:op={safe} -->" if html else ""


def mark_of(html: str) -> str:
    """The operation that a comment says it is of; empty without a mark."""
    found = MARK.search(html)
    return found[1] if found else ""


def values_of(change: ItemWrite) -> dict[str, Json]:
    """What a write sends, as the echo will bring it back."""
    values = dict(change.fields)
    if change.tags:
        values[TAGS] = "; ".join(change.tags)
    elif TAGS in values:
        # A list says that these took the place of all that stood.
        values[TAGS] = [name.strip() for name in str(values[TAGS] or "").split(";") if name.strip()]
    if change.comment:
        values[HISTORY] = change.comment
    if change.links:
        values[LINKS] = [link_name(link.rel, link.url) for link in change.links]
    if change.unlinks:
        values[UNLINKS] = [link_name(link.rel, link.url) for link in change.unlinks]
    return values


def shown(values: Mapping[str, Json]) -> dict[str, Json]:
    """What a write changes, as people read it: the account that it goes by is kept for telling its echoes alone."""
    return {name: value for name, value in values.items() if name != BY}


def write_of(
    writes: Sequence[WriteRecord], rev: int, changed: Changes, heard: Heard | None = None
) -> WriteRecord | None:
    """The write of ours that a happening repeats, or None. Who did it is for the caller to ask where that matters."""
    own = {write.operation: write for write in writes}
    told = changed.get(HISTORY, (None, None))[1]
    mine = own.get(mark_of(told)) if isinstance(told, str) else None
    if mine is not None and HISTORY in mine.values:
        # The mark says whose it is, however the service has rewritten it.
        changed = {**changed, HISTORY: (None, mine.values[HISTORY])}
    added = frozenset(heard.links_added) if heard else NO_LINKS
    removed = frozenset(heard.links_removed) if heard else NO_LINKS
    if not any(not is_noise(name) for name in changed):
        return linking(writes, added, removed) if added or removed else _unsaid(writes, heard)
    sent = [one for one in writes if COMMENT not in one.values]
    # An operation that is tried again leaves out links that came meanwhile: the row that has just these is meant.
    sent.sort(key=lambda one: fit(one, added, removed))
    found = _said(writes, changed, heard) or echo_of(sent, rev, changed)
    return found if found is None or _links(found, added, removed) else None


def _said(writes: Sequence[WriteRecord], changed: Changes, heard: Heard | None) -> WriteRecord | None:
    """A comment that was written through the comments' own door, which tests and tells no revision."""
    told = changed.get(HISTORY, (None, None))[1]
    if {name for name in changed if not is_noise(name)} != {HISTORY} or told is None:
        return None
    said = (write for write in reversed(writes) if COMMENT in write.values and alike(write.values[HISTORY], told))
    actor = heard.actor if heard else ""
    return next((write for write in said if not is_another(actor, str(write.values.get(BY) or ""))), None)


def _unsaid(writes: Sequence[WriteRecord], heard: Heard | None) -> WriteRecord | None:
    """The write that took the comment back which is told without words: a rollback did."""
    if heard is None or not heard.comment_id:
        return None
    gone = (one for one in writes if one.values.get(COMMENT) == heard.comment_id and not one.values.get(HISTORY))
    return next((one for one in gone if not is_another(heard.actor, str(one.values.get(BY) or ""))), None)


def linking(writes: Sequence[WriteRecord], added: frozenset[str], removed: frozenset[str]) -> WriteRecord | None:
    """The write that accounts for all links that came and went.

    One that is known to be written goes before one in doubt: an event that comes late must not settle a later write.
    """
    fitting = [write for write in reversed(writes) if _links(write, added, removed)]
    return next((write for write in fitting if not is_in_doubt(write)), None) or next(iter(fitting), None)


def _links(write: WriteRecord, added: frozenset[str], removed: frozenset[str]) -> bool:
    """Whether the write accounts for all links that came and went."""
    return added <= links_in(write) and removed <= links_in(write, UNLINKS)


def fit(write: WriteRecord, added: frozenset[str], removed: frozenset[str]) -> tuple[bool, bool]:
    """How well the write accounts for links that came and went: at all, and exactly. The greater, the better."""
    exactly = links_in(write) == added and links_in(write, UNLINKS) == removed
    return _links(write, added, removed), exactly


def links_at(updates: Sequence[ItemUpdate], rev: int) -> tuple[frozenset[str], frozenset[str]]:
    """Names of the links that came and went at a revision."""
    here = [one for one in updates if one.rev == rev]
    came, went = ([_named(one.links_added) for one in here], [_named(one.links_removed) for one in here])
    return NO_LINKS.union(*came), NO_LINKS.union(*went)


def links_in(write: WriteRecord, key: str = LINKS) -> frozenset[str]:
    """Names of the links that a write adds, or takes away."""
    listed = write.values.get(key)
    return frozenset(str(one) for one in listed) if isinstance(listed, list) else NO_LINKS


def other_ends(heard: Heard) -> Mapping[int, tuple[frozenset[str], frozenset[str]]]:
    """What came and went at the items where these links begin, by their ids: a link is told at both of its ends.

    Empty where anything but links between items came or went.
    """
    found: dict[int, tuple[set[str], set[str]]] = {}
    for side, names in enumerate((heard.links_added, heard.links_removed)):
        for name in names:
            rel, _, target = name.partition(" ")
            if not (target.isdecimal() and opposite(rel)):
                return {}
            found.setdefault(int(target), (set(), set()))[side].add(f"{opposite(rel)} {heard.item_id}")
    return {item: (frozenset(added), frozenset(removed)) for item, (added, removed) in found.items()}


def linked_by(write: WriteRecord, updates: Sequence[ItemUpdate], account: str, writes: Sequence[WriteRecord]) -> int:
    """The update that carried out a write in doubt to links alone, as the item's history tells; 0 where none has.

    Links move no revision that could be asked for. But each time that we add a link has a row of its own, so where the
    history has more of them than there are rows of other writes, this one is among them.
    """
    wanted, gone = links_in(write), links_in(write, UNLINKS)
    ours = [one for one in updates if _is_of_links(one, write.base_rev) and not is_another(one.revised_by, account)]
    made = [one.id for one in ours if wanted <= _named(one.links_added) and gone <= _named(one.links_removed)]
    others = sum(
        one.operation != write.operation
        and not (is_in_doubt(one) or is_of_fields(one))
        and one.base_rev == write.base_rev
        and _links(one, wanted, gone)
        for one in writes
    )
    return made[others] if len(made) > others else 0


def _is_of_links(update: ItemUpdate, base_rev: int) -> bool:
    """Whether a write of links alone, guarded by this revision, may have made the entry: at the revision, or the next
    one, where it made that itself. An entry of fields that somebody meant is another write's."""
    makes_revision = bool(update.changed)
    return update.rev == base_rev + makes_revision and all(is_noise(name) for name in update.changed)


def _named(relations: Sequence[Mapping[str, Json]]) -> frozenset[str]:
    return frozenset(links_of(relations))


def known_already(agreed: Agreed | None, heard: Heard, rev: int, changed: Changes) -> str:
    """Why what happened says nothing that both sides do not agree on; empty where it does say something.

    What they agree on because of this very event counts for nothing: an attempt before this one may have taken it in,
    and its answer was lost.
    """
    if agreed is None or changed.get(HISTORY, (None, None))[1]:
        return ""
    meant = {name: new for name, (_, new) in changed.items() if not is_noise(name) and name != HISTORY}
    if not _links_known(agreed, heard) or not (meant or heard.links_added or heard.links_removed):
        return ""
    brought = {name: agreed.field_revs.get(name, agreed.read_rev) for name in meant}
    if all(brought[name] != rev and _same(name, agreed.fields.get(name), new) for name, new in meant.items()):
        return "both sides agree on it already"
    if meant and all(0 < rev < later for later in brought.values()):
        return f"later revisions than {rev} are taken into account"
    return ""


def _links_known(agreed: Agreed, heard: Heard) -> bool:
    if (heard.links_added or heard.links_removed) and heard.update_id in agreed.link_updates:
        return False
    return not (frozenset(heard.links_added) - frozenset(agreed.links)) and not (
        frozenset(heard.links_removed) & frozenset(agreed.links)
    )


def _same(name: str, agreed: Json, told: Json) -> bool:
    return tags_of(agreed) == tags_of(told) if name == TAGS else equal(agreed, told)


def own_comment(agreed: Agreed | None, heard: Heard) -> bool:
    """Whether it is a version of a comment of ours that we know of."""
    if agreed is None or not heard.comment_id or heard.comment_id not in agreed.own_comments:
        return False
    return heard.comment_version <= agreed.comments.get(heard.comment_id, 1)
