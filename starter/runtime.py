"""The composition root that processes share: store, books, policy, clients, activities, put together from settings."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import structlog
from pydantic import SecretStr

from activities.agents import RemoteTurns
from activities.escalations import Asking
from activities.hooks import HookWatch
from activities.recovery import Recovery
from activities.sync import Writer
from activities.turns import Turns
from activities.work_items import WorkItems
from pointsman.clients.azure_devops.caching import Cache, Kept, Layer, MemoryLayer
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.credentials import Credential
from pointsman.clients.azure_devops.event_source import EventSource
from pointsman.clients.azure_devops.hook_service import HookService
from pointsman.clients.azure_devops.pacing import CALLS_MAX, Pace
from pointsman.clients.azure_devops.process_facts import ProcessReader
from pointsman.clients.azure_devops.tracker import Tracker
from pointsman.clients.notify import WebhookNotifier
from pointsman.config import Settings, variable
from pointsman.config.organisations import Organisation
from pointsman.contracts.actions import Action
from pointsman.contracts.policy import Policy
from pointsman.contracts.records import AuditEvent, Chain
from pointsman.llm.service import LLMService
from pointsman.llm.setup import load_adapter
from pointsman.observability.metered import MeteredAttempts, MeteredEscalations, MeteredItems, MeteredLedger
from pointsman.observability.metrics import Metrics
from pointsman.observability.pace import CacheMetrics, PaceMetrics
from pointsman.observability.recovered import count_recovered
from pointsman.observability.violations import MeteredViolations
from pointsman.policies.loading import LoadedPolicy, load
from pointsman.ports import Rejected, Toolbox, Unavailable
from pointsman.store.attempts import Attempts
from pointsman.store.audit import Audit
from pointsman.store.chain_walks import Chains
from pointsman.store.contents import Contents
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.ids import new_id
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.process_violations import ProcessViolations
from pointsman.store.recoveries import Recoveries
from pointsman.store.standing import Standings
from pointsman.store.tracker_answers import StoreLayer
from pointsman.store.tracker_pace import StoreSharedPace
from pointsman.store.transcripts import Transcripts
from pointsman.temporal import activities_of
from starter import toolbox
from starter.agents import LateAgents, service_keys
from starter.connection import Connection
from starter.hook_keeping import HookKeeper
from starter.hooks import receiver_url
from starter.llm import governed
from starter.needs import known_models, likely_providers, llm_settings, model_keys
from starter.organisations import account, clients, environment
from starter.process_rooms import Outside, process_rooms
from starter.sync_books import status_room, sync_books
from starter.sync_rooms import ended_runs, reconciling, rollbacks

LOG = structlog.get_logger(__name__)
OURSELVES = "pointsman"  # as a tool server's command: this installation


@dataclass(frozen=True)
class Books:
    """The store's ports, counted where metrics want them."""

    inbox: Inbox
    audit: Audit
    contents: Contents
    transcripts: Transcripts
    attempts: MeteredAttempts
    ledger: MeteredLedger
    items: MeteredItems
    escalations: MeteredEscalations
    standing: Standings
    recoveries: Recoveries
    chains: Chains
    violations: MeteredViolations


def open_books(store: Store, metrics: Metrics) -> Books:
    return Books(
        inbox=Inbox(store),
        audit=Audit(store),
        contents=Contents(store),
        transcripts=Transcripts(store),
        attempts=MeteredAttempts(Attempts(store), metrics),
        ledger=MeteredLedger(Ledger(store), metrics),
        items=MeteredItems(Items(store), metrics),
        escalations=MeteredEscalations(Escalations(store), metrics),
        standing=Standings(store),
        recoveries=Recoveries(store),
        chains=Chains(store),
        violations=MeteredViolations(ProcessViolations(store), metrics),
    )


@dataclass(frozen=True)
class Runtime:
    """What every part of a process is given."""

    settings: Settings
    metrics: Metrics
    store: Store
    books: Books
    policy: LoadedPolicy
    models: LLMService


@asynccontextmanager
async def runtime(settings: Settings) -> AsyncGenerator[Runtime]:
    """Open the store and load policy. Policy in force is told to the audit log, prompts go into the store.

    Raises:
        StoreInUse, SchemaMismatch, PolicyError, Misconfigured: nothing was started; the text says what to do.
    """
    policy = load(settings.policy_dir)
    llm = llm_settings(settings)
    known_models(llm, policy.policy)
    async with Store.open(settings.database_url.get_secret_value()) as store:
        metrics = Metrics()
        books = open_books(store, metrics)
        await announce(policy, books)
        async with governed(llm, policy.policy.models, store, metrics=metrics.registry) as models:
            yield Runtime(settings, metrics, store, books, policy, models)


async def announce(loaded: LoadedPolicy, books: Books) -> None:
    """Keep the prompts, and say in the audit log which policy is in force from now on."""
    for text in loaded.prompts.values():
        await books.contents.put(text.encode())
    policy = loaded.policy
    await books.audit.append(
        AuditEvent(
            id=new_id(),
            action=Action.POLICY_LOADED,
            actor="pointsman",
            at=datetime.now(UTC),
            chain=Chain(tenant="default", correlation_id=""),
            data={"version": policy.version, "hash": policy.hash, "files": [path.name for path in loaded.files]},
        )
    )
    LOG.info("policy loaded", version=policy.version, hash=policy.hash)


@asynccontextmanager
async def activities(
    rt: Runtime, connection: Connection, started: asyncio.Event | None = None
) -> AsyncGenerator[list[Callable[..., object]]]:
    """All activities, over real clients that close at the end. What is loaded ahead of its use waits for `started`.

    Raises:
        Misconfigured: a credential that activities need is missing.
    """
    settings, books = rt.settings, rt.books
    llm = llm_settings(settings)
    model_keys(llm, rt.policy.policy)
    service_keys(rt.policy.policy)
    async with AsyncExitStack() as stack:
        organisations = await stack.enter_async_context(clients(settings, partial(paced, rt), partial(remembered, rt)))
        policy = rt.policy.policy
        tools = toolbox.mcp(policy.tool_servers, tool_environments(policy, settings), books.contents)
        stack.push_async_callback(tools.aclose)
        agents = LateAgents()
        stack.push_async_callback(agents.aclose)
        warming = partial(warm, likely_providers(llm, policy), tools, policy)
        stack.push_async_callback(_ended, asyncio.create_task(_warm_after(started, warming)))
        tracker = Tracker(organisations)
        notifier = WebhookNotifier(settings.notify_webhook)
        reader = ProcessReader(organisations)
        sync = sync_books(rt.store, organisations, rt.metrics)
        outside = Outside(reader, reader, tracker, notifier, Writer(tracker, books.ledger, sync))
        ruled = process_rooms(outside, books.violations, books.audit, policy.process, settings.policy_dir)
        item_room = WorkItems(tracker, books.contents, books.items, books.ledger, books.inbox, ruled.guard, sync=sync)
        turn_room = Turns(rt.models, tools, books.transcripts, books.contents, books.attempts)
        remote_room = RemoteTurns(agents, books.transcripts, books.contents, books.attempts)
        asking_room = Asking(books.escalations, books.contents, notifier)
        why_not = partial(ruled.guard.why_not, policy.process.enforce_from)
        back = rollbacks(organisations, tracker, sync, books.ledger, books.audit, why_not)
        both = reconciling(organisations, tracker, rt.store, books.recoveries, books.inbox, books.ledger)
        status = status_room(rt.store, organisations, tracker, books.ledger)
        rooms = (
            item_room,
            turn_room,
            remote_room,
            asking_room,
            status,
            back,
            both,
            *ended_runs(connection.client, rt.store, remote_room),
            *ruled.all,
            *recovery_rooms(rt, organisations),
        )
        yield [activity for room in rooms for activity in activities_of(room)]


def recovery_rooms(rt: Runtime, organisations: Mapping[str, AzureDevOps]) -> tuple[Recovery, HookWatch]:
    """What brings lost events back, and what looks after the subscriptions that lose them."""
    settings, recoveries = rt.settings, rt.books.recoveries
    secret = settings.webhook_secrets[-1] if settings.webhook_secrets else SecretStr("")
    keeper = HookKeeper(HookService(organisations, secret), settings, rt.policy.policy.hooks)
    source = EventSource(organisations, receiver_url(settings) if settings.public_url else "", rt.policy.policy.hooks)
    told = partial(count_recovered, rt.metrics)
    return Recovery(source, rt.books.inbox, recoveries, told), HookWatch(keeper, recoveries)


def paced(rt: Runtime, organisation: Organisation, credential: Credential) -> Pace:
    """The pace of an account at an organisation: of all processes on one store together, and told to the metrics."""
    shared = StoreSharedPace(rt.store, account(organisation, credential), CALLS_MAX)
    return Pace(observer=PaceMetrics(rt.metrics, organisation.name), shared=shared)


def remembered(rt: Runtime, organisation: Organisation) -> Cache:
    """What was read of an organisation: in memory, and in the store for all processes and the next start."""
    layers: list[Layer] = [MemoryLayer(), StoreLayer(rt.store, Kept)]
    return Cache(layers, observer=CacheMetrics(rt.metrics, organisation.name))


def tool_environments(policy: Policy, settings: Settings) -> Mapping[str, Mapping[str, str]]:
    """What each tool server may know of our settings: our own command how to read work items, any other nothing."""
    ours = {**environment(settings), variable("log_level"): settings.log_level}
    return {server.name: ours for server in policy.tool_servers if server.command[:1] == (OURSELVES,)}


async def _warm_after(started: asyncio.Event | None, warming: Callable[[], Awaitable[None]]) -> None:
    if started is not None:
        await started.wait()
    await warming()


async def warm(providers: Sequence[str], tools: Toolbox, policy: Policy) -> None:
    """Load the SDKs of providers and start the tool servers that agents use, while nobody waits for them.

    A tool server that fails is tried again when it is used.
    """
    for provider in providers:
        # In a thread, so that a worker that shares its process goes on beating meanwhile.
        await asyncio.to_thread(load_adapter, provider)

    async def start(server: str) -> None:
        try:
            await tools.definitions([f"{server}/*"])
        except (Rejected, Unavailable) as error:
            LOG.warning("tool server is not ready", server=server, error=str(error))

    used = {entry.partition("/")[0] for agent in policy.agents for entry in agent.tools}
    await asyncio.gather(*(start(server) for server in sorted(used)))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
