"""Who asks: personal access tokens as Basic, tokens of Entra as Bearer, and the places that give the latter out.

`POST /{tenant}/oauth2/v2.0/token` is Entra's own, `GET /_identity/token` what a machine asks for its managed identity
(the protocol of App Service: variables `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`).
"""

import base64
import binascii
import time
from collections.abc import Mapping
from urllib.parse import parse_qs
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.behind import Behind
from pointsman.sandbox.azure_devops.config import Identity, Principal
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError
from pointsman.sandbox.azure_devops.state import World

RESOURCE = "499b84ac-1321-427f-aa17-267ca6975798"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFETIME_SECONDS = 3599


def authenticate(world: World, request: Request) -> Identity:
    """The user name of Basic does not matter."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    found = world.bearers.get(value) if scheme == "Bearer" else _by_token(world, value) if scheme == "Basic" else None
    if found is None:
        raise ServiceError(
            401, "TF400813: The user is not authorized to access this resource.", "UnauthorizedRequestException"
        )
    return found


router = APIRouter()


@router.post("/{tenant}/oauth2/v2.0/token")
async def token(sandbox: Behind, tenant: str, request: Request) -> JSONResponse:
    world = sandbox.world
    form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
    principal = _principal(world, tenant, form)
    if principal is None:
        return _refused("AADSTS7000215: Invalid client secret provided.", "invalid_client", 401)
    if form.get("grant_type") != "client_credentials" or form.get("scope") != f"{RESOURCE}/.default":
        return _refused("AADSTS70011: The provided value for scope is not valid.", "invalid_scope", 400)
    return JSONResponse(_issued(world, principal.identity))


@router.get("/_identity/token")
async def managed(sandbox: Behind, request: Request) -> JSONResponse:
    world = sandbox.world
    client_id = request.query_params.get("client_id", "")
    secret = request.headers.get("x-identity-header", "")
    principal = next(
        (
            held
            for held in world.config.principals
            if held.secret.get_secret_value() == secret and client_id in ("", held.client_id)
        ),
        None,
    )
    if principal is None or request.query_params.get("resource") != RESOURCE:
        return _refused("No managed identity was found.", "invalid_request", 400)
    issued = _issued(world, principal.identity)
    return JSONResponse({**issued, "expires_on": str(int(time.time()) + LIFETIME_SECONDS), "resource": RESOURCE})


def _principal(world: World, tenant: str, form: Mapping[str, str]) -> Principal | None:
    """By its secret, or by the assertion that its federated credential trusts."""
    proof = (
        form.get("client_assertion") if form.get("client_assertion_type") == ASSERTION else form.get("client_secret")
    )
    for principal in world.config.principals:
        known = (principal.tenant_id, principal.client_id)
        if proof and (tenant, form.get("client_id")) == known and principal.secret.get_secret_value() == proof:
            return principal
    return None


def _issued(world: World, identity: Identity) -> dict[str, Json]:
    bearer = f"eyJ.{uuid4().hex}"
    world.bearers[bearer] = identity
    return {"token_type": "Bearer", "expires_in": LIFETIME_SECONDS, "access_token": bearer}


def _refused(description: str, error: str, status: int) -> JSONResponse:
    return JSONResponse({"error": error, "error_description": description}, status)


def _by_token(world: World, value: str) -> Identity | None:
    try:
        password = base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
    accounts = (account for account in world.config.accounts if password)
    return next((held.identity for held in accounts if held.token.get_secret_value() == password), None)
