"""Requests and tokens per minute in the store, so that all processes together keep within them.

A bucket is one moment: when it will be full again (the virtual schedule of GCRA, ITU-T I.371). What is taken moves it
on; whoever would move it further than a minute ahead waits. Clocks of hosts are taken to agree to a second.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, select

from pointsman.domain.texts import clean
from pointsman.llm.errors import BooksUnavailableError
from pointsman.llm.limits import MINUTE, RateLimit
from pointsman.ports import Unavailable
from pointsman.store.columns import EPOCH, utc_now
from pointsman.store.engine import Store
from pointsman.store.inserts import Insert
from pointsman.store.tables import metadata

LOG = logging.getLogger(__name__)
AGAIN_SECONDS = 1.0
_FULL = timedelta(seconds=MINUTE)

_RATE = metadata.tables["llm_rate"]
_COLUMNS = ("provider", "requests_full_at", "tokens_full_at", "not_before")
_new = Insert(_RATE, _COLUMNS, ignore_conflicts=True)
_changed = Insert(
    _RATE,
    _COLUMNS,
    then="ON CONFLICT (provider) DO UPDATE SET requests_full_at = excluded.requests_full_at, "
    "tokens_full_at = excluded.tokens_full_at, not_before = excluded.not_before",
)


class _Rate(NamedTuple):
    """How far a provider is used up, in the order of the table."""

    requests_full_at: datetime = EPOCH
    tokens_full_at: datetime = EPOCH
    not_before: datetime = EPOCH


class _Call(NamedTuple):
    """One that wants to go out, or one after which the provider wants none for a time."""

    provider: str
    now: datetime
    tokens: int
    limit: RateLimit
    not_before: datetime = EPOCH


class StoreRateLimits:
    """`llm.limits.RateLimits` over the store.

    Where a provider has a limit, each call is a short transaction. Where it has none, what the provider itself wants
    is looked up once a second: that late does a process hear what another was told.
    """

    def __init__(
        self,
        store: Store,
        limits: Mapping[str, RateLimit] | None = None,
        now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._limits = dict(limits or {})
        self._now = now
        self._monotonic = monotonic
        self._looked_at: dict[str, float] = {}
        self._not_before: dict[str, datetime] = {}

    async def take(self, provider: str, tokens: int) -> float:
        """As the protocol says.

        Raises:
            BooksUnavailableError: the database cannot now.
        """
        name = clean(provider)
        try:
            if limit := self._limits.get(provider):
                return await self._taken(_Call(name, self._now(), tokens, limit))
            await self._look(name)
        except Unavailable as error:
            raise BooksUnavailableError(
                f"whether {provider} may be asked now could not be looked up: {error} Nothing was sent.",
                provider=provider,
            ) from error
        return self._wanted(name)

    async def limited(self, provider: str, wait: timedelta) -> None:
        """As the protocol says. Where the database cannot now, this process knows it nevertheless."""
        name, now = clean(provider), self._now()
        until = max(now + wait, self._not_before.get(name, EPOCH))
        self._not_before[name] = until
        try:
            await self._store.write_each(_limit, _Call(name, now, 0, RateLimit(), until), is_quick=True)
        except Unavailable as error:
            LOG.error("other processes do not hear that %s wants no call for %s: %s", provider, wait, error)

    async def _taken(self, call: _Call) -> float:
        return self._wanted(call.provider) or await self._store.write_each(_take, call, is_quick=True)

    async def _look(self, name: str) -> None:
        now = self._monotonic()
        if now - self._looked_at.get(name, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return
        self._looked_at[name] = now
        query = select(_RATE.c.not_before).where(_RATE.c.provider == name)
        told: datetime | None = await self._store.read(lambda session: session.scalar(query))
        self._not_before[name] = max(self._not_before.get(name, EPOCH), told or EPOCH)

    def _wanted(self, name: str) -> float:
        """Seconds for which the provider wants no call, as far as this process has heard."""
        return max(0.0, (self._not_before.get(name, EPOCH) - self._now()).total_seconds())


def _take(connection: Connection, calls: Sequence[_Call]) -> list[float]:
    rates = _locked(connection, {call.provider for call in calls})
    before = dict(rates)
    waits = []
    for call in calls:
        rates[call.provider], wait = _after(rates[call.provider], call)
        waits.append(wait)
    _write(connection, {name: rate for name, rate in rates.items() if rate != before[name]})
    return waits


def _limit(connection: Connection, calls: Sequence[_Call]) -> list[None]:
    rates = _locked(connection, {call.provider for call in calls})
    for call in calls:
        rate = rates[call.provider]
        rates[call.provider] = rate._replace(not_before=max(rate.not_before, call.not_before))
    _write(connection, rates)
    return [None] * len(calls)


def _after(rate: _Rate, call: _Call) -> tuple[_Rate, float]:
    """How the provider stands after the call, or as it stands with the seconds after which to ask again."""
    requests_full_at = _moved(rate.requests_full_at, call.now, 1, call.limit.requests_per_minute)
    tokens_full_at = _moved(rate.tokens_full_at, call.now, call.tokens, call.limit.tokens_per_minute)
    free_at = max(requests_full_at - _FULL, tokens_full_at - _FULL, rate.not_before)
    if free_at > call.now:
        return rate, (free_at - call.now).total_seconds()
    return rate._replace(requests_full_at=requests_full_at, tokens_full_at=tokens_full_at), 0.0


def _moved(full_at: datetime, now: datetime, amount: int, per_minute: int | None) -> datetime:
    """When the bucket is full again after `amount` is taken; a call larger than it takes all of it."""
    if per_minute is None:
        return full_at
    return max(full_at, now) + _FULL * (min(amount, per_minute) / per_minute)


def _locked(connection: Connection, names: set[str]) -> dict[str, _Rate]:
    """The rows of the providers, which nobody else changes until the end of the transaction."""
    query = select(_RATE).where(_RATE.c.provider.in_(names)).order_by(_RATE.c.provider).with_for_update()
    found = {row[0]: _Rate(*row[1:]) for row in connection.execute(query)}
    if missing := names - found.keys():
        _new.rows(connection, [(name, *_Rate()) for name in sorted(missing)])
        found = {row[0]: _Rate(*row[1:]) for row in connection.execute(query)}
    return found


def _write(connection: Connection, rates: Mapping[str, _Rate]) -> None:
    _changed.rows(connection, [(name, *rate) for name, rate in sorted(rates.items())])
