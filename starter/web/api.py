"""What the command line asks of the running service, because SQLite has one writer: a delivery's replay."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Request, Security
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError

from pointsman.contracts.base import Contract
from pointsman.contracts.records import Receipt
from pointsman.ports import Missing, Unavailable
from starter.web.bodies import Incomplete, TooLarge, read_raw
from starter.web.errors import RETRY, Failure, failure
from starter.web.refusals import CHALLENGE, Basic, Credentials
from starter.web.services import Services

LOG = structlog.get_logger(__name__)
BODY_BYTES_MAX = 4_096


class Replay(Contract):
    """`by` is who asks, as claimed until identity arrives."""

    by: Annotated[str, Field(min_length=1, max_length=200)]


def router(services: Services) -> APIRouter:
    credentials = Credentials(services.intake)
    routes = APIRouter()

    @routes.post(
        "/api/inbox/{delivery_id}/replay",
        summary="Put a copy of a delivery into the queue; audited",
        status_code=202,
        response_model=Receipt,
        description="Basic authentication, with the credentials that deliveries come with.",
        dependencies=[Security(Basic())],
        responses={status: {"model": Failure} for status in (401, 404, 422, 503)},
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": Replay.model_json_schema()}}}},
    )
    async def replay(delivery_id: str, request: Request) -> JSONResponse:
        if not (credentials and credentials.hold(request.headers.get("authorization", ""))):
            hint = "use user and any active secret of deliveries: pointsman config explain webhook_secrets"
            return failure(request, 401, "unauthorized", "not replayed: no valid credentials", hint, CHALLENGE)
        try:
            body = await read_raw(request, BODY_BYTES_MAX, services.intake.read_timeout)
            asked = Replay.model_validate_json(body)
        except (ValidationError, TooLarge, Incomplete):
            hint = 'send {"by": "who asks"}, at most 200 characters'
            return failure(request, 422, "invalid_request", "not replayed: the body does not say who asks", hint)
        try:
            receipt = await services.inbox.replay(delivery_id, asked.by)
        except Missing as error:
            return failure(request, 404, "not_found", str(error), "pointsman inbox list")
        except Unavailable as error:
            return failure(request, 503, "unavailable", f"not replayed: {error}", "try again", RETRY)
        LOG.info("delivery replayed", of=delivery_id, delivery_id=receipt.id)
        services.accepted(receipt.id, None)
        return JSONResponse(receipt.model_dump(mode="json"), 202)

    return routes
