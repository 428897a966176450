"""What it takes to take back what a write does beside fields: links that came and went, and what was said.

Neither is guarded by a revision. A link is its own history: who added it last, and who took it away. A comment of ours
is known by its mark, or by its words and its author.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pointsman.contracts.base import Json
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.rollback import CommentBack, FieldHeld, LinkBack
from pointsman.contracts.tracker import CommentTold, ItemUpdate, TrackedItem
from pointsman.domain import links
from pointsman.domain.echoes import alike, is_another, is_in_doubt
from pointsman.domain.loose import objects, string
from pointsman.domain.sync.agreeing import link_name, links_of
from pointsman.domain.sync.recognising import COMMENT, HISTORY, UNLINKS, links_in, mark_of


@dataclass(frozen=True)
class LinksBack:
    back: tuple[LinkBack, ...] = ()
    refused: tuple[FieldHeld, ...] = ()


@dataclass(frozen=True)
class CommentsBack:
    back: tuple[CommentBack, ...] = ()
    refused: tuple[FieldHeld, ...] = ()
    kept: tuple[FieldHeld, ...] = ()


@dataclass(frozen=True)
class _Moved:
    """A link that an entry of the history added, took away, or gave another comment."""

    update: ItemUpdate
    relation: Mapping[str, Json]
    was_there: bool
    """Before it."""


# Links


def link_writes(writes: Sequence[WriteRecord], updates: Sequence[ItemUpdate], account: str) -> dict[int, WriteRecord]:
    """Our writes of links by the entry of the history that each made. What shows no entry was not carried out."""
    made: dict[int, WriteRecord] = {}
    for write in sorted(writes, key=is_in_doubt):  # those that are known to be written have the first choice
        added, gone = links_in(write), links_in(write, UNLINKS)
        if not (added or gone):
            continue
        for one in updates:
            if one.id in made or one.rev not in (write.base_rev, write.base_rev + 1):
                continue
            came, went = frozenset(links_of(one.links_added)), frozenset(links_of(one.links_removed))
            if added <= came and gone <= went and not is_another(one.revised_by, account):
                made[one.id] = write
                break
    return made


def links_back(
    item: TrackedItem,
    later: Sequence[ItemUpdate],
    taken: Collection[int],
    made: Mapping[int, WriteRecord],
    *,
    since: bool,
    force: bool,
) -> LinksBack:
    """Links as they were before the entries `taken`, or with `since` before all of `later`.

    Each that somebody else moved is refused, unless it is forced.
    """
    there = frozenset(links_of(item.relations))
    back: list[LinkBack] = []
    refused: list[FieldHeld] = []
    for name, moves in _moves(later).items():
        begin = moves if since else _from_the_first(moves, taken)
        if not begin or begin[0].was_there == (name in there):
            continue
        back.append(_link_back(name, begin))
        others = [one.update for one in begin if one.update.id not in taken]
        if others and not force:
            refused.append(_link_held(name, others[-1], made))
    return LinksBack(tuple(back), tuple(refused))


def _moves(updates: Iterable[ItemUpdate]) -> dict[str, list[_Moved]]:
    moves: dict[str, list[_Moved]] = {}
    for one in updates:
        sides = ((one.links_removed, True), (one.links_added, False), (one.links_edited, True))
        for relations, was_there in sides:
            for relation in relations:
                name = link_name(string(relation.get("rel")), string(relation.get("url")))
                moves.setdefault(name, []).append(_Moved(one, relation, was_there))
    return moves


def _from_the_first(moves: Sequence[_Moved], taken: Collection[int]) -> Sequence[_Moved]:
    first = next((at for at, one in enumerate(moves) if one.update.id in taken), len(moves))
    return moves[first:]


def _link_back(name: str, moves: Sequence[_Moved]) -> LinkBack:
    relation = moves[0].relation
    attributes = objects(relation.get("attributes"))
    rel = string(relation.get("rel"))
    return LinkBack(
        link=links.told([name]),
        comes_back=moves[0].was_there,
        rel=rel,
        url=string(relation.get("url")),
        name="" if links.opposite(rel) else string(attributes.get("name")),
        comment=string(attributes.get("comment")),
    )


def _link_held(name: str, last: ItemUpdate, made: Mapping[int, WriteRecord]) -> FieldHeld:
    who = f"our later write {made[last.id].operation}" if last.id in made else last.revised_by or "somebody"
    reason = f"{who} has changed it since, in update {last.id}"
    return FieldHeld(field=links.told([name]), reason=reason, by=last.revised_by, rev=last.rev)


# Comments


def says(write: WriteRecord) -> bool:
    """Whether it was carried out, or may have been, and says something."""
    return bool(write.values.get(HISTORY)) and write.status != "abandoned"


def is_said(write: WriteRecord) -> bool:
    """Whether it is a comment of its own, which is not part of a revision."""
    return COMMENT in write.values and not is_in_doubt(write)


def left(said: Sequence[WriteRecord]) -> CommentsBack:
    """Nobody asked for comments to be taken back."""
    if not said:
        return CommentsBack()
    reason = "what was said stays said: comments are taken back where that is asked for"
    return CommentsBack(kept=(FieldHeld(field=HISTORY, reason=reason),))


def comments_back(
    said: Sequence[WriteRecord],
    writes: Sequence[WriteRecord],
    comments: Sequence[CommentTold],
    account: str,
    *,
    force: bool,
) -> CommentsBack:
    """Comments of these writes as they were before. One that is gone is none to take back."""
    back: list[CommentBack] = []
    refused: list[FieldHeld] = []
    operations = {one.operation for one in said}
    for told in reversed(comments):
        of_it = _versions(writes, told, account)
        at = next((at for at, one in enumerate(of_it) if one.operation in operations), None)
        if at is None:
            continue
        then = string(of_it[at - 1].values.get(HISTORY)) if at else ""
        if alike(told.text, then):
            continue
        back.append(CommentBack(id=told.id, now=told.text, then=then))
        if not force and is_another(told.modified_by or told.created_by, account):
            who = told.modified_by or told.created_by
            refused.append(FieldHeld(field=f"comment {told.id}", reason=f"{who} has edited it since", by=who))
        elif not force and any(one.operation not in operations for one in of_it[at:]):
            reason = f"our later write {of_it[-1].operation} has edited it"
            refused.append(FieldHeld(field=f"comment {told.id}", reason=reason))
    return CommentsBack(tuple(back), tuple(refused))


def _versions(writes: Sequence[WriteRecord], told: CommentTold, account: str) -> list[WriteRecord]:
    """Our writes that made versions of the comment, oldest first."""
    said = [one for one in writes if says(one)]
    edits = [one for one in said if one.values.get(COMMENT) == told.id]
    if not edits:
        return [one for one in said if _is(one, told, account)]
    # The first version was written before the comment had a number.
    before = said[: said.index(edits[0])]
    return [*[one for one in before if one.values.get(COMMENT) == 0][-1:], *edits]


def _is(write: WriteRecord, told: CommentTold, account: str) -> bool:
    """Whether the write said it: going by its mark, else by words and author."""
    text = string(write.values.get(HISTORY))
    if mark_of(text) and mark_of(told.text):
        return mark_of(text) == mark_of(told.text)
    return alike(text, told.text) and not is_another(told.created_by, account)
