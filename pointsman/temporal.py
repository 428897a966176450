"""How this project uses Temporal: connection, conversion, sandbox, tracing, search attributes, task queue.

Client, worker and replayer all get `plugin()`, so that what one writes the other can read and replay.
"""

import asyncio
import inspect
import os
import threading
from collections.abc import Callable, Container, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final, TypedDict

import pydantic
from opentelemetry.trace import Tracer
from temporalio import workflow
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client
from temporalio.common import RawValue, SearchAttributeKey
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, SerializationContext, StorageDriverStoreContext
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode, TLSConfig
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    PollerBehaviorSimpleMaximum,
    WorkflowInboundInterceptor,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowInterceptorClassInput,
    WorkflowRunner,
)
from temporalio.worker._command_aware_visitor import CommandInfo
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.worker.workflow_sandbox._importer import Importer
from temporalio.worker.workflow_sandbox._in_sandbox import InSandbox
from temporalio.worker.workflow_sandbox._restrictions import RestrictionContext

from pointsman.contracts.search_attributes import SearchAttribute

TASK_QUEUE: Final = "pointsman"
DEFAULT_ADDRESS: Final = "127.0.0.1:7233"
DEFAULT_NAMESPACE: Final = "default"

SEARCH_ATTRIBUTES: Final = tuple(SearchAttributeKey.for_keyword(name) for name in SearchAttribute)

# `activities` is passed through for its references only, and what it imports comes from outside with it. Passing
# `workflows` or all of `pointsman` would hide `datetime.now`, `random` and `uuid4` from the sandbox (decision 2).
PASSED_THROUGH: Final = ("activities", "pointsman.contracts", "pointsman.ports")
RESTRICTIONS: Final = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)

BEATS_APART: Final = timedelta(seconds=1)  # a cancellation travels with the heartbeat
GRACE: Final = timedelta(seconds=10)


class TemporalUnreachable(Exception):
    """No Temporal server answers at the address, or it refuses us. Nothing was started or changed."""


class WorkerOptions(TypedDict):
    build_id: str
    max_heartbeat_throttle_interval: timedelta
    graceful_shutdown_timeout: timedelta
    sticky_queue_schedule_to_start_timeout: timedelta


def worker_options() -> WorkerOptions:
    """Options that each of our workers shares, as keywords for `Worker`."""
    return WorkerOptions(
        build_id=build_id(),
        max_heartbeat_throttle_interval=BEATS_APART,
        graceful_shutdown_timeout=GRACE,
        # For so long a killed worker's workflows wait for it to come back before another may take them.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )


class ServingOptions(WorkerOptions):
    max_concurrent_workflow_tasks: int
    nonsticky_to_sticky_poll_ratio: float
    workflow_task_poller_behavior: PollerBehaviorSimpleMaximum


def serving_options() -> ServingOptions:
    """`worker_options`, for a worker that may have more to do than it can (decision 24)."""
    return {
        **worker_options(),
        # A task that waits longer goes to any worker, with its whole history: under load more work for less done.
        # A killed worker's workflows wait as long; those that it was in the midst of wait ten seconds in any case.
        "sticky_queue_schedule_to_start_timeout": timedelta(seconds=5),
        # What is taken and waits for the processor cannot be overtaken: no more is taken than keeps it busy.
        "max_concurrent_workflow_tasks": 32,
        # Runs begin on the queue that one poll in five asks by default, two of them an item: that alone let them wait.
        "nonsticky_to_sticky_poll_ratio": 0.5,
        "workflow_task_poller_behavior": PollerBehaviorSimpleMaximum(16),
    }


@cache
def build_id() -> str:
    """Of the code that decides the order of commands: histories say which one ran each workflow task.

    The SDK would hash whatever modules are loaded, which takes a second and depends on what was used before.
    """
    digest = sha256()
    for package in ("workflows", "pointsman.domain", "pointsman.contracts"):
        found = find_spec(package)
        for folder in found.submodule_search_locations or () if found else ():
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return f"{version('pointsman')}+{digest.hexdigest()[:12]}"


def data_converter() -> DataConverter:
    return pydantic_data_converter


class _ByThread(threading.local, RestrictionContext):
    """Whether a workflow runs, told apart by thread: all runs share one sandbox, and each has its thread meanwhile."""


class _Run(WorkflowInstance):
    """A run of a workflow, within the sandbox that all runs of the process share.

    The SDK's own instance imports workflow and domain anew for each run, on the event loop, and enters the sandbox once
    for each payload. Modules that keep nothing between two calls need no copy for each run (decision 23).
    """

    def __init__(self, details: WorkflowInstanceDetails, runner: type[WorkflowRunner], sandbox: Importer) -> None:
        self._sandbox, self._info = sandbox, details.info
        self._thread_id: int | None = None
        defined = details.defn.cls
        with self._entered(running=False):
            loaded = __import__(defined.__module__, fromlist=[defined.__name__])
        with self._entered(running=True):
            self._inside = InSandbox(details, runner, getattr(loaded, defined.__name__))

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        with self._entered(running=True, activated=True):
            return self._inside.activate(act)

    @contextmanager
    def _entered(self, *, running: bool, activated: bool = False) -> Generator[None]:
        context = self._sandbox.restriction_context
        context.is_runtime, context.in_activation = running, activated
        workflow.unsafe._set_in_sandbox(True)
        self._thread_id = threading.get_ident()
        try:
            with self._sandbox.applied():
                yield
        finally:
            workflow.unsafe._set_in_sandbox(False)
            context.is_runtime = context.in_activation = False
            self._thread_id = None

    # These two look at what the SDK keeps of a run, and at nothing of ours.

    def get_serialization_context(self, command_info: CommandInfo | None) -> SerializationContext | None:
        return self._inside.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: CommandInfo | None) -> StorageDriverStoreContext:
        return self._inside.get_external_store_context(command_info)

    def get_info(self) -> workflow.Info:
        return self._info

    def get_thread_id(self) -> int | None:
        return self._thread_id


class _Runner(SandboxedWorkflowRunner):
    """One sandbox for all runs of the process: each module in it is loaded once, and goes on as it was loaded, also
    while files are replaced under the process."""

    sandboxes: ClassVar[list[Importer]] = []

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        sandbox = next((one for one in self.sandboxes if one.restrictions == self.restrictions), None)
        if sandbox is None:
            sandbox = Importer(self.restrictions, _ByThread())
            self.sandboxes.append(sandbox)
        return _Run(det, self.runner_class, sandbox)


def workflow_runner() -> SandboxedWorkflowRunner:
    return _Runner(restrictions=RESTRICTIONS)


class Fitting(Interceptor):
    """Lets no signal stop a run. Anybody with Temporal's command line can send one with more or fewer inputs than its
    handler takes; called with them it would fail the workflow task, again and again, for as long as the run lives.
    One of a name that nobody takes would be kept for a handler that never comes, and told to nobody.
    """

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _Fitting


class _Fitting(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> object:
        workflow.set_dynamic_signal_handler(_unknown)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:
        """Leave out a signal whose inputs do not fit; a workflow with a method `misfit` is told of it."""
        handler = workflow.get_signal_handler(input.signal)
        if handler is not None and not _takes(handler, input.args):
            _leave_out(input.signal, len(input.args), known=True)
            return
        await super().handle_signal(input)

    async def handle_query(self, input: HandleQueryInput) -> object:
        """Temporal's UI offers the signals of this answer for a choice: none of them without a name."""
        answer = await super().handle_query(input)
        if isinstance(answer, WorkflowMetadata):
            named = [one for one in answer.definition.signal_definitions if one.name]
            del answer.definition.signal_definitions[:]
            answer.definition.signal_definitions.extend(named)
        return answer

    def handle_update_validator(self, input: HandleUpdateInput) -> None:
        """Refuse an update whose inputs do not fit, in other words than Python's."""
        handler = workflow.get_update_handler(input.update)
        if handler is not None and not _takes(handler, input.args):
            told = f"update {input.update!r} does not take {len(input.args)} inputs. Nothing was changed"
            raise ApplicationError(told, type="Misfit", non_retryable=True)
        super().handle_update_validator(input)


def _unknown(signal: str, inputs: Sequence[RawValue]) -> None:
    _leave_out(signal, len(inputs), known=False)


def _leave_out(signal: str, inputs: int, *, known: bool) -> None:
    """It must give no command: runs that began before it was told go on as they did."""
    workflow.logger.warning("signal with %d inputs is left out: %s", inputs, signal)
    if tell := getattr(workflow.instance(), "misfit", None):
        tell(signal, inputs, known=known)


def _takes(handler: Callable[..., object], inputs: Sequence[object]) -> bool:
    try:
        inspect.signature(handler).bind(*inputs)
    except TypeError:
        return False
    return True


def plugin(tracer: Tracer | None = None) -> SimplePlugin:
    """What client, worker and replayer must agree on. A worker inherits it from its client.

    Tracing takes the SDK's stable interceptor: its spans appear while a workflow still waits, it skips replays, and
    without a tracer provider it costs a header look-up. (`OpenTelemetryPlugin` is experimental, refuses any
    provider but its own, and shows a span only when the workflow, days later, ends.) The default tracer is that of the
    global provider, even of one that is set later.
    """
    return SimplePlugin(
        "pointsman",
        data_converter=data_converter(),
        workflow_runner=workflow_runner(),
        workflow_failure_exception_types=[pydantic.ValidationError],  # else the workflow task is retried for ever
        interceptors=[TracingInterceptor(tracer), Fitting()],
    )


async def connect(
    address: str = "",
    namespace: str = "",
    *,
    runtime: Runtime | None = None,
    timeout: timedelta = timedelta(seconds=5),
) -> Client:
    """Connect at once, so that a wrong address is told here and not by the first call.

    What is not given comes from Temporal's own settings (`TEMPORAL_ADDRESS`, `TEMPORAL_PROFILE`, its TOML file, ...),
    then from the defaults. Key and certificates of those settings go only to the address of those settings.

    Raises:
        TemporalUnreachable: nobody answers within `timeout`, or the settings or the credentials are refused.
    """
    profile = _profile()
    target = address or profile.get("target_host") or DEFAULT_ADDRESS
    trusted = target == profile.get("target_host")
    space = namespace or profile.get("namespace") or DEFAULT_NAMESPACE
    try:
        await _knock(target, timeout)
        return await Client.connect(
            target,
            namespace=space,
            plugins=[plugin()],
            runtime=runtime,
            connect_timeout=timeout,
            api_key=profile.get("api_key") if trusted else None,
            tls=_tls(profile) if trusted else None,
            rpc_metadata=profile.get("rpc_metadata", {}) if trusted else {},
        )
    except (OSError, ValueError, RuntimeError, RPCError) as error:  # the SDK's bridge knows only RuntimeError
        raise TemporalUnreachable(_unreachable(target, space, error)) from error


async def ensure_search_attributes(client: Client) -> list[str]:
    """Register those of our search attributes that the namespace lacks, and return their names. Idempotent."""
    known = await _known_search_attributes(client)
    missing = [key.name for key in SEARCH_ATTRIBUTES if key.name not in known]
    if missing:
        request = AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes=dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
        )
        try:
            await client.operator_service.add_search_attributes(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:  # another process was quicker
                raise
    return missing


async def _known_search_attributes(client: Client) -> Container[str]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        return (await client.operator_service.list_search_attributes(request)).custom_attributes
    except RPCError as error:
        if error.status is not RPCStatusCode.UNIMPLEMENTED:  # the time-skipping server registers, but does not list
            raise
        return ()


def _profile() -> ClientConnectConfig:
    try:
        return ClientConfig.load_client_connect_config()
    except RuntimeError as error:
        place = os.environ.get("TEMPORAL_CONFIG_FILE", "its default place")
        raise TemporalUnreachable(
            f"Temporal's client settings (file at {place}, TEMPORAL_* variables) cannot be read: {error}. "
            "Nothing was changed. Mend the file, or unset TEMPORAL_CONFIG_FILE and TEMPORAL_PROFILE."
        ) from error


async def _knock(target: str, timeout: timedelta) -> None:
    """Open and close a connection. The SDK's bridge can crash the interpreter on exit after a connect that failed."""
    host, _, port = target.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{target!r} is not host:port")
    async with asyncio.timeout(timeout.total_seconds()):
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.close()


def _tls(profile: ClientConnectConfig) -> bool | TLSConfig | None:
    return profile.get("tls") or None  # None lets the SDK switch TLS on where an API key is given


def _unreachable(target: str, namespace: str, error: Exception) -> str:
    return (
        f"No Temporal server answers at {target} (namespace {namespace!r}): {error}. Nothing was changed. "
        "Start one with `pointsman up`, or name another with POINTSMAN_TEMPORAL_ADDRESS; `pointsman doctor` tells more."
    )


def activities_of(room: object) -> list[Callable[..., object]]:
    """The activities of a room's instance, for `Worker(activities=...)`."""
    methods = (getattr(room, name) for name in dir(room) if not name.startswith("_"))
    return [method for method in methods if hasattr(method, "__temporal_activity_definition")]
