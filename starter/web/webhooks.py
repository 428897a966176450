"""The receiver of Azure DevOps' service hooks: check, keep, acknowledge. What a delivery means is decided later.

The answers follow from what the service does with them: 2xx ends it; 503 is tried again up to eight times; anything
else puts the subscription on probation, and what happens then is lost. So whatever is authenticated and fits is kept,
even what nobody understands.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from hashlib import sha256

import structlog
from fastapi import APIRouter, Request, Security
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from opentelemetry.trace import SpanKind
from pydantic import BaseModel

from pointsman.contracts.records import DeliveryState, NewDelivery, Receipt
from pointsman.domain.chains import edges_told
from pointsman.domain.deliveries import Heard, read_bytes
from pointsman.domain.routing import tenant_of
from pointsman.domain.sources import source_of, within
from pointsman.observability import names, traces
from pointsman.observability.logs import bound
from starter.web.bodies import Garbled, Incomplete, TooLarge, read_body, read_raw
from starter.web.errors import RETRY, Failure, correlation_id, failure
from starter.web.refusals import CHALLENGE, Basic, Credentials, Refusals
from starter.web.services import Services, now

LOG = structlog.get_logger(__name__)
PATH = "/webhooks/azure-devops"
BIG_BYTES = 256 * 1024  # above it, parsing would hold up everybody else for milliseconds
NO_KIND = "none"


class Acknowledgement(BaseModel):
    """The delivery is kept: it survives whatever happens to us now."""

    id: str
    """Of this delivery, and the correlation id of all that follows from it alone."""
    chain: str
    """Correlation id of all that follows from the item's first delivery."""
    duplicate: bool
    """The event is known; this delivery causes nothing."""


def router(services: Services) -> APIRouter:
    receiver = _Receiver(services)
    routes = APIRouter(route_class=_AsItComes)
    routes.add_api_route(
        PATH,
        receiver.receive,
        methods=["POST"],
        status_code=202,
        response_model=Acknowledgement,
        responses={
            401: {"model": Failure, "description": "No valid credentials. Nothing is kept."},
            403: {"model": Failure, "description": "From an address that may not deliver. Nothing is kept."},
            413: {"model": Failure, "description": "Larger than the limit. Nothing is kept."},
            503: {"model": Failure, "description": "Cannot be kept now. Nothing is kept; send it again."},
        },
        summary="Take a delivery of a service hook of Azure DevOps",
        description="Basic authentication. Whatever is authenticated and within the size limit is kept.",
        dependencies=[Security(Basic())],
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        },
    )
    # Whoever types the URL may end it so. Answered with a redirect, deliveries would be lost: the service follows none.
    routes.add_api_route(f"{PATH}/", receiver.receive, methods=["POST"], status_code=202, include_in_schema=False)
    return routes


class _AsItComes(APIRoute):
    """Described like any route, and called with the request alone: reading its signature each time takes as long as
    reading the delivery."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        return self.endpoint


class _Receiver:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.intake
        self._credentials = Credentials(services.intake)
        self._refusals = Refusals(services.audit)

    async def receive(self, request: Request) -> JSONResponse:
        started = time.perf_counter()
        try:
            return await self._checked(request)
        finally:
            self._services.metrics.ack_seconds.observe(time.perf_counter() - started)

    async def _checked(self, request: Request) -> JSONResponse:
        if not self._credentials:
            return self._not_set_up(request)
        if self._settings.sources and not self._may_deliver(request):
            return await self._wrong_source(request)
        if not self._credentials.hold(request.headers.get("authorization", "")):
            return await self._unauthorized(request)
        try:
            body = await read_body(request, self._settings.body_bytes_max, self._settings.read_timeout)
        except TooLarge:
            return await self._too_large(request)
        except Incomplete:
            return self._unkept(request, "the body did not arrive as a whole", "send it again")
        except Garbled as error:
            return await self._keep(request, error.body, Heard(unreadable=True, reason=str(error)))
        return await self._keep(request, body, self._admitted(await self._read(body)))

    def _may_deliver(self, request: Request) -> bool:
        peer = request.client.host if request.client else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        return within(source_of(peer, forwarded, self._settings.proxies), self._settings.sources)

    def _admitted(self, heard: Heard) -> Heard:
        """What comes of a subscription that is not on the list, or of an organisation that nobody reads here, is kept
        without effect: refused, it would be lost."""
        # It takes no key: what comes once it is on the list is no duplicate of this.
        why = self._settings.admission.why_not(heard)
        return replace(heard, kind=None, reason=why, idempotency_key="") if why else heard

    async def _read(self, body: bytes) -> Heard:
        if len(body) <= BIG_BYTES:
            return read_bytes(body, self._settings.organisation)
        return await asyncio.to_thread(read_bytes, body, self._settings.organisation)

    async def _keep(self, request: Request, body: bytes, heard: Heard) -> JSONResponse:
        tenant = tenant_of(self._services.policy, heard.organisation)
        given = correlation_id(request)
        incoming = request.headers.get(traces.TRACEPARENT, "")
        with (
            bound(**{names.TENANT: tenant, names.ITEM: str(heard.key() or "")}),
            traces.span(
                names.SPAN_RECEIVE,
                traceparent=incoming,
                kind=SpanKind.SERVER,
                tenant=tenant,
                correlation_id=given,
                item=str(heard.key() or ""),
                event_type=heard.event_type,
            ),
        ):
            delivery = _delivery(given, tenant, heard, body)
            try:
                async with asyncio.timeout(self._settings.store_timeout.total_seconds()):
                    receipt = await self._services.inbox.accept(delivery)
            except Exception:  # every store fails in its own way; to the sender it is one case: try again
                LOG.exception("delivery could not be kept")
                return self._unkept(request, "the delivery could not be kept", "send it again", tenant, heard)
            return self._acknowledge(delivery, receipt, heard)

    def _acknowledge(self, delivery: NewDelivery, receipt: Receipt, heard: Heard) -> JSONResponse:
        outcome = DeliveryState.DUPLICATE if receipt.duplicate_of else delivery.state
        self._count(outcome if outcome is not DeliveryState.PENDING else "accepted", delivery.tenant, heard)
        if outcome is DeliveryState.PENDING:
            self._services.accepted(delivery.id, heard)
        became = {names.CHAIN_ID: receipt.chain_id, names.OUTCOME: str(outcome)}
        traces.tell(**became)
        LOG.info("delivery kept", **became, **{names.EVENT_TYPE: heard.event_type}, reason=delivery.reason)
        kept = Acknowledgement(id=receipt.id, chain=receipt.chain_id, duplicate=bool(receipt.duplicate_of))
        return JSONResponse(kept.model_dump(), 202)

    async def _unauthorized(self, request: Request) -> JSONResponse:
        try:  # read what is being sent, or the sender may see a broken connection instead of the answer
            await read_raw(request, self._settings.body_bytes_max, self._settings.read_timeout)
        except (TooLarge, Incomplete):
            LOG.debug("body of a refused delivery left unread")
        self._count("refused_credentials")
        await self._refusals.tell(request, correlation_id(request), "credentials")
        return failure(
            request,
            401,
            "unauthorized",
            "user name or password of the delivery is not valid; nothing was kept",
            "set both in the service hook as POINTSMAN_WEBHOOK_USER and POINTSMAN_WEBHOOK_SECRETS have them",
            CHALLENGE,
        )

    async def _wrong_source(self, request: Request) -> JSONResponse:
        self._count("refused_source")
        await self._refusals.tell(request, correlation_id(request), "source")
        return failure(
            request,
            403,
            "forbidden",
            "deliveries are not taken from this address; nothing was kept",
            "see which are in POINTSMAN_WEBHOOK_SOURCES, and whether the proxy is in POINTSMAN_WEBHOOK_TRUSTED_PROXIES",
        )

    async def _too_large(self, request: Request) -> JSONResponse:
        limit = self._settings.body_bytes_max
        self._count("refused_size")
        announced = request.headers.get("content-length", "")[:20]
        await self._refusals.tell(request, correlation_id(request), "size", limit_bytes=limit, announced=announced)
        return failure(
            request,
            413,
            "too_large",
            f"the delivery is larger than {limit} bytes; nothing was kept",
            "send minimal resource details in the service hook, or raise POINTSMAN_WEBHOOK_MAX_BYTES",
        )

    def _not_set_up(self, request: Request) -> JSONResponse:
        LOG.error("no secret is set, so no delivery can be checked", setting="POINTSMAN_WEBHOOK_SECRETS")
        return self._unkept(request, "no secret for deliveries is set", "set POINTSMAN_WEBHOOK_SECRETS and start again")

    def _unkept(
        self, request: Request, why: str, hint: str, tenant: str = "", heard: Heard | None = None
    ) -> JSONResponse:
        self._count("unkept", tenant, heard)
        return failure(request, 503, "not_kept", f"{why}; nothing was kept", hint, RETRY)

    def _count(self, outcome: str, tenant: str = "", heard: Heard | None = None) -> None:
        kind = heard.kind if heard and heard.kind else NO_KIND
        self._services.metrics.deliveries.labels(tenant, kind, outcome).inc()


def _delivery(given: str, tenant: str, heard: Heard, body: bytes) -> NewDelivery:
    return NewDelivery(
        id=given,
        received_at=now(),
        tenant=tenant,
        organisation=heard.organisation,
        event_type=heard.event_type,
        event_id=heard.event_id,
        subscription_id=heard.subscription_id,
        notification_id=heard.notification_id,
        idempotency_key=heard.idempotency_key or f"body:{sha256(body).hexdigest()}",
        item_id=heard.item_id if heard.kind else 0,
        project=heard.project,
        body=body,
        traceparent=traces.traceparent(),
        state=_state(heard),
        reason=heard.reason,
        edges=edges_told(heard, body, given),
    )


def _state(heard: Heard) -> DeliveryState:
    if heard.unreadable:
        return DeliveryState.DEAD
    return DeliveryState.PENDING if heard.kind else DeliveryState.UNKNOWN
