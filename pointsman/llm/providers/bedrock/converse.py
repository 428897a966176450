"""Amazon Bedrock's Converse and ConverseStream, through boto3 with its retries off.

boto3 only waits, so that each call has a thread while it is under way, of at most `CALLS_MAX`; those beyond wait for
one. Events of a stream come through a bounded pipe: a slow consumer slows the thread, which slows the sender.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from pointsman.contracts.base import Json
from pointsman.llm.client import Health, ListedModel, LLMClient, healthy
from pointsman.llm.errors import InvalidRequestError, ProviderError
from pointsman.llm.estimates import estimate_tokens
from pointsman.llm.events import StreamEvent, StreamFinished, UsageReported
from pointsman.llm.lenient import count_of, date_of, object_of, objects, text_of
from pointsman.llm.providers.bedrock.calls import Calls, Told
from pointsman.llm.providers.bedrock.connections import Exchange
from pointsman.llm.providers.bedrock.credentials import AwsCredentials
from pointsman.llm.providers.bedrock.faults import BROKEN, SILENT, UNREADABLE
from pointsman.llm.providers.bedrock.models import base_model
from pointsman.llm.providers.bedrock.pipe import Pipe, PipeClosed
from pointsman.llm.providers.bedrock.reply import Reading, plain
from pointsman.llm.providers.bedrock.request import parameters_of
from pointsman.llm.types import LLMRequest, LLMResponse

PIECES_MAX = 64
"""Events of a stream that wait to be taken."""
# The end of the body follows the last event at once; waiting for it lets the connection be used again.
DRAIN_TIMEOUT = timedelta(milliseconds=250)
PROFILES_PAGE = 1_000
_FIRST: Told = MappingProxyType({})


class BedrockConverse(LLMClient):
    """Bedrock in one region, under one set of credentials; None takes those of the AWS chain.

    `base_url` is another server that speaks Bedrock's API. `timeout` is the longest silence: from the request to its
    answer, and between two pieces of a stream.
    """

    provider = "bedrock"

    def __init__(
        self,
        credentials: AwsCredentials | None,
        region: str,
        base_url: str | None = None,
        timeout: timedelta = timedelta(seconds=60),
    ) -> None:
        self._calls = Calls(credentials, region, base_url, timeout)

    def __repr__(self) -> str:
        return f"BedrockConverse({self._calls.where})"

    async def aclose(self) -> None:
        self._calls.close()

    async def complete(self, request: LLMRequest) -> LLMResponse:
        parameters = parameters_of(request, self.provider)
        reading = self._reading(request, parameters.notes)
        answer = await self._calls.ask("bedrock-runtime", "converse", parameters.content, request.model)
        reading.attempt.request_id = _request_id(answer)
        reading.take_whole(answer)
        return await reading.finish(streamed=False)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        parameters = parameters_of(request, self.provider)
        reading = self._reading(request, parameters.notes)
        pipe = Pipe[Told](PIECES_MAX)
        with self._calls.exchange(request.model) as exchange:
            self._calls.threads.submit(self._read, parameters.content, exchange, pipe)
            try:
                reading.attempt.request_id = await self._opened(pipe, request.model)
                async for event in self._events(pipe, reading):
                    for said in reading.take(event):
                        yield said
                if not reading.ended:
                    raise reading.attempt.truncated("the stream ended without its terminal event")
            finally:
                exchange.end()
                pipe.close()
        response = await reading.finish(streamed=True)
        yield UsageReported(usage=response.usage)
        yield StreamFinished(response=response)

    async def count_tokens(self, request: LLMRequest) -> int:
        """As the service counts them, which it does for some models only; of others they are estimated."""
        told = {"modelId": base_model(request.model), "input": {"converse": parameters_of(request, "bedrock").counted}}
        try:
            count = await self._calls.ask("bedrock-runtime", "count_tokens", told, request.model)
        except InvalidRequestError as error:
            if "counting tokens" not in error.reason:
                raise
            return estimate_tokens(request)
        return count_of(count, "inputTokens")

    async def list_models(self) -> Sequence[ListedModel]:
        """The models, and the inference profiles that lead to them: most models are called by those only."""
        answer = await self._calls.ask("bedrock", "list_foundation_models", {}, "")
        told = {text_of(model, "modelId"): model for model in objects(answer.get("modelSummaries"))}
        profiles = [text_of(profile, "inferenceProfileId") for profile in await self._profiles()]
        bases = [_listed(name, model, is_called=_is_called_itself(model)) for name, model in told.items()]
        reached = [_listed(name, told.get(base_model(name), {}), is_called=True) for name in profiles]
        return [model for model in (*bases, *reached) if model.name]

    async def health(self) -> Health:
        return await healthy(lambda: self._listed_profiles(1))

    async def _profiles(self) -> Sequence[Told]:
        profiles: list[Told] = []
        after: dict[str, Json] = {}
        while True:
            page = await self._calls.ask(
                "bedrock", "list_inference_profiles", {"maxResults": PROFILES_PAGE, **after}, ""
            )
            profiles += objects(page.get("inferenceProfileSummaries"))
            token = text_of(page, "nextToken")
            if not token or after.get("nextToken") == token:
                return profiles
            after = {"nextToken": token}

    async def _listed_profiles(self, count: int, after: Told = _FIRST) -> Told:
        return await self._calls.ask("bedrock", "list_inference_profiles", {"maxResults": count, **after}, "")

    def _read(self, parameters: dict[str, Any], exchange: Exchange, pipe: Pipe[Told]) -> None:
        """In a thread: put the answer's beginning into the pipe, then its events."""
        try:
            with exchange.current():
                answer = self._calls.services.ask("bedrock-runtime", "converse_stream", parameters)
                events = answer.pop("stream")
                try:
                    pipe.put(_object(answer))
                    for event in events:
                        pipe.put(_object(event))
                finally:
                    events.close()
        except PipeClosed:
            return
        except Exception as error:
            pipe.finish(error)
        else:
            pipe.finish()

    async def _opened(self, pipe: Pipe[Told], model: str) -> str:
        """The request's id, when the answer begins."""
        try:
            return _request_id(await anext(pipe))
        except Exception as error:
            raise self._calls.faults(model).of_exception(error) from None

    async def _events(self, pipe: Pipe[Told], reading: Reading) -> AsyncGenerator[Told]:
        """The events as far as they tell something; what goes wrong after the last of them does not matter."""
        while not (reading.ended and reading.counted):
            try:
                event = await anext(pipe)
            except StopAsyncIteration:
                return
            except Exception as error:
                if reading.ended:
                    return
                raise self._broken(error, reading) from None
            yield event
        with suppress(TimeoutError, StopAsyncIteration, *BROKEN, *UNREADABLE):
            async with asyncio.timeout(DRAIN_TIMEOUT.total_seconds()):
                while True:
                    await anext(pipe)

    def _broken(self, error: Exception, reading: Reading) -> ProviderError:
        """What ended a stream before its time."""
        attempt = reading.attempt
        if isinstance(error, SILENT):
            return attempt.silent(self._calls.timeout)
        if isinstance(error, BROKEN):
            return attempt.truncated(f"the connection broke in the middle of the stream: {type(error).__name__}")
        if isinstance(error, UNREADABLE):
            return attempt.invalid(f"an event of the stream cannot be read: {type(error).__name__}")
        return attempt.billed(self._calls.faults(reading.model).of_exception(error, attempt.request_id))

    def _reading(self, request: LLMRequest, notes: Sequence[str]) -> Reading:
        return Reading(self.begin(request, notes), self.provider, request.model)


def _listed(name: str, model: Told, *, is_called: bool) -> ListedModel:
    """The model by one of its names; `is_called` by that one."""
    inputs, outputs = model.get("inputModalities"), model.get("outputModalities")
    speaks = "TEXT" in outputs if isinstance(outputs, list) else None
    return ListedModel(
        name=name,
        shutdown_on=date_of(object_of(model, "modelLifecycle"), "endOfLifeTime"),
        can={"images": "IMAGE" in inputs} if isinstance(inputs, list) else {},
        answers=speaks if is_called else False,
    )


def _is_called_itself(model: Told) -> bool:
    """Whether it is called by its own id, not only by inference profiles that lead to it."""
    ways = model.get("inferenceTypesSupported")
    return not isinstance(ways, list) or "ON_DEMAND" in ways


def _object(value: object) -> Told:
    told = plain(value)
    return told if isinstance(told, dict) else {}


def _request_id(answer: Told) -> str:
    return text_of(object_of(answer, "ResponseMetadata"), "RequestId")
