"""Probes of what this machine talks to: Temporal, the web port, Azure DevOps."""

import asyncio
import socket
import time

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import RPCError, RPCStatusCode

from pointsman.clients.azure_devops.errors import NotSignedIn, UnknownOrganisation
from pointsman.config import Settings, variable
from pointsman.ports import Rejected, Unavailable
from pointsman.temporal import SEARCH_ATTRIBUTES, TemporalUnreachable, connect
from pointsman.temporal_server import ServerNotFound, find_server
from starter.accounts import tracker_accounts
from starter.cli.context import temporal
from starter.cli.probes import Finding, fail, ok, warn
from starter.cli.settings import local, own_url
from starter.organisations import client_of

ANSWER_SECONDS_MAX = 5.0


async def temporal_binary(settings: Settings) -> Finding:
    try:
        found = await asyncio.to_thread(find_server, may_obtain=False)
    except ServerNotFound as error:
        return warn("; ".join(f"{way}: {reason}" for way, reason in error.tried), "pointsman temporal install")
    return ok(f"{found.path}, server {found.server_version}, from {found.source}")


async def temporal_server(settings: Settings) -> Finding:
    began = time.perf_counter()
    try:
        client = await connect(settings.temporal_address, settings.temporal_namespace)
    except TemporalUnreachable as error:
        return fail(str(error).split(". Nothing was changed")[0], "pointsman up")
    await client.service_client.check_health()
    return ok(f"{settings.temporal_address} answers in {(time.perf_counter() - began) * 1_000:.0f} ms")


async def namespace(settings: Settings) -> Finding:
    name = settings.temporal_namespace
    client = await connect(settings.temporal_address, name)
    try:
        found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=name))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return fail(f"there is no namespace {name!r}", f"temporal operator namespace create --namespace {name}")
        raise
    kept = found.config.workflow_execution_retention_ttl.ToTimedelta()
    return ok(f"{name!r}, histories are kept for {kept.days} d")


async def search_attributes(settings: Settings) -> Finding:
    client = await temporal(settings)
    request = ListSearchAttributesRequest(namespace=settings.temporal_namespace)
    known = (await client.operator_service.list_search_attributes(request)).custom_attributes
    missing = [key.name for key in SEARCH_ATTRIBUTES if key.name not in known]
    if missing:
        created = " ".join(f"--name {name} --type Keyword" for name in missing)
        return fail(f"not registered: {', '.join(missing)}", f"temporal operator search-attribute create {created}")
    return ok(f"all {len(SEARCH_ATTRIBUTES)} are registered")


async def web_port(settings: Settings) -> Finding:
    """Free, or taken by a Pointsman that answers."""
    url = own_url(settings)
    if await asyncio.to_thread(_lives, url):
        return ok(f"Pointsman answers at {url}")
    if not settings.web_port:
        return ok("a free port will be taken")
    try:
        with socket.create_server((settings.web_host, settings.web_port)):
            return ok(f"{settings.web_host}:{settings.web_port} is free")
    except OSError as error:
        named = f"{settings.web_host}:{settings.web_port}"
        return fail(f"{named} cannot be listened on: {error.strerror}", f"export {variable('web_port')}=8081")


def _lives(url: str) -> bool:
    try:
        with local().open(f"{url}/health/live", timeout=ANSWER_SECONDS_MAX) as answer:
            return int(answer.status) == 200
    except (OSError, ValueError):
        return False


async def azure_devops(settings: Settings) -> Finding:
    told: list[str] = []
    for organisation in tracker_accounts(settings):
        began = time.perf_counter()
        try:
            async with client_of(organisation) as client:
                who = (await client.connection_data()).authenticated_user.unique_name
        except (NotSignedIn, UnknownOrganisation) as error:
            wrong = "azure_devops_url" if isinstance(error, UnknownOrganisation) else "azure_devops_token"
            return fail(str(error), f"pointsman config explain {wrong}")
        except (Rejected, Unavailable) as error:
            return fail(f"{organisation.url}: {error}", "pointsman config explain")
        told.append(f"{organisation.url} knows us as {who} ({(time.perf_counter() - began) * 1_000:.0f} ms)")
    return ok("; ".join(told))
