"""The official SDK as every adapter of this package uses it: version v1, retries off, over aiohttp."""

from datetime import timedelta
from urllib.request import getproxies

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from google import genai
from google.genai import types as sdk
from google.genai.models import AsyncModels
from pydantic import SecretStr

from pointsman.llm.tls import tls_context

CONNECT_TIMEOUT = timedelta(seconds=15)


class GeminiSdk:
    """One key, and the connections under it, opened with the first call: they belong to its event loop."""

    def __init__(
        self,
        api_key: SecretStr,
        base_url: str | None,
        connect_timeout: timedelta,
        *middlewares: aiohttp.ClientMiddlewareType,
    ) -> None:
        self._key = api_key
        self._base_url = base_url
        self._connect_timeout = connect_timeout
        self._middlewares = middlewares
        self._opened: tuple[genai.Client, aiohttp.ClientSession] | None = None

    def models(self) -> AsyncModels:
        if self._opened is None:
            session = _session(self._connect_timeout, *self._middlewares)
            self._opened = (_client(self._key, self._base_url, session), session)
        return self._opened[0].aio.models

    async def aclose(self) -> None:
        if self._opened is not None:
            client, session = self._opened
            self._opened = None
            await client.aio.aclose()
            client.close()
            await session.close()


class _Connector(aiohttp.TCPConnector):
    """With a limit to connecting: the SDK sets none, and overrides the session's."""

    def __init__(self, limit: timedelta) -> None:
        super().__init__(limit=0)  # how many calls may run is not the transport's to decide
        self._sock_connect_seconds = limit.total_seconds()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        limited = aiohttp.ClientTimeout(
            total=timeout.total,
            connect=timeout.connect,
            sock_read=timeout.sock_read,
            sock_connect=self._sock_connect_seconds,
        )
        return await super().connect(req, traces, limited)


def _session(connect_timeout: timedelta, *middlewares: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=_Connector(connect_timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=middlewares,
        trust_env=bool(getproxies()),  # looked up at each request, in a thread: only where there are any
    )


def _client(key: SecretStr, base_url: str | None, session: aiohttp.ClientSession) -> genai.Client:
    tls = tls_context()  # the SDK would read the certificates four times
    options = sdk.HttpOptions(
        base_url=base_url,
        api_version="v1",
        retry_options=sdk.HttpRetryOptions(attempts=1),  # without, the SDK sleeps and tries again by itself
        aiohttp_client=session,
        client_args={"verify": tls},
        # Over a redirect the key would go along to whoever is named there.
        async_client_args={"verify": tls, "ssl": tls, "allow_redirects": False},
    )
    return genai.Client(api_key=key.get_secret_value(), vertexai=False, http_options=options)
