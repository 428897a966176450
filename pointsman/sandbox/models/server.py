"""The stand-in as a server. Its API is below `/v1` of the URL, its control below `/_sandbox`."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from pointsman.sandbox.models.app import create_app
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.serving import hosting, serve_app


def serve(
    config: ModelsConfig, host: str = "127.0.0.1", port: int = 0, announce: Callable[[str], None] = print
) -> None:
    """Serve until SIGINT or SIGTERM. `announce` gets the base URL as soon as connections are taken; 0 is any port."""
    serve_app(create_app(config), host, port, announce)


@asynccontextmanager
async def running(config: ModelsConfig, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """The base URL of a stand-in that lives as long as the block."""
    async with hosting(create_app(config), host, port) as url:
        yield url
