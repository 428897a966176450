"""A reader of the inbox is given each delivery once and none too few, however commits overtake each other."""

import asyncio

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.tail import Tail
from tests.store.samples import delivery


async def given(tail: Tail, count: int) -> list[str]:
    """So many deliveries, as soon as they are given."""
    found: list[str] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            found += [row.id for row in await tail.next()]
            await asyncio.sleep(0.005)
    return found


async def test_a_reader_goes_on_where_another_ended(store: Store) -> None:
    inbox = Inbox(store)
    sent = [(await inbox.accept(delivery())).id for _ in range(5)]
    first = Tail(store, 0)
    assert await given(first, 5) == sent
    assert first.offset == await Tail.end(store)
    later = Tail(store, first.offset)
    more = (await inbox.accept(delivery())).id
    assert await given(later, 1) == [more]
    assert await later.next() == []


async def test_duplicates_are_given_too_although_they_leave_gaps_in_the_numbers(store: Store) -> None:
    inbox = Inbox(store)
    sent = [(await inbox.accept(delivery("k" if at % 2 else ""))).id for at in range(6)]
    assert await given(Tail(store, 0), 6) == sent


async def test_what_commits_late_is_waited_for(postgres_store_url: str) -> None:
    engine = create_engine(postgres_store_url, poolclass=NullPool)
    async with Store.open(postgres_store_url) as store:
        inbox = Inbox(store)
        first = (await inbox.accept(delivery())).id
        with engine.connect() as slow:
            columns = "id, received_at, tenant, organisation, event_type, event_id, subscription_id, notification_id"
            rest = (
                "project, body, traceparent, state, reason, chain_id, duplicate_of, attempts, workflow_id, replayed_by"
            )
            slow.execute(
                text(
                    f"INSERT INTO inbox ({columns}, idempotency_key, item_id, {rest}) "  # noqa: S608 - our own columns
                    "VALUES ('late', now(), 't', '', '', '', '', 0, 'late', 0, "
                    "'', '', '', 'unknown', '', 'late', '', 0, '', '')"
                )
            )
            overtaking = (await inbox.accept(delivery())).id
            tail = Tail(store, 0)
            assert await given(tail, 1) == [first]
            assert [await tail.next() for _ in range(3)] == [[], [], []]
            slow.commit()
            assert await given(tail, 2) == ["late", overtaking]


async def test_what_was_undone_is_not_waited_for(postgres_store_url: str) -> None:
    engine = create_engine(postgres_store_url, poolclass=NullPool)
    async with Store.open(postgres_store_url) as store:
        with engine.begin() as other:
            other.execute(text("SELECT nextval(pg_get_serial_sequence('inbox', 'sequence'))"))
        sent = (await Inbox(store).accept(delivery())).id
        assert await given(Tail(store, 0), 1) == [sent]
