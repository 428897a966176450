"""The stand-in for Azure DevOps with two accounts at it, and a receiver for what it delivers, all over real HTTP."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2
from pydantic import SecretStr, TypeAdapter
from starlette.types import Receive, Scope, Send

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.answers import WorkItem
from pointsman.clients.azure_devops.patches import set_field
from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.config import ADA, NOOR, POINTSMAN, Account, Organisation, Project, SandboxConfig
from pointsman.sandbox.azure_devops.state import World
from pointsman.sandbox.serving import hosting
from tests.loopback import NO_AUTHORITIES

PERSON_TOKEN, SERVICE_TOKEN = "token-of-ada", "token-of-pointsman"
IMMEDIATE = 1e-6
"""Scale of time at which the service's 36 hours of probation take a seventh of a second."""
PATIENCE_SECONDS = 60.0
_OBJECT = TypeAdapter(dict[str, Json])


@dataclass
class Azure:
    """`url` is the stand-in's root, `base_url` that of organisation `fabrikam` with project `Fabrikam`.

    `world` is what the stand-in remembers, for tests that need much of it at once.
    """

    url: str
    person: AzureDevOps
    service: AzureDevOps
    http: httpx2.AsyncClient
    world: World

    @property
    def base_url(self) -> str:
        return f"{self.url}/fabrikam"

    async def make(self, kind: str = "Bug", title: str = "Basket is empty", **fields: Json) -> WorkItem:
        """An item filed by the person. Keyword `Common_Priority` means `Microsoft.VSTS.Common.Priority`."""
        names = {f"Microsoft.VSTS.{name.replace('_', '.')}": value for name, value in fields.items()}
        operations = [set_field(name, value) for name, value in {"System.Title": title, **names}.items()]
        return await self.person.work_items.create("Fabrikam", kind, operations)

    async def fail(self, **fault: Json) -> None:
        """Have the next request that fits go wrong; see `Fault` for the words."""
        await self.control("POST", "faults", [fault])

    async def control(self, method: str, path: str, body: Json = None) -> dict[str, Json]:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        response = await self.http.request(method, f"{self.url}/_sandbox/{path}", content=content, headers=headers)
        assert response.status_code == 200, response.text
        return _OBJECT.validate_json(response.content)


def config(time_scale: float = IMMEDIATE, seeded: bool = False) -> SandboxConfig:
    organisations = [
        Organisation(name=name, projects=(Project(name=name.title()),)) for name in ("fabrikam", "contoso")
    ]
    return SandboxConfig(
        organisations=tuple(organisations),
        accounts=(
            Account(token=SecretStr(PERSON_TOKEN), identity=ADA),
            Account(token=SecretStr(SERVICE_TOKEN), identity=POINTSMAN),
        ),
        people=(NOOR,),
        time_scale=time_scale,
        seeded=seeded,
    )


@asynccontextmanager
async def azure_devops(
    time_scale: float = IMMEDIATE, seeded: bool = False, of: SandboxConfig | None = None
) -> AsyncGenerator[Azure]:
    app = create_app(of or config(time_scale, seeded))
    async with (
        hosting(app) as url,
        AzureDevOps(f"{url}/fabrikam", SecretStr(PERSON_TOKEN)) as person,
        AzureDevOps(f"{url}/fabrikam", SecretStr(SERVICE_TOKEN)) as service,
        httpx2.AsyncClient(verify=NO_AUTHORITIES, timeout=60) as http,
    ):
        yield Azure(url, person, service, http, app.state.sandbox.world)


@dataclass
class Receiver:
    """Takes deliveries. Answers with `answers` while there are any, then with 202."""

    url: str = ""
    answers: deque[int] = field(default_factory=deque)
    deliveries: list[dict[str, Json]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.deliveries.append(_OBJECT.validate_json(body))
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        status = self.answers.popleft() if self.answers else 202
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def wait(self, count: int) -> list[dict[str, Json]]:
        """The deliveries, once there are as many."""

        async def enough() -> bool:
            return len(self.deliveries) >= count

        await eventually(enough)
        return self.deliveries

    def types(self) -> list[Json]:
        return [delivery["eventType"] for delivery in self.deliveries]


@asynccontextmanager
async def receiver() -> AsyncGenerator[Receiver]:
    made = Receiver()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await made(scope, receive, send)

    async with hosting(app) as url:
        made.url = f"{url}/webhooks/azure-devops"
        yield made


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds; fail if it never does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():  # noqa: ASYNC110 - what it waits for is in a server, behind HTTP
            await asyncio.sleep(0.005)


def at(body: Json, *place: str | int) -> Json:
    """What is in the body at the place. Fails with the place where there is nothing."""
    for step in place:
        if isinstance(body, dict) and isinstance(step, str):
            assert step in body, f"no {step!r} among {sorted(body)} (asked for {place})"
            body = body[step]
        else:
            assert isinstance(body, list), f"no list at {step!r} of {place}"
            assert isinstance(step, int)
            body = body[step]
    return body
