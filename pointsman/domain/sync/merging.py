"""Three ways to one value, field by field: what both sides agreed on, what we want, and what is there now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import FieldConflict, Publish
from pointsman.contracts.sync import Agreed, FieldKind, FieldStrategy, SyncPolicy
from pointsman.contracts.tracker import ItemUpdate, TrackedItem
from pointsman.domain.echoes import alike, equal, tags_of
from pointsman.domain.sync import kinds, texts
from pointsman.domain.sync.kinds import STATE

OURS, THEIRS, BASE, MERGED = "ours", "theirs", "base", "merged"
"""Of `contracts.conflicts.FieldOutcome`: workflows load this module anew for each run."""
ASKED = SyncPolicy()


@dataclass(frozen=True)
class Around:
    """What strategies look at besides the three values."""

    ours_at: datetime | None = None
    """When ours was meant."""
    theirs_at: Mapping[str, datetime] = field(default_factory=dict)
    """When a field was last changed there. Of one that is not in here nobody knows."""
    transitions: Mapping[str, Collection[str]] | None = None
    """States that each state leads to, as the type has them now; None where nobody knows."""


@dataclass(frozen=True)
class Merged:
    """What is left to write, where somebody else decided otherwise, and what strategies settled."""

    fields: dict[str, Json] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    conflicts: tuple[FieldConflict, ...] = ()
    settled: tuple[FieldConflict, ...] = ()


NOTHING_AROUND = Around()


def merge(
    base: Mapping[str, Json],
    ours: Mapping[str, Json],
    theirs: Mapping[str, Json],
    tags: Collection[str] = (),
    policy: SyncPolicy = ASKED,
    around: Around = NOTHING_AROUND,
) -> Merged:
    """Merge what we want to write into what is there.

    A field that nobody else touched takes our value; one that we did not change, or that says the same already, needs
    no write; of one that both changed, policy's strategy decides. `tags` are only added, so they never conflict.
    Whether somebody touched a field is told strictly, markup included, so that nobody's work is overwritten.
    """
    fields: dict[str, Json] = {}
    conflicts: list[FieldConflict] = []
    settled: list[FieldConflict] = []
    for name, value in ours.items():
        here, was = theirs.get(name), base.get(name)
        if equal(here, value):
            continue
        if equal(here, was):
            fields[name] = value
        elif not (equal(value, was) or alike(value, here)):
            one, written = _settle(FieldConflict(field=name, base=was, ours=value, theirs=here), policy, around)
            (settled if one.outcome else conflicts).append(one)
            if one.outcome in (OURS, MERGED) and not equal(written, here):
                fields[name] = written
    present = tags_of(theirs.get(kinds.TAGS))
    missing = tuple(tag for tag in tags if tag.strip().casefold() not in present)
    return Merged(fields=fields, tags=missing, conflicts=tuple(conflicts), settled=tuple(settled))


def base_of(
    start: Mapping[str, Json], start_rev: int, agreed: Mapping[str, tuple[int, Json]], heard_rev: int
) -> dict[str, Json]:
    """What our values were made from: the item as the turn began, and what its agent was told since.

    `agreed` has, for each field that came later, the revision that brought it. What came and the agent has not heard
    of is no base: a value that was made without knowing of it would take it back.
    """
    later = {name: value for name, (rev, value) in agreed.items() if start_rev < rev <= heard_rev}
    return {**start, **later}


def start_of(
    ask: Publish, start: Mapping[str, Json], theirs: Mapping[str, Json], agreed: Agreed | None
) -> dict[str, Json]:
    """The base of a proposal. Where a human has decided, it is what stood there as they decided."""
    later: dict[str, tuple[int, Json]] = {}
    if agreed is not None:
        later = {name: (rev, agreed.fields.get(name)) for name, rev in agreed.field_revs.items()}
    base = base_of(start, ask.base_rev, later, ask.heard_rev)
    forced = {name: theirs.get(name) for name in ask.force}
    return {**base, **forced, **{one.field: one.theirs for one in ask.decided}}


def unsure(ask: Publish, ours: Collection[str], agreed: Agreed | None) -> frozenset[str]:
    """Fields of which `agreed` does not tell what the agent heard last: they moved behind that, and may be what they
    were in the beginning again; or all was read anew."""
    if agreed is None or ask.heard_rev <= ask.base_rev:
        return frozenset()
    known = {*ask.force, *(one.field for one in ask.decided)}
    return frozenset(
        name for name in ours if name not in known and agreed.field_revs.get(name, agreed.read_rev) > ask.heard_rev
    )


def values_at(updates: Sequence[ItemUpdate], names: Collection[str], rev: int) -> dict[str, Json]:
    """What the last update up to a revision set each field to, where one did. Updates come oldest first."""
    told = (one.changed.items() for one in updates if one.rev <= rev)
    return {name: new for changed in told for name, (_, new) in changed if name in names}


def has_moved(ask: Publish, ours: Mapping[str, Json], item: TrackedItem) -> bool:
    """Whether somebody may have changed the state to something else since the proposal began."""
    return item.rev > ask.base_rev and not equal(item.fields.get(STATE), ours.get(STATE))


def asks_when(
    base: Mapping[str, Json], ours: Mapping[str, Json], theirs: Mapping[str, Json], policy: SyncPolicy
) -> bool:
    """Whether it matters when somebody changed a field: both sides have, and the newest change is to stand."""
    for name, value in ours.items():
        here, was = theirs.get(name), base.get(name)
        kind = kinds.kind_of(name, was, value, here)
        moved = not (equal(here, value) or equal(here, was) or equal(value, was))
        if moved and kinds.strategy_for(policy, name, kind) is FieldStrategy.NEWEST:
            return True
    return False


def changed_at(updates: Sequence[ItemUpdate]) -> dict[str, datetime]:
    """When each field was last changed, going by the entries of the history that changed it.

    The item's own date is no answer: it moves with every other field. An entry without a date leaves nothing known.
    """
    last = {name: one.revised_at for one in updates for name in one.changed}
    return {name: at for name, at in last.items() if at is not None}


def overtaken(
    base: Mapping[str, Json], ours: Mapping[str, Json], theirs: Mapping[str, Json], times: int
) -> tuple[FieldConflict, ...]:
    """What is asked about a write that others were faster than, time and again."""
    reason = f"others changed the item {times} times as it was to be written"
    return tuple(
        FieldConflict(field=name, base=base.get(name), ours=value, theirs=theirs.get(name), reason=reason)
        for name, value in ours.items()
    )


def outcomes(decided: Sequence[FieldConflict], written: Mapping[str, Json]) -> dict[str, str]:
    """How each conflict ended, going by what was written after the decision."""
    return {one.field: _outcome(one, written) for one in decided}


def _outcome(one: FieldConflict, written: Mapping[str, Json]) -> str:
    if one.field not in written or equal(written[one.field], one.theirs):
        return THEIRS
    if equal(written[one.field], one.ours):
        return OURS
    return BASE if equal(written[one.field], one.base) else MERGED


def _settle(one: FieldConflict, policy: SyncPolicy, around: Around) -> tuple[FieldConflict, Json]:
    """The conflict with its outcome, or open with the reason; and the value that stands."""
    kind = kinds.kind_of(one.field, one.base, one.ours, one.theirs)
    strategy = kinds.strategy_for(policy, one.field, kind)
    try:
        outcome, value = _by(strategy, kind, one, around.theirs_at.get(one.field), around.ours_at)
        if kind is FieldKind.STATE and outcome == OURS:
            _check_way(one, around)
    except Unsettled as reason:
        return one.model_copy(update={"strategy": strategy, "reason": str(reason)}), one.theirs
    return one.model_copy(update={"strategy": strategy, "outcome": outcome}), value


class Unsettled(ValueError):
    """The strategy cannot settle it: a human must. The text says why, empty where policy wants it so."""


def _by(
    strategy: FieldStrategy, kind: FieldKind, one: FieldConflict, theirs_at: datetime | None, ours_at: datetime | None
) -> tuple[str, Json]:
    match strategy:
        case FieldStrategy.REMOTE_WINS:
            return THEIRS, one.theirs
        case FieldStrategy.LOCAL_WINS:
            return OURS, one.ours
        case FieldStrategy.NEWEST:
            if ours_at is None or theirs_at is None:
                raise Unsettled("nobody knows which was meant later")
            return (OURS, one.ours) if ours_at > theirs_at else (THEIRS, one.theirs)
        case FieldStrategy.UNION:
            return MERGED, _union(kind, one)
        case FieldStrategy.TEXT_MERGE:
            return MERGED, _text(one)
    raise Unsettled("")


def _union(kind: FieldKind, one: FieldConflict) -> Json:
    """Tags of both, without those that one side took away; in the order of theirs, then of ours."""
    if kind is not FieldKind.TAGS:
        raise Unsettled(f"a union is of tags and links, and this is {kind}")
    was, mine, other = tags_of(one.base), tags_of(one.ours), tags_of(one.theirs)
    wanted = (mine | other) - (was - mine) - (was - other)
    spelled = {name.casefold(): name for name in reversed([*_names(one.theirs), *_names(one.ours)])}
    order = dict.fromkeys(name.casefold() for name in (*_names(one.theirs), *_names(one.ours)))
    return "; ".join(spelled[name] for name in order if name in wanted)


def _names(value: Json) -> list[str]:
    return [name.strip() for name in str(value or "").replace(",", ";").split(";") if name.strip()]


def _text(one: FieldConflict) -> Json:
    values = [value if value is not None else "" for value in (one.base, one.ours, one.theirs)]
    lines = [value for value in values if isinstance(value, str)]
    if len(lines) < len(values):
        raise Unsettled("it is no text")
    try:
        return texts.merged(*lines)
    except texts.Unmergeable as error:
        raise Unsettled(str(error)) from error


def _check_way(one: FieldConflict, around: Around) -> None:
    """From the state that is there, ours must be one step that the type allows."""
    if around.transitions is None:
        raise Unsettled("the transitions of its type are not known")
    steps = around.transitions.get(str(one.theirs or ""), ())
    if one.ours not in steps:
        raise Unsettled(
            f"there is no transition from {one.theirs} to {one.ours}; it leads to: {', '.join(sorted(steps)) or 'none'}"
        )
