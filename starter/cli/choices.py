"""Names that options choose by: those that exist are told where another was given."""

from collections.abc import Iterable
from difflib import get_close_matches

from starter.cli.errors import usage

NAMES_MAX = 20


def must_exist(what: str, told: str, known: Iterable[str], hint: str) -> None:
    """
    Raises:
        CliError: `told` is something, and none of them.
    """
    names = [str(one) for one in known]
    if told and told not in names:
        near = get_close_matches(told, names, n=1)
        meant = f"; is {near[0]!r} meant?" if near else ";"
        raise usage(f"there is no {what} {told!r}{meant} there are: {', '.join(names)}", hint)


def one_format(told: str, usual: str, *, as_json: bool, hint: str) -> str:
    """What `--format` and `--json` come to.

    Raises:
        CliError: two formats are named.
    """
    if as_json and told not in (usual, "json"):
        raise usage(f"--json and --format {told} are two formats: name one. Nothing was read.", hint)
    return "json" if as_json else told


def nothing_of(what: str, told: str, seen: Iterable[str]) -> str:
    """What is said beside an empty list that was asked for by a name which anybody may make up."""
    names = sorted(filter(None, seen))  # what nobody could read has none
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    there = f"seen so far: {', '.join(names[:NAMES_MAX])}{more}" if names else "none has been seen so far"
    return f"nothing of {what} {told!r}; {there}"
