"""What stands between us and a remote agent service: where a request may go, and how much may come back."""

from collections.abc import AsyncIterator
from ipaddress import ip_address

import httpx

from pointsman.contracts.policy import AgentService
from pointsman.ports import Rejected

PORTS = {"http": 80, "https": 443}


class Guard(httpx.AsyncBaseTransport):
    """Lets requests through to the hosts of one service's policy, over TLS unless they stay on this machine.

    Nothing is followed anywhere: an answer that leads elsewhere is an error, and so is one above the policy's size.

    Raises:
        Rejected: of code `EgressRefused`, before anything is sent; `Redirected` and `AnswerTooLarge` after.
    """

    def __init__(self, service: AgentService, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._hosts = frozenset({_place(httpx.URL(service.url)), *map(str.casefold, service.hosts)})
        self._bytes_max = service.answer_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._check(request.url)
        response = await self._inner.handle_async_request(request)
        if wrong := self._wrong(response):
            await response.aclose()
            raise wrong
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Capped(response.stream, self._bytes_max)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _check(self, url: httpx.URL) -> None:
        place = _place(url)
        if place not in self._hosts:
            raise Rejected(
                f"{place} is no host of this agent's policy, which has {', '.join(sorted(self._hosts))}: nothing was "
                "sent; name it under `hosts` of the service if it is meant",
                code="EgressRefused",
            )
        if url.scheme != "https" and not (url.scheme == "http" and _is_here(url.host)):
            raise Rejected(f"{url.scheme}://{place} is not https: nothing was sent", code="EgressRefused")

    def _wrong(self, response: httpx.Response) -> Rejected | None:
        if response.has_redirect_location:
            return Rejected("the service leads elsewhere, and is not followed: name the address itself", "Redirected")
        if response.headers.get("content-encoding", "identity") != "identity":
            # Unpacked it may be any size; nothing was asked for but what is plain.
            return Rejected("the service packs its answers, although it was asked not to", "AnswerTooLarge")
        return None


class _Capped(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, bytes_max: int) -> None:
        self._inner = inner
        self._bytes_max = bytes_max

    async def __aiter__(self) -> AsyncIterator[bytes]:
        came = 0
        async for chunk in self._inner:
            came += len(chunk)
            if came > self._bytes_max:
                raise Rejected(
                    f"the answer is longer than {self._bytes_max} bytes, the limit `answer_bytes` of this agent's "
                    "policy: it was not read",
                    code="AnswerTooLarge",
                )
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _place(url: httpx.URL) -> str:
    """Host, with its port where that is not the scheme's own."""
    port = url.port if url.port not in (None, PORTS.get(url.scheme)) else None
    return f"{url.host.casefold()}:{port}" if port else url.host.casefold()


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
