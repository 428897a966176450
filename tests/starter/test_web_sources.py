"""Which deliveries have an effect: of a subscription on the list, from an address that may deliver."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx2
import pytest

from pointsman.contracts.actions import Action
from pointsman.contracts.records import DeliveryState
from pointsman.domain.admission import Admission
from pointsman.domain.deliveries import NO_SUBSCRIPTION
from pointsman.domain.sources import networks
from pointsman.store.engine import Store
from tests.starter.web_rig import Web, basic, created, services, serving

Serve = Callable[..., Awaitable[Web]]
LISTED = "7d1f0c55-2222-4333-8444-555566667777"


@pytest.fixture
async def serve(store: Store) -> AsyncGenerator[Serve]:
    async with AsyncExitStack() as stack:

        async def running(**intake: object) -> Web:
            given = services(store)
            changed = replace(given, intake=replace(given.intake, **intake))  # type: ignore[arg-type]  # by name
            return await stack.enter_async_context(serving(changed))

        yield running


async def send(web: Web, body: bytes, forwarded: str = "") -> httpx2.Response:
    return await web.deliver(body, {**basic(), **({"X-Forwarded-For": forwarded} if forwarded else {})})


async def test_subscription_on_the_list_has_an_effect_and_no_other(serve: Serve) -> None:
    web = await serve(admission=Admission(subscriptions=frozenset({LISTED})))
    other = await send(web, created(subscriptionId="11111111-2222-4333-8444-555566667777"))
    tested = await send(web, created(subscriptionId=NO_SUBSCRIPTION))
    listed = await send(web, created(subscriptionId=LISTED.upper()))
    assert [answer.status_code for answer in (other, tested, listed)] == [202] * 3
    assert not listed.json()["duplicate"]
    kept = {row.id: row for row in await web.kept()}
    assert kept[listed.json()["id"]].state is DeliveryState.PENDING
    assert kept[other.json()["id"]].state is DeliveryState.UNKNOWN
    assert kept[other.json()["id"]].reason == "subscription 11111111-2222-4333-8444-555566667777 is not on the list"
    assert kept[tested.json()["id"]].reason.startswith("test notification")


async def test_what_comes_of_an_organisation_that_settings_do_not_name_is_kept_without_effect(serve: Serve) -> None:
    web = await serve(admission=Admission(organisations=("fabrikam", "quayside")))
    foreign = await send(web, created())
    await send(web, created(resourceContainers={"account": {"baseUrl": "https://Quayside.visualstudio.com/"}}))
    kept = {row.id: row for row in await web.kept()}
    assert (foreign.status_code, len(web.woken)) == (202, 1)
    row = kept[foreign.json()["id"]]
    assert (row.state, row.organisation) == (DeliveryState.UNKNOWN, "harbour")
    assert row.reason == "organisation 'harbour' is not among those of settings: fabrikam, quayside"


async def test_address_that_may_not_deliver_is_refused_and_told(serve: Serve) -> None:
    web = await serve(sources=networks(["203.0.113.0/24"]))
    answer = await send(web, created(), forwarded="203.0.113.7")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert await web.kept() == []
    (event,) = await web.services.audit.find(action=Action.DELIVERY_REFUSED)
    assert event.data["reason"] == "source"


async def test_word_of_a_trusted_proxy_counts(serve: Serve) -> None:
    web = await serve(sources=networks(["203.0.113.0/24"]), proxies=networks(["127.0.0.1"]))
    assert (await send(web, created(), forwarded="198.51.100.1, 203.0.113.7")).status_code == 202
    assert (await send(web, created(2), forwarded="203.0.113.7, 198.51.100.1")).status_code == 403


async def test_delivery_of_a_server_with_capital_keys_is_the_same(serve: Serve) -> None:
    web = await serve(admission=Admission(subscriptions=frozenset({LISTED})))
    plain = await send(web, created())
    capital = await send(web, _capital(created()))
    assert (plain.status_code, capital.status_code, capital.json()["duplicate"]) == (202, 202, True)


def _capital(body: bytes) -> bytes:
    return json.dumps({name[0].upper() + name[1:]: value for name, value in json.loads(body).items()}).encode()
