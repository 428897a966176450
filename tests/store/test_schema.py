"""The migrations build what the tables say, go up and down, and happen whole or not at all."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from pointsman.llm.budgets import Scope
from pointsman.store import schema
from pointsman.store.audit import Audit
from pointsman.store.contents import Contents
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.llm_budgets import StoreBudgets
from pointsman.store.llm_usage import By, UsageBook, Wanted
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from pointsman.store.tables import metadata
from pointsman.store.verification import verify
from tests.store.llm_books import claim
from tests.store.samples import KEY, delivery, event


def test_migrations_and_tables_say_the_same(url: str) -> None:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_down_takes_everything_away_and_up_brings_it_back(url: str) -> None:
    assert schema.current(url) == schema.head()
    schema.downgrade(url, "base")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    assert schema.current(url) == ""
    schema.upgrade(url)
    schema.upgrade(url)
    assert schema.current(url) == schema.head()


async def test_each_step_keeps_what_was_written(url: str, signer: Signer) -> None:
    async with Store.open(url) as store:
        await Inbox(store).accept(delivery())
        await Audit(store).append(event(1))
        await Sequencer(store, signer).drain()
        await Audit(store).append(event(2))
        digest = await Contents(store).put(b"abc" * 200)
        before = [await Audit(store).find(), await Audit(store).find(key=KEY)]
    schema.downgrade(url, "0001")
    assert schema.current(url) == "0001"
    schema.upgrade(url)
    async with Store.open(url) as store:
        assert [await Audit(store).find(), await Audit(store).find(key=KEY)] == before
        assert len(await Inbox(store).find()) == 1
        assert await Contents(store).get(digest) == b"abc" * 200
        assert (await verify(store, signer)).findings == ()


async def test_attempts_of_before_named_budgets_belong_to_none(url: str) -> None:
    async with Store.open(url) as store:
        await StoreBudgets(store).reserve(claim(100, "1", (Scope.TENANT, "rail"), (Scope.BUDGET, "rail/trial")))
    schema.downgrade(url, "0007")
    assert "budget" not in columns(url, "llm_ledger")
    schema.upgrade(url)
    async with Store.open(url) as store:
        (used,) = await UsageBook(store).sums([By.TENANT, By.BUDGET], Wanted(), 10)
        assert (used.by, used.attempts, used.held_tokens) == (("rail", ""), 1, 100)
        await StoreBudgets(store).reserve(claim(50, "1", (Scope.BUDGET, "rail/trial")))
        assert [used.by for used in await UsageBook(store).sums([By.BUDGET], Wanted(), 10)] == [("",), ("trial",)]


def columns(url: str, table: str) -> set[str]:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return {column["name"] for column in inspect(connection).get_columns(table)}


def test_a_step_that_fails_leaves_nothing_behind(url: str) -> None:
    schema.downgrade(url, "base")
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE ledger (mine INTEGER)"))
    with pytest.raises(Exception, match="ledger"):
        schema.upgrade(url)
    with engine.connect() as connection:
        assert "inbox" not in inspect(connection).get_table_names()
    assert schema.current(url) == ""
