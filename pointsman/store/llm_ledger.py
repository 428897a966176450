"""The ledger of model calls, in the database's own words: a row for each attempt, and the sums of each account.

Everything that changes both takes rows of the ledger before those of accounts, and each kind in order of its key: so
transactions wait for each other in turn, and never in a circle. What calls themselves change is in `llm_booking`.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from sqlalchemy import Connection

from pointsman.llm.budgets import Claim, Period, Scope, Spending, Spent, parts_of
from pointsman.llm.types import TokenUsage
from pointsman.store import statements
from pointsman.store.columns import microseconds
from pointsman.store.inserts import Insert, Row
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


NOTHING = Change()

ENTRY_COLUMNS = (
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

_SUMS = ("reserved_tokens", "reserved_nano_usd", "tokens", "nano_usd")
ACCOUNT_COLUMNS = (
    *("scope", "account", *_SUMS, "month", "month_tokens", "month_nano_usd", "day", "day_tokens", "day_nano_usd"),
)


def _adding() -> str:
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
        f"RETURNING {', '.join(ACCOUNT_COLUMNS)}"
    )


ADDING = _adding()
_accounts = Insert(metadata.tables["llm_account"], ACCOUNT_COLUMNS, then=ADDING)

SETTLED_COLUMNS = (
    *("ended_at", "outcome", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "nano_usd", "id"),
)

_EXPIRE = (
    "UPDATE llm_ledger SET state = 'expired', ended_at = expires_at, outcome = 'expired', "
    "total_tokens = reserved_tokens, nano_usd = reserved_nano_usd WHERE id IN "
    "(SELECT id FROM llm_ledger WHERE state = 'open' AND expires_at <= ? ORDER BY id LIMIT ?) "
    "RETURNING accounts, reserved_tokens, reserved_nano_usd"
)
# Another process may be about to settle a row: it is left to that one.
_EXPIRE_POSTGRESQL = _EXPIRE.replace("LIMIT ?", "LIMIT ? FOR UPDATE SKIP LOCKED")


def charge(connection: Connection, changes: Mapping[Account, Change], now: datetime) -> Sequence[Row]:
    """Add the changes to the sums; returns the rows of the accounts as they are afterwards. Until the end of the
    transaction nobody else changes them."""
    month, day = dated(now)
    rows = []
    for (scope, account), change in sorted(changes.items()):
        spent = (change.tokens, change.nano_usd)
        held = (change.reserved_tokens, change.reserved_nano_usd)
        rows.append((scope.value, account, *held, *spent, month, *spent, day, *spent))
    return _accounts.returned(connection, rows)


def dated(now: datetime) -> tuple[int, int]:
    """The month and the day, as accounts number them."""
    return now.year * 12 + now.month, now.date().toordinal()


def spending(sums: Sequence[int], today: date, before: Change = NOTHING) -> Spending:
    """Of a row of sums, in the order of the table: what has been spent in the periods that `today` is in. What it
    holds is told as it was `before` a change."""
    reserved_tokens, reserved_nano, tokens, nano, month, month_tokens, month_nano, day, day_tokens, day_nano = sums
    of_month = month == today.year * 12 + today.month
    of_day = day == today.toordinal()
    return Spending(
        spent={
            Period.EVER: Spent(tokens, usd(nano)),
            Period.MONTH: Spent(month_tokens, usd(month_nano)) if of_month else Spent(),
            Period.DAY: Spent(day_tokens, usd(day_nano)) if of_day else Spent(),
        },
        reserved_tokens=reserved_tokens - before.reserved_tokens,
        reserved_usd=usd(reserved_nano - before.reserved_nano_usd),
        on=today,
    )


def entered(entry: Entry) -> Row:
    """The row of a reservation, in the order of `ENTRY_COLUMNS`."""
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


def ended(one: Settlement) -> Row:
    """What closes its row, in the order of `SETTLED_COLUMNS`."""
    usage = one.usage
    counts = (
        *(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
        *(usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens),
    )
    counted = (min(count, TOKENS_MAX) for count in counts)
    return (one.at, one.outcome, *counted, nano_usd(one.cost_usd), one.id)


def expire(connection: Connection, now: datetime) -> int:
    """Count as spent what nobody settled in time, at most `EXPIRED_AT_ONCE_MAX`; returns how many there were."""
    statement = _EXPIRE if connection.dialect.name == "sqlite" else _EXPIRE_POSTGRESQL
    values = (_moment(connection, now), EXPIRED_AT_ONCE_MAX)
    lost = statements.rows(connection, _marked(connection, statement), values)
    changes: defaultdict[Account, Change] = defaultdict(Change)
    for accounts, tokens, nano in lost:
        close(changes, accounts, tokens, nano, tokens, nano)
    charge(connection, changes, now)
    return len(lost)


def close(
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
