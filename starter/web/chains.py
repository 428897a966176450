"""The picture of an event's chain, for a browser.

It tells titles and names of people, so it wants the credentials that deliveries come with, unlike the status page.
"""

from fastapi import APIRouter, Request, Security
from fastapi.responses import Response

from pointsman.domain.chain_pictures import draw
from pointsman.ports import Missing, Unavailable
from starter import chains
from starter.chains import ChainBooks
from starter.web.errors import RETRY, Failure, failure
from starter.web.refusals import CHALLENGE, Basic, Credentials
from starter.web.services import Services

# The picture brings its own style, and nothing else may run or load in it.
POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def router(services: Services, books: ChainBooks) -> APIRouter:
    credentials = Credentials(services.intake)
    routes = APIRouter()

    @routes.get(
        "/events/{event_id}/chain.svg",
        summary="What led to an event and what it led to, as a picture",
        response_class=Response,
        description="Basic authentication, with the credentials that deliveries come with.",
        dependencies=[Security(Basic())],
        responses={
            200: {"content": {"image/svg+xml": {}}},
            **{status: {"model": Failure} for status in (401, 404, 503)},
        },
    )
    async def picture(event_id: str, request: Request) -> Response:
        if not (credentials and credentials.hold(request.headers.get("authorization", ""))):
            hint = "use user and any active secret of deliveries: pointsman config explain webhook_secrets"
            return failure(request, 401, "unauthorized", "not shown: no valid credentials", hint, CHALLENGE)
        try:
            found = await chains.find(books, chains.spelt(f"event:{event_id}"))
        except Missing as error:
            return failure(request, 404, "not_found", str(error), "pointsman events search")
        except Unavailable as error:
            return failure(request, 503, "unavailable", f"not shown: {error}", "try again", RETRY)
        return Response(draw(found.walk, found.told), media_type="image/svg+xml", headers=POLICY)

    return routes
