"""Answers of today and of tomorrow: how each ends, what goes back unchanged, and that nothing odd breaks a call."""

import asyncio
import json
import math
from collections.abc import Mapping
from itertools import pairwise

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.llm import errors
from pointsman.llm.attempt import Attempt
from pointsman.llm.errors import ProviderError
from pointsman.llm.lenient import objects
from pointsman.llm.providers.gemini.faults import GeminiFaults
from pointsman.llm.providers.gemini.reply import FAILED, FINISHES, Reading
from pointsman.llm.providers.gemini.request import body_of
from pointsman.llm.sse import EventReader
from pointsman.llm.types import (
    FinishReason,
    LLMRequest,
    LLMResponse,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolSpec,
    text_message,
)
from tests.llm.test_types import FEW, json_objects, json_values

REQUEST = LLMRequest(model="gemini-3.8-flash", messages=(text_message(Role.USER, "hello"),))
FAULTS = GeminiFaults("gemini", "gemini-3.8-flash", "AIzaSecretOfTheTest")
USAGE: dict[str, Json] = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 3}


def reading(request: LLMRequest = REQUEST) -> Reading:
    return Reading(Attempt("gemini", request), FAULTS, "gemini", {})


def read(*responses: Mapping[str, Json], streamed: bool = False) -> LLMResponse:
    whole = reading()
    for response in responses:
        list(whole.take(response))
    return asyncio.run(whole.finish(streamed=streamed))


def candidate(*parts: Json, finish: str = "STOP", **more: Json) -> dict[str, Json]:
    content: Json = {"role": "model", "parts": list(parts)}
    return {"candidates": [{"content": content, "finishReason": finish, **more}], "usageMetadata": USAGE}


def refused(*responses: Mapping[str, Json]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        read(*responses)
    return caught.value


@pytest.mark.parametrize("reason", [reason.value for reason in types.FinishReason])
def test_every_documented_reason_ends_an_answer_or_is_an_error(reason: str) -> None:
    response = candidate({"text": "one"}, finish=reason, finishMessage="because")
    if reason in FAILED:
        error = refused(response)
        assert type(error) is FAILED[reason]
        assert error.code == reason
        assert "because" in str(error)
        assert error.usage is not None
        assert error.usage.total_tokens == 18
        return
    answer = read(response)
    assert answer.finish_reason is FINISHES.get(reason, FinishReason.PAUSED)
    if reason not in ("STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"):
        assert answer.notes == (f"the answer ended with {reason}: because",)


@pytest.mark.parametrize("reason", [reason.value for reason in types.BlockedReason])
def test_blocked_prompt_is_content_that_was_refused(reason: str) -> None:
    error = refused({"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 7}})
    if reason.endswith("_UNSPECIFIED"):
        assert type(error) is errors.InvalidResponseError
        return
    assert type(error) is errors.ContentRefusedError
    assert (error.code, error.usage and error.usage.prompt_tokens) == (reason, 7)


def test_reason_of_tomorrow_pauses_the_answer_and_is_named() -> None:
    answer = read(candidate({"text": "one"}, finish="HOLOGRAM"))
    assert (answer.finish_reason, answer.notes) == (FinishReason.PAUSED, ("the answer ended with HOLOGRAM",))


def test_answer_without_a_reason_is_not_called_complete() -> None:
    answer = read({"candidates": [{"content": {"parts": [{"text": "one"}]}}]})
    assert answer.finish_reason is FinishReason.PAUSED
    assert answer.notes == ("the answer does not say why it ended",)
    assert (answer.model, answer.usage.total_tokens) == ("gemini-3.8-flash", 0)


@pytest.mark.parametrize("response", [{}, {"candidates": []}, {"candidates": 7}, {"candidates": [7]}])
def test_response_without_a_candidate_is_invalid(response: dict[str, Json]) -> None:
    assert type(refused(response)) is errors.InvalidResponseError


def test_usage_counts_thoughts_once_and_cached_tokens_within_the_prompt() -> None:
    counts: dict[str, Json] = {
        **USAGE,
        "cachedContentTokenCount": 8,
        "toolUsePromptTokenCount": 2,
        "totalTokenCount": 20,
    }
    usage = read({**candidate({"text": "x"}), "usageMetadata": counts}).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (12, 8, 20)
    assert (usage.reasoning_tokens, usage.cached_tokens) == (3, 8)


def test_counts_of_a_stream_run_up_and_are_not_added() -> None:
    begun: Json = {"promptTokenCount": 10}
    ended: Json = {"candidatesTokenCount": 5, "promptTokenCount": 4}
    piece, last = candidate({"text": "x"}, finish=""), candidate({"text": "y"})
    piece["usageMetadata"], last["usageMetadata"] = begun, ended
    usage = read(piece, piece, last, streamed=True).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 5, 15)


def test_usage_is_never_negative_and_never_more_than_its_whole() -> None:
    odd: dict[str, Json] = {"promptTokenCount": 5, "candidatesTokenCount": -3, "cachedContentTokenCount": 90}
    usage = read({**candidate({"text": "x"}), "usageMetadata": {**odd, "thoughtsTokenCount": math.inf}}).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.total_tokens) == (5, 0, 5, 5)


parts = st.fixed_dictionaries(
    {},
    optional={
        "text": json_values,
        "thought": json_values,
        "thoughtSignature": json_values,
        "functionCall": st.fixed_dictionaries(
            {}, optional={"id": json_values, "name": json_values, "args": json_values}
        )
        | json_values,
        "inlineData": json_values,
    },
)
candidates = st.fixed_dictionaries(
    {},
    optional={
        "content": st.fixed_dictionaries({"parts": st.lists(parts | json_values, max_size=4) | json_values})
        | json_values,
        "finishReason": st.sampled_from(["STOP", "OTHER"]) | json_values,
        "finishMessage": json_values,
    },
)
responses = st.fixed_dictionaries(
    {},
    optional={
        "candidates": st.lists(candidates | json_values, max_size=2) | json_values,
        "usageMetadata": json_objects | json_values,
        "modelVersion": json_values,
        "responseId": json_values,
        "promptFeedback": json_values,
    },
)


@FEW
@given(st.lists(responses, max_size=3))
def test_whatever_comes_is_an_answer_or_an_error_of_ours(told: list[dict[str, Json]]) -> None:
    try:
        answer = read(*told)
    except ProviderError:
        return
    assert Message.from_bytes(answer.message.to_bytes()) == answer.message
    assert answer.usage.total_tokens >= answer.usage.prompt_tokens + answer.usage.completion_tokens


signed = st.fixed_dictionaries({}, optional={"thoughtSignature": st.sampled_from(["c2ln", "dGhv"])})
texts = st.text(min_size=1, max_size=8).filter(lambda text: text.encode("utf-8", "ignore").decode() == text)
said = st.one_of(
    st.tuples(st.fixed_dictionaries({"text": texts}), signed),
    st.tuples(st.fixed_dictionaries({"text": texts, "thought": st.just(True)}), signed),
    st.tuples(
        st.fixed_dictionaries(
            {
                "functionCall": st.fixed_dictionaries(
                    {"name": st.sampled_from(["look", "find"]), "args": st.just({"at": "x"})},
                    optional={"id": st.sampled_from(["a1", "b2"])},
                )
            }
        ),
        signed,
    ),
).map(lambda both: {**both[0], **both[1]})


@FEW
@given(st.lists(said, min_size=1, max_size=5), st.booleans())
def test_what_the_model_said_goes_back_as_it_came(told: list[dict[str, Json]], in_pieces: bool) -> None:
    if in_pieces:
        answer = read(*[candidate(part, finish="") for part in told], candidate(), streamed=True)
    else:
        answer = read(candidate(*told))
    stored = Message.from_bytes(answer.message.to_bytes())
    again = REQUEST.model_copy(update={"model": "gemini-2.5-flash", "messages": (*REQUEST.messages, stored)})
    turns = list(objects(body_of(again, "gemini").content["contents"]))
    gone = [dict(part) for turn in turns[1:] for part in objects(turn["parts"])]
    assert gone == expected(told)


def expected(told: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """Pieces of text on end are one part unless they are signed; thoughts that nobody signed stay here."""
    parts: list[dict[str, Json]] = []
    may_join = ""
    for part in told:
        kind = "call" if "functionCall" in part else "thought" if part.get("thought") else "text"
        if kind == "text" == may_join and "thoughtSignature" not in part:
            parts[-1] = {"text": f"{parts[-1]['text']}{part['text']}"}
        elif kind != "thought" or "thoughtSignature" in part:
            parts.append(part)
        may_join = "" if "thoughtSignature" in part else kind
    return parts


def test_pieces_become_parts_as_they_were_signed() -> None:
    pieces: list[Json] = [
        {"text": "Is ", "thought": True},
        {"text": "it?", "thought": True},
        {"text": "Grüße "},
        {"text": "😀"},
        {"text": "", "thoughtSignature": "c2ln"},
    ]
    answer = read(*[candidate(piece, finish="") for piece in pieces], candidate(), streamed=True)
    shown = [
        (part.kind, getattr(part, "text", ""), part.provider_state and part.provider_state.data)
        for part in answer.message.parts
    ]
    assert shown == [
        ("reasoning", "Is it?", None),
        ("text", "Grüße 😀", None),
        ("text", "", {"thoughtSignature": "c2ln"}),
    ]


def test_calls_without_an_id_get_one_that_never_goes_back() -> None:
    call: Json = {"functionCall": {"name": "look"}}
    answer = read(candidate(call, call))
    one, other = answer.tool_calls
    assert one.call_id != other.call_id
    assert (one.arguments, one.raw_arguments, one.invalid) == ({}, "{}", "")
    assert answer.finish_reason is FinishReason.TOOL_CALLS


def test_arguments_that_came_whole_are_said_to_have() -> None:
    call: Json = {"functionCall": {"name": "look", "args": {"at": "x"}}}
    assert "the arguments of calls came whole" in "; ".join(read(candidate(call), streamed=True).notes)
    assert read(candidate(call)).notes == ()


def test_arguments_that_are_no_object_are_marked() -> None:
    [call] = read(candidate({"functionCall": {"name": "look", "args": [1]}})).tool_calls
    assert "no JSON object" in call.invalid


def test_tools_keep_our_names() -> None:
    asked = REQUEST.model_copy(update={"tools": (ToolSpec(name="2nd"),)})
    whole = Reading(Attempt("gemini", asked), FAULTS, "gemini", {"_2nd": "2nd"})
    list(whole.take(candidate({"functionCall": {"name": "_2nd"}}, {"functionCall": {"name": "_other"}})))
    answer = asyncio.run(whole.finish(streamed=False))
    assert [call.name for call in answer.tool_calls] == ["2nd", "_other"]


def test_parts_unknown_to_us_are_noted_once_and_never_with_a_key() -> None:
    odd: list[Json] = [{"hologram": 1}, {"hologram": 2}, {"AIzaSecretOfTheTest": 1}, {}]
    answer = read(candidate({"text": "hi"}, *odd))
    assert answer.text == "hi"
    assert answer.notes == (
        "left out of the answer: hologram",
        "left out of the answer: ***",
        "left out of the answer: a part without content",
    )


def test_signature_without_text_is_kept() -> None:
    [text, signature] = read(candidate({"text": "hi"}, {"thoughtSignature": "c2ln"})).message.parts
    assert isinstance(text, TextPart)
    assert signature.provider_state is not None
    [thought] = read(candidate({"thought": True, "text": "", "thoughtSignature": "c2ln"})).message.parts
    assert isinstance(thought, ReasoningPart)


lines = st.sampled_from(
    [b"data: {}", b'data: {"a": "\xc3\xbc"}', b"data:x", b": ping", b"event: x", b"id: 7", b"", b"", b"stray", b"data"]
)


@FEW
@given(
    st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=8),
    st.lists(st.integers(0, 80), max_size=8),
)
def test_any_split_of_the_bytes_gives_the_same_events(told: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(line + end for line, end in told) + b"\n"
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in pairwise(places)]
    assert events(*pieces) == events(stream) == events(*(stream[at : at + 1] for at in range(len(stream))))


def events(*pieces: bytes) -> tuple[list[bytes], bytes]:
    reader = EventReader()
    found = [event for piece in pieces for event in reader.feed(piece)]
    reader.finish()
    return found, reader.stray


def test_events_are_read_as_the_standard_has_it() -> None:
    told = b': ping\r\n\r\nevent: x\ndata: one\ndata:two\n\n\n\ndata: {}\r\r{"error": 1}\ndata: cut off'
    assert events(told) == ([b"one\ntwo", b"{}"], b'{"error": 1}\n')


def test_what_stands_beside_the_events_is_bounded() -> None:
    _, stray = events(*[b"x" * 1_000 + b"\n"] * 1_000)
    assert 60_000 < len(stray) <= 64 * 1024
    assert events(b'{"error": {}}')[1] == b'{"error": {}}\n', "also without a line end"


def test_recorded_error_of_a_stream_is_ours() -> None:
    error = refused(
        candidate({"text": "x"}, finish=""), json.loads('{"error": {"code": 503, "status": "UNAVAILABLE"}}')
    )
    assert type(error) is errors.ProviderOverloadedError
    assert error.usage is not None
