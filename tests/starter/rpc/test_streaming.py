"""`llm.stream` over HTTP: events as they come, connections that break, and those who come back in time or too late."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
import pytest_asyncio

from pointsman.sandbox.models.control import FaultKind, Outcome, Script
from pointsman.sandbox.models.replies import Call, Reply
from pointsman.store.engine import Store
from starter.web.rpc.streams import StreamRules, Streams
from tests.llm.standin import Provider
from tests.starter.rpc.rig import (
    HELLO,
    NEXT_TOKEN,
    OTHERS_TOKEN,
    Rpc,
    bearer,
    call,
    endpoint,
    events_of,
    text_of,
    until,
    wire,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = " ".join(f"word{number}" for number in range(120))
ASK = {"messages": HELLO, "model": "gpt-6-luna"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty_shared(shared_store: Store, standin: Provider) -> AsyncGenerator[Rpc]:
    async with endpoint(shared_store, standin, Streams(StreamRules(linger=timedelta(milliseconds=50)))) as running:
        yield running


@pytest.fixture
def hasty(hasty_shared: Rpc, provider: Provider) -> Rpc:
    """An endpoint that waits 50 ms for those who come back."""
    return hasty_shared


async def test_a_stream_is_notifications_and_then_the_response(rpc: Rpc) -> None:
    tools = [{"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}]
    rpc.provider.says(Reply(text="I look.", calls=(Call(name="look", arguments={"at": "é\n\u2028"}),)))
    response = await rpc.send(json.dumps(call("llm.stream", {**ASK, "tools": tools, "trace_id": "t-1"}, "s")))
    assert response.headers["content-type"] == "text/event-stream"
    assert response.content.isascii()
    events = events_of(response.text)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    opened = events[0].document["params"]
    assert (opened["kind"], opened["stream_id"]) == ("opened", response.headers["x-stream-id"])
    assert opened["trace_id"] == "t-1"
    assert {event.document["method"] for event in events[:-1]} == {"llm.event"}
    assert text_of(events) == "I look."
    kinds = [event.document["params"]["kind"] for event in events[:-1]]
    assert "tool_arguments_delta" in kinds
    last = events[-1].document
    assert (last["id"], last["result"]["text"], last["result"]["trace_id"]) == ("s", "I look.", "t-1")
    assert last["result"]["message"]["parts"][-1]["arguments"] == {"at": "é\n\u2028"}


async def test_a_stream_that_fails_ends_with_the_error(rpc: Rpc) -> None:
    rpc.provider.says(Reply(text=WORDS))
    rpc.provider.fails(FaultKind.CUT, after=6)
    events = events_of((await rpc.send(json.dumps(call("llm.stream", ASK, 7)))).text)
    last = events[-1].document
    assert (last["id"], last["error"]["code"], last["error"]["data"]["retryable"]) == (7, -32030, True)
    assert not any("result" in event.document for event in events)
    refused = events_of((await rpc.send(json.dumps(call("llm.stream", {**ASK, "model": "gpt-4"})))).text)
    assert refused[-1].document["error"]["code"] == -32021


@pytest.mark.parametrize("seen", [0, 1, 2, 40])
async def test_who_comes_back_misses_nothing(rpc: Rpc, seen: int) -> None:
    rpc.provider.says(Reply(text=WORDS))
    async with rpc.streaming(ASK) as first:
        before = await first.events(max(seen, 1))
        stream_id = before[0].document["params"]["stream_id"]
        first.drop()
    before = before[:seen]
    response = await rpc.resume(stream_id, seen)
    assert response.status_code == 200
    events = [*before, *events_of(response.text)]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert text_of(events) == WORDS
    assert events[-1].document["result"]["text"] == WORDS
    assert len(rpc.provider.control.seen) == 1, "the model was asked once"


async def test_who_comes_back_again_and_again_misses_nothing(rpc: Rpc) -> None:
    rpc.provider.says(Reply(text=WORDS))
    async with rpc.streaming(ASK) as first:
        events = await first.events(5)
    path = f"/rpc/streams/{events[0].document['params']['stream_id']}"
    while "result" not in events[-1].document:
        headers = {**bearer(), "Last-Event-ID": str(events[-1].number)}
        async with wire(rpc.url, "GET", path, headers) as again:
            events += await again.events(17)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert text_of(events) == WORDS


async def test_the_model_goes_on_while_nobody_listens(rpc: Rpc) -> None:
    rpc.provider.says(Reply(text=WORDS))
    async with rpc.streaming(ASK) as first:
        events = await first.events(2)
    await until(lambda: rpc.provider.last.outcome is Outcome.ANSWERED)
    rest = events_of((await rpc.resume(events[0].document["params"]["stream_id"], 2)).text)
    assert text_of([*events, *rest]) == WORDS


async def test_the_last_connection_has_the_stream(rpc: Rpc) -> None:
    rpc.provider.says(Reply(text=WORDS))
    rpc.provider.fails(FaultKind.STALL, after=8)
    async with rpc.streaming(ASK) as first:
        events = await first.events(3)
        stream_id = events[0].document["params"]["stream_id"]
        async with wire(rpc.url, "GET", f"/rpc/streams/{stream_id}", {**bearer(), "Last-Event-ID": "3"}) as second:
            assert [event.number for event in await second.events(1)] == [4]
            assert await first.events(1_000) is not None, "the first is let go"
            assert rpc.provider.last.outcome is Outcome.OPEN
            closed = await rpc.http.delete(f"/rpc/streams/{stream_id}", headers=bearer())
            assert closed.status_code == 204
            assert (await second.events(1_000))[-1].document["error"]["code"] == -32011
    await until(lambda: rpc.provider.last.outcome is Outcome.ABORTED)


async def test_the_call_is_kept_for_those_who_may_come_back(rpc: Rpc) -> None:
    rpc.provider.says(Reply(text=WORDS))
    rpc.provider.fails(FaultKind.STALL, after=8)
    async with rpc.streaming(ASK) as first:
        events = await first.events(3)
        first.drop()
    stream_id = events[0].document["params"]["stream_id"]
    async with wire(rpc.url, "GET", f"/rpc/streams/{stream_id}", {**bearer(), "Last-Event-ID": "3"}) as second:
        assert (await second.events(1))[0].number == 4
        assert rpc.provider.last.outcome is Outcome.OPEN
    await rpc.http.delete(f"/rpc/streams/{stream_id}", headers=bearer())


async def test_too_late_is_too_late_and_the_call_is_cancelled(hasty: Rpc) -> None:
    hasty.provider.says(Reply(text=WORDS))
    hasty.provider.fails(FaultKind.STALL, after=8)
    async with hasty.streaming(ASK) as first:
        events = await first.events(3)
        assert hasty.provider.last.outcome is Outcome.OPEN
        first.drop()
    await until(lambda: hasty.provider.last.outcome is Outcome.ABORTED)
    response = await hasty.resume(events[0].document["params"]["stream_id"], 3)
    assert (response.status_code, response.json()["error"]["code"]) == (404, -32008)


async def test_a_stream_that_is_over_is_kept_for_a_while_and_then_forgotten(hasty: Rpc, rpc: Rpc) -> None:
    for told, status in ((rpc, 204), (hasty, 404)):
        response = await told.send(json.dumps(call("llm.stream", ASK)))
        stream_id, last = response.headers["x-stream-id"], events_of(response.text)[-1].number
        assert status != 204 or (await told.resume(stream_id, last - 1)).text.startswith(f"id: {last}\n")

        async def answered(
            told: Rpc = told, stream_id: str = stream_id, last: int = last, status: int = status
        ) -> bool:
            return (await told.resume(stream_id, last)).status_code == status

        await until(answered)


async def test_a_stream_is_its_tokens_alone(rpc: Rpc) -> None:
    response = await rpc.send(json.dumps(call("llm.stream", ASK)))
    stream_id = response.headers["x-stream-id"]
    unknown = await rpc.resume("A" * len(stream_id), 1)
    for token, status in ((OTHERS_TOKEN, 404), (NEXT_TOKEN, 404), ("no" * 20, 401)):
        refused = await rpc.resume(stream_id, 1, token)
        assert refused.status_code == status
        assert status != 404 or refused.json() == unknown.json()
        closed = await rpc.http.delete(f"/rpc/streams/{stream_id}", headers=bearer(token))
        assert closed.status_code == status
    assert (await rpc.resume(stream_id, 1)).status_code == 200


async def test_ids_of_streams_cannot_be_guessed(rpc: Rpc) -> None:
    ids = [(await rpc.send(json.dumps(call("llm.stream", ASK)))).headers["x-stream-id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert {len(one) for one in ids} == {32}, "192 bits"


@pytest.mark.parametrize("after", ["x", "-1", "1e3", "999", "99999999999999999999"])
async def test_a_last_event_that_was_none_is_refused(rpc: Rpc, after: str) -> None:
    stream_id = (await rpc.send(json.dumps(call("llm.stream", ASK)))).headers["x-stream-id"]
    response = await rpc.resume(stream_id, after)
    assert (response.status_code, response.json()["error"]["code"]) == (400, -32602)


async def test_a_caller_has_so_many_streams_and_no_more(shared_store: Store, provider: Provider) -> None:
    async with endpoint(shared_store, provider, Streams(StreamRules(caller_streams_max=1))) as rpc:
        provider.fails(FaultKind.SILENCE)
        async with rpc.streaming(ASK) as first:
            await first.events(1)
            response = await rpc.send(json.dumps(call("llm.stream", ASK)))
            assert (response.status_code, response.headers["retry-after"]) == (429, "15")
            told = response.json()["error"]
            assert (told["code"], told["data"]["retry_after"]) == (-32010, 15.0)
            other = await rpc.send(json.dumps(call("llm.stream", ASK)), **bearer(OTHERS_TOKEN))
            assert other.status_code == 200


async def test_silence_is_told_from_death(shared_store: Store, provider: Provider) -> None:
    rules = StreamRules(keep_alive=timedelta(milliseconds=5))
    async with endpoint(shared_store, provider, Streams(rules)) as rpc:
        provider.fails(FaultKind.SILENCE)
        body = json.dumps(call("llm.stream", ASK)).encode()
        headers = {**bearer(), "Content-Type": "application/json"}
        async with wire(rpc.url, "POST", "/rpc", headers, body) as opened:
            await opened.until_line(": still there")


async def test_who_wants_no_events_gets_no_stream(rpc: Rpc) -> None:
    body = json.dumps(call("llm.stream", ASK))
    response = await rpc.send(body, Accept="application/json")
    assert (response.status_code, response.json()["error"]["code"]) == (406, -32006)
    assert rpc.provider.control.seen == []
    assert (await rpc.send(body, Accept="application/json, text/event-stream;q=0.5")).status_code == 200


async def test_many_streams_at_once_stay_apart(rpc: Rpc) -> None:
    async def one(number: int) -> bool:
        asked = {**ASK, "messages": [{"role": "user", "content": f"asked-{number}."}]}
        response = await rpc.send(json.dumps(call("llm.stream", asked, number)))
        events = events_of(response.text)
        return text_of(events) == f"answer {number}" and bool(events[-1].document["id"] == number)

    for number in range(20):
        script = Script(match=f"asked-{number}.", replies=[Reply(text=f"answer {number}")])
        rpc.provider.control.scripts.append(script)
    assert all(await asyncio.gather(*(one(number) for number in range(20))))
