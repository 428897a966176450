"""Notifications over real HTTP: what the receiver gets, what its answers mean, and that the URL stays a secret."""

import asyncio
import io
import json
import traceback
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr

from pointsman.clients.notify import RETRY_AFTER_MAX, WebhookNotifier
from pointsman.ports import Rejected, Unavailable

TOKEN = "T0KEN-of-the-receiver"
MESSAGE = ("team", "ESC-7 (high): harbour/Quay #41", "**Move it?** Zwölf Kräne")


@dataclass
class Receiver:
    """A receiver of webhooks, and what it got."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> SecretStr:
        return SecretStr(f"http://127.0.0.1:{self.port}/hooks/{TOKEN}?key={TOKEN}")

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((request.method, request.path_qs, headers, await request.read()))
        return web.Response(status=self.status, headers=self.headers, text=f"you came to {request.url}")


@asynccontextmanager
async def receiver(status: int = 200, **headers: str) -> AsyncGenerator[Receiver]:
    server = Receiver(status, {name.replace("_", "-"): value for name, value in headers.items()})
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Every line that is logged, secrets and all: nothing here masks them."""
    lines = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.WriteLoggerFactory(lines)
    )
    yield lines
    structlog.reset_defaults()


def words(error: BaseException) -> str:
    """All that a log or a history could show of an error: its text, and that of each cause."""
    return "".join(traceback.format_exception(error)) + repr(error)


async def test_the_receiver_gets_target_subject_and_text_and_no_secret_of_ours(log: io.StringIO) -> None:
    async with receiver() as server:
        told = await WebhookNotifier(server.url).notify(*MESSAGE)
    ((method, place, headers, body),) = server.got
    assert (method, place) == ("POST", f"/hooks/{TOKEN}?key={TOKEN}")
    assert json.loads(body) == dict(zip(("target", "subject", "text"), MESSAGE, strict=True))
    assert headers["content-type"] == "application/json"
    assert not {"authorization", "cookie", "traceparent", "baggage"} & headers.keys()
    assert told == "team told by webhook, HTTP 200"
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert line == {"event": "people told", "target": "team", "subject": MESSAGE[1], "how": "by webhook, HTTP 200"}


async def test_without_a_url_the_log_tells(log: io.StringIO) -> None:
    assert await WebhookNotifier().notify(*MESSAGE) == "team told in the log"
    assert json.loads(log.getvalue())["subject"] == MESSAGE[1]


@pytest.mark.parametrize("status", [201, 202, 204])
async def test_every_success_counts_as_told(status: int) -> None:
    async with receiver(status) as server:
        assert await WebhookNotifier(server.url).notify(*MESSAGE) == f"team told by webhook, HTTP {status}"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
async def test_a_refusal_is_final_and_names_the_status(status: int, log: io.StringIO) -> None:
    async with receiver(status) as server:
        with pytest.raises(Rejected, match=f"^notification of team: HTTP {status}, nobody was told$") as failed:
            await WebhookNotifier(server.url).notify(*MESSAGE)
    assert failed.value.code == str(status)
    assert TOKEN not in words(failed.value)
    assert log.getvalue() == ""


@pytest.mark.parametrize(
    ("status", "asked", "wait"),
    [
        (429, "7", timedelta(seconds=7)),
        (503, "0.5", timedelta(seconds=0.5)),
        (503, "86400", RETRY_AFTER_MAX),
        (500, "", None),
        (502, "soon", timedelta()),
    ],
)
async def test_what_may_pass_is_tried_again_after_the_wait_that_is_asked_for(
    status: int, asked: str, wait: timedelta | None, log: io.StringIO
) -> None:
    async with receiver(status, **({"Retry_After": asked} if asked else {})) as server:
        with pytest.raises(Unavailable, match=f"^notification of team: HTTP {status}$") as failed:
            await WebhookNotifier(server.url).notify(*MESSAGE)
    assert failed.value.retry_after == wait
    assert TOKEN not in words(failed.value)
    assert log.getvalue() == ""


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with receiver() as elsewhere, receiver(status, Location=elsewhere.url.get_secret_value()) as server:
        with pytest.raises(Rejected, match=f"HTTP {status}") as failed:
            await WebhookNotifier(server.url).notify(*MESSAGE)
    assert len(server.got) == 1
    assert elsewhere.got == []
    assert TOKEN not in words(failed.value)


async def test_a_refused_connection_may_pass_and_shows_no_url(free_port: int) -> None:
    with pytest.raises(
        Unavailable, match=r"^notification of team: no answer from the receiver \(ConnectError\)$"
    ) as failed:
        await WebhookNotifier(Receiver(port=free_port).url).notify(*MESSAGE)
    assert TOKEN not in words(failed.value)


async def test_a_receiver_that_hangs_up_may_answer_later() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable, match="no answer from the receiver") as failed:
            await WebhookNotifier(Receiver(port=port).url).notify(*MESSAGE)
    assert TOKEN not in words(failed.value)


async def test_a_url_that_cannot_be_used_is_final_and_not_shown() -> None:
    with pytest.raises(Rejected, match="POINTSMAN_NOTIFY_WEBHOOK cannot be used; nobody was told") as failed:
        await WebhookNotifier(SecretStr(f"http://127.0.0.1/\x00{TOKEN}")).notify(*MESSAGE)
    assert TOKEN not in words(failed.value)


def test_the_notifier_does_not_show_its_url() -> None:
    assert TOKEN not in repr(vars(WebhookNotifier(Receiver(port=1).url)))
