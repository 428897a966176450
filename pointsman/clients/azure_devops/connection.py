"""One organisation over HTTP: credentials, versions, the typed answer or the typed error. Asks once, never again."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr, ValidationError

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.errors import in_doubt, is_sign_in_page, refusal, retry_after, sign_in_refusal
from pointsman.contracts.base import Json
from pointsman.domain.texts import read_json
from pointsman.ports import Rejected, Unavailable

VERSION = "7.1"
JSON, JSON_PATCH = "application/json", "application/json-patch+json"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
PATIENCE = timedelta(seconds=2)
"""How long a call waits because an earlier answer asked to slow down; a longer wait is the caller's to schedule."""
CONNECTIONS_MAX = 15  # beyond it the service begins to drop connections instead of answering 429

Query = Mapping[str, str | int | bool]
AnswerT = TypeVar("AnswerT", bound=Answer)


class Connection:
    """Requests to one organisation with one token. Calls share the moment before which the service wants no more."""

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        *,
        http: httpx2.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base_url = _checked(base_url)
        self._auth = httpx2.BasicAuth("", token.get_secret_value())
        self._http = http or _http()
        self._owned = http is None
        self._clock = clock
        self._not_before = 0.0

    def __repr__(self) -> str:
        return f"Connection({self.base_url!r})"

    async def close(self) -> None:
        if self._owned:
            await self._http.aclose()

    async def call(
        self,
        answer: type[AnswerT],
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Json = None,
        content_type: str = JSON,
        version: str = VERSION,
    ) -> AnswerT:
        """Send one request and read its answer.

        Raises:
            Unavailable: trying again can help. After a write whose answer got lost, read before writing again.
            Rejected: it cannot; also `Conflict` and `Missing`.
        """
        what = f"{method} {self.base_url}/{path}"
        await self._wait(what)
        response = await self._send(what, method, path, {**(query or {}), "api-version": version}, body, content_type)
        self._slow_down(response)
        if is_sign_in_page(response):
            raise sign_in_refusal(response, what)
        if not response.is_success:
            raise refusal(response, what)
        return _read(answer, response, what)

    async def _send(
        self, what: str, method: str, path: str, query: Query, body: Json, content_type: str
    ) -> httpx2.Response:
        headers = {"Accept": JSON, "User-Agent": "pointsman", "X-TFS-FedAuthRedirect": "Suppress"}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            return await self._http.request(
                method,
                f"{self.base_url}/{path}",
                params={key: _parameter(value) for key, value in query.items()},
                content=None if body is None else json.dumps(body).encode(),
                headers=headers,
                auth=self._auth,
                follow_redirects=False,
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Unavailable(f"{what}: no connection ({type(error).__name__}); nothing was sent") from error
        except httpx2.RequestError as error:
            raise Unavailable(f"{what}: no answer ({type(error).__name__}); {in_doubt(method)}") from error

    async def _wait(self, what: str) -> None:
        left = timedelta(seconds=self._not_before - self._clock())
        if left > PATIENCE:
            raise Unavailable(
                f"{what}: not sent, the service asked to wait another {left.total_seconds():.0f} s", retry_after=left
            )
        if left > timedelta():
            await asyncio.sleep(left.total_seconds())

    def _slow_down(self, response: httpx2.Response) -> None:
        """Heed `Retry-After` also on a success: that is how the service slows a client before it blocks it."""
        wait = retry_after(response)
        if wait:
            self._not_before = max(self._not_before, self._clock() + wait.total_seconds())


@cache
def _tls() -> ssl.SSLContext:
    """Shared, because reading all certificate authorities takes a tenth of a second."""
    return httpx2.create_ssl_context()


def _http() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        verify=_tls(),
        timeout=httpx2.Timeout(60, connect=10),
        limits=httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
    )


def _checked(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.username or parts.password:
        raise ValueError(f"the URL of an organisation must not carry credentials (host {parts.hostname!r})")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"{base_url!r}: expected https, because the token travels with each request (http: loopback)")
    if not parts.path.strip("/"):
        raise ValueError(f"{base_url!r} names no organisation: expected https://dev.azure.com/ORGANISATION")
    return base_url.rstrip("/")


def _parameter(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(answer: type[AnswerT], response: httpx2.Response, what: str) -> AnswerT:
    try:
        return answer.model_validate(read_json(response.content or b"{}"))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        fault = f"{'.'.join(str(part) for part in first['loc']) or 'the body'}: {first['msg']}"
    except ValueError as error:
        fault = f"the body: {type(error).__name__}"
    raise Rejected(  # outside of the handlers: the cause would show values of the item
        f"{what}: HTTP {response.status_code} with an answer of another shape, at {fault}; "
        f"{in_doubt(response.request.method)}",
        code="UnexpectedAnswer",
    )
