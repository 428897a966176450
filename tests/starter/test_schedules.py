"""Schedules of recovery and comparison: each that is asked for once, as it is to be now, and no other of ours."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from pointsman.contracts.policy import Policy
from pointsman.temporal_server import DevServer
from starter import reconciliation, recovery

POLICY = Policy(version="1")
HOUR = timedelta(hours=1)


class Installation:
    """What `serve` asks Temporal for at its start, with a task queue of its own."""

    def __init__(self, client: Client) -> None:
        self.queue = f"queue-{uuid4().hex[:8]}"
        self._client = client

    async def start(self, organisations: Sequence[str], every: timedelta) -> None:
        recovered = recovery.requests(POLICY, organisations)
        await recovery.ensure_schedules(self._client, recovered, every, self.queue)
        compared = reconciliation.requests(POLICY, organisations)
        await reconciliation.ensure_schedules(self._client, compared, every, self.queue)


def names(*organisations: str) -> set[str]:
    return {name for one in organisations for name in (f"recover/{one}/*", f"reconcile/{one}/*")}


async def every(client: Client, name: str) -> list[timedelta]:
    return [one.every for one in (await client.get_schedule_handle(name).describe()).schedule.spec.intervals]


async def gone(client: Client, name: str) -> bool:
    """Asked of the schedule itself: the list of all follows it by a moment."""
    try:
        await client.get_schedule_handle(name).describe()
    except RPCError as error:
        return error.status is RPCStatusCode.NOT_FOUND
    return False


async def listed(client: Client, wanted: set[str]) -> None:
    async with asyncio.timeout(60):
        while not wanted <= {one.id async for one in await client.list_schedules()}:  # noqa: ASYNC110 - as said above
            await asyncio.sleep(0.01)


@pytest.fixture
async def client(dev_server: DevServer) -> Client:
    return await dev_server.connect()


@asynccontextmanager
async def installed(client: Client, organisations: Sequence[str]) -> AsyncGenerator[Installation]:
    made = Installation(client)
    await made.start(organisations, HOUR)
    await listed(client, names(*organisations))
    yield made
    await made.start([], HOUR)


async def test_a_schedule_is_there_once_and_as_it_is_to_be_now(client: Client) -> None:
    ours = f"org-{uuid4().hex[:8]}"
    async with installed(client, [ours]) as installation:
        await client.get_schedule_handle(f"recover/{ours}/*").pause(note="a freeze")
        await installation.start([ours], 2 * HOUR)
        assert [await every(client, name) for name in sorted(names(ours))] == [[2 * HOUR], [2 * HOUR]]
        described = await client.get_schedule_handle(f"recover/{ours}/*").describe()
        assert described.schedule.state.paused, "whoever paused it has not said to go on"


async def test_schedules_go_with_the_time_between_runs(client: Client) -> None:
    ours = f"org-{uuid4().hex[:8]}"
    async with installed(client, [ours]) as installation:
        for _ in range(2):
            await installation.start([ours], timedelta())
        assert [await gone(client, name) for name in sorted(names(ours))] == [True, True]


async def test_schedules_of_an_organisation_that_is_served_no_longer_go_and_nobody_elses(client: Client) -> None:
    left, kept, theirs = (f"org-{uuid4().hex[:8]}" for _ in range(3))
    async with installed(client, [left, kept]) as installation, installed(client, [theirs]):
        await installation.start([kept], HOUR)
        assert {name for name in names(left, kept, theirs) if await gone(client, name)} == names(left)
