"""The stand-in as a web application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from pointsman.sandbox.azure_devops import (
    audit_operations,
    batch_operations,
    code_control,
    comment_operations,
    control,
    graph_operations,
    hook_operations,
    item_operations,
    pages,
    process_edits,
    process_operations,
    project_operations,
    sign_in,
    stream_operations,
    tracking_operations,
    tree_operations,
    type_operations,
)
from pointsman.sandbox.azure_devops.calls import routes
from pointsman.sandbox.azure_devops.code_areas import CODE_AREAS
from pointsman.sandbox.azure_devops.config import SandboxConfig
from pointsman.sandbox.azure_devops.delivery import Deliverer
from pointsman.sandbox.azure_devops.gate import APIS, Gate
from pointsman.sandbox.azure_devops.large import seed_large
from pointsman.sandbox.azure_devops.sandbox import Sandbox
from pointsman.sandbox.azure_devops.seed import seed
from pointsman.sandbox.azure_devops.state import World

AREAS = (
    batch_operations,
    comment_operations,
    item_operations,
    stream_operations,
    tracking_operations,
    tree_operations,
    project_operations,
    hook_operations,
    type_operations,
    process_operations,
    process_edits,
    graph_operations,
    audit_operations,
)


def create_app(config: SandboxConfig) -> FastAPI:
    """One stand-in with its own state. `app.state.sandbox` is the `Sandbox` behind it."""
    world = World(config)
    if config.seeded:
        seed(world)
    if config.large_items:
        organisation = config.organisations[0]
        seed_large(world, organisation, organisation.projects[0].name, config.large_items, config.seed_number)
    sandbox = Sandbox(world, Deliverer(world))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        yield
        await sandbox.deliverer.close()

    app = FastAPI(title="Azure DevOps stand-in", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.sandbox = sandbox
    app.router.routes.extend(_routes())
    app.add_exception_handler(HTTPStatus.NOT_FOUND, _no_route)
    app.add_middleware(Gate, sandbox=sandbox)
    return app


async def _no_route(request: Request, error: Exception) -> Response:
    """Of the API as the service says it: a text, and the same in a header. The words are not confirmed."""
    assert isinstance(error, HTTPException), "it stands for this status only"
    if APIS not in request.url.path.lower():
        return await http_exception_handler(request, error)
    told = f"There is no operation {request.method} at {request.url.path}."
    return PlainTextResponse(told, HTTPStatus.NOT_FOUND, {"x-tfs-serviceerror": quote(told)})


@cache
def _routes() -> list[BaseRoute]:
    """Those of every stand-in in this process; requests find the state behind them through their application."""
    served = [route for area in (control, code_control, sign_in, pages) for route in area.router.routes]
    operations = (operation for area in (*AREAS, *CODE_AREAS) for operation in area.OPERATIONS)
    return served + [route for operation in operations for route in routes(operation, audit_operations.note)]
