"""The web process as tests meet it: a real server on a free loopback port, over a real store."""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import httpx2
import uvicorn
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.contracts.policy import Policy, ScopeRule, Tenant
from pointsman.contracts.records import Delivery, NewDelivery, Receipt
from pointsman.observability.metrics import Metrics
from pointsman.ports import Unavailable
from pointsman.sandbox.serving import hosting_as
from pointsman.store.audit import Audit
from pointsman.store.chain_walks import Chains
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.standing import Standings
from starter.chains import ChainBooks
from starter.web import health
from starter.web.app import create_app
from starter.web.services import IntakeSettings, Services
from tests.loopback import NO_AUTHORITIES

SECRET, NEXT_SECRET = "correct-horse-battery", "staple-of-another-day"
BODY_BYTES_MAX = 64 * 1024
HOOK = "/webhooks/azure-devops"
POLICY = Policy(
    version="7",
    hash="ab" * 32,
    tenants=(Tenant(name="north", organisations=("harbour",)),),
    scope=(ScopeRule(name="everything"),),
)


def created(item_id: int = 41, **more: Json) -> bytes:
    """A delivery of our own making, in the service's shape."""
    body: dict[str, Json] = {
        "subscriptionId": "7d1f0c55-2222-4333-8444-555566667777",
        "notificationId": item_id,
        "id": f"c0ffee00-3333-4444-8555-{item_id:012d}",
        "eventType": "workitem.created",
        "resource": {
            "id": item_id,
            "rev": 1,
            "fields": {
                "System.TeamProject": "Quay",
                "System.AreaPath": "Quay\\Cranes",
                "System.WorkItemType": "Bug",
                "System.Title": "Crane stops at noon",
                "System.ChangedBy": "Ada Holm <ada@harbour.example>",
            },
        },
        "resourceContainers": {"collection": {"baseUrl": "https://dev.azure.com/harbour/"}},
    }
    return json.dumps(body | more).encode()


def basic(user: str = "pointsman", password: str = SECRET) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class BrokenInbox(Inbox):
    """The store's inbox while its disk is full."""

    async def accept(self, delivery: NewDelivery) -> Receipt:
        raise Unavailable(f"disk full, {SECRET}")


@dataclass
class Web:
    """One running web process."""

    http: httpx2.AsyncClient
    services: Services
    woken: list[str] = field(default_factory=list)

    async def deliver(self, body: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
        return await self.http.post(HOOK, content=body, headers=basic() if headers is None else headers)

    async def kept(self) -> list[Delivery]:
        """Newest first."""
        return list(await self.services.inbox.find())

    def count(self, name: str, **labels: str) -> float:
        return self.services.metrics.registry.get_sample_value(name, labels) or 0.0


def services(store: Store) -> Services:
    inbox = Inbox(store)
    return Services(
        inbox=inbox,
        audit=Audit(store),
        items=Items(store),
        escalations=Escalations(store),
        policy=POLICY,
        intake=IntakeSettings(
            user="pointsman",
            secrets=(SecretStr(SECRET), SecretStr(NEXT_SECRET)),
            body_bytes_max=BODY_BYTES_MAX,
            read_timeout=timedelta(seconds=60),
        ),
        metrics=Metrics(),
        standing=Standings(store),
        checks=tuple(
            replace(check, timeout=timedelta(seconds=60))
            for check in (health.store_check(inbox), health.policy_check(POLICY), health.intake_check(2))
        ),
        ui_url="http://127.0.0.1:8233",
        version="1.2.3",
        chains=ChainBooks(Chains(store), inbox, Items(store), Escalations(store), Ledger(store)),
    )


@asynccontextmanager
async def serving(given: Services) -> AsyncGenerator[Web]:
    woken: list[str] = []
    given = replace(given, accepted=lambda delivery_id, heard: woken.append("woken"))
    settings = uvicorn.Config(
        create_app(given), log_config=None, access_log=False, timeout_keep_alive=75, proxy_headers=False
    )
    async with (
        hosting_as(settings) as url,
        httpx2.AsyncClient(base_url=url, verify=NO_AUTHORITIES, timeout=60) as http,
    ):
        yield Web(http, given, woken)
