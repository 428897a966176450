"""Models through a service that runs, for the command line: its JSON-RPC in place of keys and books of one's own.

What is asked is the same as within the process, and so is what comes back. A stream whose connection breaks goes on
where it was; one that is left is ended at the service, and with it the call of the model.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr, TypeAdapter, ValidationError

from pointsman.config import Settings, variable
from pointsman.contracts.base import Json
from pointsman.llm.events import StreamEvent, StreamFinished
from pointsman.llm.types import LLMRequest, LLMResponse, ModelTier
from starter.cli.errors import KNOWN, CliError, ExitCode, Meaning, usage
from starter.web.rpc import codes
from starter.web.rpc.callers import token_for

RPC, STREAMS = "/rpc", "/rpc/streams"
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
SILENCE_SECONDS_MAX = 600.0
"""A whole answer may take as long as a model thinks."""
CONNECT_SECONDS_MAX = 10.0
COMES_BACK_WITHIN = timedelta(seconds=15)
"""So long a service keeps a stream for whoever lost it."""
COMES_BACK_EVERY_SECONDS = 0.25
EVENTS: TypeAdapter[StreamEvent] = TypeAdapter(StreamEvent)
NEXT = "See that it runs, and at which address: pointsman doctor"
# Errors that are not those of a model call, by the codes of JSON-RPC.
OF_THE_WAY = {
    codes.UNAUTHORIZED.code: Meaning("no_token", ExitCode.UNAUTHORISED, f"Set its token: {variable('rpc_tokens')}"),
    codes.NOT_SET_UP.code: Meaning("not_set_up", ExitCode.FAILURE, f"Set there: {variable('rpc_tokens')}"),
    codes.INVALID_PARAMS.code: Meaning("usage", ExitCode.USAGE, "See how it is used: pointsman llm complete --help"),
    codes.TOO_LARGE.code: Meaning("too_large", ExitCode.USAGE, codes.TOO_LARGE.remedy),
    codes.TOO_MANY_STREAMS.code: Meaning("busy", ExitCode.FAILURE, codes.TOO_MANY_STREAMS.remedy, retryable=True),
    codes.STREAM_CLOSED.code: Meaning("stream_closed", ExitCode.FAILURE, codes.STREAM_CLOSED.remedy, retryable=True),
}

Document = dict[str, Any]  # Any: whatever the service sends; each reader checks what it takes


@asynccontextmanager
async def through(url: str, settings: Settings, tenant: str = "", user: str = "") -> AsyncGenerator["Through"]:
    """The service at the address.

    Raises:
        CliError: the address is none, or there is no token for it. Nothing was sent.
    """
    root = _root(url)
    headers = {"Authorization": f"Bearer {_token(settings, tenant, user).get_secret_value()}"}
    limits = httpx2.Timeout(SILENCE_SECONDS_MAX, connect=CONNECT_SECONDS_MAX)
    here = urlsplit(root).hostname in HERE  # no proxy leads to this machine
    async with httpx2.AsyncClient(base_url=root, headers=headers, timeout=limits, trust_env=not here) as http:
        yield Through(root, http)


class Through:
    """As `LLMService` answers, but by way of another process. Errors are those of the command line."""

    def __init__(self, url: str, http: httpx2.AsyncClient) -> None:
        self._url = url
        self._http = http

    async def complete(self, request: LLMRequest, prefer: Sequence[str] = ()) -> LLMResponse:
        """Cancelling closes the connection, and so ends the call of the model."""
        return self._response(await self._call("llm.complete", parameters(request, prefer)))

    async def stream(self, request: LLMRequest, prefer: Sequence[str] = ()) -> AsyncGenerator[StreamEvent]:
        reading = _Reading(self._http, _document("llm.stream", parameters(request, prefer)))
        try:
            async with aclosing(self._documents(reading)) as documents:
                async for document in documents:
                    if "method" not in document:
                        yield StreamFinished(response=self._response(self._result(document)))
                    elif document["params"].get("kind") != "opened":
                        yield EVENTS.validate_python(document["params"])
        finally:
            await reading.leave()

    async def of_tier(self, tier: ModelTier) -> list[str]:
        """The models of the tier that may be used there, one of each provider."""
        found = await self._call("llm.models", {"usable_only": True})
        return [str(model["name"]) for model in found["models"] if tier.value in model["tiers"]]

    async def _call(self, method: str, params: Mapping[str, Json]) -> Document:
        try:
            answer = await self._http.post(RPC, json=_document(method, params))
        except httpx2.TransportError as error:
            raise self._unreached(error) from None
        return self._result(self._read(answer.content, answer))

    async def _documents(self, reading: "_Reading") -> AsyncGenerator[Document]:
        """All of the stream, whatever becomes of its connections."""
        lost_at: float | None = None
        while not reading.is_over:
            try:
                async with reading.opened() as answer:
                    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                        yield self._read(await answer.aread(), answer)
                        return
                    async for document in reading.documents(answer):
                        lost_at = None
                        yield document
            except httpx2.TransportError as error:
                lost_at = lost_at or monotonic()
                if not reading.stream_id or monotonic() - lost_at > COMES_BACK_WITHIN.total_seconds():
                    raise self._unreached(error) from None
                await asyncio.sleep(COMES_BACK_EVERY_SECONDS)

    def _read(self, content: bytes, answer: httpx2.Response) -> Document:
        with suppress(ValueError):
            found = json.loads(content)
            if isinstance(found, dict) and ("result" in found or isinstance(found.get("error"), dict)):
                return found
        raise CliError(
            "no_service",
            f"{self._url}{RPC} answered {answer.status_code} {answer.reason_phrase}, and no JSON-RPC.",
            NEXT,
        )

    def _result(self, document: Document) -> Document:
        if "error" in document:
            raise refused(self._url, document["error"])
        result = document["result"]
        assert isinstance(result, dict), "each method of ours answers with an object"
        return result

    def _response(self, result: Document) -> LLMResponse:
        told = {name: value for name, value in result.items() if name in LLMResponse.model_fields}
        try:
            return LLMResponse.model_validate(told)
        except ValidationError as error:
            what = ", ".join(".".join(map(str, one["loc"])) for one in error.errors(include_input=False))
            raise CliError(
                "no_service", f"{self._url} is of another version: its answer cannot be read ({what}).", NEXT
            ) from None

    def _unreached(self, error: httpx2.TransportError) -> CliError:
        why = str(error) or type(error).__name__
        return CliError("unreachable", f"{self._url} cannot be reached: {why}", NEXT, retryable=True)


class _Reading:
    """A stream from its beginning to its end, over one connection after the other."""

    def __init__(self, http: httpx2.AsyncClient, asked: Json) -> None:
        self._http = http
        self._asked = asked
        self._last = 0
        self.stream_id = ""
        self.is_over = False

    def opened(self) -> Any:  # Any: the client's own context manager
        if not self.stream_id:
            return self._http.stream("POST", RPC, json=self._asked)
        where = f"{STREAMS}/{self.stream_id}"
        return self._http.stream("GET", where, headers={"Last-Event-ID": str(self._last)})

    async def documents(self, answer: httpx2.Response) -> AsyncGenerator[Document]:
        """What this connection brings.

        Raises:
            httpx2.TransportError: it ended before the stream did.
        """
        self.stream_id = answer.headers.get("x-stream-id", self.stream_id)
        number = self._last
        async for line in answer.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                number = int(value)
            elif field == "data":
                document = json.loads(value)
                self._last, self.is_over = number, "method" not in document
                yield document
        if not self.is_over:
            raise httpx2.RemoteProtocolError("the stream ended before its answer")

    async def leave(self) -> None:
        """End a stream that nobody will read to its end. The service would notice by itself, but later."""
        if self.stream_id and not self.is_over:
            with suppress(httpx2.TransportError):
                await asyncio.shield(self._http.delete(f"{STREAMS}/{self.stream_id}"))


def parameters(request: LLMRequest, prefer: Sequence[str]) -> dict[str, Json]:
    """What a request says, by the names that the methods take."""
    dumped = request.model_dump(mode="json", exclude={"tenant"})  # that is said by the token
    told = {name: value for name, value in dumped.items() if value not in (None, "", [], {})}
    return {**told, "prefer": [*prefer]}


def refused(url: str, error: Document) -> CliError:
    """An error of the service, as the same one would be told here."""
    data = error.get("data") or {}
    kind = str(data.get("type", ""))
    found = KNOWN.get(f"pointsman.llm.errors.{kind}") or KNOWN.get(f"pointsman.llm.selector.{kind}")
    meaning = found or OF_THE_WAY.get(error.get("code", 0)) or Meaning("refused", ExitCode.FAILURE, NEXT)
    where = "/".join(str(data[name]) for name in ("provider", "model") if data.get(name))
    after = data.get("retry_after")
    return CliError(
        meaning.code,
        f"{url}: {error.get('message')}{f' ({where})' if where else ''}: {data.get('reason', '')}"
        + (f" It may be tried again in {after:.0f} s." if isinstance(after, int | float) else ""),
        meaning.hint,
        meaning.exit_code,
        correlation_id=str(data.get("trace_id") or ""),
        retryable=data.get("retryable") is True or meaning.retryable,
    )


def _document(method: str, params: Mapping[str, Json]) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params)}


def _root(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.password is not None:
        raise usage(f"--through {url!r} is no address: https:// and a host.", "pointsman llm complete --help")
    if parts.scheme == "http" and parts.hostname not in HERE:
        raise usage(f"--through {url!r}: without TLS the token could be read on its way.", "Use https://.")
    return url.rstrip("/").removesuffix(RPC)


def _token(settings: Settings, tenant: str, user: str) -> SecretStr:
    found = token_for(settings.rpc_tokens, tenant, user)
    if found is None:
        whose = f" that speaks for tenant {tenant!r}{f', user {user!r}' if user else ''}" if tenant or user else ""
        raise CliError(
            "no_token",
            f"There is no token{whose} in {variable('rpc_tokens')}. Nothing was sent.",
            f"Set one that the service knows: export {variable('rpc_tokens')}=TENANT:TOKEN",
            ExitCode.UNAUTHORISED,
        )
    return found
