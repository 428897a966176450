"""The endpoint as its callers meet it: the whole web process over HTTP, and before it a model provider on loopback."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.contracts.models import ModelPolicy
from pointsman.llm.governance import Governance
from pointsman.llm.service import LLMService
from pointsman.llm.settings import LLMSettings
from pointsman.sandbox.serving import hosting
from pointsman.store.engine import Store
from starter.llm import governed
from starter.models import keys_of, registry_of
from starter.web.app import create_app
from starter.web.rpc.callers import Callers
from starter.web.rpc.catalogue import Catalogue
from starter.web.rpc.endpoint import RpcServices
from starter.web.rpc.methods import ModelRoom
from starter.web.rpc.streams import Streams
from tests.llm.standin import KEY, Provider
from tests.loopback import NO_AUTHORITIES
from tests.starter.web_rig import services

TOKEN, NEXT_TOKEN = "r1-" + "north" * 8, "r2-" + "north" * 8
OTHERS_TOKEN, ADAS_TOKEN = "r3-" + "south" * 8, "r4-" + "adas" * 8
ENTRIES = (f"north:{TOKEN}", f"north:{NEXT_TOKEN}", f"south:{OTHERS_TOKEN}", f"north/ada:{ADAS_TOKEN}")
CALLERS = Callers([SecretStr(entry) for entry in ENTRIES])
HELLO: Json = [{"role": "user", "content": "Hello"}]
Document = dict[str, Any]  # Any: what a test looks up in it decides
Params = Any  # what is sent need not be what may be


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def call(method: str, params: Params = None, call_id: Json = 1) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "method": method, "params": params or {}, "id": call_id}


class Event(NamedTuple):
    number: int
    document: Document


@dataclass
class Rpc:
    """The endpoint; `provider` is the world outside."""

    url: str
    http: httpx2.AsyncClient
    provider: Provider
    services: RpcServices

    async def send(self, body: bytes | str, **headers: str) -> httpx2.Response:
        given = {"Content-Type": "application/json", **bearer(), **headers}
        return await self.http.post("/rpc", content=body, headers=given)

    async def ask(self, method: str, params: Params = None, **headers: str) -> Document:
        response = await self.send(json.dumps(call(method, params)), **headers)
        assert response.status_code == 200, response.text
        answered: Document = response.json()
        assert (answered["jsonrpc"], answered["id"]) == ("2.0", 1)
        return answered

    async def result(self, method: str, params: Params = None, **headers: str) -> Any:  # Any: as above
        answered = await self.ask(method, params, **headers)
        assert "error" not in answered, answered
        return answered["result"]

    async def error(self, method: str, params: Params = None, **headers: str) -> Document:
        answered = await self.ask(method, params, **headers)
        assert "result" not in answered, answered
        told: Document = answered["error"]
        return told

    async def resume(self, stream_id: str, after: int | str, token: str = TOKEN) -> httpx2.Response:
        headers = {**bearer(token), "Last-Event-ID": str(after)}
        return await self.http.get(f"/rpc/streams/{stream_id}", headers=headers)

    @asynccontextmanager
    async def streaming(self, params: Params = None, call_id: Json = 1) -> AsyncGenerator["Wire"]:
        """A stream over a TCP connection of its own, which may be broken."""
        body = json.dumps(call("llm.stream", params or {"messages": HELLO, "model": "gpt-6-luna"}, call_id)).encode()
        async with wire(self.url, "POST", "/rpc", {**bearer(), "Content-Type": "application/json"}, body) as opened:
            yield opened


class Wire:
    """One HTTP request on a TCP connection, read as it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def events(self, count: int) -> list[Event]:
        """The next so many; fewer only where the stream ends."""
        found: list[Event] = []
        number = 0
        while len(found) < count and (line := (await self._reader.readline()).decode()):
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                found.append(Event(number, json.loads(line[6:])))
        return found

    async def until_line(self, wanted: str) -> None:
        """Read until that line."""
        while (line := (await self._reader.readline()).decode().rstrip()) != wanted:
            assert line or not self._reader.at_eof(), "the stream ended"

    def drop(self) -> None:
        """Break the connection: nothing more is read, and the other side is told so by a reset."""
        self._writer.transport.abort()


@asynccontextmanager
async def wire(url: str, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> AsyncGenerator[Wire]:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    reader, writer = await asyncio.open_connection(host, port)
    told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    first = f"{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
    writer.write(f"{first}{told}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def events_of(text: str) -> list[Event]:
    """The events of a whole stream."""
    found = []
    for block in filter(None, text.split("\n\n")):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        if "data" in fields:
            found.append(Event(int(fields["id"]), json.loads(fields["data"])))
    return found


def text_of(events: list[Event]) -> str:
    """What was said in pieces."""
    told = [event.document.get("params", {}) for event in events]
    return "".join(params["text"] for params in told if params.get("kind") == "text_delta")


def llm_of(provider: Provider, **changed: object) -> LLMSettings:
    """Settings with the stand-in as every provider."""
    given: dict[str, object] = {
        "openai_api_key": KEY,
        "openai_base_url": provider.url,
        "mistral_api_key": KEY,
        "mistral_base_url": f"{provider.root}/mistral",
        "llm_max_retries": 0,
        "llm_rate_limit_max_retries": 0,
        "llm_default_model": "gpt-6-luna",
    }
    return LLMSettings(_env_file=None, **{**given, **changed})  # type: ignore[arg-type]  # of the test


def room_of(llm: LLMSettings, counted: CollectorRegistry) -> ModelRoom:
    policy = ModelPolicy()
    service: LLMService = governed(llm, policy, metrics=counted)
    registry = registry_of(llm, policy)
    catalogue = Catalogue(registry, Governance(registry, llm.allowed_models), keys_of(llm, policy), service.circuit)
    return ModelRoom(service, catalogue, counted)


@asynccontextmanager
async def endpoint(
    store: Store, provider: Provider, streams: Streams | None = None, **llm: object
) -> AsyncGenerator[Rpc]:
    """The web process with the endpoint set up."""
    counted = CollectorRegistry()
    made = room_of(llm_of(provider, **llm), counted)
    rpc = RpcServices(CALLERS, made, streams or Streams(), body_bytes_max=64 * 1024)
    async with hosting(create_app(replace(services(store), rpc=rpc))) as url:
        async with httpx2.AsyncClient(base_url=url, verify=NO_AUTHORITIES, trust_env=False, timeout=60) as http:
            yield Rpc(url, http, provider, rpc)
        await rpc.streams.aclose()
        await made.service.aclose()


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait for what another side notices by itself."""
    async with asyncio.timeout(60):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.01)
