"""The stand-in as a server: in a process of its own, or inside a running loop."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.config import SandboxConfig


class _Guest(uvicorn.Server):
    """A server inside somebody else's process: signals are not its business."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def serve(
    config: SandboxConfig, host: str = "127.0.0.1", port: int = 0, announce: Callable[[str], None] = print
) -> None:
    """Serve until SIGINT or SIGTERM. `announce` gets the base URL as soon as connections are taken; 0 is any port."""
    listener = _listen(host, port)
    announce(_url(listener))
    uvicorn.Server(_settings(config)).run(sockets=[listener])


@asynccontextmanager
async def running(config: SandboxConfig, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """The base URL of a stand-in that lives as long as the block."""
    listener = _listen(host, port)
    server = _Guest(_settings(config))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield _url(listener)
    finally:
        server.should_exit = True
        await serving


def _settings(config: SandboxConfig) -> uvicorn.Config:
    # Dropped connections are a service of the stand-in; uvicorn would log each as an error.
    return uvicorn.Config(
        create_app(config), log_level="critical", access_log=False, lifespan="on", timeout_graceful_shutdown=1
    )


def _listen(host: str, port: int) -> socket.socket:
    """Listening from here on: whoever connects before the server runs waits in the backlog."""
    listener = socket.create_server((host, port), backlog=512)
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"
