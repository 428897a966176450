"""What calls of one moment do to the books: settle those that ended, hold what others claim, and give it back.

PostgreSQL is asked once for all of it, a transaction of its own: the way to the server costs more than what is done
there. That statement fails if it would pass a hard limit, which leaves no trace. Then, or if an account is near a limit
already, it runs in a transaction that waits for our verdict on each claim. Either way it locks rows of the ledger
first, then those of accounts in order of their key, as everything does that changes both.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_FLOOR
from functools import cache, partial
from itertools import chain
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from pointsman.llm.budgets import Budget, Period, Scope, Spending
from pointsman.store import statements
from pointsman.store.columns import microseconds
from pointsman.store.inserts import Insert, Row, in_powers, places
from pointsman.store.lists import Among
from pointsman.store.llm_ledger import (
    ACCOUNT_COLUMNS,
    ADDING,
    ENTRY_COLUMNS,
    NANO,
    SETTLED_COLUMNS,
    Account,
    Change,
    Entry,
    Settlement,
    charge,
    close,
    dated,
    ended,
    entered,
    nano_usd,
    spending,
)
from pointsman.store.tables import metadata

_SUMS_END = len(ACCOUNT_COLUMNS)
_NEAR_PERCENT = 90
_NEAR, _NEAR_MAX = "accounts near a limit", 10_000
_HELD_COLUMNS = ("scope", "account", "reserved_tokens", "reserved_nano_usd")

_entries = Insert(metadata.tables["llm_ledger"], ENTRY_COLUMNS)
_gone = Among("DELETE FROM llm_ledger WHERE id {among}")
_TOLD = [f"{name} = told.column{place}" for place, name in enumerate(SETTLED_COLUMNS, 1)]
_SETTLING = f"UPDATE llm_ledger SET state = 'settled', {', '.join(_TOLD[:-1])} FROM (VALUES "  # noqa: S608 - our names
_SETTLED = (
    f") AS told WHERE llm_ledger.{_TOLD[-1]} AND state = 'open' "
    "RETURNING accounts, reserved_tokens, reserved_nano_usd, total_tokens, nano_usd"
)


class Limit(NamedTuple):
    """The most that an account may spend and hold: tokens and billionths of a USD, ever, in a month, on a day."""

    tokens: int | None = None
    nano_usd: int | None = None
    month_tokens: int | None = None
    month_nano_usd: int | None = None
    day_tokens: int | None = None
    day_nano_usd: int | None = None


NO_LIMIT = Limit()
_PERIODS = {Period.EVER: "", Period.MONTH: "month_", Period.DAY: "day_"}
_MOST = 2**63 - 1


def limit_of(budgets: Iterable[Budget]) -> Limit:
    """The lowest of their hard limits."""
    most: dict[str, int] = {}
    for budget in budgets:
        if budget.hard:
            nano = None if budget.cost_usd is None else budget.cost_usd.scaleb(NANO).to_integral_value(ROUND_FLOOR)
            for kind, told in (("tokens", budget.tokens), ("nano_usd", nano)):
                if told is not None:
                    name = f"{_PERIODS[budget.period]}{kind}"
                    most[name] = min(int(told), most.get(name, _MOST))
    return Limit(**most)


def lowest(one: Limit, other: Limit) -> Limit:
    return Limit(
        *(min((most for most in pair if most is not None), default=None) for pair in zip(one, other, strict=True))
    )


def _told(table: str, name: str) -> str:
    """Rows that come as one JSON text: parameters of their own would each take the client longer to hand over."""
    return f"json_populate_recordset(NULL::{table}, %s::json) AS {name}"


_ENDED = f"""ended AS (
    UPDATE llm_ledger AS l SET state = 'settled', {", ".join(f"{name} = told.{name}" for name in SETTLED_COLUMNS[:-1])}
    FROM {_told("llm_ledger", "told")}
    WHERE told.state = 'settled' AND l.id = told.id AND l.state NOT IN ('settled', 'expired')
    RETURNING l.accounts, l.reserved_tokens, l.reserved_nano_usd, told.total_tokens, told.nano_usd
)"""  # noqa: S608 - all names are ours
"""Planned for rows of unknown number, it would read all that is open, or all of a small ledger, to find a few: the
condition on what is told makes the planner expect one, and `NOT IN` keeps it from the index of open rows."""
_ENDED_SUMS = """SELECT one->>0, one->>1, -reserved_tokens, -reserved_nano_usd, total_tokens, nano_usd
    FROM ended, json_array_elements(accounts::json) AS one"""
_HELD_SUMS = f"SELECT {', '.join(_HELD_COLUMNS)}, 0, 0 FROM {_told('llm_account', 'asked')}"  # noqa: S608 - all names are ours
_ADDED = f"""added AS (
    INSERT INTO llm_ledger ({", ".join(ENTRY_COLUMNS)})
    SELECT {", ".join(ENTRY_COLUMNS)} FROM {_told("llm_ledger", "fresh")}
)"""  # noqa: S608 - all names are ours


def _after(sums: Sequence[str]) -> str:
    """The accounts as they are when the sums are added to them, locked in order of their key."""
    return f"""sums (scope, account, held, held_nano, spent, spent_nano) AS (
        SELECT scope COLLATE "C", account COLLATE "C", sum(a)::bigint, sum(b)::bigint, sum(c)::bigint, sum(d)::bigint
        FROM ({" UNION ALL ".join(sums)}) AS changes (scope, account, a, b, c, d) GROUP BY 1, 2
    ), after AS (
        INSERT INTO llm_account AS l ({", ".join(ACCOUNT_COLUMNS)})
        SELECT scope, account, held, held_nano, spent, spent_nano, %s::int, spent, spent_nano,
            %s::int, spent, spent_nano
        FROM sums ORDER BY scope, account {ADDING.replace("llm_account.", "l.")}
    )"""  # noqa: S608 - all names are ours


def _guard() -> str:
    """Fails, and so undoes all, where an account has passed a limit that is told."""
    spent = {"": "after.{}"}
    for period in ("month", "day"):
        spent[f"{period}_"] = f"CASE after.{period} WHEN most.{period} THEN after.{period}_{{}} ELSE 0 END"
    passed = " OR ".join(
        f"{sums.format(kind)} + after.reserved_{kind} > most.{period}{kind}"
        for period, sums in spent.items()
        for kind in ("tokens", "nano_usd")
    )
    return f"""SELECT after.*, CASE WHEN {passed}
        THEN ('a hard limit is passed, so nothing changes and each call is checked apart: ' || scope)::int END
        FROM after LEFT JOIN {_told("llm_account", "most")} USING (scope, account)"""  # noqa: S608 - all names are ours


@cache
def _statement(*, ending: bool, beginning: bool, guarded: bool) -> str:
    """Parameters: what ended; what is held; month, day; what is new; limits. Of these the ones that are asked for."""
    sums = [_ENDED_SUMS] * ending + [_HELD_SUMS] * beginning
    parts = [_ENDED] * ending + [_after(sums)] + [_ADDED] * beginning
    whole = f"WITH {', '.join(parts)} {_guard() if guarded else 'SELECT * FROM after'}"  # noqa: S608 - all names are ours
    # In one line: psycopg remembers what it made of a statement only while that is shorter than 4,096 characters.
    return " ".join(whole.split())


def book(
    connection: Connection,
    ends: Sequence[Settlement],
    entries: Sequence[Entry],
    limits: Mapping[Account, Limit],
    wanted: Collection[Account],
    now: datetime,
) -> dict[Account, Spending]:
    """Settle and hold all; returns how the wanted accounts of the entries stood between the two. Those that were
    closed before stay as they are. If all together pass a limit, nobody else changes the accounts until the end of the
    transaction, so that the caller may `give_back` what is too much; else all of it may be final already.

    Raises:
        IntegrityError: an entry is there already.
    """
    held = _held(entries)
    if connection.dialect.name == "postgresql":
        after = _booked_at_once(connection, ends, entries, held, limits, now)
    else:
        after = _booked(connection, ends, entries, held, now)
    today = now.date()
    # A scope is a text: rows are looked up by what the database tells.
    return {
        (Scope(row[0]), row[1]): spending(row[2:_SUMS_END], today, before=held[row[0], row[1]])
        for row in after
        if (row[0], row[1]) in wanted
    }


def give_back(connection: Connection, entries: Sequence[Entry], now: datetime) -> None:
    """Undo what `book` did for these, in the same transaction."""
    if entries:
        _gone.run(connection, [entry.id for entry in entries])
        held = _held(entries).items()
        back = {account: Change(-one.reserved_tokens, -one.reserved_nano_usd) for account, one in held}
        charge(connection, back, now)


def _held(entries: Iterable[Entry]) -> Mapping[Account, Change]:
    """What the entries reserve, by account."""
    changes: defaultdict[Account, Change] = defaultdict(Change)
    for entry in entries:
        nano = nano_usd(entry.claim.cost_usd)
        for account in entry.claim.accounts:
            changes[account].reserved_tokens += entry.claim.tokens
            changes[account].reserved_nano_usd += nano
    return changes


def _booked_at_once(
    connection: Connection,
    ends: Sequence[Settlement],
    entries: Sequence[Entry],
    held: Mapping[Account, Change],
    limits: Mapping[Account, Limit],
    now: datetime,
) -> Sequence[Row]:
    values: list[object] = []
    if ends:
        closed = [{**dict(zip(SETTLED_COLUMNS, ended(one), strict=True)), "state": "settled"} for one in ends]
        values.append(_json(closed))
    if entries:
        holds = [(*account, change.reserved_tokens, change.reserved_nano_usd) for account, change in held.items()]
        values.append(_json([dict(zip(_HELD_COLUMNS, row, strict=True)) for row in holds]))
    month, day = dated(now)
    values += [month, day]
    if entries:
        values.append(_json([dict(zip(ENTRY_COLUMNS, entered(entry), strict=True)) for entry in entries]))
    near: dict[Account, None] = connection.info.setdefault(_NEAR, {})
    of_day = {"month": month, "day": day}
    most = [{"scope": account[0], "account": account[1], **of_day, **one._asdict()} for account, one in limits.items()]
    asked = partial(_statement, ending=bool(ends), beginning=bool(entries))
    after = None
    if near.keys().isdisjoint(limits):
        guarded = (*values, _json(most)) if most else values
        after = _committed(connection, asked(guarded=bool(most)), guarded)
    if after is None:
        after = statements.rows(connection, asked(guarded=False), values)
    for row in after:
        if limit := limits.get((row[0], row[1])):
            _note(near, (row[0], row[1]), is_near=_is_near(row, limit))
    return after


def _committed(connection: Connection, statement: str, values: Sequence[object]) -> Sequence[Row] | None:
    """What the statement gives as a transaction of its own; none where it would pass a limit, or where a transaction
    is under way."""
    raw: Any = connection.connection.driver_connection  # Any: psycopg is loaded only where it is used
    if raw.info.transaction_status:
        return None
    raw.autocommit = True
    try:
        return statements.rows(connection, statement, values)
    except DataError:  # if it is not for a limit, it will be raised again
        return None
    finally:
        if not raw.closed:
            raw.autocommit = False


def _is_near(row: Row, limit: Limit) -> bool:
    """Whether an account has come so near to a limit that the next claims may pass it."""
    held, held_nano, ever, ever_nano, _, month, month_nano, _, day, day_nano = row[2:_SUMS_END]
    spent = (ever, ever_nano, month, month_nano, day, day_nano)
    for place, most in enumerate(limit):
        if most is not None and (spent[place] + (held_nano if place % 2 else held)) * 100 > most * _NEAR_PERCENT:
            return True
    return False


def _note(near: dict[Account, None], account: Account, *, is_near: bool) -> None:
    if not is_near:
        near.pop(account, None)
        return
    if len(near) >= _NEAR_MAX:
        near.clear()
    near[account] = None


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return to_json(rows).decode()


def _booked(
    connection: Connection,
    ends: Sequence[Settlement],
    entries: Sequence[Entry],
    held: Mapping[Account, Change],
    now: datetime,
) -> Sequence[Row]:
    changes = _settled(connection, ends)
    for account, change in held.items():
        changes[account].reserved_tokens += change.reserved_tokens
        changes[account].reserved_nano_usd += change.reserved_nano_usd
    _entries.rows(connection, [entered(entry) for entry in entries])
    return charge(connection, changes, now)


def _settled(connection: Connection, ends: Sequence[Settlement]) -> defaultdict[Account, Change]:
    """Close those that are open; returns what becomes of their accounts."""
    changes: defaultdict[Account, Change] = defaultdict(Change)
    rows = [(microseconds(at), *told) for at, *told in map(ended, ends)]
    for some in in_powers(rows):
        statement = f"{_SETTLING}{places('?', len(SETTLED_COLUMNS), len(some))}{_SETTLED}"
        for accounts, held, held_nano, tokens, nano in statements.rows(connection, statement, list(chain(*some))):
            close(changes, accounts, held, held_nano, tokens, nano)
    return changes
