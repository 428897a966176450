"""What the command line asks of the running service, because SQLite has one writer: a delivery's replay."""

from fastapi import APIRouter, Request, Security
from fastapi.openapi.models import HTTPBase
from fastapi.responses import JSONResponse
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, Field

from pointsman.contracts.records import Receipt
from pointsman.ports import Missing, Unavailable
from starter.web.errors import RETRY_SECONDS, Failure, failure
from starter.web.refusals import Credentials
from starter.web.services import Services


class Replay(BaseModel):
    """Who asks, as claimed; the audit log keeps it."""

    by: str = Field(min_length=1, max_length=200)


def router(services: Services) -> APIRouter:
    operator = _Operator(services)
    routes = APIRouter()
    routes.add_api_route(
        "/api/inbox/{delivery_id}/replay",
        operator.replay,
        methods=["POST"],
        status_code=202,
        response_model=Receipt,
        responses={
            401: {"model": Failure, "description": "No valid credentials. Nothing was done."},
            404: {"model": Failure, "description": "There is no such delivery."},
            503: {"model": Failure, "description": "The store cannot now. Nothing was done; ask again."},
        },
        summary="Put a copy of a delivery into the queue again",
        description="Basic authentication, with the credentials that deliveries come with.",
        dependencies=[Security(_Basic())],
    )
    return routes


class _Basic(SecurityBase):
    """For the description of the interface only: `Credentials` checks."""

    def __init__(self) -> None:
        self.model = HTTPBase(scheme="basic")
        self.scheme_name = "deliveries"

    async def __call__(self) -> None:
        return None


class _Operator:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._credentials = Credentials(services.intake)

    async def replay(self, request: Request, delivery_id: str, asked: Replay) -> JSONResponse:
        if not self._credentials or not self._credentials.hold(request.headers.get("authorization", "")):
            return failure(
                request,
                401,
                "unauthorized",
                "user name or password is not valid; nothing was done",
                "give the command line the same POINTSMAN_WEBHOOK_USER and POINTSMAN_WEBHOOK_SECRETS as the service",
                {"WWW-Authenticate": 'Basic realm="pointsman", charset="UTF-8"'},
            )
        try:
            receipt = await self._services.inbox.replay(delivery_id, asked.by)
        except Missing as error:
            return failure(request, 404, "not_found", str(error), "pointsman inbox list")
        except Unavailable as error:
            retry = {"Retry-After": str(RETRY_SECONDS)}
            return failure(request, 503, "unavailable", f"{error}; nothing was done", "ask again", retry)
        self._services.accepted()
        return JSONResponse(receipt.model_dump(mode="json"), 202)
