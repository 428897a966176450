"""The Temporal server that `up` runs beside Pointsman: found or started, and started again when it ends."""

import asyncio
import time
from urllib.parse import urlsplit

from pointsman.config import Settings
from pointsman.domain.words import how_many
from pointsman.temporal import TemporalUnreachable, connect
from pointsman.temporal_builds import Say
from pointsman.temporal_server import DevServer, DevServerFailed, find_server

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOOK_SECONDS = 1.0
STARTS_MAX, WITHIN_SECONDS = 3, 300.0
"""A server that ends again and again is not mended by starting it: its log says more than we could."""


async def found(settings: Settings, say: Say) -> DevServer | None:
    """The local server that was started, or found left behind; None where somebody else's answers."""
    host, _, port = settings.temporal_address.rpartition(":")
    folder = settings.data_dir / "temporal"
    if (left := DevServer.attach(folder)) and left.address == f"127.0.0.1:{port}":
        return left
    try:
        await connect(settings.temporal_address, settings.temporal_namespace)
    except TemporalUnreachable:
        if host.strip("[]") not in LOOPBACK:
            raise
    else:
        return None
    binary = await asyncio.to_thread(find_server, say=say)
    server = DevServer(binary.path, folder, port=int(port), ui_port=urlsplit(settings.ui_url).port or 0)
    await server.start()
    return server


async def kept(server: DevServer, say: Say, look_seconds: float = LOOK_SECONDS) -> None:
    """Until cancelled: start the server again when it has ended, on the same state and ports.

    Raises:
        DevServerFailed: it ended too often within five minutes, or does not come up again.
    """
    began: list[float] = []
    while True:
        # Whoever started it may be gone: then its process is looked up by a command, which takes a moment.
        if await asyncio.to_thread(lambda: server.running):
            await asyncio.sleep(look_seconds)
            continue
        began = [at for at in began if time.monotonic() - at < WITHIN_SECONDS]
        if len(began) >= STARTS_MAX:
            raise DevServerFailed(
                f"The local Temporal server at {server.address} ended again, after "
                f"{how_many(len(began), 'start')} within {WITHIN_SECONDS / 60:.0f} minutes. "
                f"Its state is kept; its log says why: {server.log}."
            )
        began.append(time.monotonic())
        ended = server.pid
        say(f"the local Temporal server (process {ended}) has ended; it is started again on the same state and ports")
        await server.start()
        say(f"the local Temporal server runs again at {server.address} (process {server.pid}); items go on")
