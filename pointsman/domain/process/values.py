"""What fields say, as rules compare it: text without regard to case, people by their unique name."""

from collections.abc import Iterable, Mapping

from pointsman.contracts.base import Json
from pointsman.domain.loose import identity
from pointsman.domain.markup import flat

NOTHING = ("", "0001-01-01T00:00:00Z")


def said(value: Json) -> str:
    """One line: the text of HTML, the unique name of a person, a number in figures."""
    match value:
        case None:
            return ""
        case bool():
            return "Yes" if value else "No"
        case str():
            return flat(value) or ("a picture" if "<img" in value.casefold() else "")
        case dict():
            return identity(value)
        case list():
            return ", ".join(map(said, value))
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def person(value: Json) -> str:
    """Unique name of whoever an identity field names, in small letters."""
    return identity(value).casefold()


def is_filled(value: Json, empty: Iterable[str] = ()) -> bool:
    told = said(value).casefold()
    return told not in NOTHING and told not in {one.casefold() for one in empty}


def is_one_of(value: Json, allowed: Iterable[str]) -> bool:
    return said(value).casefold() in {one.casefold() for one in allowed}


def all_say(fields: Mapping[str, Json], wanted: Mapping[str, Iterable[str]]) -> bool:
    return all(is_one_of(fields.get(name), allowed) for name, allowed in wanted.items())


def among(name: str, names: Iterable[str]) -> bool:
    """Whether it is one of them; none take any."""
    known = {one.casefold() for one in names}
    return not known or name.casefold() in known
