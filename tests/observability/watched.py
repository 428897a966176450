"""One item's whole way through a running Pointsman, with all that could be seen of it from outside.

The parts are those of the demo, each a process of its own. Everything that must not get out is planted beforehand, so
that tests can look for it in what was kept.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx2
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
from temporalio.client import Client
from temporalio.client import WorkflowExecution as Listed

from bench.faults.forks import Forked, Nursery
from pointsman.clients.azure_devops.patches import add_tags, set_field
from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Decision, Verb
from pointsman.contracts.records import DeliveryState
from pointsman.contracts.work_items import WorkItemKey
from starter import escalations, work_items
from starter.demo import inside
from starter.demo.inside import Inside
from starter.demo.outside import Outside
from starter.demo.processes import Child, Stage
from tests.observability.receiver import NOTIFICATIONS, Receiver
from tests.observability.searching import tables

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.02
METADATA_QUERY = "__temporal_workflow_metadata"
T = TypeVar("T")
FACTS_CHARS_MAX = 2_000  # so much of a description travels as facts, for routing


@dataclass(frozen=True)
class Secrets:
    """Values that no log, span, metric, history or row may hold."""

    webhook: str = "hook-Fuchsia-4711-oFtheSubscription"
    token: str = "pat-Mahogany-0815-oFtheServiceAccount"
    model_key: str = "sk-proj-Cerulean2718oFtheProviderAccount"
    notify: str = "T0-Vermilion-1414-oFtheNotifyUrl"
    collector: str = "otlp-Chartreuse-1618-oFtheCollector"
    refused: str = "wrong-Magenta-3141-oFaStranger"
    """A password that somebody tries."""


@dataclass(frozen=True)
class Content:
    """Words that stand once in the world: each tells where a text went."""

    title: str = "Quagga"
    description: str = "Thylacine"
    description_end: str = "Aurochs"
    """Beyond what travels as facts."""
    comment: str = "Solitaire"
    answer: str = "Elephant-Bird"
    reasoning: str = "Huia"
    arguments: str = "Tarpan"
    tool_result: str = "Bluebuck"
    decision: str = "Heath-Hen"
    fault: str = "Great-Auk"
    """What the provider quotes in an error."""


SECRETS = Secrets()
CONTENT = Content()


@dataclass
class Run:
    """What was seen."""

    item: int = 0
    workflow_id: str = ""
    chain_id: str = ""
    log: list[dict[str, Json]] = field(default_factory=list)
    log_bytes: bytes = b""
    metrics: bytes = b""
    pages: bytes = b""
    """What the web process shows to everybody."""
    histories: dict[str, list[HistoryEvent]] = field(default_factory=dict)
    listed: dict[str, bytes] = field(default_factory=dict)
    """Search attributes, memo and all else that Temporal's lists tell of each workflow."""
    details: dict[str, bytes] = field(default_factory=dict)
    """Current details of each workflow, with its summaries."""
    tables: dict[str, list[bytes]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    commands: bytes = b""
    """The command line of our process, for everybody on the machine to read."""
    written: list[Json] = field(default_factory=list)
    """Writes that the stand-in of Azure DevOps counted."""
    quiet_log: list[dict[str, Json]] = field(default_factory=list)
    """Of the process that ran without any variable of OpenTelemetry."""
    quiet_history: list[HistoryEvent] = field(default_factory=list)
    quiet_traceparents: list[str] = field(default_factory=list)
    exported_before_quiet: int = 0


async def watch(folder: Path, receiver: Receiver, nursery: Nursery) -> Run:
    """Run it all, stop it all, and tell what was seen.

    Pointsman begins as an interpreter that has loaded nothing; the stand-ins, and what starts later, skip their
    imports.
    """
    run = Run()
    stage = Stage(folder, live=False)
    stage.sandbox = _forked(stage.sandbox, nursery)
    _plant(stage, receiver)
    try:
        await stage.start(lambda line: None)
        async with Outside(stage) as outside, inside.opened(stage) as books:
            assert stage.temporal is not None, "the stage has started"
            client = await stage.temporal.connect()
            await _whole_way(run, stage, outside, books, client)
            await _look(run, stage, client)
            run.written = list(_list((await outside.counters())["writes"]))
            await asyncio.to_thread(stage.pointsman.stop)  # in order, so that the last spans are sent
            run.log_bytes = stage.pointsman.log.read_bytes()
            run.exported_before_quiet = len(receiver.requests)
            stage.pointsman = _forked(stage.pointsman, nursery)
            stage.pointsman.environment = _unset(stage.pointsman.environment)
            await _without_variables(run, stage, outside, books, client)
    finally:
        stage.pointsman.kill()
        stage.sandbox.kill()
        if stage.temporal is not None:
            stage.temporal.kill()
    _read_files(run, stage)
    return run


def _forked(child: Child, nursery: Nursery) -> Forked:
    return Forked(child.name, child.arguments, child.environment, child.folder, nursery=nursery)


def _plant(stage: Stage, receiver: Receiver) -> None:
    stage.hook_secret = SECRETS.webhook
    ours = {
        "POINTSMAN_AZURE_DEVOPS_TOKEN": SECRETS.token,
        "POINTSMAN_OPENAI_API_KEY": SECRETS.model_key,
        "POINTSMAN_LOG_LEVEL": "debug",
    }
    stage.sandbox.environment = {**stage.sandbox.environment, **ours}
    stage.pointsman.environment = {
        **stage.pointsman.environment,
        **ours,
        "POINTSMAN_WEBHOOK_SECRETS": SECRETS.webhook,
        "POINTSMAN_NOTIFY_WEBHOOK": f"{receiver.url}{NOTIFICATIONS}{SECRETS.notify}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-collector-key={SECRETS.collector}",
    }


async def _whole_way(run: Run, stage: Stage, outside: Outside, books: Inside, client: Client) -> None:
    """File an item, comment on it while the model thinks, approve what the agent proposes."""
    words = f"Ledger of the {CONTENT.tool_result} islands"
    await outside.file("User Story", words, "It was there before.")
    await outside.subscribe()
    padding = "The clerk counts the crates. " * (FACTS_CHARS_MAX // 20)
    run.item = await outside.file(
        "User Story",
        f"Ledger of the {CONTENT.title}",
        f"{CONTENT.description} comes first. {padding} {CONTENT.description_end} comes last.",
        tags=("ready-to-close",),
    )
    key = WorkItemKey(organisation=stage.organisation, project=stage.project, id=run.item)
    run.workflow_id = work_items.workflow_id(key)
    hold = await _script_model(stage, run.item, str(key))
    await until(lambda: outside.held(hold))
    await _knock(stage)
    await outside.edit(run.item, "System.History", f"{CONTENT.comment} was seen.")
    await until(lambda: _handed_over(books, run.item, "workitem.commented"))
    await outside.release(hold)
    question = await until(lambda: books.question(run.item))
    comment = f"{CONTENT.decision} agrees."
    decision = Decision(verb=Verb.APPROVE, by="ada", subject=question.escalation.subject, comment=comment)
    await escalations.decide(client, question.workflow_id, decision)
    run.chain_id = (await until(lambda: books.ended(run.item))).correlation_id
    await until(lambda: _all_settled(books))


async def _script_model(stage: Stage, item: int, key: str) -> str:
    """What the model says, and a failure before it says anything. Returns a hold on its first request."""
    calls: list[Json] = [
        {"name": "work-items__get_work_item", "arguments": {"id": item}},
        {"name": "work-items__search_work_items", "arguments": {"text": f"Ledger {CONTENT.arguments}"}},
    ]
    answer: Json = {
        "comment": f"{CONTENT.answer} is done.",
        "fields": [{"name": "System.State", "value": "Resolved"}],
        "tags": [],
        "question": "",
    }
    thought = f"{CONTENT.reasoning} comes to mind."
    replies: list[Json] = [{"calls": calls, "reasoning": thought}, {"data": answer, "reasoning": thought}]
    fault: Json = {
        "kind": "status",
        "status": 500,
        "match": key,
        "message": f"The server failed over {CONTENT.fault} of {SECRETS.model_key}",
        "retry_after": "0.05",
    }
    async with httpx2.AsyncClient(base_url=stage.models_url, trust_env=False, timeout=60) as http:
        for what, order in (("scripts", {"match": key, "replies": replies}), ("faults", fault)):
            (await http.post(f"/_sandbox/{what}", json=order)).raise_for_status()
        answered = await http.post("/_sandbox/holds", json={"match": key, "skip": 0, "count": 1})
    return str(answered.raise_for_status().json()["id"])


async def _knock(stage: Stage) -> None:
    """Somebody who does not know the password."""
    async with httpx2.AsyncClient(trust_env=False, auth=("pointsman", SECRETS.refused), timeout=60) as http:
        answer = await http.post(f"{stage.web_url}/webhooks/azure-devops", json={"eventType": SECRETS.refused})
    assert answer.status_code == 401, answer.text


async def _handed_over(books: Inside, item: int, event_type: str) -> bool | None:
    deliveries = [one for one in await books.deliveries() if (one.item_id, one.event_type) == (item, event_type)]
    return True if any(one.state is DeliveryState.DISPATCHED for one in deliveries) else None


async def _all_settled(books: Inside) -> bool | None:
    """Also the echoes of our own write, which come in two events."""
    deliveries = await books.deliveries()
    echoes = [one for one in deliveries if one.state is DeliveryState.ECHO]
    return True if len(echoes) >= 2 and all(one.state is not DeliveryState.PENDING for one in deliveries) else None


async def _look(run: Run, stage: Stage, client: Client) -> None:
    """What Temporal and the web process show while everything runs."""
    async with httpx2.AsyncClient(base_url=stage.web_url, trust_env=False, timeout=60) as http:
        run.metrics = (await http.get("/metrics")).content
        run.commands = await asyncio.to_thread(Path(f"/proc/{stage.pointsman.pid}/cmdline").read_bytes)
        run.pages = b"".join([(await http.get(path)).content for path in ("/", "/health/ready", "/openapi.json")])
    async for listed in client.list_workflows():
        run.histories[listed.id] = await _history(client, listed)
        run.listed[listed.id] = listed.raw_info.SerializeToString()
        run.details[listed.id] = await _details(client, listed)


async def _history(client: Client, listed: Listed) -> list[HistoryEvent]:
    handle = client.get_workflow_handle(listed.id, run_id=listed.run_id)
    return [event async for event in handle.fetch_history_events()]


async def _details(client: Client, listed: Listed) -> bytes:
    """What Temporal's UI shows above a workflow, as its worker tells it."""
    handle = client.get_workflow_handle(listed.id, run_id=listed.run_id)
    fixed = (await handle.describe()).raw_description.execution_config.user_metadata.SerializeToString()
    answer = await client.workflow_service.query_workflow(
        QueryWorkflowRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=listed.id, run_id=listed.run_id),
            query=WorkflowQuery(query_type=METADATA_QUERY),
        )
    )
    return fixed + b"".join(payload.data for payload in answer.query_result.payloads)


def _unset(environment: Mapping[str, str]) -> dict[str, str]:
    told = {name: value for name, value in environment.items() if name != "POINTSMAN_NOTIFY_WEBHOOK"}
    return {name: "" if name.startswith("OTEL_") else value for name, value in told.items()}


async def _without_variables(run: Run, stage: Stage, outside: Outside, books: Inside, client: Client) -> None:
    """The same once more, with nothing set: a delivery that leads to a workflow, and to a question."""
    logged = stage.pointsman.log.stat().st_size
    await stage.start_pointsman()
    item = await _file_unrouted(stage, outside)
    question = await until(lambda: books.question(item))
    handle = client.get_workflow_handle(question.workflow_id.rpartition("/")[0])
    run.quiet_history = [event async for event in handle.fetch_history_events()]
    run.quiet_traceparents = [one.traceparent for one in await books.deliveries() if one.item_id == item]
    run.quiet_log = _lines(stage.pointsman.log.read_bytes()[logged:])


async def _file_unrouted(stage: Stage, outside: Outside) -> int:
    """An item that no rule routes, so that a human is asked at once."""
    operations = [set_field("System.Title", "Crates are to be counted"), add_tags(("inventory",))]
    return (await outside.person.work_items.create(stage.project, "Task", operations)).id


def _read_files(run: Run, stage: Stage) -> None:
    run.log = _lines(run.log_bytes)
    run.tables = tables(stage.folder / "data" / "pointsman.db")
    for path in sorted(stage.folder.rglob("*")):
        # The stand-ins are the other side: they know the secrets, and may say so.
        if path.is_file() and not path.name.startswith("sandbox."):
            run.files[str(path.relative_to(stage.folder))] = path.read_bytes()


def _lines(log: bytes) -> list[dict[str, Json]]:
    return [json.loads(line) for line in log.splitlines()]


def _list(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """Look until there is something to see."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (seen := await look()) is None:  # noqa: ASYNC110 - other processes, so nothing announces it
            await asyncio.sleep(POLL_SECONDS)
    return seen
