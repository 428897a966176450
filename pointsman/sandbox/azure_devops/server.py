"""The stand-in as a server. An organisation is below its name of the URL, the control below `/_sandbox`."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.config import SandboxConfig
from pointsman.sandbox.serving import hosting, serve_app


def serve(
    config: SandboxConfig, host: str = "127.0.0.1", port: int = 0, announce: Callable[[str], None] = print
) -> None:
    """Serve until SIGINT or SIGTERM. `announce` gets the base URL as soon as connections are taken; 0 is any port."""
    serve_app(create_app(config), host, port, announce)


@asynccontextmanager
async def running(config: SandboxConfig, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """The base URL of a stand-in that lives as long as the block."""
    async with hosting(create_app(config), host, port) as url:
        yield url
