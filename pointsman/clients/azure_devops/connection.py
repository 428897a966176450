"""One organisation over HTTP: credentials, versions, typed answers and errors. Asks once, unless it is patient."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from datetime import timedelta
from http import HTTPStatus
from typing import Self, TypeVar

import httpx2
from pydantic import SecretStr, ValidationError

from pointsman.clients.azure_devops.answers import Answer
from pointsman.clients.azure_devops.caching import Cache, Key
from pointsman.clients.azure_devops.credentials import Credential, credential_of
from pointsman.clients.azure_devops.errors import (
    NotWhole,
    in_doubt,
    is_sign_in_page,
    only_reads,
    refusal,
    sign_in_refusal,
)
from pointsman.clients.azure_devops.hosts import NEWEST, VERSION, Host, beside, organisation_url, version_for
from pointsman.clients.azure_devops.pacing import CALLS_MAX, Pace, Priority
from pointsman.clients.tls import tls_context
from pointsman.contracts.base import Json
from pointsman.domain.texts import read_json
from pointsman.ports import Rejected, Unavailable

JSON, JSON_PATCH, BYTES = "application/json", "application/json-patch+json", "application/octet-stream"
CONTINUATION = "x-ms-continuationtoken"
USER_AGENT = "pointsman"

ITEM = "item"
WRITTEN: Sequence[tuple[re.Pattern[str], tuple[str, ...]]] = [
    (re.compile(pattern, re.IGNORECASE), kinds)
    for pattern, kinds in (
        (r"_apis/wit/\$batch", (ITEM,)),
        (r"_apis/(?:projects|operations)\b", ("project",)),
        (r"_apis/wit/classificationnodes/", ("node",)),
        (r"_apis/wit/fields\b", ("field", "type")),
        (r"_apis/work/process", ("process", "field", "type")),
        (r"_apis/(?:graph|identities|userentitlements|serviceprincipals)", ("identity",)),
    )
]
"""Kinds of what is read that a write to such a path may change."""
_ITEM_PATH = re.compile(r"_apis/wit/(?:workitems|recyclebin)/(\d+)", re.IGNORECASE)

Query = Mapping[str, str | int | bool]
Tell = Callable[[str, timedelta], None]
"""Hears why nothing was answered, and how long is waited until it is asked again."""
AnswerT = TypeVar("AnswerT", bound=Answer)

WAITS_MAX = 6
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(seconds=30)
"""Where the service does not say how long."""


class Connection:
    """Requests to one organisation by one account, at one pace. `version` is the newest that the other side knows."""

    def __init__(
        self,
        base_url: str,
        credential: SecretStr | Credential,
        *,
        http: httpx2.AsyncClient | None = None,
        pace: Pace | None = None,
        cache: Cache | None = None,
        version: str = NEWEST,
    ) -> None:
        self.base_url = organisation_url(base_url)
        self.pace = pace or Pace()
        self._credential = credential_of(credential)
        self._http = http or _http()
        self._owned = http is None
        self._version = version
        self._cache = cache
        self._scope = f"{cache.tenant if cache else ''} {self.base_url} {self._credential.name}"
        self._priority = Priority.INTERACTIVE
        self._tell: Tell | None = None

    def __repr__(self) -> str:
        return f"Connection({self.base_url!r})"

    def in_bulk(self) -> Self:
        """The same connection for calls that nobody waits for: they let all others go first."""
        other = copy(self)
        other._priority = Priority.BULK
        other._owned = False
        return other

    def patiently(self, tell: Tell) -> Self:
        """The same connection for a long reading that nobody begins anew: what only reads is asked again where the
        service cannot answer now, after as long as it wants. `tell` hears of each wait."""
        other = copy(self)
        other._tell = tell
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

    async def read(
        self,
        answer: type[AnswerT],
        path: str,
        kind: str,
        max_age: timedelta,
        *,
        query: Query | None = None,
        version: str = VERSION,
        host: Host = Host.MAIN,
        name: str = "",
        min_rev: int = 0,
    ) -> AnswerT:
        """A GET that may be answered by what was read up to `max_age` ago; for errors see `call`.

        `name` is under what it is kept within its kind, unless that is the request as it stands. A kind is forgotten
        when it is written: see `WRITTEN`.
        """

        async def load() -> AnswerT:
            found, following = await self.page(answer, "GET", path, query=query, version=version, host=host)
            if following:
                what = f"GET {path}: the list goes on behind {following!r}, and is read as one that does not"
                raise NotWhole(f"{what}; nothing of it is used", "ListCut")
            return found

        if self._cache is None:
            return await load()
        asked = "&".join(f"{key}={value}" for key, value in sorted((query or {}).items()))
        key = Key(self._scope, kind, name or f"{host}/{path}?{asked} {version}")
        return await self._cache.get(key, answer, load, max_age=max_age, min_rev=min_rev, elsewhere=kind == ITEM)

    async def each(
        self,
        answer: type[AnswerT],
        kind: str,
        names: Sequence[str],
        max_age: timedelta,
        load: Callable[[Sequence[str]], Awaitable[Mapping[str, AnswerT]]],
        at_once: int,
    ) -> dict[str, AnswerT]:
        """Those that there are of many things of a kind, each read at most `max_age` ago; `load` asks for all that are
        missing, `at_once` with a call."""
        if self._cache is None:
            return dict(await load(names)) if names else {}
        keys = [Key(self._scope, kind, name) for name in names]

        async def missing(left: Sequence[Key]) -> Mapping[Key, AnswerT]:
            found = await load([key.name for key in left])
            return {key: found[key.name] for key in left if key.name in found}

        told = await self._cache.each(keys, answer, missing, max_age=max_age, elsewhere=kind == ITEM, at_once=at_once)
        return {key.name: value for key, value in told.items()}

    async def forget(self, kind: str, name: str = "") -> None:
        """What is kept of the kind, or under the name, has changed."""
        if self._cache is not None:
            await self._cache.forget(self._scope, kind, name)

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
        try:
            response = await self._exchange(what, method, query, body, content_type, version)
        finally:
            if method != "GET" and self._cache is not None:  # also where the answer was lost
                for kind, name in written(path):
                    await self.forget(kind, name)
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
        waits = 0
        while True:
            try:
                return await self._once(what, method, query, body, content_type, version, accept)
            except Unavailable as error:
                if self._tell is None or waits == WAITS_MAX or not only_reads(method, what):
                    raise
                wait = error.retry_after or min(FIRST_WAIT * (1 << waits), LONGEST_WAIT)
                self._tell(str(error), wait)
            waits += 1
            await self.pace.rest(wait)

    async def _once(
        self,
        what: str,
        method: str,
        query: Query | None,
        body: Json | bytes,
        content_type: str,
        version: str,
        accept: str,
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
            doubt = in_doubt(method, what)
            raise Unavailable(f"{what}: no answer ({type(error).__name__}); {doubt}", retry_after=pause) from error


def written(path: str) -> list[tuple[str, str]]:
    """Kind and name of what a write to the path changes; without a name all of the kind."""
    if item := _ITEM_PATH.search(path):
        return [(ITEM, item[1])]
    return [(kind, "") for pattern, kinds in WRITTEN for kind in kinds if pattern.search(path)]


def _http() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        verify=tls_context(),
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
        f"{in_doubt(response.request.method, str(response.request.url))}",
        code="UnexpectedAnswer",
    )
