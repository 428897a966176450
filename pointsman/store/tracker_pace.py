"""One account's pace at an organisation in the store, so that all processes together keep to it.

A process leases places for calls, asks for them anew while it has calls under way, and hears with each answer how long
the service wants no call. Clocks of hosts are taken to agree to a second.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, delete, select

from pointsman.domain.shares import Demand, fair_shares
from pointsman.domain.texts import clean
from pointsman.store.columns import EPOCH, utc_now
from pointsman.store.engine import Store
from pointsman.store.inserts import Insert
from pointsman.store.tables import metadata

LEASE = timedelta(seconds=5)

_PACE, _LEASE = metadata.tables["tracker_pace"], metadata.tables["tracker_lease"]
_new = Insert(_PACE, ("account", "not_before"), ignore_conflicts=True)
_moved = Insert(
    _PACE, ("account", "not_before"), then="ON CONFLICT (account) DO UPDATE SET not_before = excluded.not_before"
)
_held = Insert(
    _LEASE,
    ("account", "holder", "urgent", "bulk", "places", "expires_at"),
    then="ON CONFLICT (account, holder) DO UPDATE SET urgent = excluded.urgent, bulk = excluded.bulk, "
    "places = excluded.places, expires_at = excluded.expires_at",
)


class _Ask(NamedTuple):
    account: str
    holder: str
    demand: Demand
    taken: int
    places: int
    """How many there are for all."""
    now: datetime


class _Told(NamedTuple):
    account: str
    until: datetime


class _Held(NamedTuple):
    demand: Demand
    places: int


class StoreSharedPace:
    """`clients.azure_devops.pacing.SharedPace` over the store, for one process and one account."""

    def __init__(self, store: Store, account: str, places: int, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._account = clean(account)
        self._places = places
        self._now = now
        self._holder = uuid4().hex

    async def renew(self, urgent: int, bulk: int, taken: int) -> tuple[int, timedelta]:
        """As the protocol says. One short transaction, which waits for no disk."""
        ask = _Ask(self._account, self._holder, Demand(urgent, bulk), taken, self._places, self._now())
        return await self._store.write_each(_renew, ask, is_quick=True)

    async def told(self, pause: timedelta) -> None:
        """As the protocol says. The longest that any process was told stands."""
        await self._store.write_each(_tell, _Told(self._account, self._now() + pause), is_quick=True)


class StorePaceBeside:
    """The same for who may only look, as a command beside a service that has SQLite's file: it takes what the services
    leave, which is one place at the least, and waits when they were told to. They do not hear of it."""

    def __init__(self, store: Store, account: str, places: int, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._account = clean(account)
        self._places = places
        self._now = now

    async def renew(self, urgent: int, bulk: int, taken: int) -> tuple[int, timedelta]:
        """As the protocol says, but nothing is leased."""
        ask = _Ask(self._account, "beside", Demand(urgent, bulk), taken, self._places, self._now())
        return await self._store.read(lambda session: _left(session.connection(), ask))

    async def told(self, pause: timedelta) -> None:
        """Others hear it from the service, with their next call."""


def _left(connection: Connection, ask: _Ask) -> tuple[int, timedelta]:
    not_before = connection.execute(select(_PACE.c.not_before).where(_PACE.c.account == ask.account)).scalar()
    places = granted(ask.holder, ask.demand, _others(connection, ask), ask.places)
    return max(places, 1), max((not_before or EPOCH) - ask.now, timedelta())


def _renew(connection: Connection, asks: Sequence[_Ask]) -> list[tuple[int, timedelta]]:
    not_before = _locked(connection, {ask.account for ask in asks})
    given = []
    for ask in asks:
        pause = max(not_before[ask.account] - ask.now, timedelta())
        given.append((_leased(connection, ask), pause))
    return given


def _tell(connection: Connection, all_told: Sequence[_Told]) -> list[None]:
    not_before = _locked(connection, {told.account for told in all_told})
    for told in all_told:
        not_before[told.account] = max(not_before[told.account], told.until)
    _moved.rows(connection, sorted(not_before.items()))
    return [None] * len(all_told)


def _locked(connection: Connection, accounts: set[str]) -> dict[str, datetime]:
    """Until when each account is to wait. Nobody else changes it or its leases until the end of the transaction."""
    query = select(_PACE).where(_PACE.c.account.in_(accounts)).order_by(_PACE.c.account).with_for_update()
    found = {row[0]: row[1] for row in connection.execute(query)}
    if missing := accounts - found.keys():
        _new.rows(connection, [(account, EPOCH) for account in sorted(missing)])
        found = {row[0]: row[1] for row in connection.execute(query)}
    return found


def _leased(connection: Connection, ask: _Ask) -> int:
    """Places that are the asker's from now on; none are wanted, all go back."""
    ours = _LEASE.c.account == ask.account
    if ask.demand == Demand() and not ask.taken:
        connection.execute(delete(_LEASE).where(ours, _LEASE.c.holder == ask.holder))
        return 0
    places = granted(ask.holder, ask.demand, _others(connection, ask), ask.places)
    held = max(places, ask.taken)  # calls under way above that go to their end, and no more begin
    row = (ask.account, ask.holder, ask.demand.urgent, ask.demand.bulk, held, ask.now + LEASE)
    _held.rows(connection, [row])
    connection.execute(delete(_LEASE).where(ours, _LEASE.c.expires_at <= ask.now))
    return places


def _others(connection: Connection, ask: _Ask) -> Mapping[str, _Held]:
    theirs = (_LEASE.c.account == ask.account, _LEASE.c.holder != ask.holder, _LEASE.c.expires_at > ask.now)
    found = connection.execute(select(_LEASE).where(*theirs))
    return {row.holder: _Held(Demand(row.urgent, row.bulk), row.places) for row in found}


def granted(holder: str, demand: Demand, others: Mapping[str, _Held], places: int) -> int:
    """A fair share, and half of what nobody wants, as far as others do not hold it still.

    The other half stays for whoever comes, who then need not wait until somebody gives back.
    """
    shares = fair_shares({holder: demand, **{name: held.demand for name, held in others.items()}}, places)
    free = places - sum(held.places for held in others.values())
    kept = sum(max(held.places, shares[name]) for name, held in others.items())
    spare = max(places - kept - shares[holder], 0)
    return max(min(shares[holder] + (spare + 1) // 2, free), 0)
