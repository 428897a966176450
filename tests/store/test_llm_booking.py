"""What calls of one moment do to the books, as PostgreSQL is asked for it."""

from decimal import Decimal
from typing import Any, ClassVar, Self

import psycopg
import pytest
from sqlalchemy import Engine, create_engine

from pointsman.llm.budgets import RESERVATION_LIFE, Budget, Period, Scope
from pointsman.store.ids import new_id
from pointsman.store.llm_booking import NO_LIMIT, Limit, book, give_back, limit_of, lowest
from pointsman.store.llm_ledger import Account, Entry, Settlement
from tests.store.llm_books import START, claim, used, user

RAIL = (Scope.TENANT, "rail")


class Listened(psycopg.Cursor[tuple[Any, ...]]):
    """Tells what it was asked."""

    asked: ClassVar[list[str]] = []

    def execute(self, query: Any, *given: Any, **named: Any) -> Self:
        self.asked.append(str(query).split()[0])
        return super().execute(query, *given, **named)


@pytest.mark.parametrize("count", [1, 13, 40])
async def test_postgresql_is_asked_once_for_any_number_of_calls(postgres_store_url: str, count: int) -> None:
    """Calls that wait together wait for each way to the server and back."""
    life = START + RESERVATION_LIFE
    before, after = ([Entry(new_id(), START, life, claim(10, "1", user(), RAIL)) for _ in range(count)] for _ in "ab")
    ends = [Settlement(entry.id, START, used(7), Decimal("0.5"), "success") for entry in before]
    engine = create_engine(postgres_store_url, connect_args={"cursor_factory": Listened})
    with engine.begin() as connection:
        book(connection, [], before, {}, (), START)
        Listened.asked.clear()
        found = book(connection, [*ends, *ends], after, {}, [RAIL], START)
        assert Listened.asked == ["WITH"]
        raw: Any = connection.connection.driver_connection
        assert raw.info.transaction_status == psycopg.pq.TransactionStatus.IDLE  # it is final already
    engine.dispose()
    assert found.keys() == {RAIL}
    assert (found[RAIL].tokens, found[RAIL].reserved_tokens) == (7 * count, 0)


def entry(tokens: int, *accounts: Account) -> Entry:
    """For as many tokens and billionths of a USD."""
    return Entry(new_id(), START, START + RESERVATION_LIFE, claim(tokens, f"{tokens}e-9", *accounts))


def asked(engine: Engine, tokens: int, account: Account, limit: Limit) -> int:
    """How often, until a claim is granted or refused."""
    Listened.asked.clear()
    with engine.begin() as connection:
        wanted = [entry(tokens, account)]
        found = book(connection, [], wanted, {account: limit}, [account], START)
        if found[account].reserved_tokens + tokens > 100:
            give_back(connection, wanted, START)
    return Listened.asked.count("WITH")


async def test_postgresql_is_asked_for_a_verdict_only_where_a_limit_is_near(postgres_store_url: str) -> None:
    """A statement that fails is a line in the server's log: there are not many for an account that is used up."""
    ada = user()
    engine = create_engine(postgres_store_url, connect_args={"cursor_factory": Listened})
    found = [asked(engine, tokens, ada, Limit(tokens=100)) for tokens in (50, 51, 45, 6, 6, 5, 1)]
    assert found == [1, 2, 1, 1, 1, 1, 1]
    with engine.begin() as connection:
        assert book(connection, [], [entry(0, ada)], {}, [ada], START)[ada].reserved_tokens == 100
    engine.dispose()


async def test_no_limit_is_passed_without_a_verdict(postgres_store_url: str) -> None:
    engine = create_engine(postgres_store_url, connect_args={"cursor_factory": Listened})
    for kind in Limit._fields:
        ada, limit = user(), NO_LIMIT._replace(**{kind: 100})
        assert [asked(engine, tokens, ada, limit) for tokens in (80, 21)] == [1, 2], kind
        ada = user()
        assert [asked(engine, tokens, ada, limit) for tokens in (80, 20)] == [1, 1], kind
    engine.dispose()


def test_the_lowest_of_the_hard_limits_counts() -> None:
    budgets = [
        Budget(scope=Scope.USER, tokens=10, cost_usd=Decimal("0.0000000019")),
        Budget(scope=Scope.USER, tokens=9),
        Budget(scope=Scope.USER, tokens=1, hard=False),
        Budget(scope=Scope.USER, cost_usd=Decimal(2), period=Period.DAY),
    ]
    found = limit_of(budgets)
    assert found == Limit(tokens=9, nano_usd=1, day_nano_usd=2_000_000_000)
    assert lowest(found, Limit(tokens=12, month_tokens=5)) == found._replace(month_tokens=5)
    assert limit_of([]) == NO_LIMIT
