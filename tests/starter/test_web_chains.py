"""The picture of a chain over HTTP: for whoever has the credentials, and unable to run or load anything."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest

from pointsman.contracts.base import Json
from pointsman.ports import Unavailable
from pointsman.store.chain_walks import Chains
from pointsman.store.engine import Store
from tests.starter.web_rig import Web, basic, created, services, serving


@pytest.fixture
async def web(store: Store) -> AsyncGenerator[Web]:
    async with serving(services(store)) as running:
        yield running


async def test_a_picture_is_shown_to_whoever_has_the_credentials(web: Web) -> None:
    kept = (await web.deliver(created())).json()["id"]
    path = f"/events/{kept}/chain.svg"
    shown = await web.http.get(path, headers=basic())
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/svg+xml")
    drawn = Xml.fromstring(shown.text)  # noqa: S314 - of our own making
    assert drawn.findtext("{http://www.w3.org/2000/svg}title") == f"Chain of event:{kept}"
    assert shown.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    for headers in ({}, basic(password="wrong")):
        refused = await web.http.get(path, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthorized")
        assert refused.headers["www-authenticate"].startswith("Basic")


async def test_an_event_that_is_not_there_has_no_picture(web: Web) -> None:
    answer = await web.http.get("/events/none/chain.svg", headers=basic())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


class BrokenChains(Chains):
    """The store's chains while its database is away."""

    async def tenants(self, thing: str) -> Sequence[str]:
        raise Unavailable("no connection")


async def test_a_store_that_cannot_answer_now_is_told(store: Store) -> None:
    given = services(store)
    assert given.chains is not None
    async with serving(replace(given, chains=replace(given.chains, chains=BrokenChains(store)))) as web:
        answer = await web.http.get("/events/none/chain.svg", headers=basic())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]


async def test_a_delivery_that_tells_links_is_kept_with_its_edges(web: Web, store: Store) -> None:
    links: Json = [
        {"rel": "System.LinkTypes.Hierarchy-Reverse", "url": "https://dev.azure.com/harbour/_apis/wit/workItems/7"}
    ]
    resource: Json = {"id": 2, "workItemId": 41, "rev": 2, "relations": {"added": links}}
    await web.deliver(created(eventType="workitem.updated", resource=resource))
    assert web.services.chains is not None
    found = await web.services.chains.chains.walk("item:harbour/7", "north")
    assert [(edge.cause, edge.effect) for edge in found.edges if edge.kind == "child"] == [
        ("item:harbour/7", "item:harbour/41")
    ]
