"""Start and stop Pointsman on this machine: `up`, `down`, `serve` and its parts."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial

from pointsman.config import Settings
from pointsman.store import schema
from pointsman.store.sqlite import ServiceLock, path_of
from pointsman.temporal_server import DevServer, free_port
from starter import loading
from starter.cli import local_temporal
from starter.cli.call import Call
from starter.cli.context import stored_in_sqlite
from starter.cli.detached import Record, lock_of, made_folder, record_of, runs, runs_already, warn_of_no_intake
from starter.cli.errors import CliError, ExitCode
from starter.cli.output import Single
from starter.cli.settings import own_url
from starter.serve import serve as serve_parts

LOCK_SECONDS_MAX = 1.0  # whoever only looks whether it is held lets go at once
PARTS = ("web", "worker")


def serve(call: Call, settings: Settings, parts: set[str]) -> ExitCode:
    """Run parts of the service in this process until it is told to stop."""
    settings = _with_port(settings)
    _prepare(settings, parts)
    if "web" in parts:
        call.show(Single("serve", _record(settings, settings.ui_url)))
        call.out.flush()
        warn_of_no_intake(call, settings)
    loading.end()
    asyncio.run(serve_parts(settings, parts))
    return ExitCode.OK


async def up(call: Call, settings: Settings) -> ExitCode:
    """Temporal where none answers, then the whole service, in the foreground. A server of ours that ends is started
    again.

    Raises:
        CliError: `up` runs already on this data folder.
        DevServerFailed: our server ended, and does not come up again.
    """
    folder = made_folder(settings)
    lock = lock_of(folder)
    try:
        lock.acquire(0 if runs(folder) else LOCK_SECONDS_MAX)
    except TimeoutError:
        raise runs_already(folder) from None
    server: DevServer | None = None
    try:
        record_of(folder).write_text(json.dumps({"pid": os.getpid()}))  # `down` may come before we are ready
        settings = _for_people(_with_port(settings))
        _prepare(settings, PARTS)
        server = await local_temporal.found(settings, call.out.say)
        record = _record(settings, server.ui_url if server else settings.ui_url)
        record_of(folder).write_text(json.dumps(record))
        call.show(Single("up", record))
        call.out.flush()
        warn_of_no_intake(call, settings)
        call.out.say("running; Ctrl-C stops it, and the next `pointsman up` goes on where it was")
        beside = {"temporal": partial(local_temporal.kept, server, call.out.say)} if server else {}
        await serve_parts(settings, PARTS, **beside)
    finally:
        if server is not None:
            await server.stop()
        record_of(folder).unlink(missing_ok=True)
        lock.release()
    return ExitCode.OK


def _prepare(settings: Settings, parts: Collection[str]) -> None:
    """Make folder and schema where they are missing. A shared database is migrated by whoever runs it.

    Raises:
        StoreInUse: another service runs on the SQLite file.
    """
    made_folder(settings)
    if "web" in parts:
        _must_be_free(settings)
    if stored_in_sqlite(settings):
        url = settings.database_url.get_secret_value()
        ServiceLock(path_of(url)).release()  # held by another service: told before anybody reads where this one is
        schema.upgrade(url)


def _with_port(settings: Settings) -> Settings:
    return settings if settings.web_port else settings.model_copy(update={"web_port": free_port()})


def _for_people(settings: Settings) -> Settings:
    """Logs for reading where nobody said otherwise and somebody watches."""
    watched = sys.stderr.isatty() and "log_format" not in settings.origins
    return settings.model_copy(update={"log_format": "console"}) if watched else settings


def _must_be_free(settings: Settings) -> None:
    try:
        socket.create_server((settings.web_host, settings.web_port)).close()
    except OSError as error:
        where = f"{settings.web_host}:{settings.web_port}"
        raise CliError(
            "port_taken",
            f"{where} cannot be listened on: {error.strerror}. Nothing was started.",
            "Take another port: pointsman up --port 0",
            ExitCode.CONFLICT,
        ) from error


def _record(settings: Settings, ui_url: str) -> Record:
    url = own_url(settings)
    return {
        "pid": os.getpid(),
        "web": url,
        "webhook": f"{settings.public_url or url}/webhooks/azure-devops",
        "temporal": settings.temporal_address,
        "temporal_ui": ui_url,
        "data": str(settings.data_dir),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
