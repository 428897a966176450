"""Of several dispatchers one leads, on a real PostgreSQL; and when it dies, another does."""

import time

import psycopg
from sqlalchemy import make_url

from starter.advisory_lease import CONFIRM_SECONDS, NAME, AdvisoryLease
from starter.lease import Alone


def stale(lease: AdvisoryLease) -> None:
    """As if the last answer were too old to be trusted."""
    lease._asked_at -= CONFIRM_SECONDS


async def test_the_only_process_always_leads() -> None:
    lease = Alone()
    assert await lease.held()
    await lease.release()


async def test_one_of_two_leads_until_it_lets_go(postgres_database: str) -> None:
    one, other = AdvisoryLease(postgres_database), AdvisoryLease(postgres_database)
    assert await one.held()
    assert not await other.held()
    await one.release()
    stale(other)
    assert await other.held()
    await other.release()


async def test_a_leader_whose_connection_is_cut_notices_and_may_lead_again(postgres_database: str) -> None:
    lease = AdvisoryLease(postgres_database)
    assert await lease.held()
    url = make_url(postgres_database).set(drivername="postgresql").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s", (NAME,)
        )
    stale(lease)
    assert not await lease.held()
    assert lease.trouble
    stale(lease)
    assert await lease.held()
    assert lease.trouble == ""
    await lease.release()


async def test_an_answer_is_not_asked_for_again_at_once(postgres_database: str) -> None:
    one, other = AdvisoryLease(postgres_database), AdvisoryLease(postgres_database)
    assert await one.held()
    assert not await other.held()
    await one.release()
    other._asked_at = time.monotonic() + 60  # however long the release took
    assert not await other.held()


async def test_a_database_that_is_away_gives_no_lease_and_tells_no_password(free_port: int) -> None:
    lease = AdvisoryLease(f"postgresql+psycopg://ada:correct-horse@127.0.0.1:{free_port}/none")
    assert not await lease.held()
    assert "correct-horse" not in lease.trouble
    assert lease.trouble
