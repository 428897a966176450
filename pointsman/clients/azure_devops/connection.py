"""One organisation over HTTP: credentials, versions, the typed answer or the typed error. Asks once, never again."""

import json
import ssl
from collections.abc import Mapping
from copy import copy
from functools import cache
from http import HTTPStatus
from typing import Self, TypeVar

import httpx2
from pydantic import SecretStr, ValidationError

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.credentials import Credential, credential_of
from pointsman.clients.azure_devops.errors import in_doubt, is_sign_in_page, refusal, sign_in_refusal
from pointsman.clients.azure_devops.hosts import NEWEST, VERSION, Host, beside, organisation_url, version_for
from pointsman.clients.azure_devops.pacing import CALLS_MAX, Pace, Priority
from pointsman.contracts.base import Json
from pointsman.domain.texts import read_json
from pointsman.ports import Rejected, Unavailable

JSON, JSON_PATCH, BYTES = "application/json", "application/json-patch+json", "application/octet-stream"
CONTINUATION = "x-ms-continuationtoken"
USER_AGENT = "pointsman"

Query = Mapping[str, str | int | bool]
AnswerT = TypeVar("AnswerT", bound=Answer)


class Connection:
    """Requests to one organisation by one account, at one pace. `version` is the newest that the other side knows."""

    def __init__(
        self,
        base_url: str,
        credential: SecretStr | Credential,
        *,
        http: httpx2.AsyncClient | None = None,
        pace: Pace | None = None,
        version: str = NEWEST,
    ) -> None:
        self.base_url = organisation_url(base_url)
        self.pace = pace or Pace()
        self._credential = credential_of(credential)
        self._http = http or _http()
        self._owned = http is None
        self._version = version
        self._priority = Priority.INTERACTIVE

    def __repr__(self) -> str:
        return f"Connection({self.base_url!r})"

    def in_bulk(self) -> Self:
        """The same connection for calls that nobody waits for: they let all others go first."""
        other = copy(self)
        other._priority = Priority.BULK
        other._owned = False
        return other

    async def close(self) -> None:
        if self._owned:
            await self._http.aclose()
            await self._credential.close()

    async def call(
        self,
        answer: type[AnswerT],
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Json | bytes = None,
        content_type: str = JSON,
        version: str = VERSION,
        host: Host = Host.MAIN,
    ) -> AnswerT:
        """Send one request and read its answer.

        Raises:
            Unavailable: trying again can help. After a write whose answer got lost, read before writing again.
            Rejected: it cannot; also `Conflict`, `Missing` and those of `pointsman.clients.azure_devops.errors`.
        """
        found, _ = await self.page(
            answer, method, path, query=query, body=body, content_type=content_type, version=version, host=host
        )
        return found

    async def page(
        self,
        answer: type[AnswerT],
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Json | bytes = None,
        content_type: str = JSON,
        version: str = VERSION,
        host: Host = Host.MAIN,
    ) -> tuple[AnswerT, str]:
        """As `call`, with the token of the next page that some lists carry in a header; empty: this was the last."""
        what = f"{method} {beside(self.base_url, host)}/{path}"
        response = await self._exchange(what, method, query, body, content_type, version)
        if is_sign_in_page(response):
            raise sign_in_refusal(response, what)
        return _read(answer, response, what), response.headers.get(CONTINUATION, "").strip()

    async def download(self, path: str, *, query: Query | None = None) -> bytes:
        """A file as it is, whole in memory."""
        what = f"GET {self.base_url}/{path}"
        response = await self._exchange(what, "GET", query, None, JSON, VERSION, accept=BYTES)
        if is_sign_in_page(response) and response.headers.get("content-type", "").startswith("text/html"):
            raise sign_in_refusal(response, what)
        return response.content

    async def _exchange(
        self,
        what: str,
        method: str,
        query: Query | None,
        body: Json | bytes,
        content_type: str,
        version: str,
        accept: str = JSON,
    ) -> httpx2.Response:
        asked = {**(query or {}), "api-version": version_for(version, self._version)}
        headers = {
            "Accept": accept,
            "Authorization": await self._credential.authorization(),
            "User-Agent": USER_AGENT,
            "X-TFS-FedAuthRedirect": "Suppress",
        }
        if body is not None:
            headers["Content-Type"] = content_type
        async with self.pace.turn(what, self._priority):
            response = await self._send(what, method, asked, body, headers)
            self.pace.heed(response)
        if response.is_redirect or response.status_code == HTTPStatus.NON_AUTHORITATIVE_INFORMATION:
            raise sign_in_refusal(response, what)
        if not response.is_success:
            raise refusal(response, what)
        return response

    async def _send(
        self, what: str, method: str, query: Query, body: Json | bytes, headers: Mapping[str, str]
    ) -> httpx2.Response:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            return await self._http.request(
                method,
                what.partition(" ")[2],
                params={key: _parameter(value) for key, value in query.items()},
                content=content,
                headers=dict(headers),
                auth=None,
                follow_redirects=False,
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Unavailable(f"{what}: no connection ({type(error).__name__}); nothing was sent") from error
        except httpx2.RequestError as error:
            pause = self.pace.dropped()
            raise Unavailable(
                f"{what}: no answer ({type(error).__name__}); {in_doubt(method)}", retry_after=pause
            ) from error


@cache
def _tls() -> ssl.SSLContext:
    """Shared, because reading all certificate authorities takes a tenth of a second."""
    return httpx2.create_ssl_context()


def _http() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        verify=_tls(),
        timeout=httpx2.Timeout(60, connect=10),
        limits=httpx2.Limits(max_connections=CALLS_MAX, max_keepalive_connections=CALLS_MAX),
    )


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
