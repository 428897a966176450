"""One operation of the API, and what holds before its handler runs: who asks, where, which version, what body."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from fastapi import Request
from fastapi.responses import Response
from starlette.routing import Route

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.behind import sandbox_of
from pointsman.sandbox.azure_devops.config import Identity, Organisation
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid, no_project
from pointsman.sandbox.azure_devops.rendering import EXPAND, Links
from pointsman.sandbox.azure_devops.sandbox import Sandbox
from pointsman.sandbox.azure_devops.sign_in import authenticate
from pointsman.sandbox.azure_devops.state import World

JSON, JSON_PATCH, BYTES = "application/json", "application/json-patch+json", "application/octet-stream"
NO_BODY = ""
"""Content of an operation that reads none, though its method could carry some."""
_VERSION = re.compile(r"^(\d+)\.(\d+)(-preview(?:\.\d+)?)?$")


@dataclass(frozen=True)
class Call:
    """A request that may run. `project` is empty where the URL names none."""

    sandbox: Sandbox
    operation: str
    identity: Identity
    organisation: Organisation
    project: str
    links: Links
    place: Mapping[str, str]
    query: Mapping[str, str]
    body: Json
    data: bytes = b""
    """The body as it came, where it is a file."""
    version: tuple[int, int] = (0, 0)
    """Of the API, as asked for, without what makes it a preview."""

    @property
    def world(self) -> World:
        return self.sandbox.world

    def number(self, name: str) -> int:
        """A number in the path."""
        value = self.place[name]
        if not value.isdecimal():
            raise invalid(f"The request is invalid: {value!r} is not a valid value for {name}.")
        return int(value)

    def count(self, name: str, default: int) -> int:
        """A number in the query."""
        value = self.query.get(name, "")
        if value and not value.isdecimal():
            raise invalid(f"The request is invalid: {value!r} is not a valid value for {name}.")
        return int(value) if value else default

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() == "true"

    @property
    def expand(self) -> str:
        value = self.query.get("$expand", "none").lower()
        if value not in EXPAND:
            raise invalid(f"The request is invalid: {value!r} is not a valid value for $expand.")
        return value


@dataclass(frozen=True)
class Reply:
    body: Json = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None
    """A file, in place of a body."""


Handler = Callable[[Call], Reply]
Note = Callable[[Call, Reply], None]


@dataclass(frozen=True)
class Operation:
    """`path` begins behind `_apis/`, in lower case. `scope` says where a project may stand before it."""

    name: str
    method: str
    path: str
    handler: Handler
    scope: str = "either"
    """organisation | project | either"""
    preview: bool = False
    content: str = JSON
    open_paths: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        bare, inside = f"/{{organisation}}/_apis/{self.path}", f"/{{organisation}}/{{project}}/_apis/{self.path}"
        paths = {"organisation": (bare,), "project": (inside,), "either": (bare, inside)}[self.scope]
        object.__setattr__(self, "open_paths", paths)


def routes(operation: Operation, note: Note) -> list[Route]:
    """What serves an operation, for any stand-in. `note` hears of each call that was carried out."""

    async def endpoint(request: Request) -> Response:
        sandbox = await sandbox_of(request)
        reply = await _run(sandbox, operation, request, note)
        sandbox.requests[f"{operation.name} {reply.status}"] += 1
        return _response(reply)

    return [Route(path, endpoint, methods=[operation.method], name=operation.name) for path in operation.open_paths]


async def _run(sandbox: Sandbox, operation: Operation, request: Request, note: Note) -> Reply:
    raw = await request.body()
    try:
        # No await between reading and changing state: each handler runs whole before the next begins.
        call = _call(sandbox, operation, request, raw)
        reply = operation.handler(call)
        note(call, reply)
        return reply
    except ServiceError as error:
        return Reply(error.body, error.status)


def _call(sandbox: Sandbox, operation: Operation, request: Request, raw: bytes) -> Call:
    identity = authenticate(sandbox.world, request)
    version = _require_version(operation, request, sandbox.world.config.api_version_max)
    organisation = sandbox.world.organisation(request.path_params["organisation"])
    if organisation is None:
        raise invalid(f"The organization {request.path_params['organisation']} was not found.", "NotFound", 404)
    name = request.path_params.get("project", "")
    project = organisation.project(name) if name else None
    if name and project is None:
        raise no_project(name)
    return Call(
        sandbox=sandbox,
        operation=operation.name,
        identity=identity,
        organisation=organisation,
        project=project.name if project else "",
        links=Links(str(request.base_url).rstrip("/"), organisation),
        place={key: str(value) for key, value in request.path_params.items()},
        query=dict(request.query_params),
        body=_body(operation, request, raw),
        data=raw if operation.content == BYTES else b"",
        version=version,
    )


def _require_version(operation: Operation, request: Request, newest: str) -> tuple[int, int]:
    """Stricter than the service in one point: it takes a GET without version, we want clients to name one."""
    value = request.query_params.get("api-version") or _accepted_version(request)
    if not value:
        raise invalid(
            f'No api-version was supplied for the "{operation.method}" request. The version must be supplied either '
            'as part of the Accept header (e.g. "application/json; api-version=1.0") or as a query parameter '
            '(e.g. "?api-version=1.0").',
            "VssVersionNotSpecifiedException",
        )
    match = _VERSION.match(value)
    major, _, minor = newest.partition(".")
    if match is None or (int(match[1]), int(match[2])) > (int(major), int(minor)):
        raise invalid(
            f"The requested REST API version of {value} is out of range for this server. The latest REST API version "
            f"this server supports is {newest}.",
            "VssVersionOutOfRangeException",
        )
    if operation.preview and not match[3]:
        raise invalid(
            f'The requested version "{value}" of the resource is under preview. The -preview flag must be supplied '
            f'in the api-version for such requests. For example: "{value}-preview"',
            "VssInvalidPreviewVersionException",
        )
    return int(match[1]), int(match[2])


def _accepted_version(request: Request) -> str:
    match = re.search(r"api-version=([\w.-]+)", request.headers.get("accept", ""))
    return match.group(1) if match else ""


def _body(operation: Operation, request: Request, raw: bytes) -> Json:
    if operation.method in ("GET", "DELETE") or operation.content == NO_BODY:
        return None
    content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content != operation.content:
        raise invalid(
            f'The request indicated a Content-Type of "{content}" for method type "{operation.method}" which is not '
            f"supported. Valid content types for this method are: {operation.content}.",
            "VssRequestContentTypeNotSupportedException",
            status=415,
        )
    if operation.content == BYTES:
        return None
    try:
        body: Json = json.loads(raw)
    except ValueError as error:
        raise invalid("The body of the request is not valid JSON.") from error
    return body


def _response(reply: Reply) -> Response:
    headers = {"ActivityId": str(uuid4()), "X-TFS-ProcessId": "00000000-0000-4000-8000-000000000000", **reply.headers}
    if reply.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="http://127.0.0.1/"'
    if reply.status == 204:
        return Response(status_code=204, headers=headers)
    if reply.data is not None:
        return Response(reply.data, reply.status, headers, media_type=BYTES)
    content = b"" if reply.body is None else json.dumps(reply.body).encode()
    return Response(content, reply.status, headers, media_type="application/json; charset=utf-8; api-version=7.1")
