"""Calls over HTTP: the specification's examples, what a call comes to, its context, its errors."""

import asyncio
import json

import pytest

from pointsman.contracts.base import Json
from pointsman.observability import traces
from pointsman.sandbox.models.control import FaultKind, Hold, Outcome
from pointsman.sandbox.models.replies import Call, Reply
from starter.web.rpc.catalogue import Catalogue
from starter.web.rpc.protocol import BATCH_MAX
from tests.starter.rpc.rig import ADAS_TOKEN, HELLO, OTHERS_TOKEN, Document, Rpc, bearer, call, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
INVALID: Json = {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": None}
NO_METHOD: Json = {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}
NO_JSON: Json = {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": None}


def plain(answered: Json) -> Json:
    """Without what the specification leaves to us: the data of errors."""
    if isinstance(answered, list):
        return [plain(one) for one in answered]
    assert isinstance(answered, dict)
    if isinstance(error := answered.get("error"), dict):
        return {**answered, "error": {name: value for name, value in error.items() if name != "data"}}
    return answered


# Those of section 7 that do not name methods of their own making; the others follow with ours in their place.
@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', NO_METHOD),
        ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', NO_JSON),
        ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID),
        (
            '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]',
            NO_JSON,
        ),
        ("[]", INVALID),
        ("[1]", [INVALID]),
        ("[1,2,3]", [INVALID, INVALID, INVALID]),
    ],
)  # fmt: skip
async def test_examples_of_the_specification(rpc: Rpc, sent: str, received: Json) -> None:
    response = await rpc.send(sent)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert plain(response.json()) == received


@pytest.mark.parametrize(
    "sent",
    [
        '{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}',
        '{"jsonrpc": "2.0", "method": "foobar"}',
        '[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]}, '
        '{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]',
    ],
)
async def test_notifications_of_the_specification_get_no_answer(rpc: Rpc, sent: str) -> None:
    response = await rpc.send(sent)
    assert (response.status_code, response.content) == (204, b"")


async def test_parameters_by_name_in_any_order_and_by_position_mean_the_same(rpc: Rpc) -> None:
    for params in (
        [HELLO, "gpt-6-luna", None, 64],
        {"messages": HELLO, "model": "gpt-6-luna", "max_tokens": 64},
        {"max_tokens": 64, "model": "gpt-6-luna", "messages": HELLO},
    ):
        rpc.provider.says(Reply(text="Yes."))
        assert (await rpc.result("llm.complete", params))["text"] == "Yes."
    hashes = {seen.body_sha256 for seen in rpc.provider.control.seen}
    assert len(rpc.provider.control.seen) == 3
    assert len(hashes) == 3, "each call has a trace of its own"


async def test_a_batch_of_everything_answers_what_wants_an_answer(rpc: Rpc) -> None:
    rpc.provider.control.scripts.clear()
    batch = [
        call("llm.complete", {"messages": HELLO}, "a"),
        {"jsonrpc": "2.0", "method": "llm.complete", "params": {"messages": HELLO, "model": "gpt-6.1-terra"}},
        call("llm.models", {"usable_only": True}, "b"),
        {"foo": "boo"},
        call("foo.get", {"name": "myself"}, "5"),
        call("llm.stream", {"messages": HELLO}, "c"),
        call("llm.metrics", None, "9"),
        call("llm.complete", {"messages": []}, None),
    ]
    answered: list[Document] = (await rpc.send(json.dumps(batch))).json()
    assert [one["id"] for one in answered] == ["a", "b", None, "5", "c", "9", None]
    assert [one.get("error", {}).get("code") for one in answered] == [None, None, -32600, -32601, -32600, None, -32602]
    assert sorted(seen.model for seen in rpc.provider.control.seen) == ["gpt-6-luna", "gpt-6.1-terra"]


async def test_a_batch_makes_few_calls_at_once_and_one_that_is_too_long_none(rpc: Rpc) -> None:
    hold = Hold(count=100)
    rpc.provider.control.add_hold(hold)
    batch = [call("llm.complete", {"messages": HELLO}, number) for number in range(12)]
    answering = asyncio.create_task(rpc.send(json.dumps(batch)))
    await until(lambda: hold.held == 8)
    assert len(rpc.provider.control.seen) == 8
    rpc.provider.control.release(hold.id)
    assert [one["id"] for one in (await answering).json()] == list(range(12))
    seen = len(rpc.provider.control.seen)
    refused = (await rpc.send(json.dumps(batch * (BATCH_MAX // 12 + 1)))).json()
    assert f"at most {BATCH_MAX} are taken. None was made" in refused["error"]["data"]["reason"]
    assert len(rpc.provider.control.seen) == seen


async def test_an_answer_is_whole(rpc: Rpc) -> None:
    rpc.provider.says(Reply(reasoning="Hm.", text="It is green.", calls=(Call(name="look", arguments={"at": "a"}),)))
    tools: Json = [{"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}]
    told = await rpc.result("llm.complete", {"messages": HELLO, "tier": "fast", "tools": tools})
    assert told["text"] == "It is green."
    assert (told["model"], told["provider"], told["finish_reason"]) == ("gpt-6-luna", "openai", "tool_calls")
    assert told["rationale"].startswith("gpt-6-luna: tier fast was asked for")
    assert told["usage"]["total_tokens"] > 0
    assert float(told["cost_usd"]) > 0
    assert [part["arguments"] for part in told["message"]["parts"] if part["kind"] == "tool_call"] == [{"at": "a"}]


async def test_an_answer_goes_back_as_it_came(rpc: Rpc) -> None:
    rpc.provider.says(Reply(reasoning="Which?", text="This."), Reply(text="Yes."))
    first = await rpc.result("llm.complete", {"messages": HELLO, "reasoning_effort": "low"})
    more = [{"role": "user", "content": "Hello"}, first["message"], {"role": "user", "content": "Sure?"}]
    assert (await rpc.result("llm.complete", {"messages": more, "reasoning_effort": "low"}))["text"] == "Yes."


@pytest.mark.parametrize("model", ["gpt-6-luna", "mistral-small-2603"])
async def test_context_of_headers_reaches_the_provider_and_comes_back(rpc: Rpc, model: str) -> None:
    rpc.provider.says(Reply(text="Yes."))
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Source-Agent": "triage", "X-Session-Id": "s-1"}
    told = await rpc.result("llm.complete", {"messages": HELLO, "model": model}, **headers)
    context = {"trace_id": TRACE, "source_agent": "triage", "session_id": "s-1"}
    assert {name: told[name] for name in context} == context
    assert rpc.provider.last.metadata == {**context, "tenant": "north"}


async def test_context_of_parameters_comes_before_that_of_headers(rpc: Rpc) -> None:
    rpc.provider.says(Reply(text="Yes."))
    context: dict[str, Json] = {"trace_id": "t-1", "source_agent": "löscher", "session_id": "s-2"}
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Source-Agent": "triage", "X-Session-Id": "s-1"}
    told = await rpc.result("llm.complete", {"messages": HELLO, **context}, **headers)
    assert {name: told[name] for name in context} == context


@pytest.mark.parametrize(
    "traceparent",
    ["", "nonsense", f"ff-{TRACE}-00f067aa0ba902b7-01", f"00-{'0' * 32}-00f067aa0ba902b7-01", TRACE],
)
async def test_a_trace_that_is_none_begins_here(rpc: Rpc, traceparent: str) -> None:
    told = await rpc.result("llm.complete", {"messages": HELLO}, traceparent=traceparent)
    assert len(told["trace_id"]) == 32
    assert told["trace_id"] != TRACE
    assert rpc.provider.last.metadata["trace_id"] == told["trace_id"]


async def test_the_trace_of_the_header_goes_on_within(rpc: Rpc, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    async def tell(*_: object) -> Json:
        found.append(traces.traceparent())
        return None

    monkeypatch.setattr(Catalogue, "tell", tell)
    await rpc.result("llm.models", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    assert [text[:35] for text in found] == [f"00-{TRACE}"]


async def test_a_tenant_is_its_token_and_nothing_else(rpc: Rpc) -> None:
    told = await rpc.error("llm.complete", {"messages": HELLO, "tenant": "south"})
    assert told["data"]["reason"] == "tenant: Nothing of that name is taken"
    told = await rpc.error("llm.complete", {"messages": HELLO, "user": "bob"}, **bearer(ADAS_TOKEN))
    assert told["data"]["reason"] == "user: the token speaks for another user"
    assert rpc.provider.control.seen == []
    await rpc.result("llm.complete", {"messages": HELLO, "user": "ada"}, **bearer(ADAS_TOKEN))
    assert rpc.provider.last.metadata["tenant"] == "north"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "messages: Field required"),
        ({"messages": []}, "messages: Array should not be empty"),
        ({"messages": HELLO, "temperature": 3}, "temperature: Input should be less than or equal to 2"),
        ({"messages": HELLO, "model": "gpt-6-luna", "tier": "fast"}, "give a model or a tier, not both"),
        ({"messages": HELLO, "modell": "x"}, "modell: Nothing of that name is taken"),
        ({"messages": HELLO, "trace_id": "x" * 201}, "trace_id: String should have at most 200 characters"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages.0.parts: Field required"),
    ],
)
async def test_a_wrong_parameter_is_named(rpc: Rpc, params: Json, reason: str) -> None:
    told = await rpc.error("llm.complete", params)
    assert (told["code"], told["message"]) == (-32602, "Invalid params")
    assert told["data"]["reason"].startswith(reason)
    assert (await rpc.error("llm.stream", params))["data"] == told["data"]
    assert rpc.provider.control.seen == []


async def test_an_error_says_what_a_caller_does_next(alone: Rpc) -> None:
    rpc = alone  # what is limited stays limited
    rpc.provider.fails(FaultKind.STATUS, status=429, code="rate_limit_exceeded", message="slow down", retry_after="70")
    told = await rpc.error("llm.complete", {"messages": HELLO, "trace_id": "t-1"})
    assert (told["code"], told["message"]) == (-32026, "Rate limited")
    data = told["data"]
    assert (data["type"], data["retryable"], data["retry_after"]) == ("RateLimitedError", True, 70.0)
    assert (data["provider"], data["model"], data["trace_id"]) == ("openai", "gpt-6-luna", "t-1")
    assert data["request_id"] == rpc.provider.last.request_id
    assert "slow down" in data["reason"]
    assert "Traceback" not in json.dumps(told)


async def test_governance_speaks_through_the_endpoint(rpc: Rpc) -> None:
    gone = await rpc.error("llm.complete", {"messages": HELLO, "model": "gpt-4"})
    assert (gone["code"], gone["data"]["replacement"]) == (-32021, "gpt-6-luna")
    assert gone["data"]["since"] == "2026-10-23"
    other = await rpc.error("llm.complete", {"messages": HELLO, "model": "gpt-5.5"})
    assert (other["code"], other["data"]["retryable"]) == (-32020, False)
    assert rpc.provider.control.seen == []


async def test_a_notification_is_carried_out_and_not_answered(rpc: Rpc) -> None:
    sent = {"jsonrpc": "2.0", "method": "llm.complete", "params": {"messages": HELLO}}
    response = await rpc.send(json.dumps(sent))
    assert (response.status_code, response.content) == (204, b"")
    assert rpc.provider.last.outcome is Outcome.ANSWERED
    streamed = await rpc.send(json.dumps({**sent, "method": "llm.stream"}))
    assert (streamed.status_code, len(rpc.provider.control.seen)) == (204, 1)


async def test_models_are_told_with_what_they_can_do_and_cost(rpc: Rpc) -> None:
    told = await rpc.result("llm.models")
    models = {model["name"]: model for model in told["models"]}
    luna = models["gpt-6-luna"]
    assert (luna["provider"], luna["tiers"], luna["usable"]) == ("openai", ["fast"], True)
    assert luna["prices"]["prompt"] == "0.1"
    assert luna["prices"]["unit"] == "USD per million tokens"
    assert models["azure/gpt-6-luna"]["prices"]["prompt"] == "0.1"
    assert "tools" in luna["can"]
    assert models["gpt-4"]["lifecycle"] == {
        "state": "retired",
        "shutdown_on": "2026-10-23",
        "replacement": "gpt-6-luna",
        "warning": "",
    }
    assert models["gpt-5.5"]["allowed"] is False
    providers = {one["name"]: one for one in told["providers"]}
    assert providers["openai"] == {"name": "openai", "has_key": True, "key": "operator", "circuit": "closed"}
    assert providers["anthropic"]["has_key"] is False
    assert models["claude-haiku-5-5"]["usable"] is False
    usable = await rpc.result("llm.models", [True])
    assert {model["provider"] for model in usable["models"]} == {"openai", "mistral"}
    assert rpc.provider.control.seen == [], "nobody was asked"


async def test_metrics_sum_up_what_was_called(rpc: Rpc) -> None:
    before = _row(await rpc.result("llm.metrics"))
    await rpc.result("llm.complete", {"messages": HELLO})
    rpc.provider.fails(FaultKind.STATUS, status=400, message="no")
    await rpc.error("llm.complete", {"messages": HELLO})
    gone = {"messages": HELLO, "model": "gpt-4", "source_agent": "triage of the south"}
    await rpc.error("llm.complete", gone, **bearer(OTHERS_TOKEN))
    told = await rpc.result("llm.metrics")
    after = _row(told)
    assert after["requests"]["success"] == before.get("requests", {}).get("success", 0) + 1
    assert after["errors"]["InvalidRequestError"] >= 1
    assert after["tokens"]["prompt"] > 0
    assert after["cost_usd"] > 0
    assert {one["provider"]: one["active"] for one in told["providers"] if "active" in one}["openai"] == 0
    assert told["violations"]["gpt-4"] >= 1
    assert "south" not in json.dumps(told), "agents of other tenants are theirs"
    assert told["rate_limits"]["rate_limited"] == 0


def _row(told: Document) -> Document:
    return next((row for row in told["models"] if row["model"] == "gpt-6-luna"), {})


async def test_a_client_that_leaves_ends_its_call(rpc: Rpc) -> None:
    rpc.provider.fails(FaultKind.SILENCE)
    asking = asyncio.create_task(rpc.ask("llm.complete", {"messages": HELLO}))
    await until(lambda: bool(rpc.provider.control.seen))
    asking.cancel()
    await until(lambda: rpc.provider.last.outcome is Outcome.ABORTED)
