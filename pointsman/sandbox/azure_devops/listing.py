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
    page_max = call.world.config.page_max
    start = call.count("continuationToken", 0)
    end = start + min(call.count("$top", page_max) or page_max, page_max)
    headers = {CONTINUATION: str(end)} if end < len(entries) else {}
    return Reply(_wrapped([shown(entry) for entry in entries[start:end]]), headers=headers)


def by_skip(call: Call, entries: Sequence[EntryT], shown: Callable[[EntryT], Json], prefix: str = "$") -> Reply:
    start = call.count(f"{prefix}skip", 0)
    end = start + call.count(f"{prefix}top", SKIP_DEFAULT)
    return Reply(_wrapped([shown(entry) for entry in entries[start:end]]))


def in_one(entries: Sequence[EntryT], shown: Callable[[EntryT], Json]) -> Reply:
    return Reply(_wrapped([shown(entry) for entry in entries]))


def _wrapped(values: list[Json]) -> Json:
    return {"count": len(values), "value": values}
