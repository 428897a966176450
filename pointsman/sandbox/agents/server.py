"""The stand-in as a server: its card, and JSON-RPC at `/`."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.context import ServerCallContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers.default_request_handler_v2 import DefaultRequestHandlerV2
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    HTTPAuthSecurityScheme,
    ListTasksRequest,
    Message,
    Part,
    SecurityScheme,
    Task,
    TaskState,
    TaskStatus,
)
from google.protobuf.json_format import MessageToDict, ParseDict
from pydantic import SecretStr
from starlette.applications import Starlette

from pointsman.contracts.base import Json
from pointsman.sandbox.agents.door import KEYS, Door, OnTheWay
from pointsman.sandbox.agents.scripts import NAMED, SCRIPTS, WORKS, Act, Step
from pointsman.sandbox.agents.signing import CardKey
from pointsman.sandbox.serving import hosting

EMPTY: Mapping[str, Json] = {"string": "", "array": [], "object": {}, "number": 0, "boolean": False}


@dataclass
class AgentsConfig:
    """`token` opens all but the card and its keys. `lead_to` is where the card says to call, where that is not the
    server itself. `forge` changes the card once it is signed."""

    token: SecretStr | None = None
    skills: tuple[str, ...] = ("triage",)
    protocol: str = "1.0"
    streaming: bool = True
    stops: bool = True
    """Without it no task can be canceled."""
    lead_to: str = ""
    card_key: CardKey | None = None
    forge: Callable[[AgentCard], None] | None = None
    pace_seconds: float = 0.0
    """Before each step."""
    scripts: dict[str, tuple[Step, ...]] = field(default_factory=lambda: dict(SCRIPTS))
    default: tuple[Step, ...] = WORKS


class AgentsStandIn(OnTheWay):
    """One service with its tasks. They outlive the server, which may be stopped and started again."""

    def __init__(self, config: AgentsConfig) -> None:
        super().__init__()
        self.config = config
        self.agent = _Agent(config)
        self.store = InMemoryTaskStore()

    @property
    def may_go_on(self) -> asyncio.Event:
        """While it is clear, the agent waits before its next step."""
        return self.agent.may_go_on

    @property
    def heard(self) -> list[Message]:
        """Every message that the agent got."""
        return self.agent.heard

    async def states(self) -> Mapping[str, str]:
        """How each task stands, by its id; the names are those of the protocol."""
        found = await self.store.list(ListTasksRequest(page_size=100), ServerCallContext())
        return {task.id: TaskState.Name(task.status.state) for task in found.tasks}

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncGenerator[str]:
        """The base URL, for as long as the block lasts."""
        routed = Starlette()
        key = self.config.card_key
        door = Door(self, routed, self.config.token, key.key_set() if key else "", stops=self.config.stops)
        async with hosting(door, port=port) as url:
            card = _card(self.config, self.config.lead_to or f"{url}/")
            if key:
                key.sign(card, f"{url}{KEYS}")
            if self.config.forge:
                self.config.forge(card)
            handler = DefaultRequestHandlerV2(self.agent, self.store, card)
            routed.router.routes += create_agent_card_routes(card, cache_control="max-age=60")
            routed.router.routes += create_jsonrpc_routes(handler, "/")
            try:
                yield url
            finally:
                await handler.aclose()


class _Agent(AgentExecutor):
    def __init__(self, config: AgentsConfig) -> None:
        self._config = config
        self._left: dict[str, Iterator[Step]] = {}
        self._schemas: dict[str, Mapping[str, Json]] = {}
        self.heard: list[Message] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        message, task, within = context.message, context.task_id, context.context_id
        assert message is not None
        assert task is not None
        assert within is not None
        self.heard.append(message)
        steps = self._left.setdefault(task, iter(self._script(context)))
        self._schemas.setdefault(task, _schema(message))
        updater = TaskUpdater(event_queue, task, within)
        for step in steps:
            if step.act is Act.MESSAGE:
                said = {**self._answered(task), "comment": step.text}
                await event_queue.enqueue_event(updater.new_agent_message([Part(text=json.dumps(said))]))
                return
            await self._begun(context, event_queue, updater)
            await asyncio.sleep(self._config.pace_seconds)
            await self.may_go_on.wait()
            if not await self._acted(step, task, updater):
                return

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None
        assert context.context_id is not None
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()

    async def _begun(self, context: RequestContext, queue: EventQueue, updater: TaskUpdater) -> None:
        """The task exists, and tells that it got the message."""
        message = context.message
        assert message is not None
        if context.current_task is None:
            submitted = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
            task = Task(id=context.task_id, context_id=context.context_id, status=submitted, history=[message])
            await queue.enqueue_event(task)
            context.current_task = task

    async def _acted(self, step: Step, task: str, updater: TaskUpdater) -> bool:
        """Do the step. False where the agent rests after it."""
        said = updater.new_agent_message([Part(text=step.text)]) if step.text else None
        match step.act:
            case Act.PROGRESS:
                await updater.start_work(said)
                return True
            case Act.STAY:
                await asyncio.Event().wait()
            case Act.ASK:
                await updater.requires_input(said)
            case Act.AUTH:
                await updater.requires_auth(said)
            case Act.FAIL:
                await updater.failed(said)
            case Act.REJECT:
                await updater.reject(said)
            case Act.SAY:
                told = {**self._answered(task), "comment": step.text}
                await updater.add_artifact([Part(text=f"```json\n{json.dumps(told)}\n```")])
                await updater.complete()
            case Act.ANSWER:
                whole = step.data is not None and "comment" in step.data
                data = {**(self._answered(task) if whole else {}), **(step.data or {})}
                await updater.add_artifact([ParseDict({"data": data}, Part())])
                await updater.complete()
        return False

    def _script(self, context: RequestContext) -> tuple[Step, ...]:
        named = NAMED.search(context.get_user_input())
        return self._config.scripts.get(named[1], self._config.default) if named else self._config.default

    def _answered(self, task: str) -> dict[str, Json]:
        """Every property that is required, empty."""
        properties = self._schemas[task].get("properties")
        known = properties if isinstance(properties, dict) else {}
        return {name: EMPTY.get(str(one.get("type")), "") for name, one in known.items() if isinstance(one, dict)}


def _schema(message: Message) -> Mapping[str, Json]:
    for part in message.parts:
        if part.HasField("data"):
            data: Json = MessageToDict(part)["data"]
            schema = data.get("answer_schema") if isinstance(data, dict) else None
            if isinstance(schema, dict):
                return schema
    return {}


def _card(config: AgentsConfig, url: str) -> AgentCard:
    bearer = SecurityScheme(http_auth_security_scheme=HTTPAuthSecurityScheme(scheme="Bearer"))
    return AgentCard(
        name="Sandbox agent",
        description="Follows a script.",
        version="1",
        supported_interfaces=[AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=config.protocol)],
        capabilities=AgentCapabilities(streaming=config.streaming),
        default_input_modes=["text/plain", "application/json"],
        default_output_modes=["application/json"],
        skills=[AgentSkill(id=one, name=one, description=one, tags=[one]) for one in config.skills],
        security_schemes={"bearer": bearer} if config.token else {},
    )
