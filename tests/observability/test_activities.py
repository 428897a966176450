"""A real worker: lines of its activities name their chain, and its own metrics are served on a loopback port."""

import asyncio
import io
import json
import logging
from collections.abc import Generator
from datetime import timedelta

import pytest
import structlog
from temporalio import activity, workflow
from temporalio.worker import Worker

from pointsman import temporal
from pointsman.contracts.base import Contract
from pointsman.contracts.lifecycle import TakeIn
from pointsman.contracts.work_items import WorkItemKey
from pointsman.observability import logs, metrics
from pointsman.observability.activities import Correlating
from pointsman.store.ids import new_id
from pointsman.temporal_server import DevServer

ASK = TakeIn(key=WorkItemKey(organisation="harbour", project="Quay", id=41), tenant="north", correlation_id="c-1")
LIMIT = timedelta(seconds=60)


class Nested(Contract):
    """An input that carries its request inside, as a turn's steps do."""

    request: TakeIn
    step: int


@activity.defn
async def say(ask: TakeIn) -> None:
    structlog.get_logger("room").info("said")


@activity.defn
async def say_nested(ask: Nested) -> None:
    structlog.get_logger("room").info("said")


@workflow.defn(sandboxed=False)  # its module is this test, with all that it imports
class CallBoth:
    @workflow.run
    async def run(self, ask: TakeIn) -> None:
        await workflow.execute_activity(say, ask, start_to_close_timeout=LIMIT)
        await workflow.execute_activity(say_nested, Nested(request=ask, step=1), start_to_close_timeout=LIMIT)


@pytest.fixture
def lines() -> Generator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    logs.configure("info", "json", (), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_activities_name_their_chain_and_core_serves_its_metrics(
    dev_server: DevServer, free_port: int, lines: io.StringIO
) -> None:
    client = await temporal.connect(dev_server.address, runtime=metrics.core_runtime(free_port))
    queue = f"test-{new_id()}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[CallBoth],
        activities=[say, say_nested],
        interceptors=[Correlating()],
    ):
        async with asyncio.timeout(LIMIT.total_seconds()):
            await client.execute_workflow(CallBoth.run, ASK, id=queue, task_queue=queue)
        exposed = await metrics.core_exposition(free_port)
    said = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["event"] == "said"]
    assert [line["activity"] for line in said] == ["say", "say_nested"]
    for line in said:
        assert (line["correlation_id"], line["tenant"], line["item"]) == ("c-1", "north", "harbour/Quay/41")
        assert (line["workflow_id"], line["attempt"]) == (queue, 1)
        assert line["run_id"]
    assert b"temporal_activity_execution_latency" in exposed
    assert not set(_names(exposed)) & set(_names(metrics.Metrics().exposition()))


def _names(exposition: bytes) -> list[str]:
    return [line.split()[2] for line in exposition.decode().splitlines() if line.startswith("# TYPE")]
