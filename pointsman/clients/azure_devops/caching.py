"""What was read and may be used again: in memory, then in a layer that all processes share, then from the service.

Whoever asks says how old an answer may be, and gets none that was read earlier. An age counts from before the request
was sent. A write forgets what it changed; an answer that was on its way meanwhile is given to those who asked before,
and not kept. Clocks of hosts are taken to agree to a second.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar, cast

from pydantic import BaseModel, ValidationError

from pointsman.ports import Missing

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FRESH = timedelta()
"""The answer has to be asked for now."""
TYPES_AGE = timedelta(minutes=10)
"""What people change once in a while: types, fields, transitions, processes, identities."""
ENTRIES_MAX, BYTES_MAX = 4_096, 64 * 1024 * 1024
AnswerT = TypeVar("AnswerT", bound=BaseModel)


class Key(NamedTuple):
    """`scope` is whose answer it is: tenant, organisation, account. `kind` is forgotten, and counted, together."""

    scope: str
    kind: str
    name: str

    @property
    def whole_kind(self) -> "Key":
        """Under which it is kept that all of the kind was forgotten."""
        return self._replace(name="")


@dataclass(frozen=True)
class Kept:
    """An answer as JSON. Empty: there is no such thing; None: forgotten, and nothing older than `read_at` counts."""

    read_at: datetime
    body: str | None
    rev: int = 0
    """Of an item; 0 for what has none."""
    value: BaseModel | None = None
    """The same, read; only in memory."""
    missing: Missing | None = None
    """What the service said of what is not there; only in memory."""


class Layer(Protocol):
    """Keeps answers. Of two under one key the one that was read later stands. Fails no call: what cannot be is not."""

    name: str

    async def get(self, key: Key) -> Kept | None:
        """The answer, or that it was forgotten since, by itself or with its kind."""

    async def put(self, key: Key, kept: Kept) -> None: ...


class CacheObserver(Protocol):
    """Hears where answers came from, for metrics."""

    def found(self, kind: str, layer: str, age: timedelta) -> None:
        """In a layer, or `joined`: another caller was asking already."""

    def missed(self, kind: str) -> None: ...

    def saved(self, kind: str, calls: int) -> None:
        """Calls that would have been made otherwise."""


class Unwatched:
    def found(self, kind: str, layer: str, age: timedelta) -> None: ...
    def missed(self, kind: str) -> None: ...
    def saved(self, kind: str, calls: int) -> None: ...


class MemoryLayer:
    """Of one process. What was used longest ago goes first."""

    name = "memory"

    def __init__(self, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._entries_max, self._bytes_max = entries_max, bytes_max
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._forgotten: dict[Key, datetime] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: Key) -> Kept | None:
        kept, forgotten_at = self._kept.get(key), self._forgotten.get(key.whole_kind)
        if forgotten_at is not None and (kept is None or kept.read_at <= forgotten_at):
            return Kept(forgotten_at, None)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    async def put(self, key: Key, kept: Kept) -> None:
        if not key.name:  # few: one for each scope and kind
            self._forgotten[key] = max(kept.read_at, self._forgotten.get(key, EPOCH))
            return
        before = self._kept.get(key)
        if before is not None and before.read_at >= kept.read_at:
            return
        self._bytes += _size(key, kept) - (_size(key, before) if before else 0)
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > self._entries_max or self._bytes > self._bytes_max:
            gone, entry = self._kept.popitem(last=False)
            self._bytes -= _size(gone, entry)


@dataclass
class _Flight:
    """A request on its way, which others may wait for, too."""

    read_at: datetime
    answer: "asyncio.Task[Kept]"


class Cache:
    """Of one tenant; `layers` in the order in which they are asked. Values are shared: nobody may change one."""

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        tenant: str = "default",
        observer: CacheObserver | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.tenant = tenant
        self._layers = tuple(layers)
        self._observer = observer or Unwatched()
        self._now = now
        self._flights: dict[Key, _Flight] = {}

    async def get(
        self,
        key: Key,
        answer: type[AnswerT],
        load: Callable[[], Awaitable[AnswerT]],
        *,
        max_age: timedelta = FRESH,
        min_rev: int = 0,
        elsewhere: bool = False,
    ) -> AnswerT:
        """The answer, read at most `max_age` before now, and at `min_rev` or later.

        With `elsewhere` it counts, too, what other processes forgot since: one more look into the layers behind.

        Raises:
            Missing: there is no such thing, or there was none within `max_age`.
        """
        oldest = self._now() - max_age
        kept = await self._found(key, answer, oldest, min_rev, elsewhere) if max_age else None
        kept = kept or await self._joined(key, oldest, min_rev)
        if kept is not None:
            self._observer.saved(key.kind, 1)
        else:
            kept = await self._flown(key, load, bool(max_age))
        if kept.value is not None:
            return cast(AnswerT, kept.value)
        if kept.missing is not None:
            raise type(kept.missing)(str(kept.missing), kept.missing.code)
        raise Missing(f"{key.kind} {key.name}: there was none at {kept.read_at:%H:%M:%S}", code="KnownMissing")

    async def each(
        self,
        keys: Sequence[Key],
        answer: type[AnswerT],
        load: Callable[[Sequence[Key]], Awaitable[Mapping[Key, AnswerT]]],
        *,
        max_age: timedelta = FRESH,
        elsewhere: bool = False,
        at_once: int = 1,
    ) -> dict[Key, AnswerT]:
        """Those that there are, each as by `get`; one `load` brings all that are not kept, `at_once` with a call. They
        are kept in the first layer only: what comes by the hundred costs less to ask for again than to write."""
        oldest, found = self._now() - max_age, dict[Key, Kept]()
        for key in keys if max_age else ():
            if kept := await self._found(key, answer, oldest, 0, elsewhere):
                found[key] = kept
        left = [key for key in keys if key not in found]
        if spared := -(-len(keys) // at_once) + -len(left) // at_once:  # both rounded up
            self._observer.saved(keys[0].kind, spared)
        if left:
            read_at = self._now()
            loaded = await load(left)
            for key in left:
                self._observer.missed(key.kind)
                found[key] = _kept(read_at, loaded[key]) if key in loaded else Kept(read_at, "")
                await self._layers[0].put(key, found[key])
        return {key: cast(AnswerT, kept.value) for key, kept in found.items() if kept.value is not None}

    async def forget(self, scope: str, kind: str, name: str = "") -> None:
        """Nothing that was read until now counts any more; without a name, nothing of the kind."""
        key, now = Key(scope, kind, name), self._now()
        for one in [key] if name else [one for one in self._flights if one.whole_kind == key]:
            self._flights.pop(one, None)
        for layer in self._layers:
            await layer.put(key, Kept(now, None))

    async def _found(
        self, key: Key, answer: type[AnswerT], oldest: datetime, min_rev: int, elsewhere: bool = False
    ) -> Kept | None:
        now, forgotten_at = self._now(), EPOCH
        for place, layer in enumerate(self._layers):
            kept = await layer.get(key)
            if kept is not None and kept.body is None:
                forgotten_at = max(forgotten_at, kept.read_at)
            if kept is None or kept.body is None or kept.rev < min_rev:
                continue
            if not oldest <= kept.read_at <= now or kept.read_at <= forgotten_at:
                continue  # one that was read in the future was read under another clock
            if elsewhere and await self._overtaken_behind(place, key, kept):
                continue
            read = _read(answer, kept)
            if read is not None:
                self._observer.found(key.kind, layer.name, now - kept.read_at)
                await self._raise_up(key, read, layer)
                return read
        return None

    async def _overtaken_behind(self, place: int, key: Key, kept: Kept) -> bool:
        """Whether another process was told, after this was read, that it has changed. One that has read it again since
        has put its answer where it was kept as forgotten."""
        behind = [await layer.get(key) for layer in self._layers[place + 1 :]]
        return any(
            one is not None and (one.read_at > kept.read_at or (one.body is None and one.read_at == kept.read_at))
            for one in behind
        )

    async def _raise_up(self, key: Key, kept: Kept, found_in: Layer) -> None:
        """Into the layers that are asked before the one it was found in."""
        for layer in self._layers:
            if layer is found_in:
                return
            await layer.put(key, kept)

    async def _joined(self, key: Key, oldest: datetime, min_rev: int) -> Kept | None:
        flight = self._flights.get(key)
        if flight is None or flight.read_at < oldest:
            return None
        kept = await asyncio.shield(flight.answer)
        if kept.rev < min_rev:
            return None
        self._observer.found(key.kind, "joined", self._now() - kept.read_at)
        return kept

    async def _flown(self, key: Key, load: Callable[[], Awaitable[AnswerT]], is_for_all: bool) -> Kept:
        self._observer.missed(key.kind)
        read_at = self._now()
        flight = _Flight(read_at, asyncio.create_task(self._asked(key, read_at, load, is_for_all)))
        flight.answer.add_done_callback(_heard)
        self._flights[key] = flight
        return await asyncio.shield(flight.answer)

    async def _asked(
        self, key: Key, read_at: datetime, load: Callable[[], Awaitable[AnswerT]], is_for_all: bool
    ) -> Kept:
        """Ask the service. Kept for all only where somebody would have taken an older one: others ask anew anyway."""
        this = asyncio.current_task()
        try:
            kept = await _loaded(read_at, load)
            for layer in self._layers if is_for_all else self._layers[:1]:
                if (
                    flight := self._flights.get(key)
                ) and flight.answer is this:  # else it was forgotten, or asked again, meanwhile
                    await layer.put(key, kept)
            return kept
        finally:
            if (flight := self._flights.get(key)) and flight.answer is this:
                del self._flights[key]


async def _loaded(read_at: datetime, load: Callable[[], Awaitable[AnswerT]]) -> Kept:
    try:
        value = await load()
    except Missing as error:
        return Kept(read_at, "", missing=error)
    return _kept(read_at, value)


def _kept(read_at: datetime, value: BaseModel) -> Kept:
    rev = getattr(value, "rev", 0)
    return Kept(read_at, value.model_dump_json(by_alias=True), rev if isinstance(rev, int) else 0, value)


def _read(answer: type[AnswerT], kept: Kept) -> Kept | None:
    """With its value; None if it was kept by a version of the program that read it otherwise."""
    if kept.value is not None or not kept.body:
        return kept
    try:
        return replace(kept, value=answer.model_validate_json(kept.body))
    except ValidationError:
        return None


def _heard(task: "asyncio.Task[Kept]") -> None:
    """Whoever asked may have gone: an error that nobody takes is no news."""
    if not task.cancelled():
        task.exception()


def _size(key: Key, kept: Kept) -> int:
    return len(key.name) + len(kept.body or "")
