"""What the service does to our pace can be read from the metrics, by organisation."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.caching import TYPES_AGE, Cache, MemoryLayer
from pointsman.clients.azure_devops.pacing import Pace
from pointsman.observability import names
from pointsman.observability.metrics import Metrics
from pointsman.observability.pace import CacheMetrics, PaceMetrics
from pointsman.ports import Unavailable
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops(seeded=True) as running:
        yield running


async def test_slowing_blocking_and_what_is_left_are_told(azure: Azure) -> None:
    metrics = Metrics()
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pace = Pace(clock=lambda: now, sleep=sleep, observer=PaceMetrics(metrics, "fabrikam"))
    async with AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), pace=pace) as client:
        await azure.fail(headers={"Retry-After": "2", "X-RateLimit-Remaining": "7"})
        await client.work_items.get(1)
        await azure.fail(status=429, headers={"Retry-After": "40"})
        with pytest.raises(Unavailable):
            await client.work_items.get(1)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"target": "fabrikam", **labels})

    assert value(f"{names.TRACKER_PAUSES}_total", reason="slowed") == 1
    assert value(f"{names.TRACKER_PAUSED_SECONDS}_total", reason="blocked") == 40
    assert value(f"{names.TRACKER_ANSWERS}_total", status="429") == 1
    assert value(f"{names.TRACKER_WAIT_SECONDS}_sum") == 2
    assert value(names.TRACKER_REMAINING) == 7
    assert value(names.TRACKER_CALLS) == 0


async def test_hits_age_and_savings_of_what_is_used_again_are_told(azure: Azure) -> None:
    metrics = Metrics()
    now = datetime(2026, 11, 21, tzinfo=UTC)
    cache = Cache([MemoryLayer()], observer=CacheMetrics(metrics, "fabrikam"), now=lambda: now)
    async with AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), cache=cache) as client:
        for _ in range(3):
            await client.types.get("Fabrikam", "Bug", TYPES_AGE)
            now += timedelta(seconds=30)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"target": "fabrikam", "kind": "type", **labels})

    assert value(f"{names.TRACKER_CACHE}_total", outcome="missed") == 1
    assert value(f"{names.TRACKER_CACHE}_total", outcome="memory") == 2
    assert value(f"{names.TRACKER_CACHE_SAVED}_total") == 2
    assert value(f"{names.TRACKER_CACHE_AGE_SECONDS}_sum") == 30 + 60
