"""An account has an allowance: it is asked to slow down near its end, refused beyond, and goes on after a while."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.pacing import Pace
from pointsman.sandbox.azure_devops.clock import Clock
from tests.sandbox.azure import PERSON_TOKEN, SERVICE_TOKEN, Azure, at, azure_devops


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops(seeded=True) as running:
        yield running


class Still(Clock):
    """Time that goes on only where it is moved."""

    def moment(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + self._ahead


async def ask(azure: Azure, token: str = SERVICE_TOKEN) -> httpx2.Response:
    return await azure.http.get(f"{azure.base_url}/_apis/wit/workitems/1?api-version=7.1", auth=("", token))


async def test_an_account_is_slowed_then_refused_and_goes_on_once_units_come_back(azure: Azure) -> None:
    azure.world.clock = Still()
    await azure.control("POST", "allowance", {"units": 4, "window_seconds": 300, "slow_from": 0.5})
    answers = [await ask(azure) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert [answer.headers.get("x-ratelimit-remaining") for answer in answers] == [None, None, "1", "0", "0"]
    assert answers[-1].headers["retry-after"] == "300"
    assert at(answers[-1].json(), "typeKey") == "RequestBlockedException"
    assert (await ask(azure, PERSON_TOKEN)).status_code == 200
    azure.world.clock.move(timedelta(seconds=301))
    assert "retry-after" not in (await ask(azure)).headers


async def test_whoever_heeds_what_is_said_is_never_refused(azure: Azure) -> None:
    await azure.control("POST", "allowance", {"units": 4, "window_seconds": 1, "slow_from": 0.5})
    azure.world.clock = Still()
    waited = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal waited
        waited += seconds
        azure.world.clock.move(timedelta(seconds=seconds))

    pace = Pace(clock=lambda: waited, sleep=sleep)
    async with AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), pace=pace) as client:
        for _ in range(12):
            await client.in_bulk().work_items.get(1)
    counters = at(await azure.control("GET", "counters"), "requests")
    assert counters == {"work_items.get 200": 12}
    assert waited == 3, "each third call is told to wait a second, and the last has none behind it"


async def test_without_an_allowance_nobody_is_slowed(azure: Azure) -> None:
    await azure.control("POST", "allowance", {"units": 1})
    await azure.control("POST", "allowance", {})
    assert [(await ask(azure)).status_code for _ in range(3)] == [200, 200, 200]
