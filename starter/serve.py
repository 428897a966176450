"""Pointsman as a process: web, dispatcher, sequencer and worker, all or some of them, until it is told to stop."""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from importlib.metadata import version

import structlog
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from pointsman import temporal
from pointsman.config import Misconfigured, Settings, variable
from pointsman.contracts.recovery import RecoverRequest
from pointsman.domain.sources import networks
from pointsman.llm.governance import Governance
from pointsman.observability import logs, meters, metrics, traces
from pointsman.observability.activities import Correlating
from pointsman.policies.loading import load
from pointsman.policies.process_rules import load_processes
from pointsman.ports import Unavailable
from pointsman.store.sequencer import LogDamaged, Sequencer
from pointsman.store.signing import Signer
from pointsman.temporal_server import free_port
from starter import process_schedules, reconciliation
from starter.admission import admission
from starter.agents import service_secrets
from starter.chains import ChainBooks
from starter.connection import Connection
from starter.dispatcher import Dispatcher
from starter.handing import deliver_by
from starter.lease import Alone, Lease
from starter.models import keys_of, registry_of, secrets_named
from starter.needs import check, llm_settings
from starter.recovery import Pulse, ensure_schedules, requests
from starter.runtime import Runtime, activities, runtime
from starter.web import health
from starter.web.app import create_app, spare_the_collector
from starter.web.rpc.callers import Callers, tokens_of
from starter.web.rpc.catalogue import Catalogue
from starter.web.rpc.endpoint import RpcServices
from starter.web.rpc.methods import ModelRoom
from starter.web.services import IntakeSettings, Services
from workflows.agent_services import DelegateTurn
from workflows.escalations import ResolveEscalation
from workflows.process import CheckProcess, CheckWorkItem, DecideViolation
from workflows.reconciliation import ReconcileProject
from workflows.recovery import RecoverEvents
from workflows.rollback import RollBackItem
from workflows.turns import TakeTurn
from workflows.violations import AskAboutViolation
from workflows.work_items import DeliverWorkItem

LOG = structlog.get_logger(__name__)
WORKFLOWS = (
    DeliverWorkItem,
    TakeTurn,
    DelegateTurn,
    ResolveEscalation,
    CheckProcess,
    CheckWorkItem,
    DecideViolation,
    AskAboutViolation,
    RecoverEvents,
    ReconcileProject,
    RollBackItem,
)
RECONNECT_MIN, RECONNECT_MAX = timedelta(milliseconds=250), timedelta(seconds=5)
LINGER = timedelta(seconds=5)
# Above the 60 s for which proxies keep idle connections: who reuses one while it is being closed loses a request.
KEEP_ALIVE_SECONDS = 75
Part = Coroutine[None, None, None]


async def serve(settings: Settings, parts: Iterable[str] = ("web", "worker"), **beside: Callable[[], Part]) -> None:
    """Run until SIGTERM or SIGINT, then stop in order: intake, hand-over, work, books, what the caller has beside.

    Raises:
        StoreInUse, SchemaMismatch, PolicyError, Misconfigured: it was not started; the text says what to do.
    """
    wanted = frozenset(parts)
    check(settings, wanted)
    logs.configure(settings.log_level, settings.log_format, secrets_of(settings))
    telling = (traces.configure(version=version("pointsman")), meters.configure(version=version("pointsman")))
    try:
        async with runtime(settings) as rt:
            await _run(rt, wanted, beside)
    finally:
        for provider in telling:
            if provider is not None:
                provider.shutdown()


def secrets_of(settings: Settings) -> list[SecretStr | None]:
    """Values that no log line may show."""
    policy = load(settings.policy_dir).policy
    single = (settings.azure_devops_token, settings.notify_webhook)
    accounts = [secret for one in settings.organisations() for secret in (one.token, one.client_secret)]
    return [
        *single,
        *accounts,
        *settings.webhook_secrets,
        *tokens_of(settings.rpc_tokens),
        *secrets_named(llm_settings(settings), policy.models),
        *service_secrets(policy),
    ]


async def _run(rt: Runtime, parts: frozenset[str], beside: Mapping[str, Callable[[], Part]]) -> None:
    settings = rt.settings
    core_port = _core_port(settings, parts)
    connection = Connection(
        settings.temporal_address, settings.temporal_namespace, runtime=metrics.core_runtime(core_port)
    )
    work = {"worker": _work(rt, connection)} if "worker" in parts else {}
    if "web" in parts:
        sequencer = _Sequencing(Sequencer(rt.store, Signer.open(settings.key_dir)))
        # In the order in which they stop: what the worker still does is yet to be signed.
        web = _web_parts(rt, connection, sequencer, core_port)
        running: Mapping[str, Part] = {**web, **work, "sequencer": sequencer.run()}
    elif core_port:
        running = {**work, "metrics": _serve_metrics(rt, core_port)}
    else:
        running = work
    await _until_stopped({**running, **{name: begin() for name, begin in beside.items()}})


def _core_port(settings: Settings, parts: frozenset[str]) -> int:
    """Where Temporal Core serves its metrics: on the port of the settings, unless ours are served there with them."""
    if "worker" not in parts or not settings.metrics_port:
        return free_port() if parts >= {"web", "worker"} else 0  # `/metrics` of the web part passes them on
    try:
        socket.create_server(("127.0.0.1", settings.metrics_port)).close()
    except OSError as error:
        where = f"{variable('metrics_port')}: 127.0.0.1:{settings.metrics_port}"
        raise Misconfigured(f"{where} cannot be listened on: {error.strerror}. Nothing was started.") from error
    return settings.metrics_port if "web" in parts else free_port()


class _Sequencing:
    """The sequencer, and why it does not run. A damaged log is signed no further, but deliveries are still kept."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer
        self._trouble = "does not run"

    def trouble(self) -> str:
        return self._trouble

    async def run(self) -> None:
        """Until cancelled; what is written by then is signed before it ends."""
        self._trouble = ""
        try:
            await self._sequencer.run()
        except asyncio.CancelledError:
            await self._finish()
            raise
        except LogDamaged as error:
            self._trouble = f"the audit log is damaged: {error}"
            LOG.error("the audit log is damaged; nothing is signed on top of it", error=str(error))
            await asyncio.Event().wait()

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(LINGER.total_seconds()):
                await self._sequencer.drain()
        except (LogDamaged, Unavailable, TimeoutError) as error:
            LOG.warning("events stay unsigned until the next start", error=f"{type(error).__name__}: {error}")


def _web_parts(rt: Runtime, connection: Connection, sequencer: _Sequencing, core_port: int) -> dict[str, Part]:
    settings, books = rt.settings, rt.books
    dispatcher = Dispatcher(
        books.inbox,
        books.ledger,
        rt.policy.policy,
        deliver_by(connection, rt.policy.policy, settings.task_queue),
        rt.metrics,
        lease=_lease(rt),
        attempts_max=settings.dispatch_max_attempts,
        admission=admission(settings),
    )
    services = _services(rt, connection, dispatcher, sequencer, core_port)
    server = _server(create_app(services, _spared), settings.web_host, settings.web_port)
    web = _serve_web(server, services.rpc.streams.aclose)
    away = timedelta(minutes=settings.recover_after_minutes)
    pulse = Pulse(books.recoveries, connection, _recoveries(rt), away, settings.task_queue)
    return {"web": web, "dispatcher": dispatcher.run(), "pulse": pulse.run()}


def _recoveries(rt: Runtime) -> list[RecoverRequest]:
    """What is looked for on a schedule, and after we were away."""
    return requests(rt.policy.policy, [one.name for one in rt.settings.organisations()])


def _lease(rt: Runtime) -> Lease:
    if rt.store.dialect == "sqlite":
        return Alone()
    from starter.advisory_lease import AdvisoryLease

    return AdvisoryLease(rt.settings.database_url.get_secret_value())


@asynccontextmanager
async def _spared(_: FastAPI) -> AsyncGenerator[None]:
    """When the web part starts, all is imported and made."""
    spare_the_collector()
    yield


def _services(
    rt: Runtime, connection: Connection, dispatcher: Dispatcher, sequencer: _Sequencing, core_port: int
) -> Services:
    settings, books = rt.settings, rt.books
    checks = (
        health.store_check(books.inbox),
        health.temporal_check(connection),
        health.policy_check(rt.policy.policy),
        health.intake_check(len(settings.webhook_secrets)),
        health.running_check("dispatcher", dispatcher.trouble),
        health.running_check("sequencer", sequencer.trouble),
        health.models_check(rt.models.circuits),
    )
    return Services(
        inbox=books.inbox,
        audit=books.audit,
        items=books.items,
        escalations=books.escalations,
        policy=rt.policy.policy,
        intake=IntakeSettings(
            user=settings.webhook_user,
            secrets=settings.webhook_secrets,
            body_bytes_max=settings.webhook_max_bytes,
            admission=admission(settings),
            sources=networks(settings.webhook_sources),
            proxies=networks(settings.webhook_trusted_proxies),
        ),
        metrics=rt.metrics,
        standing=books.standing,
        checks=checks,
        accepted=dispatcher.came,
        ui_url=settings.ui_url,
        core_metrics_port=core_port,
        version=version("pointsman"),
        rpc=_rpc(rt),
        chains=ChainBooks(books.chains, books.inbox, books.items, books.escalations, books.ledger),
    )


def _rpc(rt: Runtime) -> RpcServices:
    settings, policy = rt.settings, rt.policy.policy.models
    llm = llm_settings(settings)
    registry = registry_of(llm, policy)
    catalogue = Catalogue(registry, Governance(registry, llm.allowed_models), keys_of(llm, policy), rt.models.circuit)
    room = ModelRoom(rt.models, catalogue, rt.metrics.registry)
    return RpcServices(Callers(settings.rpc_tokens), room, body_bytes_max=settings.rpc_max_bytes)


async def _work(rt: Runtime, connection: Connection) -> None:
    """Take workflow and activity tasks, from when Temporal first answers."""
    started = asyncio.Event()
    async with activities(rt, connection, started) as ours:
        client = await _patiently(lambda: _prepared(rt, connection))
        worker = Worker(
            client,
            task_queue=rt.settings.task_queue,
            workflows=WORKFLOWS,
            activities=ours,
            interceptors=[Correlating()],
            **temporal.serving_options(),
        )
        LOG.info("worker polls", task_queue=rt.settings.task_queue)
        started.set()
        await worker.run()


async def _prepared(rt: Runtime, connection: Connection) -> Client:
    """A client of a Temporal that has all that our workflows need of it. May be repeated, wherever it ended."""
    settings = rt.settings
    client = await connection.client()
    await temporal.ensure_search_attributes(client)
    every = timedelta(minutes=settings.recover_every_minutes)
    await ensure_schedules(client, _recoveries(rt), every, settings.task_queue)
    compared = reconciliation.requests(rt.policy.policy, [one.name for one in settings.organisations()])
    every = timedelta(minutes=settings.reconcile_every_minutes)
    await reconciliation.ensure_schedules(client, compared, every, settings.task_queue)
    processes = load_processes(settings.policy_dir)
    await process_schedules.ensure_schedules(client, rt.policy.policy, processes, settings.task_queue)
    return client


async def _patiently(prepare: Callable[[], Awaitable[Client]]) -> Client:
    """As often as it takes: Temporal may come later than we do, and go again before all is prepared."""
    pause = RECONNECT_MIN
    while True:
        try:
            return await prepare()
        except (temporal.TemporalUnreachable, RPCError) as error:
            LOG.warning("Temporal is not there yet", error=str(error), again_in_seconds=pause.total_seconds())
            await asyncio.sleep(pause.total_seconds())
            pause = min(RECONNECT_MAX, pause * 2)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # signals are this process's affair, not the web part's alone

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in (one for server in self.servers for one in server.sockets):
            host, port, *_ = listening.getsockname()
            LOG.info("web listens", host=host, port=port)


def _server(app: FastAPI | Starlette, host: str, port: int) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            host,
            port,
            access_log=False,
            log_config=None,
            ws="none",  # nothing here speaks WebSocket, and the library for it takes time to load
            server_header=False,
            proxy_headers=False,  # whose word counts on where a request comes from is a setting of ours
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(LINGER.total_seconds()),
        )
    )


async def _serve_metrics(rt: Runtime, core_port: int) -> None:
    """What a process that only works has counted, on the loopback port of the settings."""

    async def told(_: Request) -> Response:
        text = await health.exposition(rt.metrics, rt.books.standing, core_port)
        return Response(text, media_type=metrics.CONTENT_TYPE)

    app = Starlette(routes=[Route("/metrics", told)])
    await _serve_web(_server(app, "127.0.0.1", rt.settings.metrics_port))


async def _nothing() -> None:
    return None


async def _serve_web(server: _Server, ending: Callable[[], Awaitable[None]] = _nothing) -> None:
    """`ending` lets go of those who would stay connected for as long as they may."""
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await ending()
        await serving
        raise


async def _until_stopped(parts: Mapping[str, Part]) -> None:
    """Run the parts together, and stop them one after another. The first that fails ends all, with its error."""
    async with _stopping() as stop:
        tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for task in tasks:
            task.cancel()
            await asyncio.wait([task])
            LOG.info("stopped", part=task.get_name())
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ended:
        if isinstance(end, Exception):
            raise end


@asynccontextmanager
async def _stopping() -> AsyncGenerator[asyncio.Event]:
    """Set when the process is asked to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
