"""Three ways to one value, field by field: the snapshot that a proposal was made from, ours, and what is there now."""

from collections.abc import Collection, Mapping

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.lifecycle import FieldConflict
from pointsman.domain.echoes import alike, equal, tags_of


class Merged(Contract):
    """What is left to write, and where somebody else decided otherwise."""

    fields: dict[str, Json]
    tags: tuple[str, ...]
    conflicts: tuple[FieldConflict, ...] = ()


def merge(
    base: Mapping[str, Json],
    ours: Mapping[str, Json],
    theirs: Mapping[str, Json],
    tags: Collection[str] = (),
    force: Collection[str] = (),
) -> Merged:
    """Merge what we want to write into what is there.

    A field that nobody else touched takes our value; one that already has it needs no write; one that changed to
    something else is a conflict, unless a human put it into `force`. Tags are only added, so they never conflict.
    Whether somebody touched a field is told strictly, markup included, so that nobody's work is overwritten.
    """
    fields: dict[str, Json] = {}
    conflicts: list[FieldConflict] = []
    for field, value in ours.items():
        here = theirs.get(field)
        if equal(here, value):
            continue
        if equal(here, base.get(field)) or field in force:
            fields[field] = value
        elif not alike(value, here):
            conflicts.append(FieldConflict(field=field, base=base.get(field), ours=value, theirs=here))
    present = tags_of(theirs.get("System.Tags"))
    missing = tuple(tag for tag in tags if tag.strip().casefold() not in present)
    return Merged(fields=fields, tags=missing, conflicts=tuple(conflicts))
