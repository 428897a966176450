"""Health, metrics, the description of the interface, the status page, and errors of one shape."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from pointsman.observability import names
from pointsman.ports import Unavailable
from pointsman.store.engine import Store
from pointsman.temporal_server import DevServer
from starter.connection import Connection
from starter.web import health, pages
from starter.web.app import create_app
from starter.web.errors import Frame
from starter.web.health import CheckResult, Readiness
from starter.web.services import Check, Services, Unfit
from tests.starter.web_rig import POLICY, SECRET, Web, created, services, serving


@pytest.fixture
async def web(store: Store) -> AsyncIterator[Web]:
    async with serving(services(store)) as running:
        yield running


def failing(name: str, error: Exception, *, required: bool) -> Check:
    async def probe() -> str:
        raise error

    return Check(name, probe, required)


async def stuck() -> str:
    await asyncio.sleep(60)
    return "never"


async def ready(given: Services) -> tuple[int, Readiness]:
    async with serving(given) as web:
        response = await web.http.get("/health/ready")
        return response.status_code, Readiness.model_validate_json(response.content)


async def test_a_process_that_answers_is_alive_even_without_its_store(store: Store) -> None:
    async with serving(services(store)) as web:
        await store.close()
        response = await web.http.get("/health/live")
        assert (response.status_code, response.json()) == (200, {"status": "alive", "version": "1.2.3"})


async def test_ready_tells_each_dependency_with_its_latency(store: Store) -> None:
    status, told = await ready(services(store))
    assert (status, told.status) == (200, "ready")
    assert [check.name for check in told.checks] == ["store", "policy", "intake"]
    assert all(check.status == "ok" and check.latency_ms >= 0 for check in told.checks)


async def test_a_required_dependency_that_fails_makes_us_unready(store: Store) -> None:
    given = services(store)
    broken = failing("sequencer", Unfit("stopped"), required=True)
    status, told = await ready(replace(given, checks=(*given.checks, broken)))
    assert (status, told.status, told.checks[-1].message) == (503, "unready", "stopped")


async def test_one_that_is_not_required_only_degrades(store: Store) -> None:
    given = services(store)
    broken = failing("temporal", Unavailable("away"), required=False)
    status, told = await ready(replace(given, checks=(*given.checks, broken)))
    assert (status, told.status, told.checks[-1].status) == (200, "degraded", "fail")


async def test_a_dependency_that_hangs_fails_in_time_and_holds_no_other_up(store: Store) -> None:
    hanging = Check("model", stuck, timeout=timedelta(milliseconds=50))
    status, told = await ready(replace(services(store), checks=(hanging, *services(store).checks)))
    assert status == 503
    assert told.checks[0].message == "no answer within 0.05 s"
    assert {check.status for check in told.checks[1:]} == {"ok"}


async def test_the_text_of_an_unknown_error_stays_inside(store: Store) -> None:
    given = replace(services(store), checks=(failing("store", ValueError(SECRET), required=True),))
    _, told = await ready(given)
    assert told.checks[0].message == "ValueError"


async def test_a_store_that_is_gone_makes_us_unready(store: Store) -> None:
    async with serving(services(store)) as web:
        await store.close()
        assert (await web.http.get("/health/ready")).status_code == 503


async def test_a_policy_without_scope_is_unfit() -> None:
    assert (await health.ask(health.policy_check(POLICY.model_copy(update={"scope": ()})))).status == "fail"


async def test_temporal_is_asked_and_need_not_answer(dev_server: DevServer, free_port: int) -> None:
    answer = await health.ask(health.temporal_check(Connection(dev_server.address)))
    assert (answer.status, answer.required, answer.message) == ("ok", False, "namespace default")
    away = await health.ask(health.temporal_check(Connection(f"127.0.0.1:{free_port}")))
    assert (away.status, away.required) == ("fail", False)
    assert "No Temporal server answers" in away.message


async def test_loops_of_the_process_say_why_they_do_not_run() -> None:
    assert (await health.ask(health.running_check("dispatcher", lambda: ""))).message == "runs"
    told = await health.ask(health.running_check("dispatcher", lambda: "Temporal is away"))
    assert (told.status, told.message) == ("fail", "Temporal is away")


async def test_metrics_show_where_the_books_stand(web: Web) -> None:
    await web.deliver(created())
    await web.deliver(b"{")
    response = await web.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert f'{names.INBOX_DEPTH}{{state="pending"}} 1.0' in response.text
    assert f'{names.INBOX_DEPTH}{{state="dead"}} 1.0' in response.text
    age = re.search(rf"^{names.INBOX_AGE_SECONDS} (\S+)$", response.text, re.MULTILINE)
    assert age is not None
    assert float(age[1]) > 0
    assert f'{names.ESCALATIONS_OPEN}{{severity="high"}} 0.0' in response.text
    assert f"{names.AUDIT_PENDING} 2.0" in response.text


async def test_metrics_are_served_even_without_the_store(store: Store) -> None:
    async with serving(services(store)) as web:
        await web.deliver(created())
        await store.close()
        response = await web.http.get("/metrics")
        assert response.status_code == 200
        assert f"{names.ACK_SECONDS}_count 1.0" in response.text


async def test_the_interface_is_described_without_foreign_scripts(web: Web) -> None:
    described = (await web.http.get("/openapi.json")).json()
    assert described["info"]["title"] == "Pointsman"
    assert set(described["paths"]) == {
        "/webhooks/azure-devops",
        "/api/inbox/{delivery_id}/replay",
        "/events/{event_id}/chain.svg",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/rpc",
        "/rpc/streams/{stream_id}",
    }
    hook = described["paths"]["/webhooks/azure-devops"]["post"]
    assert set(hook["responses"]) >= {"202", "401", "413", "503"}
    assert hook["security"] == [{"deliveries": []}]
    assert described["components"]["securitySchemes"]["deliveries"]["scheme"] == "basic"
    assert "http" not in re.sub(r"#/\S+", "", json.dumps(described["paths"])).replace("HTTPValidationError", "")
    assert (await web.http.get("/docs")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/none", 404, "not_found"),
        ("GET", "/webhooks/azure-devops", 405, "method_not_allowed"),
        ("DELETE", "/", 405, "method_not_allowed"),
    ],
)
async def test_every_error_has_one_shape(web: Web, method: str, path: str, status: int, code: str) -> None:
    response = await web.http.request(method, path)
    told = response.json()["error"]
    assert (response.status_code, told["code"]) == (status, code)
    assert set(told) == {"code", "message", "hint", "correlation_id"}
    assert told["correlation_id"] == response.headers["x-correlation-id"]


async def test_an_error_of_ours_shows_no_traceback(store: Store) -> None:
    app = create_app(services(store))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError(SECRET)

    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
        response = await http.get("/broken")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")
    assert SECRET not in response.text
    assert "Traceback" not in response.text


async def test_an_answer_that_breaks_half_way_is_not_ended_as_if_it_were_whole() -> None:
    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    transport = httpx2.ASGITransport(Frame(breaking))
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
        with pytest.raises(RuntimeError, match="half way"):
            await http.get("/half")


class Tags(HTMLParser):
    """Elements of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


async def test_the_status_page_needs_neither_script_nor_inline_style_nor_other_hosts(web: Web) -> None:
    await web.deliver(created())
    response = await web.http.get("/")
    tags = Tags(response.text).found
    assert response.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert not [tag for tag, attributes in tags if tag in ("script", "style") or "style" in attributes]
    links = [attributes["href"] for tag, attributes in tags if tag in ("a", "link")]
    pages = ["http://127.0.0.1:8233", "/health/ready", "/metrics", "/openapi.json"]
    assert links == ["/static/icon.svg", "/static/status.css", *pages]
    assert "color-scheme: light dark" in (await web.http.get("/static/status.css")).text
    assert "Deliveries, pending" in response.text
    assert "<strong>ready</strong>" in response.text


async def test_the_status_page_is_there_when_the_store_is_not(store: Store) -> None:
    async with serving(services(store)) as web:
        await store.close()
        response = await web.http.get("/")
        assert response.status_code == 200
        assert "<strong>unready</strong>" in response.text


def test_what_a_dependency_says_cannot_become_markup() -> None:
    check = CheckResult(name="<b>", status="fail", required=True, latency_ms=1, message='<script src="x">')
    page = pages.render(Readiness(status="unready", version="<i>", checks=[check]), None, 'http://x/"><script>')
    assert "<script" not in page
    assert "<b>" not in page
    assert "<i>" not in page


@pytest.mark.parametrize("path", ["/", "/metrics", "/health/live", "/none", "/static/status.css", "/static/icon.svg"])
async def test_every_answer_carries_the_headers_for_safety(web: Web, path: str) -> None:
    headers = (await web.http.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
