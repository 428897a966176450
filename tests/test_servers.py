"""The servers that tests run against are real ones, and each test process has its own."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from pointsman import temporal
from tests import servers
from tests.sample_workflows import SleepThreeDays


async def test_three_days_pass_in_no_time(env: WorkflowEnvironment) -> None:
    queue = f"test-{uuid4()}"
    before = await env.get_current_time()
    async with Worker(env.client, task_queue=queue, workflows=[SleepThreeDays], **temporal.worker_options()):
        assert await env.client.execute_workflow(SleepThreeDays.run, id=queue, task_queue=queue) == "awake"
    assert await env.get_current_time() - before >= timedelta(days=3)


async def test_environment_serves_a_second_test(env: WorkflowEnvironment) -> None:
    assert await env.client.service_client.check_health()


def test_each_test_gets_an_empty_postgres_database(postgres_database: str) -> None:
    with psycopg.connect(postgres_database.replace("+psycopg", "")) as connection:
        row = connection.execute("select count(*) from pg_stat_user_tables").fetchone()
        assert row == (0,)
        version = connection.execute("show server_version_num").fetchone()
        assert version is not None
        assert int(version[0]) >= 160_000


def test_stopped_clock_is_noticed_where_it_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave_a_task_undone(client: Client) -> None:
        name = f"test-{uuid4()}"
        handle = await client.start_workflow(SleepThreeDays.run, id=name, task_queue=name)
        await handle.terminate("to be noticed")

    server = servers.TimeSkippingServer()
    try:
        server.env()
        server.check_clock()
        monkeypatch.setattr(servers, "CLOCK_SECONDS_MAX", 1.0)
        asyncio.run(leave_a_task_undone(server.env().client))
        with pytest.raises(pytest.fail.Exception, match="left a workflow open or its task undone"):
            server.check_clock()
    finally:
        server.stop()
