"""The way to the methods: tokens, methods and types of HTTP, sizes, and bodies that are anything at all."""

import asyncio
import gzip
import json
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from structlog.testing import capture_logs

from pointsman.contracts.actions import Action
from pointsman.sandbox.models.control import FaultKind
from pointsman.sandbox.serving import hosting
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from starter.web import health
from starter.web.app import create_app
from starter.web.refusals import EVENTS_PER_MINUTE
from starter.web.rpc.callers import Caller, Callers, tokens_of
from starter.web.services import Unfit
from tests.starter.rpc.rig import ADAS_TOKEN, HELLO, NEXT_TOKEN, TOKEN, Rpc, bearer, call
from tests.starter.web_rig import services

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIST = json.dumps(call("llm.models"))


def told(response: httpx2.Response) -> tuple[int, int]:
    """Status and code; whatever is refused has the shape of JSON-RPC."""
    answered = response.json()
    assert answered["jsonrpc"] == "2.0"
    assert answered["id"] is None
    return response.status_code, answered["error"]["code"]


@pytest.mark.parametrize("token", [TOKEN, NEXT_TOKEN, ADAS_TOKEN])
async def test_every_token_of_the_setting_is_taken(rpc: Rpc, token: str) -> None:
    assert (await rpc.send(LIST, **bearer(token))).json()["result"]["version"]
    assert (await rpc.send(LIST, Authorization=f"bearer  {token}")).status_code == 200


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer north:{TOKEN}", f"Basic {TOKEN}", TOKEN]
)
async def test_no_other_token_is(rpc: Rpc, authorization: str) -> None:
    response = await rpc.send(LIST, Authorization=authorization)
    assert told(response) == (401, -32001)
    assert response.headers["www-authenticate"] == 'Bearer realm="pointsman"'
    assert TOKEN not in response.text


async def test_refused_tokens_are_in_the_audit_log_up_to_a_rate(shared_store: Store, rpc: Rpc) -> None:
    refused = await rpc.send(LIST, Authorization="Bearer guessed-token-0123456789")
    (event,) = await Audit(shared_store).find(correlation_id=refused.headers["x-correlation-id"])
    assert (event.action, event.actor, event.data["reason"]) == (Action.CALL_REFUSED, "anonymous", "token")
    assert "guessed-token" not in event.model_dump_json()
    # A minute may end meanwhile, and then the next one has its own share.
    count = EVENTS_PER_MINUTE * 3
    answers = await asyncio.gather(*(rpc.send(LIST, Authorization="Bearer x") for _ in range(count)))
    assert {answer.status_code for answer in answers} == {401}
    found = await Audit(shared_store).find(action=Action.CALL_REFUSED, limit=1_000)
    assert len(found) < count, "whoever floods us fills a counter and not the log"


async def test_a_token_speaks_for_whom_it_names() -> None:
    entries = [SecretStr(f"{name}{token}") for name, token in (("", "a" * 32), ("n:", "b" * 32), ("n/u:", "c" * 32))]
    callers = Callers(entries)
    found = [callers.of(f"Bearer {token * 32}") for token in "abc"]
    assert [(one.tenant, one.user) for one in found if one] == [("default", ""), ("n", ""), ("n", "u")]
    assert [token.get_secret_value() for token in tokens_of(entries)] == ["a" * 32, "b" * 32, "c" * 32]
    assert "digest" not in repr(found)
    assert found[0] != Caller("default")
    assert not Callers()


async def test_without_a_token_the_endpoint_is_off_and_says_what_to_set(shared_store: Store) -> None:
    async with (
        hosting(create_app(services(shared_store))) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60) as http,
    ):
        for response in (
            await http.post("/rpc", content=LIST, headers=bearer()),
            await http.get("/rpc/streams/x", headers=bearer()),
        ):
            assert told(response) == (503, -32002)
            assert "POINTSMAN_RPC_TOKENS" in response.text


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_calls_come_by_post(rpc: Rpc, method: str) -> None:
    response = await rpc.http.request(method, "/rpc", headers=bearer())
    assert told(response) == (405, -32005)
    assert response.headers["allow"] == "POST"


async def test_a_stream_is_not_posted_to(rpc: Rpc) -> None:
    response = await rpc.http.post("/rpc/streams/x", headers=bearer())
    assert told(response) == (405, -32005)
    assert response.headers["allow"] == "GET, DELETE"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('Application/JSON;charset="UTF-8"', 200),
        ("application/json-rpc", 200),
        ("application/json; charset=utf-16", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
async def test_bodies_are_json_in_utf8(rpc: Rpc, given: str, status: int) -> None:
    response = await rpc.send(LIST, **{"Content-Type": given})
    assert response.status_code == status
    assert status == 200 or told(response) == (415, -32004)


async def test_a_body_has_a_limit_that_is_named(rpc: Rpc) -> None:
    limit = rpc.services.body_bytes_max
    for body, headers in (
        (LIST.ljust(limit + 1).encode(), {}),
        (gzip.compress(LIST.ljust(limit + 1).encode()), {"Content-Encoding": "gzip"}),
    ):
        response = await rpc.send(body, **headers)
        assert told(response) == (413, -32003)
        assert response.json()["error"]["data"] == {
            "reason": f"the body is larger than {limit} bytes. Nothing was called.",
            "limit": limit,
        }
    assert (await rpc.send(LIST.ljust(limit))).status_code == 200


async def test_a_body_may_be_compressed_and_must_then_be_whole(rpc: Rpc) -> None:
    packed = gzip.compress(LIST.encode())
    assert "result" in (await rpc.send(packed, **{"Content-Encoding": "gzip"})).json()
    assert told(await rpc.send(packed[:-4], **{"Content-Encoding": "gzip"})) == (415, -32004)
    assert told(await rpc.send(packed, **{"Content-Encoding": "br"})) == (415, -32004)


async def test_a_body_that_does_not_come_is_not_waited_for(shared_store: Store, rpc: Rpc) -> None:
    hasty = replace(rpc.services, read_timeout=timedelta(milliseconds=20))
    async with hosting(create_app(replace(services(shared_store), rpc=hasty))) as url:
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = ["POST /rpc HTTP/1.1", "Host: here", "Content-Length: 9", "Content-Type: application/json"]
        lines += [f"Authorization: Bearer {TOKEN}", "", "{"]
        writer.write("\r\n".join(lines).encode())
        assert b"408" in await reader.readline()
        writer.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf[]",
        LIST.encode("utf-16"),
        b'{"jsonrpc": "2.0", "method": "llm.models", "id": "\\ud800"}',
        b'{"jsonrpc": "2.0", "method": "llm.models", "id": 1e999}',
        b'{"jsonrpc": "2.0", "method": "llm.models", "id": NaN}',
        b'{"jsonrpc": "2.0", "method": "llm.models", "id": ' + b"9" * 5_000 + b"}",
        b"[" * 50_000,
    ],
)
async def test_what_is_no_json_is_a_parse_error(rpc: Rpc, body: bytes) -> None:
    assert told(await rpc.send(body)) == (200, -32700)


async def test_depth_has_an_end(rpc: Rpc) -> None:
    for depth in (50, 200, 252, 254, 256, 300, 900):
        schema: object = {}
        for _ in range(depth):
            schema = {"a": schema}
        response = await rpc.send(json.dumps(call("llm.complete", {"messages": HELLO, "response_schema": schema})))
        answered = response.json()
        assert "result" in answered or answered["error"]["code"] != -32603, (depth, answered)


NAMES = st.sampled_from(["jsonrpc", "method", "params", "id", "messages", "model", "role", "content", "x"])
VALUES = st.sampled_from(["2.0", "llm.models", "llm.metrics", "llm.complete", "llm.stream", "rpc.x", "user", ""])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | VALUES
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(ANYTHING.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=60))
async def test_any_body_gets_an_answer_of_json_rpc_or_none(shared: Rpc, body: bytes) -> None:
    response = await shared.send(body)
    if response.status_code == 204:
        assert response.content == b""
        return
    assert response.status_code == 200
    answered = response.json()
    for one in answered if isinstance(answered, list) else [answered]:
        assert one["jsonrpc"] == "2.0"
        assert one.keys() in ({"jsonrpc", "result", "id"}, {"jsonrpc", "error", "id"})
        assert one.get("error", {}).get("code") != -32603


async def test_what_nobody_foresaw_is_an_internal_error_of_one_call(rpc: Rpc, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError(f"with {TOKEN}")

    room = rpc.services.room
    assert room is not None
    monkeypatch.setattr(type(room.catalogue), "tell", fail)
    with capture_logs() as logged:
        response = await rpc.send(json.dumps([call("llm.models"), call("llm.metrics", None, 2)]))
    assert [line["event"] for line in logged] == ["call failed"]
    first, second = response.json()
    assert (first["error"]["code"], second["id"]) == (-32603, 2)
    assert "RuntimeError" not in response.text
    assert TOKEN not in response.text
    assert response.headers["x-correlation-id"]


async def test_the_description_of_the_interface_has_it(rpc: Rpc) -> None:
    described = (await rpc.http.get("/openapi.json")).json()
    assert described["paths"]["/rpc"].keys() == {"post"}
    assert described["paths"]["/rpc/streams/{stream_id}"].keys() == {"get", "delete"}
    post = described["paths"]["/rpc"]["post"]
    assert post["security"] == [{"rpc": []}]
    assert {"200", "204", "401", "405", "406", "408", "413", "415", "429", "503"} <= post["responses"].keys()
    assert described["components"]["securitySchemes"]["rpc"]["scheme"] == "bearer"


async def test_readiness_tells_open_circuits_and_asks_no_provider(alone: Rpc) -> None:
    rpc = alone  # a circuit that opened stays open
    room = rpc.services.room
    assert room is not None
    check = health.models_check(room.service.circuits)
    assert await check.probe() == "all circuits are closed"
    for _ in range(5):
        rpc.provider.fails(FaultKind.STATUS, status=500)
        await rpc.error("llm.complete", {"messages": HELLO})
    asked = len(rpc.provider.control.seen)
    with pytest.raises(Unfit, match="left alone after failures: openai"):
        await check.probe()
    providers = (await rpc.result("llm.models"))["providers"]
    assert {one["name"]: one["circuit"] for one in providers}["openai"] == "open"
    assert len(rpc.provider.control.seen) == asked
    refused = await rpc.error("llm.complete", {"messages": HELLO})
    assert (refused["code"], refused["data"]["retryable"]) == (-32025, True)
    assert 0 < refused["data"]["retry_after"] <= 30
