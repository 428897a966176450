"""What the service says of our pace holds for all calls of an account: a clock of our own tells, nobody sleeps."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.pacing import DROPPED_PAUSE, DROPPED_PAUSE_MAX, Pace, Priority
from pointsman.ports import Unavailable
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops


class Time:
    """Stands still but for those who sleep."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Heard:
    """What a pace told of itself."""

    def __init__(self) -> None:
        self.pauses: list[tuple[str, float]] = []
        self.statuses: list[int] = []
        self.waits: list[float] = []
        self.left: list[float] = []
        self.calls: list[int] = []
        self.sizes: list[int] = []

    def answered(self, status: int) -> None:
        self.statuses.append(status)

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)

    def paused(self, reason: str, seconds: float) -> None:
        self.pauses.append((reason, seconds))

    def remaining(self, units: float) -> None:
        self.left.append(units)

    def under_way(self, calls: int) -> None:
        self.calls.append(calls)

    def places(self, count: int) -> None:
        self.sizes.append(count)


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops(seeded=True) as running:
        yield running


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def client(azure: Azure, time: Time, heard: Heard) -> AsyncGenerator[AzureDevOps]:
    pace = Pace(clock=time, sleep=time.sleep, observer=heard)
    async with AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), pace=pace) as made:
        yield made


async def test_success_that_asks_to_wait_slows_each_client_of_the_account(
    azure: Azure, client: AzureDevOps, time: Time, heard: Heard
) -> None:
    other = client.in_bulk()
    await azure.fail(headers={"Retry-After": "30", "X-RateLimit-Remaining": "12"})
    await client.work_items.get(1)
    for caller in (client, other):
        with pytest.raises(Unavailable, match=r"not sent, the service asked to wait another 30 s") as slowed:
            await caller.work_items.get(1)
        assert slowed.value.retry_after == timedelta(seconds=30)
    time.now += 30
    assert (await other.work_items.get(1)).id == 1
    assert (heard.pauses, heard.left, heard.statuses) == ([("slowed", 30.0)], [12.0], [200, 200])


async def test_short_wait_is_waited_out(azure: Azure, client: AzureDevOps, time: Time, heard: Heard) -> None:
    await azure.fail(headers={"Retry-After": "1.5"})
    await client.work_items.get(1)
    await client.work_items.get(1)
    assert (time.slept, heard.waits) == ([1.5], [1.5])


async def test_block_without_a_word_of_how_long_stops_the_account(
    azure: Azure, client: AzureDevOps, time: Time, heard: Heard
) -> None:
    await azure.fail(status=429, body='{"message": "TF400733: blocked"}')
    with pytest.raises(Unavailable, match="TF400733"):
        await client.work_items.get(1)
    with pytest.raises(Unavailable, match="another 30 s"):
        await client.work_items.get(1)
    time.now += 30
    await client.work_items.get(1)
    assert (heard.pauses, heard.statuses) == ([("blocked", 30.0)], [429, 200])


async def test_dropped_connections_stop_the_account_for_longer_each_time(
    azure: Azure, client: AzureDevOps, time: Time, heard: Heard
) -> None:
    await azure.fail(drop=True, times=3)
    for drops in range(3):
        time.now += 60
        with pytest.raises(Unavailable, match="no answer") as dropped:
            await client.work_items.get(1)
        assert dropped.value.retry_after == DROPPED_PAUSE * 2**drops
    time.now += 60
    await client.work_items.get(1)
    await azure.fail(drop=True)
    with pytest.raises(Unavailable):
        await client.work_items.get(1)
    assert [seconds for _, seconds in heard.pauses] == [0.25, 0.5, 1.0, 0.25]
    assert {reason for reason, _ in heard.pauses} == {"dropped"}


async def test_a_patient_reading_goes_on_when_the_service_can_answer_again_and_writes_nothing_twice(
    azure: Azure, client: AzureDevOps, time: Time
) -> None:
    waits: list[tuple[str, float]] = []
    reader = client.patiently(lambda why, wait: waits.append((why, wait.total_seconds())))
    await azure.fail(kind="throttled", headers={"Retry-After": "30"})
    await azure.fail(status=503, times=2)
    await azure.fail(path="workitemsbatch", drop=True)
    assert (await reader.work_items.get(1)).id == 1
    assert [one.id for one in await reader.work_items.batch([1])] == [1]
    assert [wait for _, wait in waits] == [30.0, 2.0, 4.0, DROPPED_PAUSE.total_seconds()]
    assert "nothing was changed" in waits[-1][0], "items are asked for by POST"
    await azure.fail(status=503)
    with pytest.raises(Unavailable, match="it may have been carried out"):
        await reader.work_items.add_comment("Fabrikam", 1, "<p>Once</p>")
    await azure.fail(status=503, times=7)
    with pytest.raises(Unavailable):
        await reader.work_items.get(1)
    assert [wait for _, wait in waits[4:]] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]


def test_pause_after_drops_has_an_end(time: Time) -> None:
    pace = Pace(clock=time, sleep=time.sleep)
    for _ in range(100):
        pace.dropped()
    assert pace.pause == DROPPED_PAUSE_MAX


async def test_calls_at_once_are_capped(azure: Azure, heard: Heard) -> None:
    pace = Pace(calls_max=3, observer=heard)
    async with AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), pace=pace) as client:
        await asyncio.gather(*(client.work_items.get(1) for _ in range(20)))
    assert max(heard.calls) == 3
    assert heard.calls[-1] == 0


async def test_people_go_before_bulk_and_equals_in_the_order_they_came(time: Time) -> None:
    pace = Pace(clock=time, sleep=time.sleep, calls_max=1)
    order: list[str] = []
    leave = asyncio.Event()

    async def call(name: str, priority: Priority) -> None:
        async with pace.turn(name, priority):
            order.append(name)
            await leave.wait()

    calls = []
    for name, priority in (
        ("first", Priority.BULK),
        ("bulk 1", Priority.BULK),
        ("bulk 2", Priority.BULK),
        ("person 1", Priority.INTERACTIVE),
        ("person 2", Priority.INTERACTIVE),
    ):
        calls.append(asyncio.create_task(call(name, priority)))
        await asyncio.sleep(0)
    leave.set()
    await asyncio.gather(*calls)
    assert order == ["first", "person 1", "person 2", "bulk 1", "bulk 2"]


async def test_place_of_a_cancelled_call_goes_to_the_next(time: Time) -> None:
    pace = Pace(clock=time, sleep=time.sleep, calls_max=1)

    async def hold(until: asyncio.Event) -> None:
        async with pace.turn("call"):
            await until.wait()

    leave, entered = asyncio.Event(), asyncio.Event()
    entered.set()
    first = asyncio.create_task(hold(leave))
    await asyncio.sleep(0)
    given_up, next_one = asyncio.create_task(hold(entered)), asyncio.create_task(hold(entered))
    await asyncio.sleep(0)
    leave.set()
    await first  # its place is given to the second call, which is cancelled before it runs
    given_up.cancel()
    await next_one
    assert given_up.cancelled() or given_up.done()
    async with asyncio.timeout(60), pace.turn("and free again"):
        pass
