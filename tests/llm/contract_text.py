"""What the smallest adapter promises: text, whole or streamed, and every failure by its name.

`ProviderContract` adds what models do beside that: tools, reasoning, images, answers by schema.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import ClassVar

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.client import LLMClient
from pointsman.llm.errors import ProviderError
from pointsman.llm.events import (
    TextDelta,
    texts,
)
from pointsman.llm.types import (
    FinishReason,
    LLMRequest,
    LLMResponse,
)
from pointsman.sandbox.models.control import FaultKind, Hold, Outcome
from pointsman.sandbox.models.replies import Reply
from tests.llm.standin import KEY, Provider
from tests.llm.wiring import ERRORS, HELLO, MODES, Wiring, ask, until


class TextContract:
    """Inherited tests run against the adapter that `wiring` makes."""

    wiring: ClassVar[Wiring]

    @pytest_asyncio.fixture(loop_scope="module")
    async def adapter(self, provider: Provider) -> AsyncGenerator[LLMClient]:
        async with self.wiring.make(provider.root, SecretStr(KEY), timedelta(seconds=60)) as client:
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
        assert (response.cost_usd > 0) is self.wiring.is_priced
        assert response.price_version
        assert response.latency_ms > 0
        assert (response.time_to_first_token_ms is not None) is streamed

    @MODES
    @pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
    async def test_failure_is_the_same_error_everywhere(
        self, provider: Provider, adapter: LLMClient, kind: type[ProviderError], streamed: bool
    ) -> None:
        if kind not in self.wiring.faults:
            return
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
        async with self.wiring.make(provider.root, wrong, timedelta(seconds=60)) as adapter:
            with pytest.raises(errors.AuthenticationError) as caught:
                await ask(adapter, self.request(), streamed)
            assert wrong.get_secret_value() not in f"{caught.value!s}{caught.value!r}{adapter!r}"

    @MODES
    async def test_silence_is_a_timeout(self, provider: Provider, streamed: bool) -> None:
        async def asked(limit: timedelta) -> None:
            async with self.wiring.make(provider.root, SecretStr(KEY), limit) as adapter:
                with pytest.raises(errors.ProviderTimeoutError):
                    await ask(adapter, self.request(), streamed)

        await provider.falls_silent(asked)

    @MODES
    async def test_closed_port_is_a_connection_error(self, free_port: int, streamed: bool) -> None:
        async with self.wiring.make(f"http://127.0.0.1:{free_port}", SecretStr(KEY), timedelta(seconds=60)) as adapter:
            with pytest.raises(errors.ProviderConnectionError, match="nobody listens there"):
                await ask(adapter, self.request(), streamed)

    @MODES
    async def test_unknown_host_is_a_connection_error(self, monkeypatch: pytest.MonkeyPatch, streamed: bool) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)  # what resolvers do with such a name is theirs to decide
        async with self.wiring.make("http://host.invalid", SecretStr(KEY), timedelta(seconds=60)) as adapter:
            with pytest.raises(errors.ProviderConnectionError, match="has no address"):
                await ask(adapter, self.request(), streamed)

    async def test_body_that_is_no_json_is_an_invalid_response(self, provider: Provider, adapter: LLMClient) -> None:
        provider.fails(FaultKind.BAD_JSON)
        with pytest.raises(errors.InvalidResponseError):
            await adapter.complete(self.request())

    async def test_stream_that_stalls_is_a_timeout(self, provider: Provider) -> None:
        async def asked(limit: timedelta) -> None:
            async with self.wiring.make(provider.root, SecretStr(KEY), limit) as adapter:
                with pytest.raises(errors.ProviderTimeoutError):
                    await ask(adapter, self.request(), True)

        provider.says(Reply(text="one two three four"))
        await provider.falls_silent(asked, FaultKind.STALL, after=2)

    async def test_error_inside_a_stream_is_an_error(self, provider: Provider, adapter: LLMClient) -> None:
        provider.says(Reply(text="one two three four"))
        provider.fails(FaultKind.ERROR_EVENT, after=2)
        with pytest.raises(ProviderError) as caught:
            await ask(adapter, self.request(), True)
        assert caught.value.retryable

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

    async def test_provider_lists_its_models_and_is_healthy(self, adapter: LLMClient) -> None:
        assert self.wiring.model in [model.name for model in await adapter.list_models()]
        health = await adapter.health()
        assert health.ok
        assert health.latency_ms > 0

    async def test_an_unreachable_provider_is_not_healthy(self, free_port: int) -> None:
        async with self.wiring.make(f"http://127.0.0.1:{free_port}", SecretStr(KEY), timedelta(seconds=60)) as adapter:
            health = await adapter.health()
        assert not health.ok
        assert "connection failed" in health.reason

    @pytest.mark.slow(1)
    async def test_hundred_calls_at_once_all_end(self, provider: Provider, adapter: LLMClient) -> None:
        answers = await asyncio.gather(
            *(ask(adapter, self.request(), number % 2 == 0) for number in range(100)), return_exceptions=True
        )
        assert [answer for answer in answers if not isinstance(answer, LLMResponse)] == []
