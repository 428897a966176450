"""`serve`, `web` and `worker` as processes: what keeps them from starting, what they outlive, and how they end."""

import asyncio
import gc
import json
import logging
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx2
import pytest
import structlog
import structlog.testing
import yaml
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from bench.faults.forks import Forked, Nursery
from pointsman.config import Settings
from pointsman.contracts.base import Json
from pointsman.contracts.records import AttemptKind, Delivery, DeliveryState, ItemRow
from pointsman.contracts.work_items import WorkItemState
from pointsman.policies.loading import OURS
from pointsman.sandbox.agents.server import AgentsConfig, AgentsStandIn
from pointsman.sandbox.azure_devops import server as azure_devops
from pointsman.sandbox.azure_devops.config import demo_config
from pointsman.sandbox.models import server as models
from pointsman.sandbox.models.app import create_app as create_models
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.control import Fault, FaultKind
from pointsman.sandbox.serving import hosting
from pointsman.store import schema
from pointsman.store.attempts import Attempts
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.signing import Verifier
from pointsman.store.verification import verify
from pointsman.temporal import TemporalUnreachable
from pointsman.temporal_server import DevServer, find_server, free_port
from starter.cli.errors import ExitCode
from starter.cli.sandbox import model_settings
from starter.demo.outside import Outside, until
from starter.demo.processes import Child, Stage, surroundings
from starter.serve import _patiently, serve
from tests.starter.process_rig import Started
from tests.starter.web_rig import HOOK, basic, created

pytestmark = pytest.mark.slow

PERSON = "person-of-the-tests"
T = TypeVar("T")


@pytest.fixture
def stage(tmp_path: Path, nursery: Nursery) -> Stage:
    made = Stage(tmp_path / "stage", live=False)
    named = made.pointsman
    made.pointsman = Forked(named.name, named.arguments, named.environment, named.folder, nursery=nursery)
    return made


def environment(stage: Stage, **changed: str) -> dict[str, str]:
    return {**stage.pointsman.environment, **changed}


@asynccontextmanager
async def running(*children: Child) -> AsyncGenerator[None]:
    for child in children:
        child.start()
    try:
        yield
    finally:
        for child in children:
            child.kill()


def ended(nursery: Nursery, child: Child) -> int | None:
    """Exit code of a process that is asked to end."""
    os.kill(child.pid, signal.SIGTERM)
    return nursery.ended(child.pid, 60)


def stopped(child: Child) -> list[str]:
    """The parts of the process, in the order in which they stopped."""
    lines = [json.loads(line) for line in child.log.read_text().splitlines() if line.startswith("{")]
    return [line["part"] for line in lines if line["event"] == "stopped"]


async def answer(child: Child, url: str, *statuses: int) -> httpx2.Response:
    """What the process answers, once it does with one of the statuses."""
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as http:

        async def asked() -> httpx2.Response | None:
            child.check()
            try:
                told = await http.get(url)
            except httpx2.HTTPError:
                return None
            return told if told.status_code in statuses else None

        return await until(url, asked)


async def first(store: Store, look: Callable[[Store], Awaitable[T | None]]) -> T:
    return await until("the books", lambda: look(store))


def test_what_would_end_it_is_told_before_anything_is_made(stage: Stage, tmp_path: Path, nursery: Nursery) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "policy.yaml").write_text('version: "7"\n\nscoop: []\n')
    wrong = {
        "POINTSMAN_OPENAI_API_KEY is not set": dict.fromkeys(model_settings("", ""), ""),
        "POINTSMAN_AZURE_DEVOPS_TOKEN is not set": {"POINTSMAN_AZURE_DEVOPS_TOKEN": ""},
        "policy.yaml:3": {"POINTSMAN_POLICY_DIR": str(policy)},
    }
    processes = {
        text: Started(nursery, {**surroundings(), **environment(stage, **change)}, tmp_path / str(number), "serve")
        for number, (text, change) in enumerate(wrong.items())
    }
    for text, process in processes.items():
        told = process.end()
        assert (told.returncode, told.stdout) == (ExitCode.USAGE, ""), told.stderr
        assert text in told.stderr
        assert "Traceback" not in told.stderr
    assert not (stage.folder / "data").exists()


async def test_deliveries_are_kept_while_temporal_is_away_and_handed_over_when_it_comes(
    stage: Stage, tmp_path: Path, nursery: Nursery
) -> None:
    server = DevServer(find_server().path, tmp_path / "temporal", ui=False)
    stage.pointsman.environment = environment(stage, POINTSMAN_TEMPORAL_ADDRESS=server.address)
    async with running(stage.pointsman):
        await answer(stage.pointsman, f"{stage.web_url}/health/live", 200)
        async with httpx2.AsyncClient(base_url=stage.web_url, timeout=60, trust_env=False) as http:
            body = created(resourceContainers={"collection": {"baseUrl": "https://dev.azure.com/fabrikam/"}})
            accepted = await http.post(HOOK, content=body, headers=basic(password=stage.hook_secret))
        assert accepted.status_code == 202
        failing = await until("a check of Temporal that is answered in time", partial(unwell, stage))
        assert server.address in failing["temporal"]
        assert failing.keys() <= {"temporal", "dispatcher"}
        async with Store.open(stage.database_url, read_only=True) as store:
            assert [row.state for row in await Inbox(store).find()] == [DeliveryState.PENDING]
            async with server:
                assert (await first(store, handed_over)).attempts == 0  # Temporal's absence is not the row's fault
                assert ended(nursery, stage.pointsman) == ExitCode.OK
            told = await verify(store, Verifier.open(stage.folder / "data" / "keys"))
    assert stopped(stage.pointsman) == ["web", "dispatcher", "pulse", "worker", "sequencer"]
    assert (told.ok, told.pending) == (True, 0)  # what was written until the end is signed


async def unwell(stage: Stage) -> dict[str, str] | None:
    """Why what fails, once no check has taken longer than it may."""
    told = (await answer(stage.pointsman, f"{stage.web_url}/health/ready", 200)).json()
    assert told["status"] == "degraded"
    failing = {one["name"]: one["message"] for one in told["checks"] if one["status"] == "fail"}
    return None if any("no answer within" in message for message in failing.values()) else failing


async def done(store: Store, organisation: str, item: int) -> ItemRow | None:
    row = await Items(store).get(organisation, item)
    return row if row is not None and row.state is WorkItemState.DONE else None


async def heard(service: AgentsStandIn) -> bool | None:
    """Whether the service has a task, of whose answer nothing came back."""
    return True if await service.states() else None


async def handed_over(store: Store) -> Delivery | None:
    rows = await Inbox(store).find()
    return next((row for row in rows if row.state is DeliveryState.DISPATCHED), None)


def led_elsewhere(stage: Stage, url: str) -> None:
    """Our own policy, but that items with a tag are for an agent elsewhere."""
    ours = yaml.safe_load((OURS / "policy.yaml").read_text())
    agents = [*ours["agents"], {"name": "elsewhere", "may_change": ["System.Tags"], "service": {"url": url}}]
    routes = [{"name": "elsewhere", "match": {"tags": ["elsewhere"]}, "agent": "elsewhere"}, *ours["routes"]]
    file = stage.folder / "policy" / "policy.yaml"
    file.write_text(f"{file.read_text()}{yaml.safe_dump({'agents': agents, 'routes': routes})}")


async def test_web_and_worker_of_one_postgresql_carry_items_to_their_end_also_where_the_worker_is_killed(
    stage: Stage, dev_server: DevServer, postgres_database: str, nursery: Nursery
) -> None:
    """It dies when an agent elsewhere has got its task, and nobody here knows that yet."""
    schema.upgrade(postgres_database)
    service = AgentsStandIn(AgentsConfig())
    service.answers_held = 1
    env = environment(
        stage,
        POINTSMAN_DATABASE_URL=postgres_database,
        POINTSMAN_TEMPORAL_ADDRESS=dev_server.address,
        POINTSMAN_TASK_QUEUE=stage.folder.parent.name,
    )
    stage.pointsman.environment = env
    web = Forked("web", ("web",), env, stage.folder, nursery=nursery)
    dying = Forked("dying", ("worker",), env, stage.folder, nursery=nursery)
    worker = Forked("worker", ("worker",), env, stage.folder, nursery=nursery)
    async with AsyncExitStack() as world:
        led_elsewhere(stage, await world.enter_async_context(service.running()))
        await world.enter_async_context(running(web, dying))
        await world.enter_async_context(stand_ins(stage))
        outside = await world.enter_async_context(Outside(stage))
        store = await world.enter_async_context(Store.open(postgres_database))
        await answer(web, f"{stage.web_url}/health/ready", 200)
        await outside.subscribe()
        remote = await outside.file("Bug", "Crane hums, script: works", "Since noon.", tags=("elsewhere",))
        await until("a message to the service", lambda: heard(service))
        dying.kill()
        await world.enter_async_context(running(worker))
        item = await outside.file("Bug", "Crane stops at noon", "It goes on at one.")
        row = await first(store, partial(done, organisation=stage.organisation, item=item))
        taken_over = await first(store, partial(done, organisation=stage.organisation, item=remote))
        told = [one for one in await Attempts(store).of_item(taken_over.key) if one.kind is AttemptKind.AGENT]
        counted = (await answer(worker, f"http://127.0.0.1:{stage.core_port}/metrics", 200)).text
        counted_by_web = (await answer(web, f"{stage.web_url}/metrics", 200)).text
        assert (ended(nursery, web), ended(nursery, worker)) == (ExitCode.OK, ExitCode.OK)
    assert [(one.subject, one.outcome) for one in told] == [("1/1/say", "found")]
    assert (len(service.heard), service.calls.count("SendMessage")) == (1, 1)
    assert [*(await service.states()).values()] == ["TASK_STATE_COMPLETED"]
    assert row.usage.tool_calls > 0
    assert sample(counted, "pointsman_model_calls_total") == row.usage.model_calls
    assert sample(counted, "temporal_workflow_task_execution_latency_count") > 0
    assert "temporal_workflow_task_execution_latency_count" not in counted_by_web
    assert sample(counted_by_web, "pointsman_deliveries_total") > 0
    assert stopped(web) == ["web", "dispatcher", "pulse", "sequencer"]
    assert stopped(worker) == ["worker", "metrics"]


@asynccontextmanager
async def stand_ins(stage: Stage) -> AsyncGenerator[None]:
    """Azure DevOps and the model provider, where the stage's settings look for them."""
    given = stage.pointsman.environment
    config = demo_config(SecretStr(PERSON), SecretStr(given["POINTSMAN_AZURE_DEVOPS_TOKEN"]))
    keys = (SecretStr(given["POINTSMAN_OPENAI_API_KEY"]),)
    stage.person_token = PERSON
    async with (
        azure_devops.running(config, port=httpx2.URL(stage.azure_url).port or 0),
        models.running(ModelsConfig(api_keys=keys), port=httpx2.URL(stage.models_url).port or 0),
    ):
        yield


def sample(exposition: str, name: str) -> float:
    """Sum of a metric's samples."""
    lines = [line for line in exposition.splitlines() if line.partition("{")[0].partition(" ")[0] == name]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.fixture
def borrowed() -> Generator[None]:
    """What a process has once, given back as it was: its logs, its signals, its collector."""
    root, handler = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    handlers, level, config = list(root.handlers), root.level, structlog.get_config()
    yield
    gc.unfreeze()
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)


@asynccontextmanager
async def served(folder: Path, **given: Json) -> AsyncGenerator[httpx2.AsyncClient]:
    """The web part in this very process."""
    port = free_port()
    settings = Settings.model_validate({"data_dir": str(folder), "web_port": port, **given})
    serving = asyncio.create_task(serve(settings, ("web",)))
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:

        async def alive() -> bool | None:
            try:
                return (await http.get("/health/live")).status_code == 200 or None
            except httpx2.HTTPError:
                return None

        await until("the web part", alive)
        yield http
    os.kill(os.getpid(), signal.SIGTERM)
    await serving


@pytest.mark.usefixtures("borrowed")
async def test_who_reads_a_stream_when_the_process_ends_is_told_so(
    migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(migrated_file, tmp_path / "pointsman.db")
    monkeypatch.chdir(tmp_path)
    token, key = "web-part-" * 4, "sk-test-4f1d0c7a9b2e"
    provider = create_models(ModelsConfig(api_keys=(SecretStr(key),)))
    provider.state.control.faults.append(Fault(kind=FaultKind.SILENCE))
    told: list[str] = []
    async with hosting(provider) as url, AsyncExitStack() as reading:
        given = {"rpc_tokens": f"north:{token}", "openai_api_key": key, "openai_base_url": f"{url}/v1"}
        async with served(tmp_path, **given) as http:
            params = {"messages": [{"role": "user", "content": "Hello"}], "model": "gpt-6-luna"}
            asked = {"jsonrpc": "2.0", "method": "llm.stream", "id": 7, "params": params}
            headers = {"Authorization": f"Bearer {token}"}
            client = await reading.enter_async_context(httpx2.AsyncClient(timeout=60, trust_env=False))
            url = f"{http.base_url}/rpc"
            response = await reading.enter_async_context(client.stream("POST", url, json=asked, headers=headers))
            lines = response.aiter_lines()
            told.append(await anext(lines))
        told += [line async for line in lines if line.startswith("data: ")]
    last = json.loads(told[-1].removeprefix("data: "))
    assert (last["id"], last["error"]["code"], last["error"]["data"]["retryable"]) == (7, -32011, True)


@pytest.mark.usefixtures("borrowed")
async def test_the_web_part_spares_the_collector_and_serves_models_without_any_key(
    migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(migrated_file, tmp_path / "pointsman.db")
    monkeypatch.chdir(tmp_path)  # no .env of anybody's
    frozen, token = gc.get_freeze_count(), "web-part-" * 4
    async with served(tmp_path, rpc_tokens=f"north:{token}") as http:
        spared = gc.get_freeze_count() - frozen
        headers = {"Authorization": f"Bearer {token}"}
        asked = {"jsonrpc": "2.0", "method": "llm.models", "id": 1}
        told = (await http.post("/rpc", json=asked, headers=headers)).json()["result"]
        keyless = (await http.post("/rpc", json={**asked, "method": "llm.complete"}, headers=headers)).json()
        ready = (await http.get("/health/ready")).json()
    assert spared > 1_000
    assert {provider["has_key"] for provider in told["providers"]} == {False}
    assert keyless["error"]["code"] == -32602
    assert {check["name"]: check["status"] for check in ready["checks"]}["models"] == "ok"


async def test_a_worker_outlives_a_temporal_that_goes_away_while_it_starts(dev_server: DevServer) -> None:
    here = await dev_server.connect()
    ways: list[Client | Exception] = [
        TemporalUnreachable("nobody is there"),
        RPCError("it has gone again", RPCStatusCode.UNAVAILABLE, b""),
        here,
    ]

    async def prepared() -> Client:
        way = ways.pop(0)
        if isinstance(way, Exception):
            raise way
        return way

    with structlog.testing.capture_logs() as lines:
        assert await _patiently(prepared) is here
    assert [line["error"] for line in lines if line["event"] == "Temporal is not there yet"] == [
        "nobody is there",
        "it has gone again",
    ]
