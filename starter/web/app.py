"""The web process as an ASGI application. Run it with `access_log=False` and `log_config=None`: logs are ours."""

import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from pointsman.contracts.actions import Action
from starter.web import api, chains, health, pages, webhooks
from starter.web.errors import Frame, handle_errors
from starter.web.refusals import Refusals
from starter.web.rpc import endpoint
from starter.web.services import Services

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(services: Services, lifespan: Lifespan | None = None) -> FastAPI:
    """Everything that this process serves over HTTP."""
    app = FastAPI(
        title="Pointsman",
        summary="Takes deliveries of Azure DevOps, and tells how it is",
        version=services.version or "0",
        lifespan=lifespan,
        docs_url=None,  # both pages would load scripts from elsewhere
        redoc_url=None,
        servers=[{"url": "/"}],
        # The framework's own would trace every probe, and put texts of exceptions into logs. Ours tells what matters.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    for part in (webhooks.router(services), api.router(services), health.router(services), pages.router(services)):
        app.include_router(part)
    if services.chains is not None:
        app.include_router(chains.router(services, services.chains))
    app.include_router(endpoint.router(services.rpc, Refusals(services.audit, Action.CALL_REFUSED).tell))
    handle_errors(app)
    app.add_middleware(Frame)
    return app


def spare_the_collector() -> None:
    """Call once per process, when all is imported and made: what is there by then lives as long as the process.

    Else each full collection walks it again while deliveries wait; at 200/s that was most of the slowest percent.
    """
    gc.collect()
    gc.freeze()
