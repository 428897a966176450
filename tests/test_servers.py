"""The servers that tests run against are real ones, and each test process has its own."""

from datetime import timedelta
from uuid import uuid4

import psycopg
from temporalio import workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from pointsman import temporal


@workflow.defn
class SleepThreeDays:
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(timedelta(days=3))
        return "awake"


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
