"""The ledger of model calls, in the database's own words: a row for each attempt, and the sums of each account.

Everything that changes both takes rows of the ledger before those of accounts, and each kind in order of its key: so
transactions wait for each other in turn, and never in a circle.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import Connection

from pointsman.llm.budgets import Claim, Period, Scope, Spending, Spent, parts_of
from pointsman.llm.types import TokenUsage
from pointsman.store import statements
from pointsman.store.columns import microseconds
from pointsman.store.inserts import Insert, Row, arrays, unnested
from pointsman.store.tables import metadata

OPEN, SETTLED, EXPIRED = "open", "settled", "expired"
NANO = 9
EXPIRED_AT_ONCE_MAX = 200
# No call comes near these; a provider that tells nonsense must not make a sum that the database cannot hold.
TOKENS_MAX, NANO_USD_MAX = 10**12, 10**15
_NOTHING = Decimal(0)

Account = tuple[Scope, str]
# Of an entry's accounts, those that have columns of their own, in this order.
_NAMED = (Scope.TENANT, Scope.USER, Scope.SESSION, Scope.WORK_ITEM, Scope.BUDGET)


def nano_usd(cost_usd: Decimal) -> int:
    """In billionths of a USD. A fraction of one is rounded up: what is billed is never more than what is counted."""
    return min(int(cost_usd.scaleb(NANO).to_integral_value(ROUND_CEILING)), NANO_USD_MAX)


def usd(nano: int) -> Decimal:
    """Exactly, without zeros at the end."""
    if not nano:
        return _NOTHING
    told = Decimal(nano).scaleb(-NANO).normalize()
    return told.quantize(Decimal(1)) if told == told.to_integral_value() else told


class Entry(NamedTuple):
    """A reservation that is asked for."""

    id: str
    at: datetime
    expires_at: datetime
    claim: Claim


class Settlement(NamedTuple):
    """What a reservation came to."""

    id: str
    at: datetime
    usage: TokenUsage
    cost_usd: Decimal
    outcome: str


@dataclass
class Change:
    """Of an account: tokens and billionths of a USD, reserved and spent."""

    reserved_tokens: int = 0
    reserved_nano_usd: int = 0
    tokens: int = 0
    nano_usd: int = 0


_ENTRY_COLUMNS = (
    *("id", "at", "expires_at", "state", "outcome", "accounts", "tenant", "user_id", "session_id", "work_item"),
    *(
        "budget",
        "correlation_id",
        "source_agent",
        "provider",
        "model",
        "price_version",
        "reserved_tokens",
        "reserved_nano_usd",
    ),
    *("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "nano_usd"),
)
_LEDGER = metadata.tables["llm_ledger"]
_entries = Insert(_LEDGER, _ENTRY_COLUMNS, as_arrays=True)

_SUMS = ("reserved_tokens", "reserved_nano_usd", "tokens", "nano_usd")
_ACCOUNT_COLUMNS = (
    *("scope", "account", *_SUMS, "month", "month_tokens", "month_nano_usd", "day", "day_tokens", "day_nano_usd"),
)


def _added() -> str:
    """Adds to the row of an account; a month or day later than the one it tells of begins at nothing.

    A process whose clock is behind cannot bring an earlier period back.
    """
    sums = [f"{name} = llm_account.{name} + excluded.{name}" for name in _SUMS]
    periods = [
        f"{name} = excluded.{name} + CASE WHEN excluded.{period} > llm_account.{period} THEN 0 "
        f"ELSE llm_account.{name} END"
        for period in ("month", "day")
        for name in (f"{period}_tokens", f"{period}_nano_usd")
    ]
    latest = [
        f"{period} = CASE WHEN excluded.{period} > llm_account.{period} THEN excluded.{period} "
        f"ELSE llm_account.{period} END"
        for period in ("month", "day")
    ]
    return (
        f"ON CONFLICT (scope, account) DO UPDATE SET {', '.join([*sums, *periods, *latest])} "
        f"RETURNING {', '.join(_ACCOUNT_COLUMNS)}"
    )


_accounts = Insert(metadata.tables["llm_account"], _ACCOUNT_COLUMNS, then=_added(), as_arrays=True)

_SETTLED = (
    *("ended_at", "outcome", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "nano_usd", "id"),
)


def _ending(assigned: str, source: str, whose: str) -> str:
    """Closes what is open, and gives back what it held and came to."""
    values = ", ".join(f"{name} = {assigned.format(name)}" for name in _SETTLED[:-1])
    back = f"accounts, reserved_tokens, reserved_nano_usd, {whose}total_tokens, {whose}nano_usd"
    closed = f"UPDATE llm_ledger SET state = 'settled', {values}"  # noqa: S608 - all names are ours
    return f"{closed} {source} AND state = 'open' RETURNING {back}"


_SETTLE = _ending("?", "WHERE id = ?", "")
# All at once: each statement is a way to the server and back, which the calls that wait for it have to wait for.
_TOLD = f"FROM {unnested(_LEDGER, _SETTLED)} AS told ({', '.join(_SETTLED)})"
_SETTLE_POSTGRESQL = _ending("told.{}", f"{_TOLD} WHERE llm_ledger.id = told.id", "told.")
_EXPIRE = (
    "UPDATE llm_ledger SET state = 'expired', ended_at = expires_at, outcome = 'expired', "
    "total_tokens = reserved_tokens, nano_usd = reserved_nano_usd WHERE id IN "
    "(SELECT id FROM llm_ledger WHERE state = 'open' AND expires_at <= ? ORDER BY id LIMIT ?) "
    "RETURNING accounts, reserved_tokens, reserved_nano_usd"
)
# Another process may be about to settle a row: it is left to that one.
_EXPIRE_POSTGRESQL = _EXPIRE.replace("LIMIT ?", "LIMIT ? FOR UPDATE SKIP LOCKED")


def charge(connection: Connection, changes: Mapping[Account, Change], now: datetime) -> dict[Account, Spending]:
    """Add the changes to the sums; returns how the accounts stand afterwards. Until the end of the transaction
    nobody else changes them."""
    month, day = now.year * 12 + now.month, now.date().toordinal()
    rows = []
    for (scope, account), change in sorted(changes.items()):
        spent = (change.tokens, change.nano_usd)
        held = (change.reserved_tokens, change.reserved_nano_usd)
        rows.append((scope.value, account, *held, *spent, month, *spent, day, *spent))
    return {(Scope(row[0]), row[1]): spending(row[2:], now.date()) for row in _accounts.returned(connection, rows)}


def spending(sums: Sequence[int], today: date) -> Spending:
    """Of a row of sums, in the order of the table: what has been spent in the periods that `today` is in."""
    reserved_tokens, reserved_nano, tokens, nano, month, month_tokens, month_nano, day, day_tokens, day_nano = sums
    of_month = month == today.year * 12 + today.month
    of_day = day == today.toordinal()
    return Spending(
        spent={
            Period.EVER: Spent(tokens, usd(nano)),
            Period.MONTH: Spent(month_tokens, usd(month_nano)) if of_month else Spent(),
            Period.DAY: Spent(day_tokens, usd(day_nano)) if of_day else Spent(),
        },
        reserved_tokens=reserved_tokens,
        reserved_usd=usd(reserved_nano),
        on=today,
    )


def add(connection: Connection, entries: Iterable[Entry]) -> None:
    """Write the rows of reservations. Their accounts are charged by the caller."""
    _entries.rows(connection, [_row(entry) for entry in entries])


def _row(entry: Entry) -> tuple[object, ...]:
    claim = entry.claim
    named = {scope: parts_of(scope, account)[1] for scope, account in claim.accounts}
    return (
        entry.id,
        entry.at,
        entry.expires_at,
        OPEN,
        "",
        json.dumps(claim.accounts),
        *(named.get(scope, "") for scope in _NAMED),
        claim.trace_id,
        claim.source_agent,
        claim.provider,
        claim.model,
        claim.price_version,
        claim.tokens,
        nano_usd(claim.cost_usd),
        *(0, 0, 0, 0, 0, 0, 0),
    )


def settle(connection: Connection, settlements: Sequence[Settlement]) -> defaultdict[Account, Change]:
    """Close the reservations that are open; those that are closed stay as they are. What becomes of their accounts
    is charged by the caller."""
    changes: defaultdict[Account, Change] = defaultdict(Change)
    rows = [_ended(one) for one in sorted(settlements, key=attrgetter("id"))]
    for accounts, held, held_nano, tokens, nano in _settled(connection, rows):
        _close(changes, accounts, held, held_nano, tokens, nano)
    return changes


def _ended(one: Settlement) -> Row:
    """In the order of `_SETTLED`."""
    usage = one.usage
    counts = (
        *(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
        *(usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens),
    )
    counted = (min(count, TOKENS_MAX) for count in counts)
    return (one.at, one.outcome, *counted, nano_usd(one.cost_usd), one.id)


def _settled(connection: Connection, rows: Sequence[Row]) -> Iterator[Row]:
    """Of each that was open: its accounts, what it held of them, and what it came to."""
    if connection.dialect.name == "postgresql":
        yield from statements.rows(connection, _SETTLE_POSTGRESQL, arrays(rows)) if rows else ()
        return
    for at, *told in rows:
        yield from statements.rows(connection, _SETTLE, (microseconds(at), *told))


def expire(connection: Connection, now: datetime) -> int:
    """Count as spent what nobody settled in time, at most `EXPIRED_AT_ONCE_MAX`; returns how many there were."""
    statement = _EXPIRE if connection.dialect.name == "sqlite" else _EXPIRE_POSTGRESQL
    values = (_moment(connection, now), EXPIRED_AT_ONCE_MAX)
    lost = statements.rows(connection, _marked(connection, statement), values)
    changes: defaultdict[Account, Change] = defaultdict(Change)
    for accounts, tokens, nano in lost:
        _close(changes, accounts, tokens, nano, tokens, nano)
    charge(connection, changes, now)
    return len(lost)


def _close(
    changes: defaultdict[Account, Change], accounts: str, held_tokens: int, held_nano: int, tokens: int, nano: int
) -> None:
    """Note that accounts no longer hold a reservation, but have spent."""
    for scope, account in json.loads(accounts):
        change = changes[Scope(scope), account]
        change.reserved_tokens -= held_tokens
        change.reserved_nano_usd -= held_nano
        change.tokens += tokens
        change.nano_usd += nano


def _marked(connection: Connection, statement: str) -> str:
    return statement if connection.dialect.name == "sqlite" else statement.replace("?", "%s")


def _moment(connection: Connection, moment: datetime) -> datetime | int:
    return microseconds(moment) if connection.dialect.name == "sqlite" else moment
