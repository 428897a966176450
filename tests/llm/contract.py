"""What every adapter promises, whichever provider it speaks to: a suite that a test module takes over by a subclass.

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    class TestAnthropic(ProviderContract):
        wiring = Wiring(provider="anthropic", model="claude-haiku-5-5", make=..., faults={...})

A sixth provider needs an endpoint to talk to (`pointsman/sandbox/models/`), and this.
"""

from itertools import count

import pytest

from pointsman.llm.client import LLMClient
from pointsman.llm.errors import TruncatedStreamError
from pointsman.llm.events import (
    StreamFinished,
    StreamStarted,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallComplete,
    ToolCallStarted,
    UsageReported,
)
from pointsman.llm.types import (
    FinishReason,
    ImagePart,
    Message,
    ReasoningEffort,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolResultPart,
    text_message,
)
from pointsman.sandbox.models.control import FaultKind, Outcome
from pointsman.sandbox.models.replies import Call, Reply
from tests.llm.contract_text import TextContract
from tests.llm.contract_wire import WireContract
from tests.llm.standin import Provider
from tests.llm.wiring import COLOUR, HELLO, LOOK, MODES, PIXEL, ask


class ProviderContract(TextContract, WireContract):
    """Inherited tests run against the adapter that `wiring` makes."""

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

    async def test_tokens_of_a_prompt_are_counted(self, adapter: LLMClient) -> None:
        short = await adapter.count_tokens(self.request())
        longer = await adapter.count_tokens(self.request(messages=(text_message(Role.USER, "hello " * 200),)))
        assert 0 < short < longer
