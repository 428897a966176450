"""Reading JSON that others wrote, leniently: a part that is missing or of another kind is empty, and nothing raises.

Keys are found in any case, numbers may be text, identities may be text or objects. Short text is cut and freed of
control characters, because it goes into columns, labels and logs.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from pointsman.contracts.base import Json
from pointsman.domain.organisations import organisation_of

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
IDENTITY = re.compile(r"<([^<>]+)>\s*$")
INT32_MAX, INT64_MAX = 2**31 - 1, 2**63 - 1
TEXT_CHARS, ID_CHARS, URL_CHARS = 200, 100, 2_000
# .NET writes its smallest time where there is none, and a GUID of zeros where there is no id.
NO_YEAR, NO_GUID = 1, "00000000-0000-0000-0000-000000000000"

Object = Mapping[str, Json]


def get(mapping: Object, name: str) -> Json:
    """The value under `name` in any case; the exact spelling wins, then the first in order of spelling."""
    if name in mapping:
        return mapping[name]
    folded = name.casefold()
    alike = [key for key in mapping if key.casefold() == folded]
    return mapping[min(alike)] if alike else None


def objects(value: Json) -> Object:
    return value if isinstance(value, dict) else {}


def inner(mapping: Object, *path: str) -> Object:
    """The object at the end of the path, empty where there is none."""
    for name in path:
        mapping = objects(get(mapping, name))
    return mapping


def each(value: Json) -> list[Object]:
    """Objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def whole(value: Json, most: int = INT32_MAX) -> int:
    """A number from 1 to `most`, which may be told as text; 0 for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(most)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 1 <= value <= most else 0


def number_in(pattern: re.Pattern[str], url: Json) -> int:
    found = pattern.search(text(url, URL_CHARS))
    return whole(found[1]) if found else 0


def text(value: Json, chars: int = TEXT_CHARS) -> str:
    """One short line."""
    if not isinstance(value, str):
        return ""
    return (value if value.isprintable() else UNPRINTABLE.sub("", value))[:chars].strip()


def string(value: Json) -> str:
    return value if isinstance(value, str) else ""


def name_or_number(value: Json) -> str:
    """An id as text: a GUID, a number or a word. Zero in either form is none."""
    told = text(value, ID_CHARS)
    number = whole(value, INT64_MAX)
    return str(number) if number else "" if told in ("0", NO_GUID) else told


def truth(value: Json) -> bool:
    return value is True or (isinstance(value, str) and value.casefold() == "true")


def moment(value: Json) -> datetime | None:
    """A time in UTC, without what is beyond microseconds. A time without zone is taken for UTC."""
    with suppress(ValueError, OverflowError):
        told = datetime.fromisoformat(text(value, ID_CHARS))
        if told.year > NO_YEAR:
            return told.replace(tzinfo=told.tzinfo or UTC).astimezone(UTC)
    return None


def identity(value: Json) -> str:
    """Unique name out of `Ada <ada@x.org>` or an identity object, whose names may hold that form again."""
    if isinstance(value, dict):
        names = (get(value, "uniqueName"), get(value, "name"), get(value, "displayName"))
        return next((name for one in names if isinstance(one, str) and (name := identity(one))), "")
    told = text(value)
    bracketed = IDENTITY.search(told)
    return bracketed[1].strip() if bracketed else told


def as_written(value: Json) -> Json:
    """As people write it: an identity object by its name, anything else as it is."""
    return (identity(value) or value) if isinstance(value, dict) else value


def organisation_in(urls: Iterable[Json]) -> str:
    """The organisation of the first URL that has one."""
    for url in urls:
        with suppress(ValueError):
            return text(organisation_of(text(url, URL_CHARS)))
    return ""


def json_type(value: Json) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "an array")
