"""Clients of providers: made when first wanted, one for each provider and key, and a bounded number of them."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from pydantic import SecretStr

from pointsman.llm.client import LLMClient
from pointsman.llm.errors import AuthenticationError
from pointsman.llm.imports import collector_paused
from pointsman.llm.keys import Keys, how_to_set, limit_of

CLIENTS_MAX = 64

Factory = Callable[[SecretStr], LLMClient]


class Closable(Protocol):
    async def aclose(self) -> None: ...


Client = TypeVar("Client", bound=Closable)


@dataclass
class _Entry(Generic[Client]):
    name: str
    client: Client
    loop: asyncio.AbstractEventLoop
    users: int = 0
    is_leaving: bool = False


class Pool(Generic[Client]):
    """`factories` make a provider's client from a key. They import its SDK, so nobody pays for what is not used.

    `load` imports it before that, in a thread: it takes seconds on a busy machine, in which the loop has other calls.
    """

    def __init__(
        self,
        keys: Keys,
        factories: Mapping[str, Callable[[SecretStr], Client]],
        clients_max: int = CLIENTS_MAX,
        load: Callable[[str], None] | None = None,
    ) -> None:
        self._keys = keys
        self._load = load
        self._loaded: set[str] = set()
        self._factories = dict(factories)
        self._clients_max = clients_max
        self._entries: OrderedDict[str, _Entry[Client]] = OrderedDict()
        self._endings: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None]] = WeakKeyDictionary()

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(self._factories)

    @asynccontextmanager
    async def lease(self, provider: str, tenant: str = "", user: str = "") -> AsyncGenerator[tuple[str, Client]]:
        """The client, and the name of its circuit: provider and key, without the key.

        Raises:
            AuthenticationError: there is no key, or no such provider.
        """
        entry = await self._entry(provider, tenant, user)
        entry.users += 1
        try:
            yield entry.name, entry.client
        finally:
            entry.users -= 1
            if entry.is_leaving and not entry.users:
                await entry.client.aclose()

    async def limit(self, provider: str, tenant: str = "", user: str = "") -> str:
        """What rate limits of this caller's key go by.

        Raises:
            AuthenticationError: there is no key, or no such provider.
        """
        return limit_of((await self._entry(provider, tenant, user)).name)

    async def aclose(self) -> None:
        """Close every client; calls under way fail."""
        entries, self._entries = self._entries, OrderedDict()
        for entry in entries.values():
            await _close(entry)

    async def _entry(self, provider: str, tenant: str, user: str) -> _Entry[Client]:
        if provider not in self._factories:
            known = ", ".join(sorted(self._factories)) or "none"
            raise AuthenticationError(
                f"no provider {provider!r} is set up{how_to_set(provider)}; there are: {known}. Nothing was sent.",
                provider=provider,
            )
        key = await self._keys.find(provider, tenant, user)
        if self._load is not None and provider not in self._loaded:
            await asyncio.to_thread(self._load, provider)
            self._loaded.add(provider)
        # By what the key is, not by its name: a key that was replaced under its name is another one.
        place = f"{provider}:{sha256(key.secret.get_secret_value().encode()).hexdigest()}"
        entry, loop = self._entries.get(place), asyncio.get_running_loop()
        # Connections belong to the loop that opened them: a script that runs a second one gets others.
        if entry is None or entry.loop is not loop:
            with collector_paused():  # the first client of a provider imports its SDK
                client = self._factories[provider](key.secret)
            entry = _Entry(f"{provider}/{key.name}", client, loop)
            self._entries[place] = entry
            await self._end_with(loop)
        self._entries.move_to_end(place)
        await self._shrink()
        return entry

    async def _end_with(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop's clients closed when `asyncio.run` ends it, for scripts that do not close the pool."""
        if loop not in self._endings:
            self._endings[loop] = ending = self._open_until_closed(loop)
            await anext(ending)

    async def _open_until_closed(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        try:
            yield  # until the loop closes what generators are open at its end
        finally:
            for place in [place for place, entry in self._entries.items() if entry.loop is loop]:
                await _close(self._entries.pop(place))

    async def _shrink(self) -> None:
        while len(self._entries) > self._clients_max:
            _, oldest = self._entries.popitem(last=False)
            oldest.is_leaving = True
            if not oldest.users:
                await _close(oldest)


class ClientPool(Pool[LLMClient]):
    """Of clients that answer."""


async def _close(entry: _Entry[Client]) -> None:
    """A loop that is over has taken its connections with it."""
    if entry.loop is asyncio.get_running_loop():
        await entry.client.aclose()
