"""The receiver over real HTTP: what is acknowledged is kept, what is refused leaves a trace, no traceback gets out."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import httpx2
import pytest

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import DeliveryState
from pointsman.observability import names
from pointsman.store.engine import Store
from starter.web.refusals import EVENTS_PER_MINUTE
from tests.starter.web_rig import (
    BODY_BYTES_MAX,
    HOOK,
    NEXT_SECRET,
    SECRET,
    BrokenInbox,
    Web,
    basic,
    created,
    services,
    serving,
)


@pytest.fixture
async def web(store: Store) -> AsyncIterator[Web]:
    async with serving(services(store)) as running:
        yield running


def fault(response: httpx2.Response) -> dict[str, str]:
    told: dict[str, dict[str, str]] = response.json()
    assert set(told) == {"error"}
    assert set(told["error"]) == {"code", "message", "hint", "correlation_id"}
    assert told["error"]["correlation_id"] == response.headers["x-correlation-id"]
    assert "Traceback" not in response.text
    assert SECRET not in response.text
    return told["error"]


async def test_what_is_acknowledged_is_kept_with_all_that_it_says(web: Web) -> None:
    response = await web.deliver(created())
    (kept,) = await web.kept()
    assert response.status_code == 202
    assert response.json() == {"id": kept.id, "chain": kept.chain_id, "duplicate": False}
    assert response.headers["x-correlation-id"] == kept.id == kept.correlation_id
    assert (kept.tenant, kept.organisation, kept.project, kept.item_id) == ("north", "harbour", "Quay", 41)
    assert (kept.state, kept.event_type, kept.idempotency_key) == (
        DeliveryState.PENDING,
        "workitem.created",
        "created:harbour:41",
    )
    assert kept.body == created()


async def test_a_slash_at_the_end_of_the_url_loses_nothing_and_lets_nobody_in(web: Web) -> None:
    taken = await web.http.post(f"{HOOK}/", content=created(), headers=basic())
    assert taken.status_code == 202
    assert [row.id for row in await web.kept()] == [taken.json()["id"]]
    refused = await web.http.post(f"{HOOK}/", content=created(42))
    assert (refused.status_code, fault(refused)["code"]) == (401, "unauthorized")
    large = await web.http.post(f"{HOOK}/", content=b" " * (BODY_BYTES_MAX + 1), headers=basic())
    assert (large.status_code, len(await web.kept())) == (413, 1)


async def test_the_dispatcher_is_woken_for_what_waits_and_for_nothing_else(web: Web) -> None:
    await web.deliver(created())
    await web.deliver(created())
    await web.deliver(b"{")
    await web.deliver(created(), {})
    assert web.woken == ["woken"]


async def test_the_same_event_again_is_kept_as_a_duplicate(web: Web) -> None:
    first = await web.deliver(created())
    second = await web.deliver(created(notificationId=99))
    assert second.status_code == 202
    assert second.json()["duplicate"] is True
    assert second.json()["chain"] == first.json()["chain"]
    assert [row.state for row in await web.kept()] == [DeliveryState.DUPLICATE, DeliveryState.PENDING]
    assert await web.services.audit.find(action=Action.DELIVERY_DUPLICATE)


async def test_deliveries_of_one_item_belong_to_one_chain(web: Web) -> None:
    first = await web.deliver(created())
    deleted = await web.deliver(created(eventType="workitem.deleted"))
    other = await web.deliver(created(42))
    assert deleted.json()["chain"] == first.json()["id"]
    assert other.json()["chain"] == other.json()["id"]


@pytest.mark.parametrize(
    ("body", "state", "reason"),
    [
        (b"{", DeliveryState.DEAD, "not JSON"),
        (b"", DeliveryState.DEAD, "not JSON"),
        (b"\x00\xff\x00", DeliveryState.DEAD, "not JSON"),
        (b"[" * 20_000, DeliveryState.DEAD, "not JSON"),
        (b"[1, 2]", DeliveryState.DEAD, "a JSON object is wanted"),
        (created(0), DeliveryState.DEAD, "workitem.created names no work item"),
        (b"{}", DeliveryState.UNKNOWN, "no event type"),
        (b'{"eventType": "git.push"}', DeliveryState.UNKNOWN, "event type 'git.push' concerns no work item"),
        (created(subscriptionId="00000000-0000-0000-0000-000000000000"), DeliveryState.UNKNOWN, "test notification"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_is_not_understood_is_kept_too(web: Web, body: bytes, state: DeliveryState, reason: str) -> None:
    response = await web.deliver(body)
    (kept,) = await web.kept()
    assert response.status_code == 202
    assert (kept.state, kept.body, kept.item_id) == (state, body, 0)
    assert kept.reason.startswith(reason)


async def test_an_event_of_code_is_kept_with_what_it_concerns_and_once(web: Web) -> None:
    repository: Json = {"id": "r-1", "name": "cranes", "project": {"name": "Quay"}}
    first = created(eventType="git.push", resource={"repository": repository})
    other = created(eventType="git.push", resource={"repository": repository}, subscriptionId="another")
    assert [(await web.deliver(body)).status_code for body in (first, other)] == [202, 202]
    duplicate, kept = await web.kept()
    assert (kept.state, duplicate.state) == (DeliveryState.UNKNOWN, DeliveryState.DUPLICATE)
    assert (kept.organisation, kept.project, kept.item_id) == ("harbour", "Quay", 0)
    assert kept.reason == "event type 'git.push' concerns no work item but repository r-1 (cranes)"


async def test_the_same_unreadable_body_is_one_dead_row_and_one_duplicate(web: Web) -> None:
    await web.deliver(b"{")
    await web.deliver(b"{")
    assert [row.state for row in await web.kept()] == [DeliveryState.DUPLICATE, DeliveryState.DEAD]


async def test_text_that_no_column_takes_is_kept_all_the_same(web: Web) -> None:
    body = created(id="\x00\ud800", eventType="workitem.created\x00")
    assert (await web.deliver(body)).status_code == 202
    assert (await web.kept())[0].event_type == "workitem.created"


@pytest.mark.parametrize("secret", [SECRET, NEXT_SECRET])
async def test_any_active_secret_is_valid(web: Web, secret: str) -> None:
    assert (await web.deliver(created(), basic(password=secret))).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic(password="wrong-horse-battery"),
        basic(user="somebody"),
        basic(user="", password=""),
        {"Authorization": "Basic"},
        {"Authorization": "Basic ///"},
        {"Authorization": "Basic " + "4pyT" * 3},
        {"Authorization": f"Bearer {SECRET}"},
        {"Authorization": basic()["Authorization"].removeprefix("Basic ")},
    ],
    ids=str,
)
async def test_without_valid_credentials_nothing_is_kept_but_the_refusal(web: Web, headers: dict[str, str]) -> None:
    response = await web.deliver(created(), headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic ")
    assert fault(response)["code"] == "unauthorized"
    assert await web.kept() == []
    (event,) = await web.services.audit.find(action=Action.DELIVERY_REFUSED)
    assert event.data == {"reason": "credentials", "not_told_before": 0}
    assert event.chain.correlation_id == response.headers["x-correlation-id"]
    assert web.count(f"{names.DELIVERIES}_total", tenant="", kind="none", outcome="refused_credentials") == 1


async def test_a_flood_of_refusals_fills_a_counter_and_not_the_log(web: Web) -> None:
    answers = await asyncio.gather(*(web.deliver(b"{}", {}) for _ in range(EVENTS_PER_MINUTE * 2)))
    assert {answer.status_code for answer in answers} == {401}
    # A minute may end meanwhile, and then the next one has its own share.
    told = await web.services.audit.find(action=Action.DELIVERY_REFUSED, limit=1_000)
    assert EVENTS_PER_MINUTE <= len(told) < EVENTS_PER_MINUTE * 2


async def chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 4096):
        yield b" " * 4096


@pytest.mark.parametrize("factor", [2, 20])
@pytest.mark.parametrize("chunked", [False, True])
async def test_too_large_a_body_is_refused_with_the_limit_and_not_kept(web: Web, factor: int, chunked: bool) -> None:
    size = BODY_BYTES_MAX * factor
    if chunked and factor > 8:
        response = await first_answer(web, chunks(size))
    else:
        content = chunks(size) if chunked else b" " * size
        response = await web.http.post(HOOK, content=content, headers=basic())
    assert response.status_code == 413
    told = fault(response)
    assert str(BODY_BYTES_MAX) in told["message"]
    assert "nothing was kept" in told["message"]
    assert "POINTSMAN_WEBHOOK_MAX_BYTES" in told["hint"]
    assert await web.kept() == []
    (event,) = await web.services.audit.find(action=Action.DELIVERY_REFUSED)
    assert event.data["reason"] == "size"


async def first_answer(web: Web, body: AsyncIterator[bytes]) -> httpx2.Response:
    """What a sender reads that listens while it sends: the answer may come before the body is through."""
    url = urlsplit(str(web.http.base_url))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    head = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    writer.write(head.encode() + b"Authorization: " + basic()["Authorization"].encode() + b"\r\n\r\n")
    sending = asyncio.create_task(send_chunks(writer, body))
    status = int((await reader.readline()).split()[1])
    lines = [line async for line in headers_of(reader)]
    content = await reader.readexactly(int(dict(lines)["content-length"]))
    sending.cancel()
    writer.close()
    return httpx2.Response(status, headers=lines, content=content)


async def send_chunks(writer: asyncio.StreamWriter, body: AsyncIterator[bytes]) -> None:
    async for chunk in body:
        writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        await writer.drain()


async def headers_of(reader: asyncio.StreamReader) -> AsyncIterator[tuple[str, str]]:
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(": ")
        yield name, value


async def test_exactly_the_limit_is_kept(web: Web) -> None:
    body = created().ljust(BODY_BYTES_MAX)
    assert (await web.deliver(body)).status_code == 202
    assert (await web.deliver(body + b" ")).status_code == 413


async def test_gzip_is_kept_inflated(web: Web) -> None:
    response = await web.deliver(gzip.compress(created()), {**basic(), "Content-Encoding": "gzip"})
    assert response.status_code == 202
    assert (await web.kept())[0].body == created()


async def test_a_bomb_of_gzip_is_too_large(web: Web) -> None:
    bomb = gzip.compress(b" " * (BODY_BYTES_MAX * 50))
    assert len(bomb) < BODY_BYTES_MAX
    response = await web.deliver(bomb, {**basic(), "Content-Encoding": "gzip"})
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        ("gzip", b"not gzip at all", "not gzip"),
        ("gzip", gzip.compress(b"{}" * 100, mtime=0)[:-10], "gzip that ends too early"),
        ("br", b"\x0b\x01\x80{}\x03", "content encoding 'br' is not understood; allowed: gzip, identity"),
    ],
)
async def test_an_encoding_that_cannot_be_undone_is_dead_and_kept(
    web: Web, encoding: str, body: bytes, reason: str
) -> None:
    response = await web.deliver(body, {**basic(), "Content-Encoding": encoding})
    (kept,) = await web.kept()
    assert response.status_code == 202
    assert (kept.state, kept.body) == (DeliveryState.DEAD, body)
    assert kept.reason.startswith(reason)


async def test_what_cannot_be_kept_is_to_be_sent_again(store: Store) -> None:
    async with serving(replace(services(store), inbox=BrokenInbox(store))) as web:
        response = await web.deliver(created())
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
        assert fault(response)["message"] == "the delivery could not be kept; nothing was kept"
        assert "disk full" not in response.text
        assert web.count(f"{names.DELIVERIES}_total", tenant="north", kind="created", outcome="unkept") == 1


async def test_a_store_that_is_gone_is_503_and_a_refusal_stands_without_it(store: Store) -> None:
    async with serving(services(store)) as web:
        await store.close()
        assert (await web.deliver(created())).status_code == 503
        assert (await web.deliver(created(), {})).status_code == 401


async def test_without_any_secret_deliveries_are_to_be_sent_again(store: Store) -> None:
    given = services(store)
    async with serving(replace(given, intake=replace(given.intake, secrets=()))) as web:
        response = await web.deliver(created(), basic(password=""))
        assert response.status_code == 503
        assert "POINTSMAN_WEBHOOK_SECRETS" in fault(response)["hint"]
        assert await web.kept() == []


async def test_a_sender_that_goes_away_leaves_nothing(web: Web) -> None:
    url = urlsplit(str(web.http.base_url))
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    head = (
        f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\nAuthorization: {basic()['Authorization']}\r\n\r\n{{"
    )
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await web.deliver(created())).status_code == 202
    assert len(await web.kept()) == 1


async def test_a_sender_that_stalls_is_told_to_send_again(store: Store) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    given = services(store)
    hasty = replace(given.intake, read_timeout=timedelta(milliseconds=20))
    async with serving(replace(given, intake=hasty)) as web:
        response = await first_answer(web, stalling())
        assert response.status_code == 503
        assert await web.kept() == []


async def test_many_at_once_are_all_kept_in_one_order(web: Web) -> None:
    answers = await asyncio.gather(*(web.deliver(created(number)) for number in range(1, 101)))
    assert {answer.status_code for answer in answers} == {202}
    kept = await web.kept()
    assert {row.id for row in kept} == {answer.json()["id"] for answer in answers}
    assert web.count(f"{names.DELIVERIES}_total", tenant="north", kind="created", outcome="accepted") == 100
    assert web.count(f"{names.ACK_SECONDS}_count") == 100


async def replay(web: Web, delivery_id: str, body: object, headers: dict[str, str]) -> httpx2.Response:
    return await web.http.post(f"/api/inbox/{delivery_id}/replay", content=json.dumps(body), headers=headers)


async def test_a_delivery_is_replayed_for_whoever_has_the_credentials(web: Web) -> None:
    given = (await web.deliver(b"{")).json()["id"]
    response = await replay(web, given, {"by": "ada"}, basic())
    (again, _) = await web.kept()
    assert response.status_code == 202
    assert response.json()["id"] == again.id
    assert (again.state, again.replayed_by, again.body) == (DeliveryState.PENDING, "ada", b"{")
    assert web.woken == ["woken"]
    assert [event.actor for event in await web.services.audit.find(action=Action.DELIVERY_REPLAYED)] == ["ada"]


async def test_a_replay_is_refused_without_credentials_without_name_and_without_delivery(web: Web) -> None:
    given = (await web.deliver(created())).json()["id"]
    assert fault(await replay(web, given, {"by": "ada"}, {}))["code"] == "unauthorized"
    wrong: list[object] = [{}, {"by": ""}, {"by": "a" * 201}, [], {"by": "ada", "filler": "x" * 5_000}]
    for body in wrong:
        assert fault(await replay(web, given, body, basic()))["code"] == "invalid_request"
    assert fault(await replay(web, "none", {"by": "ada"}, basic()))["code"] == "not_found"
    assert len(await web.kept()) == 1
