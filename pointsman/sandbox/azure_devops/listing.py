"""Lists in pages: by a token in a header, or by `$top` and `$skip`."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call, Reply

CONTINUATION = "x-ms-continuationtoken"
SKIP_DEFAULT = 100
EntryT = TypeVar("EntryT")


def by_token(call: Call, entries: Sequence[EntryT], shown: Callable[[EntryT], Json]) -> Reply:
    """The token is where the next page begins; there is none behind the last."""
    start = call.count("continuationToken", 0)
    end = start + at_most(call, call.count("$top", 0) or call.world.config.page_max)
    headers = {CONTINUATION: str(end)} if end < len(entries) else {}
    return Reply(_wrapped([shown(entry) for entry in entries[start:end]]), headers=headers)


def by_skip(call: Call, entries: Sequence[EntryT], shown: Callable[[EntryT], Json], prefix: str = "$") -> Reply:
    return Reply(_wrapped([shown(entry) for entry in entries[skipped(call, prefix=prefix)]]))


def skipped(call: Call, most: int = 0, prefix: str = "$") -> slice:
    """The entries that `$skip` and `$top` mean; `most` is as many as the list gives at once, 0 for as many as asked."""
    start, top = call.count(f"{prefix}skip", 0), call.count(f"{prefix}top", most or SKIP_DEFAULT)
    return slice(start, start + at_most(call, min(top, most) if most else top))


def at_most(call: Call, count: int) -> int:
    """As many entries as a page has where so many are asked for."""
    return min(count, call.world.config.page_max)


def in_one(entries: Sequence[EntryT], shown: Callable[[EntryT], Json]) -> Reply:
    return Reply(_wrapped([shown(entry) for entry in entries]))


def _wrapped(values: list[Json]) -> Json:
    return {"count": len(values), "value": values}
