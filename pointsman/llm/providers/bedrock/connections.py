"""HTTP for boto3, which has no connection that another thread could end: its requests go out here, signed and whole.

botocore asks before it sends whether somebody else does (`before-send`). Connections come from urllib3, as botocore's
own do, with the TLS of all our adapters; each knows who uses it, so that ending a call closes its connection at once.
"""

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection

from pointsman.llm.tls import tls_context

SHOWN_MAX = 4
"""Tokens change about once an hour."""


class ExchangeEnded(ConnectionError):
    """Somebody has ended the call."""


class Exchange:
    """A call under way in a thread. Whoever made it may end it from another."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._ended = False

    @contextmanager
    def current(self) -> Iterator[None]:
        """What this thread sends belongs to the call; whatever is sent to the end is over after that."""
        token = _CURRENT.set(self)
        try:
            yield
            self.detach()
        finally:
            _CURRENT.reset(token)

    def attach(self, connected: socket.socket) -> None:
        """The call goes over this connection. Raises `ExchangeEnded` where it is over already."""
        with self._lock:
            if self._ended:
                raise ExchangeEnded("the call was ended")
            self._socket = connected

    def detach(self) -> None:
        """The connection is no longer the call's: it has its answer."""
        with self._lock:
            self._socket = None

    def end(self) -> None:
        """Close the connection if there is one. Whoever waits for it gets an error at once."""
        with self._lock:
            self._ended = True
            if self._socket is not None:
                with suppress(OSError):  # closed already
                    self._socket.shutdown(socket.SHUT_RDWR)
                self._socket = None


_CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class Connections:
    """Connections of one client. `timeout` is the longest silence, `connect_timeout` the longest knocking."""

    def __init__(self, timeout: timedelta, connect_timeout: timedelta, connections_max: int) -> None:
        limits = Timeout(connect=connect_timeout.total_seconds(), read=timeout.total_seconds())
        self._options: dict[str, Any] = {"timeout": limits, "maxsize": connections_max, "ssl_context": tls_context()}
        self._direct = _speaking(PoolManager(**self._options))
        self._proxied: dict[str, PoolManager] = {}
        self.shown: deque[str] = deque(maxlen=SHOWN_MAX)
        """Tokens that went out with requests, whoever found them: an answer may repeat them."""

    def send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """The answer to a request; the body of a streamed one is still to come."""
        self._remember(request)
        target = urlsplit(request.url)
        pool = self._manager(target.scheme, target.hostname or "").connection_from_url(request.url)
        raw = pool.urlopen(
            request.method,
            f"{target.path}?{target.query}" if target.query else target.path,
            body=request.body,  # type: ignore[arg-type]  # bytes, as botocore has signed them
            headers=request.headers,  # type: ignore[arg-type]  # a mapping to bytes, which urllib3 sends as they are
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )
        # urllib3's headers are what botocore itself makes its responses of, whatever its stubs say.
        response = AWSResponse(request.url, raw.status, raw.headers, raw)  # type: ignore[arg-type]  # as above
        if not request.stream_output:
            response.content  # noqa: B018 - reads the body now, which gives the connection back
        return response

    def close(self) -> None:
        for manager in (self._direct, *self._proxied.values()):
            manager.clear()

    def _remember(self, request: AWSPreparedRequest) -> None:
        """The session's token, or that of a caller with a bearer token. A secret key signs, and is never sent."""
        sent = [_text(request.headers.get(name)) for name in ("X-Amz-Security-Token", "Authorization")]
        for token in (sent[0], sent[1].removeprefix("Bearer ") if sent[1].startswith("Bearer ") else ""):
            if token and token not in self.shown:
                self.shown.append(token)

    def _manager(self, scheme: str, host: str) -> PoolManager:
        proxy = getproxies().get(scheme) if scheme == "https" and not proxy_bypass(host) else None
        if not proxy:
            return self._direct
        if proxy not in self._proxied:
            self._proxied[proxy] = _speaking(ProxyManager(proxy, **self._options))
        return self._proxied[proxy]


def _text(header: str | bytes | None) -> str:
    return header.decode("latin-1") if isinstance(header, bytes) else header or ""


class _Plain(HTTPConnection):
    user: Exchange | None = None

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        self.user = _taken(self, self.user)
        super().putrequest(method, url, skip_host, skip_accept_encoding)


class _Secure(_Plain, HTTPSConnection):
    """The same over TLS."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


def _taken(connection: HTTPConnection, before: Exchange | None) -> Exchange | None:
    """The connection changes hands."""
    if before is not None:
        before.detach()
    if connection.sock is None:
        connection.connect()
    exchange = _CURRENT.get()
    if exchange is not None and connection.sock is not None:
        exchange.attach(connection.sock)
    return exchange


def _speaking(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return manager
