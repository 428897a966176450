"""`pointsman llm ... --through URL`: the same answers, streams and errors by way of a service that runs."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from pointsman.config import Settings, load
from pointsman.llm.events import StreamFinished, TextDelta
from pointsman.llm.types import ImagePart, LLMRequest, Message, ModelTier, Role, TextPart, ToolSpec, text_message
from pointsman.sandbox.models.control import FaultKind, Outcome, Script
from pointsman.sandbox.models.replies import Call, Reply
from pointsman.store.engine import Store
from starter.cli.app import run
from starter.cli.errors import CliError, ExitCode
from starter.cli.through import parameters, through
from starter.web.rpc.callers import token_for
from starter.web.rpc.parameters import Ask
from starter.web.rpc.streams import StreamRules, Streams
from tests.llm.standin import Provider
from tests.starter.rpc.rig import ADAS_TOKEN, ENTRIES, NEXT_TOKEN, OTHERS_TOKEN, TOKEN, Rpc, endpoint, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = LLMRequest(model="gpt-6-luna", messages=(text_message(Role.USER, "Hello"),), max_tokens=20_000)
WORDS = " ".join(f"word{number}" for number in range(120))


def settings(*tokens: str) -> Settings:
    return load(rpc_tokens=[SecretStr(token) for token in tokens or ENTRIES])


class Flaky:
    """Stands between a client and the service, and breaks the first connection after so many bytes of answers."""

    def __init__(self, url: str, bytes_max: int) -> None:
        self._service = urlsplit(url)
        self._left = bytes_max
        self.connections = 0

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[str]:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, here = await asyncio.open_connection(self._service.hostname, self._service.port)
        asking = asyncio.ensure_future(self._ask(reader, here))
        with suppress(ConnectionError):
            while piece := await there.read(256):
                writer.write(piece)
                await writer.drain()
                self._left -= len(piece)
                if self.connections == 1 and self._left < 0:
                    break
        asking.cancel()
        writer.transport.abort()
        here.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, here: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(65_536):
                here.write(piece)


async def test_an_answer_comes_back_whole(rpc: Rpc) -> None:
    rpc.provider.says(Reply(text="Blue.", reasoning="Think."))
    async with through(rpc.url, settings()) as service:
        response = await service.complete(HELLO)
    assert (response.text, response.provider, response.model) == ("Blue.", "openai", "gpt-6-luna")
    assert response.cost_usd > 0
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens
    assert rpc.provider.last.metadata["tenant"] == "north"


async def test_all_that_a_request_says_is_among_the_parameters() -> None:
    picture = Message(role=Role.USER, parts=(TextPart(text="What is it?"), ImagePart(data=b"\x89PNG")), cache=True)
    asked = HELLO.model_copy(
        update={
            "messages": (*HELLO.messages, picture),
            "tools": (ToolSpec(name="look"),),
            "parallel_tool_calls": False,
            "stop": ("END",),
            "user": "ada",
            "budget": "trial",
        }
    )
    told = Ask.model_validate(json.loads(json.dumps(parameters(asked, ("mistral",)))))
    assert (told.prefer, told.user, told.budget, told.parallel_tool_calls) == (("mistral",), "ada", "trial", False)
    assert (told.messages, told.tools, told.stop) == (asked.messages, asked.tools, asked.stop)


async def test_a_stream_tells_the_same_events_and_ends_with_the_response(rpc: Rpc) -> None:
    rpc.provider.says(Reply(text="I look.", calls=(Call(name="look", arguments={"at": "é\n\u2028"}),)))
    asked = HELLO.model_copy(update={"tools": (ToolSpec(name="look"),)})
    async with through(rpc.url + "/rpc", settings()) as service:
        events = [event async for event in service.stream(asked)]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "I look."
    assert isinstance(last := events[-1], StreamFinished)
    assert [call.arguments for call in last.response.tool_calls] == [{"at": "é\n\u2028"}]
    assert {"started", "tool_call_started", "tool_call_complete", "finished"} <= {event.kind for event in events}


async def test_a_stream_whose_connection_breaks_goes_on_where_it_was(rpc: Rpc) -> None:
    rpc.provider.says(Reply(text=WORDS))
    between = Flaky(rpc.url, 4_000)
    async with between.serving() as url, through(url, settings()) as service:
        events = [event async for event in service.stream(HELLO)]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == WORDS
    assert isinstance(events[-1], StreamFinished)
    assert between.connections >= 2
    assert len(rpc.provider.control.seen) == 1


async def test_a_stream_that_is_left_ends_the_call_of_the_model(shared_store: Store, provider: Provider) -> None:
    provider.control.scripts.append(Script(replies=[Reply(text=WORDS * 100)]))
    patient = Streams(StreamRules(linger=timedelta(hours=1)))  # by itself the service would not end it
    async with (
        endpoint(shared_store, provider, patient) as running,
        through(running.url, settings()) as service,
        aclosing(service.stream(HELLO)) as events,
    ):
        async for event in events:
            if isinstance(event, TextDelta):
                break
        await events.aclose()
        await until(lambda: provider.last.outcome is Outcome.ABORTED)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("model", "code", "exit_code", "told"),
    [
        ("gpt-7", "not_allowed", ExitCode.POLICY, "is not among the known models"),
        ("claude-3-opus", "retired", ExitCode.POLICY, "claude-opus-5-5"),
        ("claude-haiku-5-5", "no_key", ExitCode.UNAUTHORISED, "ANTHROPIC_API_KEY"),
    ],
)
async def test_an_error_is_told_as_it_is_here(
    rpc: Rpc, model: str, code: str, exit_code: ExitCode, told: str, streamed: bool
) -> None:
    error = await failure(rpc.url, settings(), HELLO.model_copy(update={"model": model}), streamed)
    assert (error.code, error.exit_code, told in error.message) == (code, exit_code, True), error.message


async def test_a_limit_says_when_to_come_back(alone: Rpc) -> None:
    alone.provider.fails(FaultKind.STATUS, status=429, code="rate_limit_exceeded", retry_after="300", count=9)
    error = await failure(alone.url, settings(), HELLO)
    assert (error.code, error.retryable) == ("rate_limited", True)
    assert "again in 300 s" in error.message


async def failure(url: str, given: Settings, asked: LLMRequest, streamed: bool = False) -> CliError:
    with pytest.raises(CliError) as caught:
        async with through(url, given) as service:
            await (anext(service.stream(asked)) if streamed else service.complete(asked))
    assert TOKEN not in caught.value.message + caught.value.hint
    return caught.value


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_a_token_that_is_not_theirs_is_told(rpc: Rpc, streamed: bool) -> None:
    error = await failure(rpc.url, settings(f"north:{TOKEN}-not"), HELLO, streamed)
    assert (error.code, error.exit_code) == ("no_token", ExitCode.UNAUTHORISED)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_where_no_service_is_that_is_told(rpc: Rpc, free_port: int, streamed: bool) -> None:
    error = await failure(f"http://127.0.0.1:{free_port}", settings(), HELLO, streamed)
    assert (error.code, error.retryable) == ("unreachable", True)
    stranger = await failure(rpc.provider.root, settings(), HELLO, streamed)
    assert (stranger.code, "and no JSON-RPC" in stranger.message) == ("no_service", True)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://models.example.com", "without TLS"),
        ("models.example.com", "is no address"),
        ("https://ada:word@models.example.com", "is no address"),
    ],
)
async def test_a_token_goes_to_no_address_where_others_may_read_it(url: str, told: str) -> None:
    with pytest.raises(CliError, match=told) as caught:
        async with through(url, settings()):
            raise AssertionError("it was opened")
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("tenant", "user", "token"),
    [
        ("", "", TOKEN),
        ("north", "", TOKEN),
        ("south", "", OTHERS_TOKEN),
        ("north", "ada", TOKEN),
        ("east", "", None),
    ],
)
async def test_the_token_is_that_of_whom_it_is_asked_for(tenant: str, user: str, token: str | None) -> None:
    found = token_for([SecretStr(entry) for entry in ENTRIES], tenant, user)
    assert (found.get_secret_value() if found else None) == token
    assert {TOKEN, NEXT_TOKEN, OTHERS_TOKEN, ADAS_TOKEN} >= ({token} if token else set())


async def test_without_a_token_nothing_is_sent(rpc: Rpc) -> None:
    with pytest.raises(CliError, match="no token that speaks for tenant 'east' in POINTSMAN_RPC_TOKENS") as caught:
        async with through(rpc.url, settings(), "east"):
            raise AssertionError("it was opened")
    assert caught.value.exit_code == ExitCode.UNAUTHORISED


async def test_the_models_of_a_tier_are_those_that_the_service_may_use(rpc: Rpc) -> None:
    async with through(rpc.url, settings()) as service:
        assert await service.of_tier(ModelTier.FAST) == ["gpt-6-luna", "mistral-small-2603"]


async def test_the_command_line_asks_through_the_service_and_needs_no_key(
    rpc: Rpc, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_RPC_TOKENS", ENTRIES[0])
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    rpc.provider.says(Reply(text="Blue."), Reply(text="Blue."))
    words = ("Which colour?", "--model", "gpt-6-luna", "--through", rpc.url)
    assert await asyncio.to_thread(run, ["llm", "complete", *words]) == ExitCode.OK
    answered = capsys.readouterr()
    assert (answered.out, "in this process only" in answered.err) == ("Blue.\n", False)
    assert await asyncio.to_thread(run, ["llm", "stream", *words]) == ExitCode.OK
    assert capsys.readouterr().out == "Blue.\n"
    assert await asyncio.to_thread(run, ["llm", "compare", "Hello", "--tier", "fast", "--through", rpc.url]) == 0
    told = capsys.readouterr()
    assert [line.split("\t")[0] for line in told.out.splitlines()] == ["gpt-6-luna", "mistral-small-2603"]
    assert "2 of 2 answered" in told.err
    assert rpc.provider.last.metadata["tenant"] == "north"
