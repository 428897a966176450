"""Requests to Bedrock: of the published shape whatever is said, and what it would refuse made acceptable."""

import json
from base64 import b64encode

import pytest
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.providers.bedrock.request import Parameters, parameters_of
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    LLMRequest,
    Message,
    ProviderState,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    text_message,
)
from pointsman.sandbox.models.bedrock_converse.format import BedrockConverseFormat
from pointsman.sandbox.models.config import ModelsConfig
from tests.llm.providers.anthropic_bodies import HELLO, dialogues, of
from tests.llm.test_types import FEW, messages
from tests.llm.wiring import COLOUR, LOOK

HAIKU, SONNET_45 = "global.anthropic.claude-haiku-5-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS, NOVA = "global.anthropic.claude-opus-5-5", "us.amazon.nova-2-lite-v1:0"
CONVERSE = ServiceModel(create_loader().load_service_model("bedrock-runtime", "service-2")).operation_model("Converse")
SERVICE = BedrockConverseFormat(ModelsConfig(api_keys=(SecretStr("k"),)))


def written(**fields: object) -> Parameters:
    return parameters_of(LLMRequest.model_validate({"model": HAIKU, "messages": (HELLO,), **fields}), "bedrock")


def notes(**fields: object) -> str:
    return "; ".join(written(**fields).notes)


def turns(*told: Message) -> Json:
    return written(messages=told).content["messages"]


def sent(parameters: Parameters) -> bytes:
    """As boto3 sends it, after its own check."""
    assert CONVERSE.input_shape is not None
    report = ParamValidator().validate(parameters.content, CONVERSE.input_shape)
    assert not report.has_errors(), report.generate_report()
    body = create_serializer("rest-json").serialize_to_request(parameters.content, CONVERSE)["body"]
    assert isinstance(body, bytes)
    return body


@FEW
@given(st.lists(messages, min_size=1, max_size=4))
def test_any_conversation_is_of_the_published_shape_and_loses_no_text(conversation: list[Message]) -> None:
    parts = json.loads(sent(written(messages=tuple(conversation))))
    whole = json.dumps(parts, ensure_ascii=False)
    for message in conversation:
        for part in message.parts:
            if isinstance(part, TextPart) and part.text.strip():
                assert json.dumps(part.text, ensure_ascii=False)[1:-1] in whole


@FEW
@given(dialogues())
def test_any_dialogue_is_accepted_by_the_service(told: tuple[Message, ...]) -> None:
    raw = sent(written(messages=told, tools=(LOOK,)))
    SERVICE.check(SERVICE.read(raw, "/converse", {"model": HAIKU}))


@pytest.mark.parametrize("choice", ["auto", "none", "required", "look"])
def test_every_kind_of_part_is_accepted_by_the_service(choice: str) -> None:
    shown = (TextPart(text="See."), ImagePart(data=b"p"), DocumentPart(data=b"%PDF"))
    told = (DocumentPart(data=b"# x", media_type="text/markdown", name="notes.md"),)
    result = ToolResultPart(call_id="a", text="x", data={"n": 1}, images=(ImagePart(data=b"p"),))
    conversation = (
        text_message(Role.SYSTEM, "Rules.").model_copy(update={"cache": True}),
        of(Role.USER, *shown, cache=True),
        of(Role.ASSISTANT, ToolCallPart(call_id="a", name="look", arguments={"at": "x"})),
        of(Role.TOOL, result),
        text_message(Role.SYSTEM, "Hush."),
        of(Role.ASSISTANT, TextPart(text="So.")),
        of(Role.USER, *told),
    )
    raw = sent(written(messages=conversation, tools=(LOOK,), tool_choice=choice, response_schema=COLOUR))
    SERVICE.check(SERVICE.read(raw, "/converse", {"model": HAIKU}))


@FEW
@given(dialogues())
def test_conversation_that_goes_on_leaves_its_past_as_it_was(told: tuple[Message, ...]) -> None:
    past, more = turns(*told), turns(*told, text_message(Role.ASSISTANT, "So."), HELLO)
    assert isinstance(past, list)
    assert isinstance(more, list)
    assert more[: len(past)] == past


def test_results_are_json_text_images_and_errors() -> None:
    call = of(Role.ASSISTANT, *(ToolCallPart(call_id=name, name="look") for name in "abcd"))
    results = (
        ToolResultPart(call_id="a", text="x", data={"n": 1}, images=(ImagePart(data=b"p"),)),
        ToolResultPart(call_id="b", text="no", is_error=True),
        ToolResultPart(call_id="c", text="x", data=[1]),
        ToolResultPart(call_id="d", text=""),
    )
    found = turns(HELLO, call, of(Role.TOOL, *results))
    assert isinstance(found, list)
    image = {"image": {"format": "png", "source": {"bytes": b"p"}}}
    assert found[-1] == {
        "role": "user",
        "content": [
            {"toolResult": {"toolUseId": "a", "content": [{"text": "x"}, {"json": {"n": 1}}, image]}},
            {"toolResult": {"toolUseId": "b", "content": [{"text": "no"}], "status": "error"}},
            {"toolResult": {"toolUseId": "c", "content": [{"text": "x\n[1]"}]}},
            {"toolResult": {"toolUseId": "d", "content": [{"json": {}}]}},
        ],
    }


def test_documents_have_names_of_their_own_and_a_text_beside_them() -> None:
    parts = (
        DocumentPart(data=b"%PDF", name="a plan: v1.2.pdf"),
        DocumentPart(data=b"%PDF", name="a plan, v1.2.pdf"),
        DocumentPart(data=b"x", media_type="application/x-log"),
        DocumentPart(url="s3://bucket/a.pdf"),
    )
    told = written(messages=(of(Role.USER, *parts),))
    content = json.dumps(json.loads(sent(told))["messages"][0]["content"])
    assert '"a plan v1 2 pdf"' in content
    assert '"a plan v1 2 pdf 2"' in content
    assert '"format": "txt", "name": "document"' in content
    assert '"s3Location": {"uri": "s3://bucket/a.pdf"}' in content
    assert '{"text": "See the document."}' in content
    assert "See the document." in notes(messages=(of(Role.USER, *parts),))


def test_what_bedrock_cannot_take_is_told_to_the_model_and_noted() -> None:
    parts = (
        ImagePart(url="https://x.example/a.jpg"),
        ImagePart(data=b"x", media_type="image/tiff"),
        DocumentPart(url="https://x.example/a.pdf"),
        DocumentPart(data=b"\xff", media_type="application/zip", name="a.zip"),
    )
    told = of(Role.USER, *parts)
    assert [block["text"] for block in json.loads(sent(written(messages=(told,))))["messages"][0]["content"]] == [
        "[image at https://x.example/a.jpg: cannot be shown to you]",
        "[image of type 'image/tiff': cannot be shown to you]",
        "[document at https://x.example/a.pdf: cannot be shown to you]",
        "[document 'a.zip' of type 'application/zip': cannot be shown to you]",
    ]
    assert notes(messages=(told,)).count("not by URL") == 2


def test_own_reasoning_goes_back_as_it_came_and_foreign_reasoning_does_not() -> None:
    def sealed(provider: str, kind: str, **data: Json) -> ReasoningPart:
        state = ProviderState(provider=provider, data={"type": kind, **data})
        return ReasoningPart(text="hm", signature="c2ln", provider_state=state)

    hidden = sealed("bedrock", "redacted_thinking", data=b64encode(b"\x00\xff").decode())
    answer = of(
        Role.ASSISTANT, sealed("anthropic", "thinking"), sealed("bedrock", "thinking"), hidden, TextPart(text="So.")
    )
    told = written(messages=(HELLO, answer, HELLO))
    assert json.loads(sent(told))["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "AP8="}},
        {"text": "So."},
    ]
    more = told.content["additionalModelRequestFields"]
    assert isinstance(more, dict)
    assert more["anthropic_beta"] == ["thinking-binding-controls-2026-08-01"]


def test_cache_points_stand_behind_what_is_marked_where_the_model_has_them() -> None:
    marked = text_message(Role.SYSTEM, "Rules.").model_copy(update={"cache": True})
    assert written(messages=(marked, HELLO)).content["system"] == [
        {"text": "Rules."},
        {"cachePoint": {"type": "default"}},
    ]
    assert written(model="meta.llama3-3-70b-instruct-v1:0", messages=(marked, HELLO)).content["system"] == [
        {"text": "Rules."}
    ]


@pytest.mark.parametrize(
    ("model", "choice", "config", "said"),
    [
        (HAIKU, "auto", None, ""),
        (HAIKU, "required", {"any": {}}, ""),
        (HAIKU, "look", {"tool": {"name": "look"}}, ""),
        (OPUS, "required", None, "refuses forced calls"),
        (OPUS, "look", None, "refuses forced calls"),
    ],
)
def test_choice_of_tools(model: str, choice: str, config: Json, said: str) -> None:
    told = written(model=model, tools=(LOOK,), tool_choice=choice)
    sent(told)
    tools = told.content["toolConfig"]
    assert isinstance(tools, dict)
    assert tools.get("toolChoice") == config
    assert said in "; ".join(told.notes)


def test_calls_are_forbidden_in_words_and_by_leaving_the_tools_out() -> None:
    assert "toolConfig" not in written(tools=(LOOK,), tool_choice="none").content
    call = of(Role.ASSISTANT, ToolCallPart(call_id="a", name="look", arguments={"at": "x"}))
    told = (HELLO, call, of(Role.TOOL, ToolResultPart(call_id="a", text="dark")))
    forbidden = written(messages=told, tools=(LOOK,), tool_choice="none")
    assert forbidden.content["system"] == [{"text": "Answer without calling a tool."}]
    assert "toolConfig" in forbidden.content
    single = written(tools=(LOOK,), parallel_tool_calls=False)
    assert single.content["system"] == [{"text": "Call tools one at a time."}]
    called = written(messages=told).content["toolConfig"]
    empty = {"json": {"type": "object", "properties": {}}}
    assert called == {"tools": [{"toolSpec": {"name": "look", "inputSchema": empty}}]}


@pytest.mark.parametrize(
    ("fields", "more", "effort", "said"),
    [
        ({}, {"thinking": {"type": "adaptive", "display": "summarized"}}, None, ""),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, None, ""),
        (
            {"reasoning_effort": "minimal"},
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            "low",
            "'low' instead of 'minimal'",
        ),
        ({"model": SONNET_45}, None, None, ""),
        (
            {"model": SONNET_45, "reasoning_effort": "low", "temperature": 0.3},
            {"thinking": {"type": "enabled", "budget_tokens": 2_048}},
            None,
            "takes none with reasoning",
        ),
        ({"model": SONNET_45, "reasoning_effort": "low", "max_tokens": 100}, None, None, "leaves no room"),
        (
            {"model": SONNET_45, "reasoning_effort": "low", "tools": (LOOK,), "tool_choice": "look"},
            None,
            None,
            "a forced call of a tool excludes it",
        ),
        ({"model": NOVA, "reasoning_effort": "low"}, None, None, f"Converse has none for {NOVA}"),
    ],
)
def test_reasoning_by_model(fields: dict[str, object], more: Json, effort: Json, said: str) -> None:
    told = written(**fields)
    sent(told)
    assert told.content.get("additionalModelRequestFields") == more
    output = told.content.get("outputConfig", {})
    assert isinstance(output, dict)
    assert output.get("effort") == effort
    assert said in "; ".join(told.notes)


def test_reasoning_by_budget_is_not_begun_in_the_middle_of_calls() -> None:
    call = of(Role.ASSISTANT, ToolCallPart(call_id="a", name="look"))
    told = (HELLO, call, of(Role.TOOL, ToolResultPart(call_id="a", text="dark")))
    assert "began without reasoning" in notes(model=SONNET_45, reasoning_effort="low", messages=told, tools=(LOOK,))


def test_limits_and_sampling() -> None:
    told = written(model=NOVA, max_tokens=90, temperature=1.5, seed=7, stop=("END", " "))
    assert told.content["inferenceConfig"] == {"maxTokens": 90, "stopSequences": ["END"], "temperature": 1.0}
    assert "temperature 1 instead of 1.5" in "; ".join(told.notes)
    assert "seed left out" in "; ".join(told.notes)
    assert "blank" in "; ".join(told.notes)
    assert "temperature left out" in notes(temperature=0.1)
    assert "128,000 instead of 200,000" in notes(max_tokens=200_000)


def test_call_context_travels_as_metadata() -> None:
    context = {"trace_id": "t1", "source_agent": "triage", "session_id": "s1", "tenant": "acme"}
    told = written(metadata={"item": "7"}, **context)
    assert told.content["requestMetadata"] == {"item": "7", **context}
    assert told.notes == ()


def test_metadata_is_of_plain_characters() -> None:
    told = written(metadata={"item": "fabrikam/7", "who": "Zoë {x}"})
    assert told.content["requestMetadata"] == {"item": "fabrikam/7", "who": "Zo_ _x_"}
    assert "other characters" in "; ".join(told.notes)
    assert len(json.loads(sent(written(metadata={f"n{n}": "" for n in range(20)})))["requestMetadata"]) == 16


@pytest.mark.parametrize(
    ("model", "schema", "is_native"),
    [
        (HAIKU, COLOUR, True),
        (NOVA, COLOUR, False),
        (HAIKU, {"type": "array", "items": {"type": "string"}}, False),
        (HAIKU, {"type": "object", "additionalProperties": {"type": "string"}}, False),
        (HAIKU, {"type": "object", "properties": {"a": {"$ref": "#"}}}, False),
        (HAIKU, {"type": "object", "properties": {"a": {"anyOf": [{"type": "integer", "minimum": 3}]}}}, True),
        (HAIKU, {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}, True),
    ],
)
def test_answers_format(model: str, schema: dict[str, Json], is_native: bool) -> None:
    told = written(model=model, response_schema=schema)
    raw = sent(told)
    assert ("textFormat" in json.dumps(told.content.get("outputConfig", {}))) is is_native
    assert ("asked for in words" in "; ".join(told.notes)) is not is_native
    if model == HAIKU:
        SERVICE.check(SERVICE.read(raw, "/converse", {"model": HAIKU}))


def test_tools_without_description_or_object_are_made_acceptable() -> None:
    odd = ToolSpec(name="odd", parameters={"anyOf": [{"type": "object"}]})
    told = written(tools=(odd, LOOK))
    raw = sent(told)
    SERVICE.check(SERVICE.read(raw, "/converse", {"model": HAIKU}))
    assert {"toolSpec": {"name": "odd", "inputSchema": {"json": {"type": "object"}}}} in json.loads(raw)["toolConfig"][
        "tools"
    ]
