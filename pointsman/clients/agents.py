"""Remote agent services over A2A 1.0, by its official SDK.

A service is not trusted: its card is checked before it gets anything, requests go to the hosts of its policy only, and
whatever comes back is data of bounded size.
"""

import json
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic

import httpx
from a2a.client import Client, ClientCallContext, ClientConfig, ClientFactory
from a2a.client.card_resolver import parse_agent_card
from a2a.client.errors import A2AClientError, A2AClientTimeoutError
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.constants import AGENT_CARD_WELL_KNOWN_PATH, TransportProtocol
from a2a.utils.errors import A2AError, InternalError, TaskNotCancelableError, TaskNotFoundError
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from pydantic import SecretStr

from pointsman.clients.agents_guard import Guard
from pointsman.clients.agents_keys import check_signature
from pointsman.clients.tls import tls_context
from pointsman.contracts.agents import RemoteCard, RemoteMessage, RemoteState, RemoteTask
from pointsman.contracts.base import Json
from pointsman.contracts.policy import AgentService
from pointsman.domain.texts import clean
from pointsman.ports import Missing, Rejected, Unavailable
from pointsman.ports_agents import NotHeard

SPOKEN = "1.0"
CARD_SECONDS_MAX = 300.0
PAGES_MAX = 20
STREAMS_MAX = 50
"""To one service from this process; beyond them tasks are looked at every few seconds."""
STREAM_WAIT_SECONDS_MAX = 1.0
STREAM_QUIET_SECONDS_MAX = 120.0
WORDS_CHARS_MAX = 400
OUTPUT_MODES = ("application/json", "text/plain")
BUSY = frozenset({408, 425, 500, 502, 503, 504})
TOO_MANY = 429
NOT_LET_IN = frozenset({401, 403, 407})
STATES = {
    TaskState.TASK_STATE_SUBMITTED: RemoteState.SUBMITTED,
    TaskState.TASK_STATE_WORKING: RemoteState.WORKING,
    TaskState.TASK_STATE_INPUT_REQUIRED: RemoteState.INPUT_REQUIRED,
    TaskState.TASK_STATE_AUTH_REQUIRED: RemoteState.AUTH_REQUIRED,
    TaskState.TASK_STATE_COMPLETED: RemoteState.COMPLETED,
    TaskState.TASK_STATE_FAILED: RemoteState.FAILED,
    TaskState.TASK_STATE_CANCELED: RemoteState.CANCELED,
    TaskState.TASK_STATE_REJECTED: RemoteState.REJECTED,
}
SecretOf = Callable[[str], SecretStr | None]


class RemoteAgents:
    """`ports_agents.AgentServices`. `secret_of` gives the credential that a policy names."""

    def __init__(self, secret_of: SecretOf) -> None:
        self._secret_of = secret_of
        self._lines: dict[str, _Line] = {}

    async def card(self, service: AgentService) -> RemoteCard:
        async with self._asked(service, "GetAgentCard") as line:
            return line.told(await line.card())

    async def send(self, service: AgentService, message: RemoteMessage) -> RemoteTask:
        request = SendMessageRequest(
            message=_outgoing(message),
            configuration=SendMessageConfiguration(
                accepted_output_modes=OUTPUT_MODES, return_immediately=True, history_length=0
            ),
        )
        async with self._asked(service, "SendMessage") as line:
            client = await line.client()
            async for answer in client.send_message(request, context=line.limit):
                if answer.HasField("message"):
                    # It answered without making a task of it.
                    text = _answer([answer.message.parts])
                    return RemoteTask(id="", state=RemoteState.COMPLETED, answer=text)
                return told(answer.task)
        raise Rejected("the service answered neither with a task nor with a message", code="InvalidAgentResponse")

    async def find(self, service: AgentService, context: str) -> Sequence[RemoteTask]:
        found: list[RemoteTask] = []
        request = ListTasksRequest(context_id=context)
        async with self._asked(service, "ListTasks") as line:
            client = await line.client()
            for _ in range(PAGES_MAX):
                page = await client.list_tasks(request, context=line.limit)
                # A service that lists more than it was asked for must not have tasks of others taken for ours.
                found += [told(task) for task in page.tasks if task.context_id in ("", context)]
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token
        return found

    async def get(self, service: AgentService, task: str, *, whole: bool = False) -> RemoteTask:
        request = GetTaskRequest(id=task) if whole else GetTaskRequest(id=task, history_length=0)
        async with self._asked(service, "GetTask") as line:
            return told(await (await line.client()).get_task(request, context=line.limit))

    async def listen(self, service: AgentService, task: str, tell: Callable[[], None]) -> None:
        async with self._asked(service, "SubscribeToTask") as line:
            if not (await line.card()).capabilities.streaming:
                raise Rejected(f"{line.place}: its card offers no streams", code="UnsupportedOperation")
            async for _ in (await line.listener()).subscribe(SubscribeToTaskRequest(id=task)):
                tell()

    async def cancel(self, service: AgentService, task: str) -> RemoteState:
        try:
            async with self._asked(service, "CancelTask") as line:
                client = await line.client()
                try:
                    return told(await client.cancel_task(CancelTaskRequest(id=task), context=line.limit)).state
                except TaskNotCancelableError:
                    # Most have ended; some services stop nothing.
                    request = GetTaskRequest(id=task, history_length=0)
                    return told(await client.get_task(request, context=line.limit)).state
        except Missing:
            return RemoteState.CANCELED

    async def aclose(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            await line.aclose()

    @asynccontextmanager
    async def _asked(self, service: AgentService, what: str) -> AsyncGenerator["_Line"]:
        """The line to the service, for one call. Its errors become ours, without anything secret in them."""
        line = self._line(service)
        try:
            yield line
        except TaskNotFoundError as error:
            raise Missing(line.words(what, error), code="TaskNotFound") from None
        except (A2AError, httpx.HTTPError) as error:
            raise _fault(line.words(what, error), error) from None
        except (ParseError, ValueError, TypeError, KeyError) as error:
            words = f"{line.place}: {what}: answered what A2A {SPOKEN} does not allow ({type(error).__name__})"
            raise Rejected(words, code="InvalidAgentResponse") from None

    def _line(self, service: AgentService) -> "_Line":
        name = service.model_dump_json()
        if name not in self._lines:
            self._lines[name] = _Line(service, _Credential(service, self._secret_of))
        return self._lines[name]


class _Credential(httpx.Auth):
    """Read anew for each request, so that one that was renewed counts at once."""

    def __init__(self, service: AgentService, secret_of: SecretOf) -> None:
        self._service = service
        self._secret_of = secret_of

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        header = self._service.key_header
        if value := self.value():
            request.headers[header] = f"Bearer {value}" if header.lower() == "authorization" else value
        elif self._service.key:
            raise Rejected(
                f"{self._service.key} is not set, which policy names as the credential for {self._service.url}: "
                "nothing was sent",
                code="NoKey",
            )
        yield request

    def value(self) -> str:
        secret = self._secret_of(self._service.key) if self._service.key else None
        return secret.get_secret_value() if secret is not None else ""


class _Line:
    """A pool of connections to one service, with its credential, and its card for as long as that is fresh."""

    def __init__(self, service: AgentService, credential: _Credential) -> None:
        self.service = service
        self.place = httpx.URL(service.url).host
        seconds = service.timeout.total_seconds()
        self.limit = ClientCallContext(timeout=seconds)
        self._credential = credential
        self._http = self._pool(httpx.Timeout(seconds), httpx.Limits(max_connections=100, max_keepalive_connections=20))
        # Each holds its connection while a task is at work, and must not take those of the calls.
        listening = httpx.Timeout(seconds, read=STREAM_QUIET_SECONDS_MAX, pool=STREAM_WAIT_SECONDS_MAX)
        self._streams = self._pool(listening, httpx.Limits(max_connections=STREAMS_MAX))
        self._card: AgentCard | None = None
        self._read_at = 0.0

    def _pool(self, timeout: httpx.Timeout, limits: httpx.Limits) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(verify=tls_context(), trust_env=False, limits=limits)
        return httpx.AsyncClient(
            transport=Guard(self.service, transport),
            headers={"Accept-Encoding": "identity"},
            auth=self._credential,
            timeout=timeout,
            trust_env=False,
            follow_redirects=False,
        )

    async def card(self) -> AgentCard:
        """Read and checked, at most five minutes ago."""
        if self._card is None or monotonic() - self._read_at > CARD_SECONDS_MAX:
            response = await self._http.get(self.service.url.rstrip("/") + AGENT_CARD_WELL_KNOWN_PATH)
            response.raise_for_status()
            card = parse_agent_card(response.json())
            if self.service.signed_by:
                check_signature(card, self.service, self.service.card_keys or await self._keys(), self.place)
            self._check(card)
            self._card, self._read_at = card, monotonic()
        return self._card

    async def _keys(self) -> str:
        """The key set at the address of the policy, read without the credential of the service."""
        address = self.service.signed_by
        guard = Guard(AgentService(url=address), httpx.AsyncHTTPTransport(verify=tls_context(), trust_env=False))
        plain = {"Accept-Encoding": "identity"}
        async with httpx.AsyncClient(
            transport=guard, headers=plain, timeout=self.limit.timeout, trust_env=False
        ) as asked:
            try:
                response = await asked.get(address)
                response.raise_for_status()
            except httpx.HTTPError as error:
                what = type(error).__name__
                if isinstance(error, httpx.HTTPStatusError):
                    what = f"HTTP {error.response.status_code}"
                raise _fault(f"keys of the card of {self.place}, at {address}: {what}", error) from None
        return response.text

    async def client(self) -> Client:
        # Without streams: what is true is told by calls that each have a limit, and any worker may make the next one.
        config = ClientConfig(streaming=False, polling=True, httpx_client=self._http)
        return ClientFactory(config).create(await self.card())

    async def listener(self) -> Client:
        config = ClientConfig(streaming=True, httpx_client=self._streams)
        return ClientFactory(config).create(await self.card())

    def told(self, card: AgentCard) -> RemoteCard:
        return RemoteCard(
            name=clean(card.name)[:WORDS_CHARS_MAX],
            version=clean(card.version)[:WORDS_CHARS_MAX],
            protocol=SPOKEN,
            skills=tuple(clean(skill.id)[:WORDS_CHARS_MAX] for skill in card.skills),
            signed=bool(self.service.signed_by),
        )

    def words(self, what: str, error: Exception) -> str:
        """What went wrong, in the service's own words as far as they can be shown."""
        cause = error if isinstance(error, httpx.HTTPStatusError) else error.__cause__
        plain = f"HTTP {cause.response.status_code}" if isinstance(cause, httpx.HTTPStatusError) else str(error)
        words, secret = clean(plain), self._credential.value()
        if secret:
            words = words.replace(secret, "***")
        return f"{self.place}: {what}: {type(error).__name__}: {words[:WORDS_CHARS_MAX]}"

    def _check(self, card: AgentCard) -> None:
        spoken = [one for one in card.supported_interfaces if one.protocol_binding == TransportProtocol.JSONRPC.value]
        if not any(one.protocol_version.split(".")[:2] == SPOKEN.split(".") for one in spoken):
            offered = ", ".join(f"{one.protocol_binding} {one.protocol_version}" for one in card.supported_interfaces)
            raise Rejected(
                f"{self.place}: the card offers {clean(offered)[:WORDS_CHARS_MAX] or 'nothing'}; A2A {SPOKEN} over "
                "JSONRPC is needed: nothing was sent",
                code="VersionNotSupported",
            )
        skills = {skill.id for skill in card.skills}
        if lacking := [one for one in self.service.skills if one not in skills]:
            has = clean(", ".join(sorted(skills)))[:WORDS_CHARS_MAX]
            raise Rejected(
                f"{self.place}: the card lacks {', '.join(lacking)}, which policy wants; it has {has or 'no skill'}: "
                "nothing was sent",
                code="SkillMissing",
            )

    async def aclose(self) -> None:
        await self._http.aclose()
        await self._streams.aclose()


def told(task: Task) -> RemoteTask:
    """The task as the rest of the house knows it."""
    at = task.status.timestamp.ToJsonString() if task.status.HasField("timestamp") else ""
    return RemoteTask(
        id=clean(task.id),
        state=STATES.get(task.status.state, RemoteState.UNKNOWN),
        note=clean(_text(task.status.message.parts)),
        at=at,
        answer=_answer([artifact.parts for artifact in task.artifacts]) or clean(_text(task.status.message.parts)),
        messages=tuple(message.message_id for message in task.history if message.role == Role.ROLE_USER),
    )


def _answer(groups: Sequence[Sequence[Part]]) -> str:
    """JSON of the first part that is data, else all text."""
    parts = [part for group in groups for part in group]
    data = next((part for part in parts if part.HasField("data")), None)
    if data is None:
        return clean(_text(parts))
    return json.dumps(_whole(MessageToDict(data)["data"]), ensure_ascii=False, sort_keys=True)


def _whole(value: Json) -> Json:
    """Protobuf knows one kind of number; one without a fraction was a whole one."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_whole(entry) for entry in value]
        case dict():
            return {key: _whole(entry) for key, entry in value.items()}
    return value


def _text(parts: Sequence[Part]) -> str:
    return "\n".join(part.text for part in parts if part.text)


def _outgoing(message: RemoteMessage) -> Message:
    parts = [Part(text=message.text, media_type="text/plain")]
    if message.data:
        parts.append(ParseDict({"data": message.data, "mediaType": "application/json"}, Part()))
    return Message(
        message_id=message.id,
        context_id=message.context,
        task_id=message.task,
        role=Role.ROLE_USER,
        parts=parts,
        reference_task_ids=message.after,
    )


def _fault(words: str, error: Exception) -> Rejected | Unavailable:
    """Whether trying again can help."""
    cause = error if isinstance(error, httpx.HTTPError) else error.__cause__
    if isinstance(cause, httpx.HTTPStatusError):
        status = cause.response.status_code
        if status == TOO_MANY:
            return NotHeard(words, _retry_after(cause.response))
        if status in BUSY:
            return Unavailable(words, _retry_after(cause.response))
        return Rejected(words, code="NotLetIn" if status in NOT_LET_IN else f"Http{status}")
    if isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return NotHeard(words)
    if isinstance(error, A2AClientTimeoutError | InternalError) or isinstance(cause, httpx.HTTPError):
        return Unavailable(words)
    code = "InvalidAgentResponse" if isinstance(error, A2AClientError) else type(error).__name__.removesuffix("Error")
    return Rejected(words, code=code)


def _retry_after(response: httpx.Response) -> timedelta | None:
    asked = response.headers.get("retry-after", "")
    return timedelta(seconds=min(int(asked), 3_600)) if asked.isdecimal() else None
