"""How a stand-in is served on loopback: in a process of its own, or inside a running loop."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

# Longer than any client keeps an idle connection, as the real services do: a client that reuses one in the moment in
# which the server closes it loses its request.
KEEP_ALIVE_SECONDS = 120


class _Guest(uvicorn.Server):
    """A server inside somebody else's process: signals are not its business, and it leaves when told, at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leave = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.leave.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for task in self.server_state.tasks:
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
        await self.lifespan.shutdown()


def serve_app(app: ASGIApp, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. `announce` gets the base URL as soon as connections are taken; 0 is any port."""
    listener = _listen(host, port)
    announce(_url(listener))
    uvicorn.Server(_settings(app)).run(sockets=[listener])


@asynccontextmanager
async def hosting(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """The base URL of any application, served by the running loop for as long as the block lasts."""
    async with hosting_as(_settings(app), host, port) as url:
        yield url


@asynccontextmanager
async def hosting_as(settings: uvicorn.Config, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """The same with settings other than those of a stand-in. Requests that are open at the end are given up."""
    listener = _listen(host, port)
    server = _Guest(settings)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield _url(listener)
    finally:
        server.leave.set()
        await serving


def _settings(app: ASGIApp) -> uvicorn.Config:
    # Dropped connections are a service of a stand-in; uvicorn would log each as an error.
    return uvicorn.Config(
        app, log_level="critical", access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=1
    )


def _listen(host: str, port: int) -> socket.socket:
    """Listening from here on: whoever connects before the server runs waits in the backlog."""
    # asyncio turns Nagle's delay off only where the protocol is named; with it, each answer takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"
