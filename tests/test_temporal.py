"""One set-up for client, worker and replayer: contracts travel, the sandbox holds, traces hang together."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from pointsman import temporal
from pointsman.contracts.work_items import WorkItemKey
from pointsman.temporal_server import DevServer
from tests.sample_workflows import LookAtTheClock, NameAnItem, WaitForWord

WORKFLOWS = [LookAtTheClock, NameAnItem, WaitForWord]


@asynccontextmanager
async def worker(client: Client) -> AsyncGenerator[tuple[Client, str]]:
    """A worker on a task queue of its own; yields client and queue, which serves as workflow id, too."""
    queue = f"test-{uuid4()}"
    async with Worker(client, task_queue=queue, workflows=WORKFLOWS, **temporal.worker_options()):
        yield client, queue


async def test_contracts_travel_as_themselves(env: WorkflowEnvironment) -> None:
    async with worker(env.client) as (client, queue):
        key = WorkItemKey(organisation="fabrikam", project="Fiber", id=8)
        named = await client.execute_workflow(NameAnItem.run, key, id=queue, task_queue=queue)
    assert named == key.model_copy(update={"id": 7})


async def test_invalid_contract_fails_the_workflow_and_does_not_hang_it(env: WorkflowEnvironment) -> None:
    async with worker(env.client) as (client, queue):
        key = WorkItemKey(organisation="fabrikam", project="Fiber", id=1)
        with pytest.raises(WorkflowFailureError) as failure:
            await client.execute_workflow(NameAnItem.run, key, id=queue, task_queue=queue)
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "ValidationError"


async def test_sandbox_refuses_the_clock(dev_server: DevServer) -> None:
    async with worker(await dev_server.connect()) as (client, queue):
        handle = await client.start_workflow(LookAtTheClock.run, id=queue, task_queue=queue)
        history = ""
        while "RestrictedWorkflowAccessError" not in history:
            history = (await handle.fetch_history()).to_json()
        await handle.terminate("seen")
    assert "datetime.datetime.now" in history


async def test_search_attributes_are_registered_on_both_servers(
    env: WorkflowEnvironment, dev_server: DevServer
) -> None:
    pairs: list[SearchAttributePair[str]] = [SearchAttributePair(key, "x") for key in temporal.SEARCH_ATTRIBUTES]
    key = WorkItemKey(organisation="fabrikam", project="Fiber", id=8)
    for server_client in (env.client, await dev_server.connect()):
        async with worker(server_client) as (client, queue):
            handle = await client.start_workflow(
                NameAnItem.run, key, id=queue, task_queue=queue, search_attributes=TypedSearchAttributes(pairs)
            )
            await handle.result()
            found = (await handle.describe()).typed_search_attributes
        assert {pair.key.name for pair in found} >= {key.name for key in temporal.SEARCH_ATTRIBUTES}


async def test_history_replays_with_the_same_plugin(env: WorkflowEnvironment) -> None:
    async with worker(env.client) as (client, queue):
        key = WorkItemKey(organisation="fabrikam", project="Fiber", id=8)
        handle = await client.start_workflow(NameAnItem.run, key, id=queue, task_queue=queue)
        await handle.result()
        history = await handle.fetch_history()
    await Replayer(workflows=WORKFLOWS, plugins=[temporal.plugin()]).replay_workflow(history)


async def test_workflow_joins_the_trace_of_whoever_starts_it(env: WorkflowEnvironment) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer(__name__)
    traced = Client(env.client.service_client, plugins=[temporal.plugin(tracer)])
    async with worker(traced) as (client, queue):
        with tracer.start_as_current_span("webhook") as webhook:
            handle = await client.start_workflow(
                WaitForWord.run,
                id=queue,
                task_queue=queue,
                start_signal="say",
                start_signal_args=["hello"],
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
        await handle.result()
    names = {span.name for span in spans.get_finished_spans()}
    assert {"webhook", "SignalWithStartWorkflow:WaitForWord", "RunWorkflow:WaitForWord"} <= names
    traces = {span.context.trace_id for span in spans.get_finished_spans() if span.context}
    assert traces == {webhook.get_span_context().trace_id}


async def test_unreachable_server_is_named_with_what_to_run(free_port: int) -> None:
    with pytest.raises(temporal.TemporalUnreachable) as failure:
        await temporal.connect(f"127.0.0.1:{free_port}")
    assert f"127.0.0.1:{free_port} (namespace 'default')" in str(failure.value)
    assert "pointsman up" in str(failure.value)


@pytest.mark.parametrize("address", ["nowhere.invalid:7233", "no port", "127.0.0.1:port"])
async def test_impossible_address_is_an_error_and_no_traceback(address: str) -> None:
    with pytest.raises(temporal.TemporalUnreachable, match=address.split(":")[0]):
        await temporal.connect(address)


async def test_profile_of_temporal_is_read(
    dev_server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "temporal.toml"
    profile.write_text(f'[profile.mine]\naddress = "{dev_server.address}"\nnamespace = "other"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profile))
    monkeypatch.setenv("TEMPORAL_PROFILE", "mine")
    client = await temporal.connect()
    assert (client.service_client.config.target_host, client.namespace) == (dev_server.address, "other")


async def test_key_of_the_profile_goes_to_its_own_address_only(
    dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "cloud.invalid:7233")
    monkeypatch.setenv("TEMPORAL_API_KEY", "not-for-you")
    client = await temporal.connect(dev_server.address)
    assert client.service_client.config.api_key is None
    assert client.service_client.config.tls in (None, False)


async def test_broken_settings_of_temporal_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "temporal.toml"
    broken.write_text("[profile")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(broken))
    with pytest.raises(temporal.TemporalUnreachable, match=f"file at {broken}"):
        await temporal.connect()


def test_import_brings_no_workflow_and_starts_no_trace() -> None:
    program = (
        "import sys, pointsman.temporal as t; t.plugin(); "
        "from opentelemetry import trace; "
        "print(any(m.partition('.')[0] in ('workflows', 'activities') for m in sys.modules), "
        "trace.get_tracer_provider().__class__.__name__)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", type(trace.ProxyTracerProvider()).__name__]
