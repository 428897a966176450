"""The local Temporal server on the command line."""

import asyncio
import signal
from contextlib import suppress

from pointsman.config import Settings
from pointsman.temporal_server import DevServer, Found, ServerNotFound, find_server, install_server
from starter.cli.call import Call
from starter.cli.errors import CliError, ExitCode
from starter.cli.output import Single

POLL_SECONDS = 0.2


def tell_path(call: Call) -> None:
    """The bare path on stdout, so that a shell can use it; with `--json` its source and version, too."""
    try:
        found = find_server(may_obtain=False)
    except ServerNotFound as error:
        raise CliError("not_found", str(error), "Get one: pointsman temporal install", ExitCode.NOT_FOUND) from error
    if call.out.as_json:
        _show(call, found)
    else:
        call.out.line(str(found.path))


def install(call: Call) -> None:
    _show(call, install_server(say=call.out.say))


def _show(call: Call, found: Found) -> None:
    record = {"path": str(found.path), "source": found.source, "server_version": found.server_version}
    call.show(Single("temporal", record))


async def run(call: Call, settings: Settings, port: int, ui_port: int) -> ExitCode:
    """Serve until SIGINT or SIGTERM.

    Raises:
        DevServerFailed: it does not come up, or ended by itself.
    """
    found = await asyncio.to_thread(find_server, say=call.out.say)
    server = DevServer(found.path, settings.data_dir / "temporal", port=port, ui_port=ui_port)
    stop = stopping()
    async with server:
        call.show(Single("temporal", {"address": server.address, "ui": server.ui_url, "log": str(server.log)}))
        call.out.say("running; Ctrl-C stops it, its state stays")
        while server.running and not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL_SECONDS)
        if not stop.is_set():
            raise server.ended()
    return ExitCode.OK


def stopping() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set, so that everything is stopped in order."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
