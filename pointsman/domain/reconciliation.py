"""How an item stands on both sides: what Azure DevOps tells of it beside what our books say.

Most items are told from one line each: the revision there is the one that we know. Only where it is not does the
item's own history have to be read, which says whether an event never came.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pointsman.contracts.policy import Policy
from pointsman.contracts.reconciliation import (
    Compared,
    OurItem,
    SyncStanding,
    TheirItem,
)
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.recovery import CommentVersionTold
from pointsman.contracts.tracker import ItemUpdate
from pointsman.contracts.work_items import ENDED, EventKind, WorkItemKey, WorkItemState
from pointsman.domain.briefing import facts_of
from pointsman.domain.echoes import alike, equal, is_of_fields, tags_of
from pointsman.domain.recovery import Missed
from pointsman.domain.rollback import revision_made
from pointsman.domain.routing import in_scope, match_facts
from pointsman.domain.sync.recognising import COMMENT, HISTORY, linked_by, mark_of
from pointsman.domain.words import how_many

AREA, TITLE, TYPE, STATE, TAGS = (
    "System.AreaPath",
    "System.Title",
    "System.WorkItemType",
    "System.State",
    "System.Tags",
)
PROJECT, CHANGED = "System.TeamProject", "System.ChangedDate"
FIELDS = (PROJECT, TYPE, TITLE, AREA, STATE, TAGS, CHANGED)
TEXTS = ("System.Description", "Microsoft.VSTS.TCM.ReproSteps")


def fields_asked(policy: Policy) -> tuple[str, ...]:
    """What is read of each item. Long texts only where a scope rule looks at them."""
    return (*FIELDS, *TEXTS) if any(rule.match.text for rule in policy.scope) else FIELDS


def compare(policy: Policy, organisation: str, theirs: TheirItem, ours: OurItem, floor: datetime | None) -> Compared:
    """An item that is there. `floor` is from when on we listen."""
    scope = _scope(policy, organisation, theirs)
    if ours.state is None:
        return _stranger(theirs, ours, floor, scope=scope)
    if ours.conflicts:
        return Compared(standing=SyncStanding.CONFLICTING, reason=f"nobody has decided {', '.join(ours.conflicts)}")
    if ours.dead:
        reason = f"{ours.dead} deliveries are dead: see pointsman inbox list --state dead"
        return Compared(standing=SyncStanding.LOST, reason=reason)
    if ours.tombstone and ours.tombstone.cleared_at is None:
        return Compared(standing=SyncStanding.LOST, reason="it is back from the recycle bin", look=True)
    known = max(ours.rev, ours.agreed_rev)
    if way := _under_way(ours):
        return Compared(
            standing=SyncStanding.PENDING,
            reason=way,
            look=bool(ours.in_doubt) or (theirs.rev > known and not ours.pending),
        )
    if theirs.rev > known:
        return Compared(standing=SyncStanding.LOST, reason=f"we know revision {known} of {theirs.rev}", look=True)
    if theirs.rev < known:
        reason = (
            f"we know revision {known}, and it is at {theirs.rev}: it was restored to an earlier time, or is another"
        )
        return Compared(standing=SyncStanding.CONFLICTING, reason=reason)
    if otherwise := _otherwise(theirs, ours):
        return otherwise.model_copy(update={"look": True})
    if ours.gap:
        return Compared(standing=SyncStanding.LOST, reason="an event between others never came", look=True)
    return _at_rest(policy, scope=scope)


def after_look(
    policy: Policy,
    organisation: str,
    theirs: TheirItem,
    ours: OurItem,
    missed: Sequence[Missed],
    now: datetime,
    settle: timedelta,
) -> Compared:
    """What the item's history adds: which events never came."""
    scope = _scope(policy, organisation, theirs)
    if missed:
        young = [one for one in missed if one.at is None or now - one.at < settle]
        if len(young) == len(missed) and any(one.at is not None for one in young):
            return Compared(standing=SyncStanding.PENDING, reason="its events may still be on their way")
        return Compared(standing=SyncStanding.LOST, reason=f"{how_many(len(missed), 'event')} never came")
    if ours.state is None:
        standing = SyncStanding.UNHEARD if scope else SyncStanding.FOREIGN
        return Compared(standing=SyncStanding.PENDING if ours.pending else standing)
    if way := _under_way(ours):
        return Compared(standing=SyncStanding.PENDING, reason=way)
    return _otherwise(theirs, ours) or _at_rest(policy, scope=scope)


def gone(ours: OurItem, found: TheirItem | None, project: str) -> Compared:
    """An item of ours that the project does not have any more, and what became of it elsewhere. That it cannot be
    read is no deletion: only the recycle bin says that."""
    untold = f"; writes in doubt that only its history could tell of: {len(ours.in_doubt)}" if ours.in_doubt else ""
    if found is None:
        reason = "it cannot be read, and the recycle bin does not know it: destroyed, or a permission is missing"
        return Compared(standing=SyncStanding.HIDDEN, reason=f"{reason}{untold}")
    if found.deleted:
        heard = "" if ours.tombstone and ours.tombstone.cleared_at is None else "; its deletion never came"
        return Compared(
            standing=SyncStanding.DELETED,
            reason=f"in the recycle bin at revision {found.rev}{heard}{untold}",
            look=bool(heard),
        )
    if found.project.casefold() != project.casefold():
        return Compared(
            standing=SyncStanding.MOVED,
            reason=f"to {found.project}",
            look=found.rev > max(ours.rev, ours.agreed_rev) and not _under_way(ours),
        )
    return Compared(standing=SyncStanding.PENDING, reason="it changed while it was looked at")


def is_over(ours: OurItem, now: datetime, grace: timedelta) -> bool:
    """Whether the grace of its tombstone has passed: then it is looked for no more."""
    stone = ours.tombstone
    return stone is not None and stone.cleared_at is None and now - stone.since >= grace


@dataclass(frozen=True)
class Settled:
    """What became of a write in doubt, and what tells. `rev` is that which it made, or at which its links moved."""

    write: WriteRecord
    is_written: bool
    rev: int
    evidence: str


def to_settle(ours: OurItem, now: datetime, settle: timedelta) -> list[WriteRecord]:
    """Writes in doubt that are nobody's to settle any more.

    A run that is at a write looks itself for what it has sent: its retries do so, however long the service is away.
    Anywhere else it is done with what it wrote before, and never asks again what became of it.
    """
    if ours.state is WorkItemState.PUBLISHING:
        return []
    return [write for write in ours.in_doubt if now - write.intended_at > settle]


def settled_writes(
    doubtful: Sequence[WriteRecord],
    updates: Sequence[ItemUpdate],
    account: str,
    writes: Sequence[WriteRecord] = (),
    said: Sequence[CommentVersionTold] = (),
) -> list[Settled]:
    """What the item's history and its comments tell of writes in doubt. `writes` are all of ours to the item.

    What is given up wrongly, as an attempt comes through at last, is settled again by that attempt, or by its event.
    """
    told = (_told(write, updates, account, writes, said) for write in doubtful)
    return [one for one in told if one is not None]


def _told(
    write: WriteRecord,
    updates: Sequence[ItemUpdate],
    account: str,
    writes: Sequence[WriteRecord],
    said: Sequence[CommentVersionTold],
) -> Settled | None:
    if COMMENT in write.values:
        return _told_by_comments(write, said)
    rev = _rev_of(write, updates, account, writes)
    return Settled(write, bool(rev), rev, "its revision" if rev else "no revision of that kind")


def _told_by_comments(write: WriteRecord, said: Sequence[CommentVersionTold]) -> Settled | None:
    """What is said through the comments' own door makes revisions that do not tell of it. None where nothing does."""
    wanted = str(write.values.get(HISTORY) or "")
    last = [one for one in said if one.comment_id == write.values[COMMENT]][-1:]
    if not wanted:  # it takes the comment away
        return Settled(write, last[0].is_deleted, 0, f"comment {last[0].comment_id}") if last else None
    is_new = mark_of(wanted) == write.operation  # else it is what the comment said before
    found = [
        one for one in (said if is_new else last) if mark_of(one.text) == write.operation or alike(wanted, one.text)
    ]
    if found:
        return Settled(write, True, 0, f"comment {found[0].comment_id}, version {found[0].version}")
    if not is_new or any(one.is_deleted for one in said):  # who took a comment away took along what it said
        return None
    return Settled(write, False, 0, "no comment says it")


def _rev_of(write: WriteRecord, updates: Sequence[ItemUpdate], account: str, writes: Sequence[WriteRecord]) -> int:
    if is_of_fields(write):
        return revision_made(write, updates, account)
    made = linked_by(write, updates, account, writes)
    return next((one.rev for one in updates if one.id == made), 0)


def _scope(policy: Policy, organisation: str, theirs: TheirItem) -> str | None:
    key = WorkItemKey(organisation=organisation, project=theirs.project, id=theirs.id)
    facts = facts_of(key, theirs.fields, theirs.rev, "", deleted=theirs.deleted)
    return in_scope(policy, match_facts(facts))


def _stranger(theirs: TheirItem, ours: OurItem, floor: datetime | None, *, scope: str | None) -> Compared:
    """There was never a run for it."""
    if scope is None:
        return Compared(standing=SyncStanding.FOREIGN)
    if ours.dead and not ours.pending:
        reason = f"{ours.dead} deliveries are dead: see pointsman inbox list --state dead"
        return Compared(standing=SyncStanding.LOST, reason=reason)
    if ours.pending:
        return Compared(standing=SyncStanding.PENDING, reason=f"{ours.pending} deliveries wait")
    is_since = theirs.changed_at is None or floor is None or theirs.changed_at >= floor
    if is_since:
        return Compared(standing=SyncStanding.LOST, reason="it is ours, and nothing of it ever came", look=True)
    return Compared(standing=SyncStanding.UNHEARD)


def _under_way(ours: OurItem) -> str:
    """What is, in words; empty for nothing."""
    if ours.pending:
        return f"{ours.pending} deliveries wait"
    if ours.state is not None and ours.state not in ENDED:
        since = f" since {ours.changed_at:%Y-%m-%d %H:%M} UTC" if ours.changed_at else ""
        return f"it is {ours.state}{since}"
    return f"writes in doubt: {len(ours.in_doubt)}" if ours.in_doubt else ""


def _at_rest(policy: Policy, *, scope: str | None) -> Compared:
    if scope is None:
        reason = f"none of {len(policy.scope)} scope rules takes it any more"
        return Compared(standing=SyncStanding.ABANDONED, reason=reason)
    return Compared(standing=SyncStanding.EQUAL)


def _otherwise(theirs: TheirItem, ours: OurItem) -> Compared | None:
    """Whether fields differ although the revision is the same."""
    if ours.agreed_rev != theirs.rev:
        return None
    differing = [
        name
        for name in (TITLE, STATE, AREA, TYPE, TAGS)
        if name in theirs.fields and not _same(name, theirs.fields, ours.agreed)
    ]
    reason = f"at revision {theirs.rev} our books say otherwise: {', '.join(differing)}"
    return Compared(standing=SyncStanding.CONFLICTING, reason=reason) if differing else None


def _same(name: str, theirs: Mapping[str, object], ours: Mapping[str, object]) -> bool:
    left, right = theirs.get(name), ours.get(name)
    if name == TAGS:
        return tags_of(str(left or "")) == tags_of(str(right or ""))
    return equal(str(left or ""), str(right or ""))


def has_gap(keys: Iterable[str]) -> bool:
    """Whether numbers are missing between those of an item's updates that reached us. `keys` are idempotency keys."""
    numbers = {number for key in keys if (number := _update_number(key))}
    return bool(numbers) and len(numbers) <= max(numbers) - min(numbers)


def _update_number(key: str) -> int:
    kind, _, rest = key.partition(":")
    if kind == EventKind.CREATED:
        return 1
    number = rest.rpartition(":")[2]
    return int(number) if kind == EventKind.UPDATED and number.isdecimal() else 0


def window(theirs: Sequence[int], ours: Iterable[int], limit: int) -> tuple[list[int], list[int], int]:
    """What of two ascending pages can be compared now, and the id behind which to go on: 0 for the end.

    A full page may go on behind its last id, so what the other has beyond that waits for the next one.
    """
    mine = list(ours)
    ends = [page[-1] for page in (theirs, mine) if len(page) >= limit]
    if not ends:
        return list(theirs), mine, 0
    end = min(ends)
    return [one for one in theirs if one <= end], [one for one in mine if one <= end], end
