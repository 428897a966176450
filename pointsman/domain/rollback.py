"""What it takes to give fields of an item the values again that they had before.

History is never deleted: old values are set in a new revision. What somebody else has changed since is left to them,
and the whole is refused then; a state is only left along a transition that the item's type has now.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pointsman.contracts.base import Json
from pointsman.contracts.process import Graph
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.rollback import FieldBack, FieldHeld, RollbackPlan, RollbackScope
from pointsman.contracts.tracker import CommentTold, ItemUpdate, TrackedItem
from pointsman.domain import rollback_beside
from pointsman.domain.echoes import (
    FOLLOWS_STATE,
    equal,
    explains,
    is_another,
    is_in_doubt,
    is_noise,
    is_of_fields,
    proves,
    tags_of,
)
from pointsman.domain.loose import identity
from pointsman.domain.markup import plain
from pointsman.domain.sync.recognising import AGAIN

STATE, TAGS, HISTORY = "System.State", "System.Tags", "System.History"
PLACES = frozenset({"System.TeamProject", "System.WorkItemType"})
"""A move is not taken back: the other project or type may have other fields, states and people."""
# The service keeps these itself; whoever sets them is refused.
READ_ONLY = re.compile(
    r"System\.(Id|Rev|Created(By|Date)|Node(Name|Type)|(Area|Iteration)(Id|Level\d)|IsDeleted|Parent|"
    r"(Related|Hyper|External|Remote)LinkCount|AttachedFileCount)$",
    re.IGNORECASE,
)
SHOWN_CHARS = 200
OPERATION = "rollback/"
"""So begin operations of the write ledger that take others back."""


@dataclass(frozen=True)
class Known:
    """The item, its whole history oldest first, our writes to it, and the account that we write as.

    `graph` says where its type may go from each state; None where that cannot be read.
    """

    item: TrackedItem
    updates: Sequence[ItemUpdate]
    writes: Sequence[WriteRecord]
    account: str
    graph: Graph | None = None
    comments: Sequence[CommentTold] = ()
    """Those that stand, where comments are to be taken back."""


@dataclass(frozen=True)
class _Target:
    """A field's value before what is taken back, and who has changed it besides."""

    field: str
    then: Json
    others: tuple[ItemUpdate, ...]
    """Updates that changed it since and are not taken back."""
    taken: tuple[ItemUpdate, ...]
    """Those that are."""


class NothingToTakeBack(Exception):
    """What was asked for names nothing in the item's history. The text says why."""


def plan(known: Known, scope: RollbackScope, *, force: bool = False, comments: bool = False) -> RollbackPlan:
    """What taking `scope` back comes to. After it was carried out, the same plan is empty.

    Fields that are named mean these alone: then links and comments are left as they are.
    """
    rev = known.item.rev
    if known.item.deleted:
        return _refusal(rev, "it is in the recycle bin, and nothing is written there: restore it first")
    ours = _ours(known)
    try:
        targets = _targets(known, scope, ours)
    except NothingToTakeBack as error:
        return _refusal(rev, str(error))
    is_since = scope.rev > 0 or scope.moment is not None
    if not is_since and (absent := sorted(set(scope.fields) - {one.field for one in targets})):
        return _refusal(rev, f"it did not change {', '.join(absent)}")
    back = [_back(known, one, exact=force and is_since) for one in targets if _is_settable(one.field)]
    back = [(field, target) for field, target in back if not equal(field.now, field.then)]
    held = [_held(known, ours, field, target, force=force) for field, target in back]
    links = _links(known, scope, force=force)
    said = _said(known, scope, ours, force=force, asked=comments)
    return RollbackPlan(
        rev=rev,
        back=tuple(field for field, _ in back),
        refused=(*(one for one in held if one), *links.refused, *said.refused),
        kept=(*said.kept, *_kept(known, targets)),
        links=links.back,
        comments=said.back,
    )


def _links(known: Known, scope: RollbackScope, *, force: bool) -> rollback_beside.LinksBack:
    if scope.fields:
        return rollback_beside.LinksBack()
    made = rollback_beside.link_writes(known.writes, known.updates, known.account)
    if scope.write or scope.turn:
        named = {one.operation for one in _named(scope, known.writes)}
        taken = [one for one in known.updates if one.id in made and made[one.id].operation in named]
        later = [one for one in known.updates if taken and one.id >= taken[0].id]
    else:
        later = _behind(known, scope)
        taken = [one for one in later if one.id in made]
    since = not (scope.write or scope.turn)
    return rollback_beside.links_back(known.item, later, {one.id for one in taken}, made, since=since, force=force)


def _behind(known: Known, scope: RollbackScope) -> list[ItemUpdate]:
    """Entries behind a moment, or behind the one that made a revision: links move none."""
    if scope.moment is not None:
        told = [at for at, one in enumerate(known.updates) if one.revised_at and one.revised_at <= scope.moment]
        return list(known.updates[max(told) + 1 :])
    made = next((one.id for one in known.updates if one.rev == scope.rev), 0)
    return [one for one in known.updates if one.rev > scope.rev or (one.rev == scope.rev and one.id > made)]


def _said(
    known: Known, scope: RollbackScope, ours: Mapping[int, WriteRecord], *, force: bool, asked: bool
) -> rollback_beside.CommentsBack:
    if scope.fields:
        return rollback_beside.CommentsBack()
    if scope.write or scope.turn:
        chosen = _named(scope, known.writes)
    else:
        rev = _revision(known, scope)
        chosen = [write for made, write in ours.items() if made > rev]
    said = [one for one in chosen if rollback_beside.says(one)]
    if not asked:
        return rollback_beside.left(said)
    return rollback_beside.comments_back(said, known.writes, known.comments, known.account, force=force)


def shown(told: RollbackPlan) -> RollbackPlan:
    """With values as a person reads them at a glance: they travel through histories."""
    back = tuple(FieldBack(field=one.field, now=_glance(one.now), then=_glance(one.then)) for one in told.back)
    said = (one.model_copy(update={"now": plain(one.now), "then": plain(one.then)}) for one in told.comments)
    said = (one.model_copy(update={"now": _glance(one.now), "then": _glance(one.then)}) for one in said)
    return told.model_copy(update={"back": back, "comments": tuple(said)})


def _glance(value: Json) -> Json:
    if isinstance(value, dict):
        value = identity(value)
    return f"{value[:SHOWN_CHARS]}..." if isinstance(value, str) and len(value) > SHOWN_CHARS else value


def _refusal(rev: int, reason: str) -> RollbackPlan:
    return RollbackPlan(rev=rev, refused=(FieldHeld(reason=reason),))


# Whose revisions


def _ours(known: Known) -> dict[int, WriteRecord]:
    """Our writes by the revision that each made. The ledger says so, and the account alone does not: a human may use
    it. What is in doubt counts where the history shows it."""
    found = {one.rev: one for one in known.writes if not is_in_doubt(one) and is_of_fields(one)}
    for write in known.writes:
        if (
            is_in_doubt(write)
            and is_of_fields(write)
            and (rev := revision_made(write, known.updates, known.account, found))
        ):
            found[rev] = write
    return found


def revision_made(write: WriteRecord, updates: Sequence[ItemUpdate], account: str, taken: Collection[int] = ()) -> int:
    """The revision that a write in doubt made, as the item's history shows it; 0 where it shows none.

    All that it would write has to be in there. `taken` are revisions that other writes made.
    """
    for one in updates:
        if one.rev <= write.base_rev or one.rev in taken or is_another(one.revised_by, account):
            continue
        if proves(write, one.changed) and explains(write.values, one.changed):
            return one.rev
    return 0


# What is taken back


def _targets(known: Known, scope: RollbackScope, ours: Mapping[int, WriteRecord]) -> list[_Target]:
    if scope.rev or scope.moment is not None:
        found = _since(known, _revision(known, scope), ours)
    elif scope.write or scope.turn:
        found = _of_writes(known, _chosen(known, scope, ours))
    elif scope.fields:
        return [_last_of(known, field, ours) for field in dict.fromkeys(scope.fields)]
    else:
        raise NothingToTakeBack("nothing is named: a field, a write, a turn, a moment or a revision")
    return [one for one in found if not scope.fields or one.field in scope.fields]


def _since(known: Known, rev: int, ours: Mapping[int, WriteRecord]) -> list[_Target]:
    """All that changed behind a revision, whoever did it."""
    later = [one for one in known.updates if one.rev > rev]
    found = []
    for name in _names(later):
        touching = [one for one in later if name in one.changed]
        mine = tuple(one for one in touching if one.rev in ours)
        others = tuple(one for one in touching if one.rev not in ours)
        found.append(_Target(name, touching[0].changed[name][0], others, mine))
    return found


def _of_writes(known: Known, chosen: Mapping[int, WriteRecord]) -> list[_Target]:
    """What these writes meant to change, and did. What rules of the service changed beside it is theirs."""
    written = {name for write in chosen.values() for name in write.values}
    taken = [one for one in known.updates if one.rev in chosen]
    return [_written(known, name, [one for one in taken if name in one.changed]) for name in _names(taken, written)]


def _written(known: Known, field: str, taken: Sequence[ItemUpdate]) -> _Target:
    revs = {one.rev for one in taken}
    since = [one for one in known.updates if one.rev > taken[0].rev and field in one.changed]
    others = tuple(one for one in since if one.rev not in revs)
    return _Target(field, taken[0].changed[field][0], others, tuple(taken))


def _last_of(known: Known, field: str, ours: Mapping[int, WriteRecord]) -> _Target:
    """The last write of ours that changed the field. One that took another back is none: else a second request would
    undo the first."""
    made = [
        one
        for one in known.updates
        if one.rev in ours and field in one.changed and not ours[one.rev].operation.startswith(OPERATION)
    ]
    if not made:
        raise NothingToTakeBack(f"we never wrote {field}")
    return _written(known, field, made[-1:])


def _names(updates: Iterable[ItemUpdate], among: Collection[str] | None = None) -> list[str]:
    """Fields that they changed, each once, in order."""
    changed = dict.fromkeys(name for one in updates for name in one.changed)
    return [name for name in changed if among is None or name in among]


def _named(scope: RollbackScope, writes: Sequence[WriteRecord]) -> list[WriteRecord]:
    """Rows of the ledger that a write or a turn means."""
    if scope.write:
        begin = f"{scope.write}{AGAIN}"
        named = [one for one in writes if one.operation == scope.write or one.operation.startswith(begin)]
        what = f"write {scope.write!r}"
    else:
        named = [one for one in writes if one.operation.startswith((f"{scope.turn}/", f"{scope.turn}."))]
        what = f"turn {scope.turn!r}"
    if not named:
        raise NothingToTakeBack(f"the ledger has no {what} of this item")
    return named


def _chosen(known: Known, scope: RollbackScope, ours: Mapping[int, WriteRecord]) -> dict[int, WriteRecord]:
    """By the revision that it made. Those that made none moved links, or said something."""
    operations = {one.operation for one in _named(scope, known.writes)}
    chosen = {rev: one for rev, one in ours.items() if one.operation in operations}
    made = rollback_beside.link_writes(known.writes, known.updates, known.account).values()
    beside = [one for one in known.writes if one.operation in operations and rollback_beside.is_said(one)]
    if chosen or beside or any(one.operation in operations for one in made):
        return chosen
    what = f"write {scope.write!r}" if scope.write else f"turn {scope.turn!r}"
    raise NothingToTakeBack(f"{what} was not carried out, as far as the item's history tells")


def _revision(known: Known, scope: RollbackScope) -> int:
    if scope.rev:
        if scope.rev > known.item.rev:
            raise NothingToTakeBack(f"there is no revision {scope.rev}: the item is at {known.item.rev}")
        return scope.rev
    moment = scope.moment
    assert moment is not None, "a scope without revision has a moment"
    before = [one.rev for one in known.updates if one.revised_at is not None and one.revised_at <= moment]
    if not before:
        raise NothingToTakeBack(f"the item was not there at {moment.isoformat()}")
    return max(before)


# What is set


def _is_settable(field: str) -> bool:
    """What follows from a state, its reason among it, the service sets by itself with the state."""
    fixed = field == HISTORY or field in PLACES or is_noise(field)
    return not (fixed or READ_ONLY.match(field) or FOLLOWS_STATE.match(field))


def _back(known: Known, target: _Target, *, exact: bool) -> tuple[FieldBack, _Target]:
    now = known.item.fields.get(target.field)
    if target.field == TAGS and not exact:
        return FieldBack(field=TAGS, now=now, then=_tags_back(now, target.taken)), replace(target, others=())
    return FieldBack(field=target.field, now=now, then=_as_written(target.then)), target


def _tags_back(now: Json, taken: Sequence[ItemUpdate]) -> Json:
    """Each tag is somebody's own: those that we added go, those that we took away come back, all others stay."""
    names = _tag_names(now)
    for one in reversed(taken):
        old, new = one.changed[TAGS]
        added, removed = tags_of(new) - tags_of(old), tags_of(old) - tags_of(new)
        there = {name.casefold() for name in names}
        names = [name for name in names if name.casefold() not in added]
        names += [name for name in _tag_names(old) if name.casefold() in removed - there]
    return now if tags_of("; ".join(names)) == tags_of(now) else "; ".join(names)


def _tag_names(value: Json) -> list[str]:
    return [name.strip() for name in re.split("[;,]", str(value or "")) if name.strip()]


def _as_written(value: Json) -> Json:
    """A person is written by name; what comes back is an object."""
    return identity(value) if isinstance(value, dict) else value


def _held(
    known: Known, ours: Mapping[int, WriteRecord], field: FieldBack, target: _Target, *, force: bool
) -> FieldHeld | None:
    """Why it may not be set, or None."""
    if field.field == STATE and (why := _no_way(known.graph, field)):
        return FieldHeld(field=STATE, reason=why)
    if force or not target.others:
        return None
    last = target.others[-1]
    who = last.revised_by or "somebody"
    write = ours.get(last.rev)
    reason = f"our later write {write.operation} changed it" if write else f"{who} has changed it since"
    return FieldHeld(field=field.field, reason=f"{reason}, in revision {last.rev}", by=last.revised_by, rev=last.rev)


def _no_way(graph: Graph | None, field: FieldBack) -> str:
    if graph is None:
        return "the transitions of its type cannot be read, so nobody knows whether it may go back"
    steps = graph.steps.get(str(field.now or ""), {})
    if field.then in steps:
        return ""
    ways = ", ".join(sorted(steps)) or "nowhere"
    return f"the process has no transition from {field.now} to {field.then}; from there it leads to: {ways}"


def _kept(known: Known, targets: Iterable[_Target]) -> Iterable[FieldHeld]:
    for one in targets:
        if one.field in PLACES and not equal(known.item.fields.get(one.field), one.then):
            yield FieldHeld(field=one.field, reason="the item has moved since, and a move is not taken back")
