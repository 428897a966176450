"""Answers of OpenAI and of servers that are nearly compatible: every dialect gives the same answer."""

from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm import errors
from pointsman.llm.attempt import Attempt
from pointsman.llm.completion_stream import chunks
from pointsman.llm.completions import Completion, read_usage
from pointsman.llm.events import StreamEvent, ToolArgumentsDelta, ToolCallComplete, ToolCallStarted
from pointsman.llm.providers.openai.chat import OpenAIChat
from pointsman.llm.providers.openai.faults import OpenAIFaults
from pointsman.llm.types import FinishReason, LLMRequest, LLMResponse, Message, ReasoningPart, RefusalPart, Role
from pointsman.sandbox.models.control import FaultKind
from pointsman.sandbox.models.formats import server_sent
from pointsman.sandbox.models.replies import Call, Reply
from tests.llm.standin import KEY, Provider
from tests.llm.test_types import FEW, json_objects, json_values
from tests.llm.wiring import HELLO, LOOK, MODES, ask

REQUEST = LLMRequest(model="gpt-5-mini", messages=(HELLO,), tools=(LOOK,))
FAULTS = OpenAIFaults("own", "gpt-5-mini", "")
DONE = b"data: [DONE]\n\n"
LIMIT = timedelta(seconds=5)


class Pieces(httpx2.AsyncByteStream):
    """A body that comes in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        for piece in self._pieces:
            yield piece


def reading() -> Completion:
    return Completion(Attempt("own", REQUEST), "own", lambda body: FAULTS.of_body(body, "req_1"))


async def heard(*pieces: bytes) -> tuple[list[StreamEvent], LLMResponse]:
    completion = reading()
    response = httpx2.Response(200, stream=Pieces(list(pieces)))
    told = [event async for chunk in chunks(response, completion, LIMIT) for event in completion.take(chunk)]
    return told, await completion.finish(streamed=True)


async def streamed(*deltas: Mapping[str, Json], finish: str = "stop", usage: Json = None) -> LLMResponse:
    return (await heard(*wire(*deltas, finish=finish, usage=usage)))[1]


def wire(*deltas: Mapping[str, Json], finish: str = "stop", usage: Json = None) -> list[bytes]:
    told: list[Json] = [{"choices": [{"index": 0, "delta": dict(delta)}]} for delta in deltas]
    told.append({"id": "c-1", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": usage})
    return [*(server_sent(chunk) for chunk in told), DONE]


async def whole(message: Json, finish: Json = "stop", **more: Json) -> LLMResponse:
    completion = reading()
    completion.take_whole({"id": "c-1", "choices": [{"message": message, "finish_reason": finish}], **more})
    return await completion.finish(streamed=False)


def call(index: int, call_id: str | None, name: str | None, arguments: Json) -> dict[str, Json]:
    function: Json = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    given: dict[str, Json] = {"id": call_id} if call_id is not None else {}
    made: Json = {"index": index, "type": "function", "function": function, **given}
    return {"tool_calls": [made]}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("model_length", FinishReason.LENGTH),
        ("abort", FinishReason.PAUSED),
    ],
)
async def test_why_an_answer_ends(reason: str, finish: FinishReason) -> None:
    for response in (await streamed({"content": "hi"}, finish=reason), await whole({"content": "hi"}, reason)):
        assert response.finish_reason is finish
        assert any("unknown to us: abort" in note for note in response.notes) is (reason == "abort")


async def test_answer_that_the_server_gave_up_is_an_error() -> None:
    with pytest.raises(errors.ProviderOverloadedError, match="gave up"):
        await streamed({"content": "hi"}, finish="error")


async def test_whole_answer_without_a_reason_is_taken_with_a_note() -> None:
    response = await whole({"content": "hi"}, None)
    assert (response.text, response.finish_reason) == ("hi", FinishReason.STOP)
    assert "no reason for the end given" in response.notes


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
async def test_reasoning_has_two_names(name: str) -> None:
    pieces = ({name: "I "}, {name: "think."}, {"content": "Yes."})
    for response in (await streamed(*pieces), await whole({name: "I think.", "content": "Yes."})):
        thought, said = response.message.parts
        assert isinstance(thought, ReasoningPart)
        assert (thought.text, response.text, said.kind) == ("I think.", "Yes.", "text")
        assert thought.provider_state is not None
        assert thought.provider_state.data == {"field": name}


async def test_reasoning_under_both_names_is_told_once() -> None:
    response = await streamed({"reasoning": "hm", "reasoning_content": "hm"}, {"content": "Yes."})
    assert [part.text for part in response.message.parts if isinstance(part, ReasoningPart)] == ["hm"]


async def test_content_may_be_a_list() -> None:
    response = await streamed({"content": [{"type": "text", "text": "a"}, {"type": "hologram"}]}, {"content": "b"})
    assert response.text == "ab"
    assert response.notes[0] == "left out of the answer: hologram"


async def test_refusal_is_one_however_it_ends() -> None:
    response = await streamed({"refusal": "I will "}, {"refusal": "not."})
    assert response.finish_reason is FinishReason.REFUSAL
    assert response.message.parts == (RefusalPart(text="I will not."),)


DIALECTS: dict[str, list[dict[str, Json]]] = {
    "in pieces": [
        call(0, "a", "look", ""),
        call(0, None, None, '{"at":'),
        call(0, None, None, '"x"}'),
        call(1, "b", "look", '{"at":"y"}'),
    ],
    "interleaved": [
        call(0, "a", "look", ""),
        call(1, "b", "look", ""),
        call(0, None, None, '{"at":"x"}'),
        call(1, None, None, '{"at":"y"}'),
    ],
    "ids and names repeated": [
        call(0, "a", "look", '{"at":'),
        call(0, "a", "look", '"x"}'),
        call(1, "b", "look", '{"at":"y"}'),
    ],
    "all at index 0": [call(0, "a", "look", '{"at":"x"}'), call(0, "b", "look", '{"at":"y"}')],
    "name after the id": [
        call(0, "a", None, '{"at":'),
        call(0, "a", "look", '"x"}'),
        call(1, "b", "look", {"at": "y"}),
    ],
    "whole, as objects": [call(0, "a", "look", {"at": "x"}), call(1, "b", "look", {"at": "y"})],
}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_calls_come_in_many_ways(dialect: str) -> None:
    told, response = await heard(*wire(*DIALECTS[dialect], finish="tool_calls"))
    assert [(made.call_id, made.arguments, made.invalid) for made in response.tool_calls] == [
        ("a", {"at": "x"}, ""),
        ("b", {"at": "y"}, ""),
    ]
    assert [event.call_id for event in told if isinstance(event, ToolCallStarted)] == ["a", "b"]
    assert [event.call for event in told if isinstance(event, ToolCallComplete)] == list(response.tool_calls)
    pieces = [event for event in told if isinstance(event, ToolArgumentsDelta)]
    assert "".join(piece.text for piece in pieces if piece.call_id == "a") == response.tool_calls[0].raw_arguments


async def test_calls_without_ids_get_their_own() -> None:
    made = (call(0, None, "look", {"at": "x"}), call(0, "", "look", {"at": "y"}))
    response = await streamed(*made, finish="stop")
    one, other = response.tool_calls
    assert one.call_id.startswith("call_")
    assert one.call_id != other.call_id
    assert response.finish_reason is FinishReason.TOOL_CALLS


BODY = b"".join(
    [
        b": keep-alive\r\n\r\n",
        *wire(
            {"role": "assistant", "content": ""},
            {"reasoning": "hm 😀"},
            {"content": "Grüße "},
            {"content": "😀"},
            *DIALECTS["in pieces"],
            finish="tool_calls",
            usage={"prompt_tokens": 3, "completion_tokens": 4},
        ),
    ]
)


@FEW
@given(st.lists(st.integers(0, len(BODY)), max_size=6).map(sorted))
async def test_any_split_of_the_bytes_gives_the_same_answer(cuts: list[int]) -> None:
    pieces = [BODY[start:end] for start, end in pairwise([0, *cuts, len(BODY)]) if start < end]
    (_, split), (_, unsplit) = await heard(*pieces), await heard(BODY)
    times = {"latency_ms": 0.0, "time_to_first_token_ms": None}
    assert split.model_copy(update=times) == unsplit.model_copy(update=times)
    assert unsplit.text == "Grüße 😀"


contents = st.lists(st.fixed_dictionaries({"type": st.sampled_from(["text", "thinking"]), "thinking": json_values}))
choices = st.fixed_dictionaries(
    {},
    optional={
        "index": st.just(0) | json_values,
        "delta": st.fixed_dictionaries(
            {},
            optional={
                "content": json_values
                | st.lists(st.fixed_dictionaries({"type": st.sampled_from(["text", "thinking"])})),
                "reasoning": json_values,
                "refusal": json_values,
                "tool_calls": st.lists(
                    st.fixed_dictionaries(
                        {},
                        optional={"index": json_values, "id": json_values, "function": json_objects},
                    ),
                    max_size=2,
                ),
            },
        )
        | json_values,
        "finish_reason": st.sampled_from(["stop", "length", "tomorrow"]) | json_values,
    },
)
odd = st.fixed_dictionaries(
    {},
    optional={"choices": st.lists(choices, max_size=2) | json_values, "usage": json_objects, "id": json_values},
)


@FEW
@given(st.lists(odd, max_size=3))
async def test_whatever_comes_is_an_answer_or_an_error_of_ours(told: list[dict[str, Json]]) -> None:
    try:
        _, response = await heard(*(server_sent(chunk) for chunk in told), DONE)
    except errors.ProviderError:
        return
    assert Message.from_bytes(response.message.to_bytes()) == response.message


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (
            {"prompt_tokens": 50, "completion_tokens": -3, "prompt_tokens_details": {"cached_tokens": 90}},
            (50, 0, 50, 50),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_cache_hit_tokens": 5}, (9, 4, 13, 5)),
        # Reasoning counted beside the answer, as some servers do, becomes part of it once.
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "total_tokens": 20,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            (9, 11, 20, 0),
        ),
        ({}, (0, 0, 0, 0)),
    ],
)
def test_usage_is_never_negative_and_never_counted_twice(usage: dict[str, Json], counts: tuple[int, ...]) -> None:
    found = read_usage(usage)
    told = (found.prompt_tokens, found.completion_tokens, found.total_tokens, found.cached_tokens)
    assert told == counts


async def test_running_count_is_not_the_end() -> None:
    begun = server_sent({"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 3}})
    with pytest.raises(errors.TruncatedStreamError, match="without a finish reason"):
        await heard(begun)
    with pytest.raises(errors.TruncatedStreamError, match="without a finish reason"):
        await heard(begun, DONE)


async def test_end_without_the_mark_but_with_the_count_is_an_end() -> None:
    told = wire({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 1})[:-1]
    assert (await heard(*told))[1].usage.total_tokens == 4
    with pytest.raises(errors.TruncatedStreamError, match="before its usage or its end") as caught:
        await heard(*wire({"content": "a"})[:-1])
    assert isinstance(caught.value, errors.TruncatedStreamError)
    assert caught.value.received == "a"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'data: {"error": {"message": "CUDA out of memory", "code": 500}}\n\n', errors.ProviderOverloadedError),
        (b'{"error": {"code": "rate_limit_exceeded", "message": "slow down"}}', errors.RateLimitedError),
        (b'data: {"error": "upstream"}\n\n', errors.ProviderOverloadedError),
        (b"<html>bad gateway</html>", errors.InvalidResponseError),
        (b"data: {broken\n\n", errors.InvalidResponseError),
        (b"data: [1]\n\n", errors.TruncatedStreamError),
    ],
)
async def test_error_in_place_of_a_chunk_is_ours(body: bytes, kind: type[errors.ProviderError]) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        await heard(body)
    assert type(caught.value) is kind


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{"text": "old"}]}, {"choices": "x"}])
def test_whole_answer_without_a_message_is_invalid(body: dict[str, Json]) -> None:
    with pytest.raises(errors.InvalidResponseError, match="without a message"):
        reading().take_whole(body)


async def test_what_follows_the_end_changes_nothing() -> None:
    _, response = await heard(*wire({"content": "a"}), b"data: {broken\n\n", b"trailing")
    assert response.text == "a"


class TestOwnServer:
    """vLLM under a name of the operator's."""

    pytestmark = pytest.mark.asyncio(loop_scope="module")
    request = REQUEST.model_copy(update={"model": "openai/gpt-oss-120b"})

    @MODES
    async def test_answers_go_by_the_operators_name(self, provider: Provider, streamed: bool) -> None:
        provider.says(
            Reply(reasoning="Where?", calls=(Call(name="look", arguments={"at": "x"}),)), Reply(text="There.")
        )
        async with self.adapter(provider) as adapter:
            first = await ask(adapter, self.request, streamed)
            result = {"kind": "tool_result", "call_id": first.tool_calls[0].call_id, "text": "dark"}
            told = Message.model_validate({"role": Role.TOOL, "parts": [result]})
            more = self.request.model_copy(update={"messages": (HELLO, first.message, told)})
            second = await ask(adapter, more, streamed)
            assert [(model.name, model.context_window) for model in await adapter.list_models()] == [
                ("openai/gpt-oss-120b", 131_072)
            ]
        assert [part.kind for part in first.message.parts] == ["reasoning", "tool_call"]
        assert (second.text, second.provider) == ("There.", "my-vllm")
        assert "no price known for my-vllm model" in second.notes[0]

    @pytest.mark.parametrize(
        ("status", "message", "kind"),
        [
            (404, "The model `x` does not exist.", errors.ModelNotAllowedError),
            (400, "This model's maximum context length is 9 tokens.", errors.ContextWindowExceededError),
            (400, "top_k must be -1", errors.InvalidRequestError),
            (500, "CUDA error", errors.ProviderOverloadedError),
        ],
    )
    async def test_faults_are_told_by_status_and_text(
        self, provider: Provider, status: int, message: str, kind: type[errors.ProviderError]
    ) -> None:
        provider.fails(FaultKind.STATUS, status=status, message=message)
        async with self.adapter(provider) as adapter:
            with pytest.raises(errors.ProviderError) as caught:
                await adapter.complete(self.request)
        assert type(caught.value) is kind
        assert caught.value.provider == "my-vllm"

    async def test_key_is_needed_and_not_shown(self) -> None:
        assert KEY not in repr(OpenAIChat(SecretStr(KEY), "http://127.0.0.1:1", provider="my-vllm"))
        with pytest.raises(errors.AuthenticationError, match=r"no API key given \(provider my-vllm\)"):
            OpenAIChat(SecretStr(""), provider="my-vllm")

    def adapter(self, provider: Provider) -> OpenAIChat:
        return OpenAIChat(SecretStr(KEY), f"{provider.root}/vllm/v1", provider="my-vllm")
