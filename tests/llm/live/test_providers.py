"""Each provider itself, where its key is in the environment: what no stand-in can tell. A run costs a cent or two."""

import os
from collections.abc import Callable
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from pointsman.llm.client import LLMClient
from pointsman.llm.embedder import Embedder, InputKind
from pointsman.llm.providers.anthropic.messages import AnthropicMessages
from pointsman.llm.providers.bedrock.converse import BedrockConverse
from pointsman.llm.providers.bedrock.embeddings import BedrockEmbedder
from pointsman.llm.providers.gemini.embeddings import GeminiEmbedder
from pointsman.llm.providers.gemini.generate_content import GeminiGenerateContent
from pointsman.llm.providers.mistral.chat import MistralChat
from pointsman.llm.providers.mistral.embeddings import MistralEmbedder
from pointsman.llm.providers.openai.azure import AzureOpenAI
from pointsman.llm.providers.openai.chat import OpenAIChat
from pointsman.llm.providers.openai.embeddings import OpenAIEmbedder
from pointsman.llm.providers.openai.responses import OpenAIResponses
from pointsman.llm.types import FinishReason, LLMRequest, Message, Role, ToolResultPart, text_message
from tests.llm.wiring import COLOUR, LOOK, MODES, ask

AWS = ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
AZURE = ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_DEPLOYMENT")


class Live(NamedTuple):
    name: str
    variables: tuple[str, ...]
    make: Callable[[], LLMClient]
    model: str


def secret(name: str) -> SecretStr:
    return SecretStr(os.environ[name])


PROVIDERS = (
    Live("openai", ("OPENAI_API_KEY",), lambda: OpenAIResponses(secret("OPENAI_API_KEY")), "gpt-6-luna"),
    Live("openai chat", ("OPENAI_API_KEY",), lambda: OpenAIChat(secret("OPENAI_API_KEY")), "gpt-6-luna"),
    Live(
        "azure_openai",
        AZURE,
        lambda: AzureOpenAI(os.environ["AZURE_OPENAI_ENDPOINT"], secret("AZURE_OPENAI_API_KEY")),
        os.environ.get("AZURE_OPENAI_DEPLOYMENT", ""),
    ),
    Live(
        "anthropic", ("ANTHROPIC_API_KEY",), lambda: AnthropicMessages(secret("ANTHROPIC_API_KEY")), "claude-haiku-5-5"
    ),
    Live(
        "gemini", ("GOOGLE_API_KEY",), lambda: GeminiGenerateContent(secret("GOOGLE_API_KEY")), "gemini-3.5-flash-lite"
    ),
    Live("mistral", ("MISTRAL_API_KEY",), lambda: MistralChat(secret("MISTRAL_API_KEY")), "mistral-small-2603"),
    Live("bedrock", AWS, lambda: BedrockConverse(None, os.environ["AWS_REGION"]), "global.anthropic.claude-haiku-5-5"),
)
EMBEDDERS: tuple[tuple[str, tuple[str, ...], Callable[[], Embedder]], ...] = (
    ("openai", ("OPENAI_API_KEY",), lambda: OpenAIEmbedder(secret("OPENAI_API_KEY"))),
    ("gemini", ("GOOGLE_API_KEY",), lambda: GeminiEmbedder(secret("GOOGLE_API_KEY"))),
    ("mistral", ("MISTRAL_API_KEY",), lambda: MistralEmbedder(secret("MISTRAL_API_KEY"))),
    ("bedrock", AWS, lambda: BedrockEmbedder(None, os.environ["AWS_REGION"])),
)
EACH = pytest.mark.parametrize(
    "live",
    [pytest.param(one, marks=pytest.mark.live(one.name.split()[0], *one.variables), id=one.name) for one in PROVIDERS],
)


def request(live: Live, **fields: object) -> LLMRequest:
    told = (text_message(Role.USER, "Answer with the one word green."),)
    return LLMRequest.model_validate({"model": live.model, "messages": told, "max_tokens": 500, **fields})


@EACH
@MODES
async def test_text_comes_whole_and_is_priced(live: Live, streamed: bool) -> None:
    async with live.make() as client:
        response = await ask(client, request(live), streamed)
    assert "green" in response.text.lower()
    assert response.finish_reason is FinishReason.STOP
    assert response.usage.prompt_tokens > 0
    assert response.request_id


@EACH
@MODES
async def test_tool_is_called_and_its_result_is_read(live: Live, streamed: bool) -> None:
    told = text_message(Role.USER, "What is to be seen at the station? Look there once, then say it in one sentence.")
    asked = request(live, messages=(told,), tools=(LOOK,))
    async with live.make() as client:
        first = await ask(client, asked, streamed)
        result = ToolResultPart(call_id=first.tool_calls[0].call_id, name="look", text="a red locomotive")
        more = (told, first.message, Message(role=Role.TOOL, parts=(result,)))
        second = await ask(client, asked.model_copy(update={"messages": more}), streamed)
    assert (first.finish_reason, first.tool_calls[0].invalid) == (FinishReason.TOOL_CALLS, "")
    assert "locomotive" in second.text.lower()


@EACH
async def test_answer_follows_its_schema(live: Live) -> None:
    async with live.make() as client:
        response = await client.complete(request(live, response_schema=COLOUR))
    assert not any("against the schema" in note for note in response.notes)


@EACH
async def test_models_are_listed_and_tokens_counted(live: Live) -> None:
    async with live.make() as client:
        assert (await client.health()).ok
        assert await client.list_models()
        assert await client.count_tokens(request(live)) > 0


@pytest.mark.parametrize(
    "make", [pytest.param(make, marks=pytest.mark.live(name, *names), id=name) for name, names, make in EMBEDDERS]
)
async def test_query_finds_its_document(make: Callable[[], Embedder]) -> None:
    async with make() as embedder:
        query = await embedder.embed(["how do I cancel a release that hangs?"], InputKind.QUERY)
        found = await embedder.embed(["To cancel a release, open its pipeline.", "Bake the cake for an hour."])
    near, far = (sum(a * b for a, b in zip(query.vectors[0], vector, strict=True)) for vector in found.vectors)
    assert near > far
    assert found.usage.prompt_tokens > 0
