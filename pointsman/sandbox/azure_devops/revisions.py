"""Revisions of an item, each whole for whoever reads it, kept as what it differs in from the next.

An item has fifty fields and a revision changes ten of them: a large world would not fit into memory otherwise.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import overload

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.config import Identity

Value = Json | Identity
Fields = dict[str, Value]


def different(before: Fields, after: Fields, among: Sequence[str] = ()) -> list[str]:
    """Names of the fields that two revisions have different values of, among some or all. What stayed is mostly the
    same object."""
    if among:
        return [name for name in among if (old := before.get(name)) is not (new := after.get(name)) and old != new]
    names = [name for name, old in before.items() if (new := after.get(name)) is not old and new != old]
    return names + [name for name, new in after.items() if new is not None and name not in before]


class Revisions:
    """`newest` is the last revision as it stands; the service adds to it when the next one supersedes it."""

    __slots__ = ("_back", "newest")

    def __init__(self) -> None:
        self.newest: Fields = {}
        self._back: list[Fields] = []

    def __len__(self) -> int:
        return len(self._back) + 1 if self.newest else 0

    def __iter__(self) -> Iterator[Fields]:
        return iter([*reversed(list(self._backwards()))])

    @overload
    def __getitem__(self, place: int) -> Fields: ...
    @overload
    def __getitem__(self, place: slice) -> list[Fields]: ...
    def __getitem__(self, place: int | slice) -> Fields | list[Fields]:
        """Cheap near the newest: whatever is older is worked out from there."""
        if isinstance(place, slice):
            return list(self)[place]
        back = -place - 1 if place < 0 else len(self) - 1 - place
        if not 0 <= back < len(self):
            raise IndexError(f"no revision {place} among {len(self)}")
        return next(islice(self._backwards(), back, None))

    def append(self, fields: Fields, names: Iterable[str]) -> None:
        """`names` are those of the fields in which it differs from the newest."""
        if self.newest:
            self._back.append({name: self.newest.get(name) for name in names})
        self.newest = fields

    def _backwards(self) -> Iterator[Fields]:
        if not self.newest:
            return
        fields = self.newest
        yield fields
        for older in reversed(self._back):
            fields = {name: value for name, value in {**fields, **older}.items() if value is not None}
            yield fields
