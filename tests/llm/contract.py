"""What every adapter promises, whichever provider it speaks to: a suite that a test module takes over by a subclass.

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    class TestAnthropic(ProviderContract):
        wiring = Wiring(provider="anthropic", model="claude-haiku-5-5", make=..., faults={...})

A sixth provider needs an endpoint to talk to (`pointsman/sandbox/models/`), and this.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator
from datetime import timedelta
from itertools import count
from typing import ClassVar

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.client import LLMClient
from pointsman.llm.errors import ProviderError, TruncatedStreamError
from pointsman.llm.events import (
    StreamFinished,
    StreamStarted,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallComplete,
    ToolCallStarted,
    UsageReported,
    texts,
)
from pointsman.llm.types import (
    FinishReason,
    ImagePart,
    LLMRequest,
    LLMResponse,
    Message,
    ReasoningEffort,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolResultPart,
    text_message,
)
from pointsman.sandbox.models.control import FaultKind, Hold, Outcome
from pointsman.sandbox.models.replies import Call, Reply
from tests.llm.conftest import KEY, Provider
from tests.llm.contract_wire import WireContract
from tests.llm.wiring import COLOUR, ERRORS, HELLO, LOOK, MODES, PIXEL, Wiring, ask, until


class ProviderContract(WireContract):
    """Inherited tests run against the adapter that `wiring` makes."""

    wiring: ClassVar[Wiring]

    @pytest_asyncio.fixture(loop_scope="module")
    async def adapter(self, provider: Provider) -> AsyncGenerator[LLMClient]:
        async with self.wiring.make(provider.root, SecretStr(KEY), timedelta(seconds=20)) as client:
            yield client

    def request(self, **fields: object) -> LLMRequest:
        return LLMRequest.model_validate({"model": self.wiring.model, "messages": (HELLO,), **fields})

    @MODES
    async def test_text_comes_whole_and_is_priced(self, provider: Provider, adapter: LLMClient, streamed: bool) -> None:
        provider.says(Reply(text="Guten Tag, schöne Welt 😀"))
        response = await ask(adapter, self.request(), streamed)
        assert response.text == "Guten Tag, schöne Welt 😀"
        assert response.finish_reason is FinishReason.STOP
        assert response.provider == self.wiring.provider
        assert response.model == self.wiring.model
        assert response.request_id == provider.last.request_id
        usage = response.usage
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        assert usage.prompt_tokens > 0
        assert usage.completion_tokens > 0
        assert response.cost_usd > 0
        assert response.price_version
        assert response.latency_ms > 0
        assert (response.time_to_first_token_ms is not None) is streamed

    @MODES
    async def test_two_tools_are_called_at_once(self, provider: Provider, adapter: LLMClient, streamed: bool) -> None:
        calls = (Call(name="look", arguments={"at": "é"}), Call(name="look", arguments={"at": "b"}))
        provider.says(Reply(text="I look.", calls=calls))
        response = await ask(adapter, self.request(tools=(LOOK,)), streamed)
        assert response.text == "I look."
        assert response.finish_reason is FinishReason.TOOL_CALLS
        assert [(call.name, call.arguments, call.invalid) for call in response.tool_calls] == [
            ("look", {"at": "é"}, ""),
            ("look", {"at": "b"}, ""),
        ]
        assert len({call.call_id for call in response.tool_calls}) == 2

    @MODES
    async def test_results_go_back_to_their_calls(self, provider: Provider, adapter: LLMClient, streamed: bool) -> None:
        calls = (Call(name="look", arguments={"at": "a"}), Call(name="look", arguments={"at": "b"}))
        provider.says(Reply(reasoning="Where?", calls=calls), Reply(text="Seen both."))
        asked = self.request(tools=(LOOK,))
        first = await ask(adapter, asked, streamed)
        one, other = first.tool_calls
        results = (
            ToolResultPart(call_id=one.call_id, name="look", text="", data={"seen": ["a"]}),
            ToolResultPart(call_id=other.call_id, name="look", text="no such place", is_error=True),
        )
        # Through the transcript and back: what a provider wants returned must survive that.
        said = Message.from_bytes(first.message.to_bytes())
        told = (HELLO, said, Message(role=Role.TOOL, parts=results))
        second = await ask(adapter, asked.model_copy(update={"messages": told}), streamed)
        assert second.text == "Seen both."
        assert second.usage.prompt_tokens > first.usage.prompt_tokens

    @MODES
    async def test_arguments_against_the_schema_are_marked(
        self, provider: Provider, adapter: LLMClient, streamed: bool
    ) -> None:
        provider.says(Reply(calls=(Call(name="look", arguments={"at": 3}),)))
        response = await ask(adapter, self.request(tools=(LOOK,)), streamed)
        assert "3 is not of type 'string'" in response.tool_calls[0].invalid

    @MODES
    async def test_reasoning_is_counted_and_goes_back(
        self, provider: Provider, adapter: LLMClient, streamed: bool
    ) -> None:
        thought = "Is it about the first or about the second of them?"
        provider.says(Reply(reasoning=thought, text="Hm."), Reply(text="Yes."))
        asked = self.request(reasoning_effort=ReasoningEffort.LOW)
        first = await ask(adapter, asked, streamed)
        if self.wiring.counts_reasoning:
            assert 0 < first.usage.reasoning_tokens < first.usage.completion_tokens
        shown = "".join(part.text for part in first.message.parts if isinstance(part, ReasoningPart))
        assert shown == (thought if self.wiring.shows_reasoning else "")
        said = Message.from_bytes(first.message.to_bytes())
        more = asked.model_copy(update={"messages": (HELLO, said, text_message(Role.USER, "And?"))})
        assert (await ask(adapter, more, streamed)).text == "Yes."

    @MODES
    async def test_image_is_taken(self, provider: Provider, adapter: LLMClient, streamed: bool) -> None:
        provider.says(Reply(text="A pixel."))
        told = Message(role=Role.USER, parts=(TextPart(text="What is it?"), ImagePart(data=PIXEL)))
        assert (await ask(adapter, self.request(messages=(told,)), streamed)).text == "A pixel."

    @MODES
    async def test_answer_follows_its_schema(self, provider: Provider, adapter: LLMClient, streamed: bool) -> None:
        provider.says(Reply(data={"colour": "green"}))
        response = await ask(adapter, self.request(response_schema=COLOUR), streamed)
        assert response.text.replace(" ", "") == '{"colour":"green"}'
        assert response.tool_calls == ()
        assert not any("against the schema" in note for note in response.notes)

    @MODES
    async def test_answer_against_its_schema_is_noted(
        self, provider: Provider, adapter: LLMClient, streamed: bool
    ) -> None:
        provider.says(Reply(data={"colour": 7}))
        response = await ask(adapter, self.request(response_schema=COLOUR), streamed)
        assert any("against the schema that was asked for: colour: 7" in note for note in response.notes)

    @MODES
    async def test_refusal_is_told_as_one(self, provider: Provider, adapter: LLMClient, streamed: bool) -> None:
        provider.says(Reply(refusal="I will not do that."))
        response = await ask(adapter, self.request(), streamed)
        if self.wiring.marks_refusals:
            assert response.finish_reason in (FinishReason.REFUSAL, FinishReason.CONTENT_FILTER)
        if self.wiring.refuses_in_words:
            told = [part.text for part in response.message.parts if isinstance(part, RefusalPart | TextPart)]
            assert told == ["I will not do that."]

    @MODES
    async def test_limit_of_tokens_cuts_the_answer(
        self, provider: Provider, adapter: LLMClient, streamed: bool
    ) -> None:
        provider.says(Reply(text="one two three four five six seven eight", finish="length"))
        response = await ask(adapter, self.request(max_tokens=64), streamed)
        assert response.finish_reason is FinishReason.LENGTH
        assert response.text
        assert "eight" not in response.text

    @MODES
    @pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
    async def test_failure_is_the_same_error_everywhere(
        self, provider: Provider, adapter: LLMClient, kind: type[ProviderError], streamed: bool
    ) -> None:
        said = self.wiring.faults[kind]
        waits = "7" if kind.retryable else ""
        provider.fails(
            FaultKind.STATUS, status=said.status, code=said.code or None, message=said.message, retry_after=waits
        )
        with pytest.raises(ProviderError) as caught:
            await ask(adapter, self.request(), streamed)
        error = caught.value
        assert type(error) is kind
        assert error.provider == self.wiring.provider
        assert error.model == self.wiring.model
        assert error.request_id == provider.last.request_id
        assert error.retry_after == (timedelta(seconds=7) if waits else None)
        assert len(provider.control.seen) == 1, "an adapter never tries again"
        assert KEY not in str(error)
        assert KEY not in repr(error)

    @MODES
    async def test_wrong_key_is_refused_and_not_shown(self, provider: Provider, streamed: bool) -> None:
        wrong = SecretStr("sk-wrong-0123456789abcdef")
        async with self.wiring.make(provider.root, wrong, timedelta(seconds=20)) as adapter:
            with pytest.raises(errors.AuthenticationError) as caught:
                await ask(adapter, self.request(), streamed)
            assert wrong.get_secret_value() not in f"{caught.value!s}{caught.value!r}{adapter!r}"

    @MODES
    async def test_silence_is_a_timeout(self, provider: Provider, streamed: bool) -> None:
        provider.fails(FaultKind.SILENCE)
        async with self.wiring.make(provider.root, SecretStr(KEY), timedelta(milliseconds=150)) as adapter:
            with pytest.raises(errors.ProviderTimeoutError):
                await ask(adapter, self.request(), streamed)
        assert len(provider.control.seen) == 1

    @MODES
    async def test_closed_port_is_a_connection_error(self, free_port: int, streamed: bool) -> None:
        async with self.wiring.make(f"http://127.0.0.1:{free_port}", SecretStr(KEY), timedelta(seconds=5)) as adapter:
            with pytest.raises(errors.ProviderConnectionError, match="nobody listens there"):
                await ask(adapter, self.request(), streamed)

    @MODES
    async def test_unknown_host_is_a_connection_error(self, monkeypatch: pytest.MonkeyPatch, streamed: bool) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)  # what resolvers do with such a name is theirs to decide
        async with self.wiring.make("http://host.invalid", SecretStr(KEY), timedelta(seconds=5)) as adapter:
            with pytest.raises(errors.ProviderConnectionError, match="has no address"):
                await ask(adapter, self.request(), streamed)

    async def test_body_that_is_no_json_is_an_invalid_response(self, provider: Provider, adapter: LLMClient) -> None:
        provider.fails(FaultKind.BAD_JSON)
        with pytest.raises(errors.InvalidResponseError):
            await adapter.complete(self.request())

    @pytest.mark.parametrize("fault", [FaultKind.CUT, FaultKind.DROP])
    async def test_stream_that_is_cut_is_never_a_shorter_answer(
        self, provider: Provider, adapter: LLMClient, fault: FaultKind
    ) -> None:
        reply = Reply(text="one two three", reasoning="hm", calls=(Call(name="look", arguments={"at": "x"}),))
        asked = self.request(tools=(LOOK,))
        provider.says(reply)
        whole, received = await ask(adapter, asked, True), list[str]()
        for after in count():
            provider.control.reset()
            provider.says(reply)
            provider.fails(fault, after=after)
            try:
                response = await ask(adapter, asked, True)
            except TruncatedStreamError as error:
                received.append(error.received)
                continue
            assert response.text == whole.text
            assert [call.arguments for call in response.tool_calls] == [call.arguments for call in whole.tool_calls]
            assert response.finish_reason is whole.finish_reason
            if provider.last.outcome is Outcome.ANSWERED:
                break
        assert after > 3
        assert all(whole.text.startswith(text) for text in received)

    async def test_stream_that_stalls_is_a_timeout(self, provider: Provider) -> None:
        provider.says(Reply(text="one two three four"))
        provider.fails(FaultKind.STALL, after=2)
        async with self.wiring.make(provider.root, SecretStr(KEY), timedelta(milliseconds=150)) as adapter:
            with pytest.raises(errors.ProviderTimeoutError):
                await ask(adapter, self.request(), True)

    async def test_error_inside_a_stream_is_an_error(self, provider: Provider, adapter: LLMClient) -> None:
        provider.says(Reply(text="one two three four"))
        provider.fails(FaultKind.ERROR_EVENT, after=2)
        with pytest.raises(ProviderError) as caught:
            await ask(adapter, self.request(), True)
        assert caught.value.retryable

    async def test_stream_tells_each_step_in_order(self, provider: Provider, adapter: LLMClient) -> None:
        place = "the first of both, and whatever else is there to be seen"
        provider.says(Reply(text="I look at both.", calls=(Call(name="look", arguments={"at": place}),)))
        told = [event async for event in adapter.stream(self.request(tools=(LOOK,)))]
        assert isinstance(told[0], StreamStarted)
        assert "".join(event.text for event in told if isinstance(event, TextDelta)) == "I look at both."
        started = next(event for event in told if isinstance(event, ToolCallStarted))
        deltas = [event for event in told if isinstance(event, ToolArgumentsDelta)]
        complete = next(event for event in told if isinstance(event, ToolCallComplete))
        assert {started.call_id, *(event.call_id for event in deltas)} == {complete.call.call_id}
        assert complete.call.arguments == {"at": place}
        if self.wiring.streams_arguments:
            assert "".join(event.text for event in deltas) == complete.call.raw_arguments
            assert len(deltas) > 1
        assert isinstance(told[-2], UsageReported)
        last = told[-1]
        assert isinstance(last, StreamFinished)
        assert complete.call in last.response.tool_calls
        assert last.response.usage == told[-2].usage

    async def test_text_alone_can_be_had(self, provider: Provider, adapter: LLMClient) -> None:
        provider.says(Reply(text="one two three", reasoning="hm"))
        assert "".join([piece async for piece in texts(adapter.stream(self.request()))]) == "one two three"

    async def test_closing_a_stream_tells_the_provider(self, provider: Provider, adapter: LLMClient) -> None:
        provider.says(Reply(text=" ".join(f"word{number}" for number in range(20_000))))
        stream = adapter.stream(self.request())
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        await stream.aclose()
        await until(lambda: provider.last.outcome is Outcome.ABORTED)

    async def test_cancelling_a_call_tells_the_provider(self, provider: Provider, adapter: LLMClient) -> None:
        provider.control.add_hold(Hold())
        calling = asyncio.create_task(adapter.complete(self.request()))
        await until(lambda: bool(provider.control.seen) and provider.last.outcome is Outcome.HELD)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await until(lambda: provider.last.outcome is Outcome.ABORTED)

    async def test_a_conversation_may_come_from_another_provider(self, provider: Provider, adapter: LLMClient) -> None:
        foreign: dict[str, object] = {"provider": "elsewhere", "data": {"id": "x-1", "seal": "c2VhbA=="}}
        said = Message.model_validate(
            {
                "role": "assistant",
                "parts": [
                    {"kind": "reasoning", "text": "hm", "signature": "c2lnbg==", "provider_state": foreign},
                    {"kind": "text", "text": "I look.", "provider_state": foreign},
                    {
                        "kind": "tool_call",
                        "call_id": "elsewhere/call:1",
                        "name": "look",
                        "arguments": {"at": "x"},
                        "raw_arguments": '{"at": "x"}',
                        "provider_state": foreign,
                    },
                ],
                "provider_state": foreign,
            }
        )
        result = Message(role=Role.TOOL, parts=(ToolResultPart(call_id="elsewhere/call:1", name="look", text="dark"),))
        system = text_message(Role.SYSTEM, "Be brief.")
        provider.says(Reply(text="It is dark."))
        messages = (system, HELLO, said, result, text_message(Role.USER, "So?"))
        response = await adapter.complete(self.request(messages=messages, tools=(LOOK,)))
        assert response.text == "It is dark."

    async def test_sampling_that_a_model_refuses_is_dropped_and_noted(
        self, provider: Provider, adapter: LLMClient
    ) -> None:
        provider.says(Reply(text="Yes."))
        asked = self.request(temperature=0.4, seed=7, stop=("END",), metadata={"work_item": "fabrikam/rail/7"})
        assert (await adapter.complete(asked)).text == "Yes."

    async def test_provider_lists_its_models_and_is_healthy(self, adapter: LLMClient) -> None:
        assert self.wiring.model in [model.name for model in await adapter.list_models()]
        health = await adapter.health()
        assert health.ok
        assert health.latency_ms > 0

    async def test_an_unreachable_provider_is_not_healthy(self, free_port: int) -> None:
        async with self.wiring.make(f"http://127.0.0.1:{free_port}", SecretStr(KEY), timedelta(seconds=5)) as adapter:
            health = await adapter.health()
        assert not health.ok
        assert "connection failed" in health.reason

    async def test_tokens_of_a_prompt_are_counted(self, adapter: LLMClient) -> None:
        short = await adapter.count_tokens(self.request())
        longer = await adapter.count_tokens(self.request(messages=(text_message(Role.USER, "hello " * 200),)))
        assert 0 < short < longer

    async def test_hundred_calls_at_once_all_end(self, provider: Provider, adapter: LLMClient) -> None:
        answers = await asyncio.gather(
            *(ask(adapter, self.request(), number % 2 == 0) for number in range(100)), return_exceptions=True
        )
        assert [answer for answer in answers if not isinstance(answer, LLMResponse)] == []
