"""How each peer is asked for the same answer, as its documentation shows it, with retries off and one client for all.

Each is imported by name and only when it is wanted: none of them is a dependency of ours.
"""

from collections.abc import AsyncIterator, Mapping
from importlib import import_module
from typing import Any, Protocol

KEY = "sk-bench-0000000000000000"
MODEL = "gpt-6-luna"
SYSTEM = "You set the points. Answer in one sentence, and name the track. " * 4
USER = "Train 7 waits at the signal box for a track that is clear. Which one does it take, and why? " * 4
OUTPUT_TOKENS = 256
MESSAGES = ({"role": "system", "content": SYSTEM}, {"role": "user", "content": USER})


class Contender(Protocol):
    """One client of a server at `url`, which ends in the version of the API (`/v1`)."""

    def __init__(self, url: str) -> None: ...

    async def call(self) -> str:
        """The text of a whole answer."""

    def stream(self) -> AsyncIterator[str]:
        """The text of a streamed answer, piece by piece."""


class OpenAISDK:
    """OpenAI's SDK as it comes: Chat Completions over httpx2."""

    def __init__(self, url: str) -> None:
        self._client = self._made(url)

    def _made(self, url: str) -> Any:
        return import_module("openai").AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0)

    async def aclose(self) -> None:
        await self._client.close()

    async def call(self) -> str:
        answer = await self._client.chat.completions.create(
            model=MODEL, messages=list(MESSAGES), max_completion_tokens=OUTPUT_TOKENS
        )
        return str(answer.choices[0].message.content)

    async def stream(self) -> AsyncIterator[str]:
        chunks = await self._client.chat.completions.create(
            model=MODEL,
            messages=list(MESSAGES),
            max_completion_tokens=OUTPUT_TOKENS,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in chunks:
            for choice in chunk.choices:
                yield choice.delta.content or ""


class OpenAISDKOverAiohttp(OpenAISDK):
    """The same over the transport that we use."""

    def _made(self, url: str) -> Any:
        sdk = import_module("openai")
        return sdk.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0, http_client=sdk.DefaultAioHttpClient())


class OpenAIResponsesSDK(OpenAISDKOverAiohttp):
    """The same, but the Responses API."""

    async def call(self) -> str:
        answer = await self._client.responses.create(
            model=MODEL, instructions=SYSTEM, input=USER, max_output_tokens=OUTPUT_TOKENS, store=False
        )
        return str(answer.output_text)

    async def stream(self) -> AsyncIterator[str]:
        events = await self._client.responses.create(
            model=MODEL, instructions=SYSTEM, input=USER, max_output_tokens=OUTPUT_TOKENS, store=False, stream=True
        )
        async for event in events:
            if event.type == "response.output_text.delta":
                yield event.delta


class LiteLLM:
    def __init__(self, url: str) -> None:
        self._litellm = import_module("litellm")
        self._where = {"api_key": KEY, "api_base": url, "num_retries": 0, "max_retries": 0}

    async def call(self) -> str:
        answer = await self._litellm.acompletion(
            model=f"openai/{MODEL}", messages=list(MESSAGES), max_tokens=OUTPUT_TOKENS, **self._where
        )
        return str(answer.choices[0].message.content)

    async def stream(self) -> AsyncIterator[str]:
        chunks = await self._litellm.acompletion(
            model=f"openai/{MODEL}", messages=list(MESSAGES), max_tokens=OUTPUT_TOKENS, stream=True, **self._where
        )
        async for chunk in chunks:
            for choice in chunk.choices:
                yield choice.delta.content or ""


class PydanticAI:
    """Its model layer, `pydantic_ai.direct`: an Agent around it costs more."""

    def __init__(self, url: str) -> None:
        client = import_module("openai").AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0)
        provider = import_module("pydantic_ai.providers.openai").OpenAIProvider(openai_client=client)
        self._model = import_module("pydantic_ai.models.openai").OpenAIChatModel(MODEL, provider=provider)
        self._direct = import_module("pydantic_ai.direct")
        self._said = import_module("pydantic_ai.messages")
        self._settings = {"max_tokens": OUTPUT_TOKENS}

    def _messages(self) -> list[Any]:
        parts = [self._said.SystemPromptPart(content=SYSTEM), self._said.UserPromptPart(content=USER)]
        return [self._said.ModelRequest(parts=parts)]

    async def call(self) -> str:
        answer = await self._direct.model_request(self._model, self._messages(), model_settings=self._settings)
        return str(answer.parts[0].content)

    async def stream(self) -> AsyncIterator[str]:
        opened = self._direct.model_request_stream(self._model, self._messages(), model_settings=self._settings)
        async with opened as events:
            async for event in events:
                part = getattr(event, "delta", None) or getattr(event, "part", None)
                yield getattr(part, "content_delta", None) or getattr(part, "content", None) or ""


class LangChain:
    def __init__(self, url: str) -> None:
        made = import_module("langchain_openai").ChatOpenAI
        self._model = made(
            model=MODEL, api_key=KEY, base_url=url, max_retries=0, max_tokens=OUTPUT_TOKENS, use_responses_api=False
        )

    async def call(self) -> str:
        return str((await self._model.ainvoke([("system", SYSTEM), ("user", USER)])).text)

    async def stream(self) -> AsyncIterator[str]:
        async for chunk in self._model.astream([("system", SYSTEM), ("user", USER)]):
            yield str(chunk.text)


class AnyLLM:
    """Its class, which keeps its client: its module's functions make a new one for each call."""

    def __init__(self, url: str) -> None:
        self._client = import_module("any_llm").AnyLLM.create("openai", api_key=KEY, api_base=url, max_retries=0)

    async def call(self) -> str:
        answer = await self._client.acompletion(model=MODEL, messages=list(MESSAGES), max_tokens=OUTPUT_TOKENS)
        return str(answer.choices[0].message.content)

    async def stream(self) -> AsyncIterator[str]:
        chunks = await self._client.acompletion(
            model=MODEL, messages=list(MESSAGES), max_tokens=OUTPUT_TOKENS, stream=True
        )
        async for chunk in chunks:
            for choice in chunk.choices:
                yield choice.delta.content or ""


PEERS: Mapping[str, type[Contender]] = {
    "sdk": OpenAISDK,
    "sdk-aiohttp": OpenAISDKOverAiohttp,
    "sdk-responses": OpenAIResponsesSDK,
    "litellm": LiteLLM,
    "pydantic-ai": PydanticAI,
    "langchain": LangChain,
    "any-llm": AnyLLM,
}
OURS = ("pointsman", "pointsman-responses")


def contender(name: str) -> type[Contender]:
    """Ours are read from a module of their own, which no peer's environment could import."""
    if name in PEERS:
        return PEERS[name]
    made: type[Contender] = import_module("bench.llm.ours").CONTENDERS[name]
    return made
