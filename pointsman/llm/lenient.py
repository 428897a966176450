"""JSON of a provider, read leniently: what is missing, new or of another kind is as if it were not there."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from math import isfinite

from pointsman.contracts.base import Json
from pointsman.llm.structured import clean


def objects(value: Json) -> Iterator[Mapping[str, Json]]:
    """The JSON objects of a list, if it is one."""
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, dict))


def object_of(value: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def text_of(value: Mapping[str, Json], key: str) -> str:
    found = value.get(key)
    return clean(found) if isinstance(found, str) else ""


def count_of(value: Mapping[str, Json], key: str) -> int:
    """A count, never negative."""
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found):
        return 0
    return max(0, int(found))


def flags_of(value: Mapping[str, Json], names: Mapping[str, str]) -> dict[str, bool]:
    """What a list of abilities says of each of `names` (ours to theirs): true, false, or an object that says so."""
    found = {ours: value.get(theirs) for ours, theirs in names.items()}
    told = {ours: flag.get("supported") if isinstance(flag, dict) else flag for ours, flag in found.items()}
    return {ours: flag for ours, flag in told.items() if isinstance(flag, bool)}


def date_of(value: Mapping[str, Json], key: str) -> date | None:
    """A day, from its name (ISO 8601, with a time or without) or from seconds since 1970."""
    found = value.get(key)
    try:
        if isinstance(found, str):
            return datetime.fromisoformat(found).date()
        if isinstance(found, int | float) and not isinstance(found, bool):
            return datetime.fromtimestamp(found, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None
    return None
