"""The status page: what an operator wants to see first, as plain HTML without scripts."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import structlog
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from pointsman.contracts.records import Tally
from starter.web.health import Readiness, readiness
from starter.web.services import Services, now

LOG = structlog.get_logger(__name__)
HERE = Path(__file__).parent
PAGE = Template((HERE / "templates" / "status.html").read_text(encoding="utf-8"))
STYLE = (HERE / "static" / "status.css").read_text(encoding="utf-8")
STYLE_PATH = "/static/status.css"
ICON = (HERE / "static" / "icon.svg").read_text(encoding="utf-8")
ICON_PATH = "/static/icon.svg"
CACHED = {"cache-control": "public, max-age=3600"}


def router(services: Services) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def status() -> HTMLResponse:
        told = await readiness(services)
        try:
            standing: Tally | None = await services.standing()
        except Exception:  # the page is most needed when the store fails
            LOG.exception("books could not be read")
            standing = None
        return HTMLResponse(render(told, standing, services.ui_url))

    @routes.get(STYLE_PATH)
    async def style() -> Response:
        return Response(STYLE, media_type="text/css", headers=CACHED)

    @routes.get(ICON_PATH)
    async def icon() -> Response:
        return Response(ICON, media_type="image/svg+xml", headers=CACHED)

    return routes


def render(told: Readiness, standing: Tally | None, ui_url: str) -> str:
    checks = [(check.name, check.status, f"{check.latency_ms:.1f}\u00a0ms", check.message) for check in told.checks]
    return PAGE.substitute(
        status=escape(told.status),
        version=escape(told.version),
        verdict=escape(_verdict(told)),
        at=now().strftime("%Y-%m-%d %H:%M:%S UTC"),
        checks=_rows(checks),
        books=_rows(_books(standing)),
        temporal=f'<a href="{escape(ui_url)}">Temporal’s UI</a>' if ui_url else "",
    )


def _verdict(told: Readiness) -> str:
    """What the status means for who waits for work to be done."""
    failed = [check.name for check in told.checks if check.status == "fail"]
    names = " and ".join(filter(None, (", ".join(failed[:-1]), failed[-1]))) if failed else ""
    why = f"{names} {'fails' if len(failed) == 1 else 'fail'}"
    return {
        "ready": "all that it depends on answers.",
        "degraded": f"{why}. Deliveries are kept, and worked on when it is mended.",
        "unready": f"{why}. It is not fit for work until that is mended.",
    }[told.status]


def _books(standing: Tally | None) -> list[tuple[str, ...]]:
    if standing is None:
        return [("The store cannot say.", "")]
    rows = [(f"Deliveries, {state.replace('_', ' ')}", str(count)) for state, count in standing.inbox.items()]
    rows += [(f"Open escalations, {severity}", str(count)) for severity, count in standing.escalations.items()]
    covered = f"{standing.audit_size} in the log, {standing.audit_pending} waiting"
    return [*rows, ("Audit events", covered)]


def _rows(rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(
        f'<tr><th scope="row">{escape(head)}</th>{"".join(map(_cell, cells))}</tr>' for head, *cells in rows
    )


def _cell(text: str) -> str:
    marked = f' class="{text}"' if text in ("ok", "fail") else ""
    return f"<td{marked}>{escape(text)}</td>"
