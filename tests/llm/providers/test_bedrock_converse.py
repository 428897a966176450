"""Bedrock's threads and connections: their pace, how calls end, and who signs."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.events import TextDelta
from pointsman.llm.providers.bedrock.converse import BedrockConverse
from pointsman.llm.providers.bedrock.credentials import AwsCredentials, credentials_of
from pointsman.llm.settings import LLMSettings
from pointsman.llm.setup import factories, keys_of
from pointsman.llm.types import LLMRequest, Role, text_message
from pointsman.sandbox.models.bedrock_converse.frames import STREAM_TYPE, event
from pointsman.sandbox.models.bedrock_converse.signing import ACCESS_KEY_ID
from pointsman.sandbox.models.control import FaultKind, Hold, Outcome
from pointsman.sandbox.models.replies import Reply
from tests.llm.standin import KEY, Provider
from tests.llm.wiring import MODES, ask, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "global.anthropic.claude-haiku-5-5"
REQUEST = LLMRequest(model=MODEL, messages=(text_message(Role.USER, "hello"),))
OWN = AwsCredentials(access_key_id=ACCESS_KEY_ID, secret_access_key=SecretStr(KEY))
TOKEN = "FwoGZXIvYXdzEBYaDA"
PIECE = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x" * 64 * 1024}})
WHOLE_BYTES, HELD_BYTES_MAX = 100_000_000, 30_000_000  # pieces that wait and the system's buffers are within


def adapter_of(root: str, timeout: timedelta = timedelta(seconds=60)) -> BedrockConverse:
    return BedrockConverse(OWN, "us-east-1", f"{root}/bedrock", timeout)


def threads() -> int:
    return sum(thread.name.startswith("bedrock") for thread in threading.enumerate())


@asynccontextmanager
async def serving(
    respond: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncGenerator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await respond(reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_slow_reader_slows_the_provider() -> None:
    sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {STREAM_TYPE}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        while sent < WHOLE_BYTES:
            writer.write(f"{len(PIECE):x}\r\n".encode() + PIECE + b"\r\n")
            await writer.drain()
            sent += len(PIECE)

    async with serving(flood) as url, adapter_of(url) as adapter:
        stream = adapter.stream(REQUEST)
        async for told in stream:
            if isinstance(told, TextDelta):
                break
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)
        assert 0 < sent < HELD_BYTES_MAX
        await stream.aclose()
    await until(lambda: threads() == 0)


async def test_ended_calls_leave_no_thread_at_work(provider: Provider) -> None:
    provider.control.add_hold(Hold(count=5))
    async with adapter_of(provider.root) as adapter:
        calls = [asyncio.create_task(ask(adapter, REQUEST, number % 2 == 0)) for number in range(5)]
        await until(lambda: [seen.outcome for seen in provider.control.seen] == [Outcome.HELD] * 5)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: all(seen.outcome is Outcome.ABORTED for seen in provider.control.seen))
    assert [call.cancelled() for call in calls] == [True] * 5
    await until(lambda: threads() == 0)


@MODES
async def test_closing_the_client_fails_what_is_under_way(provider: Provider, streamed: bool) -> None:
    provider.control.add_hold(Hold())
    adapter = adapter_of(provider.root)
    call = asyncio.create_task(ask(adapter, REQUEST, streamed))
    await until(lambda: bool(provider.control.seen) and provider.last.outcome is Outcome.HELD)
    await adapter.aclose()
    with pytest.raises(errors.ProviderConnectionError):
        await call
    with pytest.raises(errors.ProviderConnectionError):
        await ask(adapter, REQUEST, streamed)


async def test_connections_are_used_again() -> None:
    ports: set[int] = set()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports.add(writer.get_extra_info("peername")[1])
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
            told = event("messageStop", {"stopReason": "end_turn"}) + event("metadata", {"usage": {"totalTokens": 0}})
            body = f"{len(told):x}\r\n".encode() + told + b"\r\n0\r\n\r\n"
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body)

    async with serving(respond) as url, adapter_of(url) as adapter:
        for _ in range(4):
            await ask(adapter, REQUEST, True)
        assert len(ports) == 1


async def test_time_between_two_pieces_is_limited_and_the_whole_is_not(provider: Provider) -> None:
    async def asked(limit: timedelta) -> None:
        async with adapter_of(provider.root, limit) as adapter:
            with pytest.raises(
                errors.ProviderTimeoutError, match=f"nothing more arrived for {limit.total_seconds():g} s"
            ):
                await ask(adapter, REQUEST, True)

    provider.says(Reply(text="one two three four"))
    await provider.falls_silent(asked, FaultKind.STALL, after=2)


async def test_tokens_of_a_model_that_bedrock_does_not_count_are_estimated(provider: Provider) -> None:
    async with adapter_of(provider.root) as adapter:
        exact = await adapter.count_tokens(REQUEST)
        nova = REQUEST.model_copy(update={"model": "us.amazon.nova-2-lite-v1:0"})
        assert await adapter.count_tokens(nova) > exact
        wrong = REQUEST.model_copy(update={"messages": (text_message(Role.SYSTEM, " "),)})
        with pytest.raises(errors.InvalidRequestError):
            await adapter.count_tokens(wrong)


async def test_profiles_end_with_their_models(provider: Provider) -> None:
    async with adapter_of(provider.root) as adapter:
        ends = {model.name: model.shutdown_on for model in await adapter.list_models()}
    assert str(ends["us.anthropic.claude-sonnet-4-5-20250929-v1:0"]) == "2026-11-30"
    assert ends[MODEL] is None


async def test_a_model_that_is_reached_by_profiles_answers_by_those_alone(provider: Provider) -> None:
    async with adapter_of(provider.root) as adapter:
        listed = {model.name: model for model in await adapter.list_models()}
    assert listed["anthropic.claude-haiku-5-5"].answers is False
    assert listed["us.anthropic.claude-haiku-5-5"].answers is True
    assert listed["us.anthropic.claude-haiku-5-5"].can == {"images": True}


async def test_request_that_boto3_does_not_send_says_nothing_of_the_conversation(provider: Provider) -> None:
    async with adapter_of(provider.root) as adapter:
        with pytest.raises(errors.InvalidRequestError) as caught:
            await adapter.complete(REQUEST.model_copy(update={"model": ""}))
    assert "boto3 does not send this: ParamValidationError" in str(caught.value)


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An AWS chain with nothing in it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


async def test_aws_chain_signs_where_no_credentials_are_given(chain: pytest.MonkeyPatch, provider: Provider) -> None:
    settings = LLMSettings(aws_region="us-east-1", bedrock_base_url=f"{provider.root}/bedrock", _env_file=None)
    key = await keys_of(settings).find("bedrock", "", "")
    async with factories(settings)["bedrock"](key.secret) as adapter:
        with pytest.raises(errors.AuthenticationError, match="no AWS credentials to sign with: NoCredentialsError"):
            await adapter.complete(REQUEST)
    chain.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    chain.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    async with factories(settings)["bedrock"](key.secret) as adapter:
        assert (await adapter.complete(REQUEST)).text
    assert "bedrock" not in repr(keys_of(LLMSettings(_env_file=None)))


async def test_given_credentials_stand_above_a_token_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, provider: Provider
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "somebody-elses")
    async with adapter_of(provider.root) as adapter:
        assert (await adapter.complete(REQUEST)).text


async def test_session_token_goes_with_the_signature(provider: Provider) -> None:
    given = credentials_of(SecretStr(f"{ACCESS_KEY_ID}:{KEY}:{TOKEN}"))
    async with BedrockConverse(given, "us-east-1", f"{provider.root}/bedrock") as adapter:
        assert (await adapter.complete(REQUEST)).text


async def test_https_goes_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port}")
    monkeypatch.setenv("no_proxy", "")
    async with BedrockConverse(OWN, "us-east-1", "https://bedrock.example", timedelta(seconds=2)) as adapter:
        assert "ProxyError" in (await adapter.health()).reason
