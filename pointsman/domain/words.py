"""Numbers and names as people say them."""

from collections.abc import Iterable

SIBILANTS = ("s", "x", "z", "ch", "sh", "echo")  # the last because it ends as they do: echoes


def how_many(count: int, noun: str) -> str:
    """`1 row`, `2 rows`, `1,000 queries`: the noun is given for one, and its last word is counted."""
    return f"{count:,} {noun if count == 1 else _many(noun)}"


def _many(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(SIBILANTS) else f"{noun}s"


def joined(names: Iterable[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    *before, end = list(names) or [""]
    return f"{', '.join(before)} {last} {end}" if before else end
