"""Tools of real MCP servers, over stdio and over HTTP: checked before a call, bounded after it, back after a crash."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from pointsman.clients.mcp import Mcp, ToolAnswer
from pointsman.contracts.policy import ToolServer
from pointsman.ports import Toolbox, Unavailable
from pointsman.temporal_server import free_port
from tests.clients.mcp_rig import CONTENTS, EDGE, boxed, until
from tests.preloaded import Preloaded

# Each server is a process; most skip the imports of the SDK, which take a second or two.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

ALL = ("edge/*",)
PROGRAM = EDGE[-1]


@asynccontextmanager
async def http_server(preloaded: Preloaded) -> AsyncGenerator[str]:
    """The same program over HTTP, in a process of its own."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(preloaded.python, PROGRAM, str(port))
    try:
        await until(lambda: is_open(port))
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def is_closed(port: int) -> bool:
    return not await is_open(port)


async def is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["stdio", "http"])
async def box(request: pytest.FixtureRequest, preloaded: Preloaded) -> AsyncGenerator[Mcp]:
    """One server for all tests that leave it alive, by both ways of speaking to it."""
    if request.param == "stdio":
        async with boxed(ToolServer(name="edge", command=EDGE)) as tools:
            yield tools
    else:
        async with http_server(preloaded) as url, boxed(ToolServer(name="edge", url=url)) as tools:
            yield tools


async def call(box: Mcp, name: str, **arguments: object) -> ToolAnswer:
    return await box.call(ALL, f"edge__{name}", json.loads(json.dumps(arguments)))


async def test_tools_are_told_under_names_that_models_take(box: Mcp) -> None:
    toolbox: Toolbox = box
    known = {tool.name: tool for tool in await toolbox.definitions(ALL)}
    assert {"edge__echo", "edge__meet", "edge__odd_name_with_signs_ba240945"} <= set(known)
    assert known["edge__echo"].description == "Say it again."
    assert known["edge__echo"].parameters["required"] == ["text"]


async def test_only_allowed_tools_are_told(box: Mcp) -> None:
    assert [tool.name for tool in await box.definitions(["edge/echo", "edge/fail"])] == ["edge__echo", "edge__fail"]
    assert await box.definitions([]) == ()


async def test_call_answers(box: Mcp) -> None:
    assert await call(box, "echo", text="hi é😀 ", times=2) == ToolAnswer(True, "hi é😀 hi é😀 ")
    assert (await call(box, "odd_name_with_signs_ba240945")).text == '{\n  "one": 1\n}'


async def test_two_calls_are_under_way_at_once(box: Mcp) -> None:
    # Neither answers before both have begun.
    one, other = await asyncio.gather(call(box, "meet", size=2), call(box, "meet", size=2))
    assert (one, other) == (ToolAnswer(True, "2 met"), ToolAnswer(True, "2 met"))


async def test_tool_that_is_not_allowed_is_never_called(box: Mcp) -> None:
    answer = await box.call(["edge/echo"], "edge__die", {})
    assert not answer.ok
    assert "no tool 'edge__die'" in answer.text
    assert (await call(box, "echo", text="alive")).ok


@pytest.mark.parametrize("name", ["edge__nothing", "other__echo", "echo", "", "edge__" + "x" * 500])
async def test_unknown_tool_is_an_answer(box: Mcp, name: str) -> None:
    answer = await box.call(ALL, name, {})
    assert not answer.ok
    assert "There is no tool" in answer.text
    assert len(answer.text) < 400


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "'text' is a required property"),
        ({"text": 7}, "7 is not of type 'string'"),
        ({"text": "x", "times": "2"}, "'2' is not of type 'integer'"),
        ([], "must be a JSON object"),
        (None, "must be a JSON object"),
    ],
)
async def test_arguments_against_the_schema_are_told_and_not_sent(box: Mcp, arguments: object, said: str) -> None:
    answer = await box.call(ALL, "edge__echo", json.loads(json.dumps(arguments)))
    assert not answer.ok
    assert said in answer.text


async def test_failure_of_a_tool_is_an_answer(box: Mcp) -> None:
    answer = await call(box, "fail", reason="no such item")
    assert not answer.ok
    assert "no such item" in answer.text


async def test_fault_of_a_tool_tells_nothing_of_its_inside(box: Mcp) -> None:
    answer = await call(box, "burst")
    assert not answer.ok
    assert "internals" not in answer.text


async def test_long_result_is_stored_whole_and_shown_in_part(box: Mcp) -> None:
    whole = "äbcd" * 30_000
    answer = await call(box, "echo", text="äbcd", times=30_000)
    assert answer.ok
    assert answer.text.startswith("äbcd" * 50 + "\n[Cut here: the first 200 of 120000 characters.")
    assert answer.stored in answer.text
    assert (await CONTENTS.get(answer.stored)).decode() == whole


async def test_result_of_several_kinds_is_told_in_text(box: Mcp) -> None:
    assert (await call(box, "mixed")).text == "see\n[image, image/png, 3 bytes: not shown]\n[log: file:///log.txt]"


async def test_cancelled_call_leaves_the_connection_in_use(box: Mcp) -> None:
    begun, stopped = [int((await call(box, name)).text) for name in ("sleeps", "stops")]
    process = await call(box, "pid")
    sleeping = asyncio.create_task(call(box, "sleep", seconds=60))
    await until(lambda: counted(box, "sleeps", begun + 1))
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    await until(lambda: counted(box, "stops", stopped + 1))
    assert await call(box, "pid") == process


async def counted(box: Mcp, what: str, wanted: int) -> bool:
    return int((await call(box, what)).text) >= wanted


async def test_http_server_that_goes_away_is_unavailable_and_then_back(preloaded: Preloaded) -> None:
    async with http_server(preloaded) as url:
        box = Mcp([ToolServer(name="edge", url=url)], {}, CONTENTS)
        first = int((await call(box, "pid")).text)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(Unavailable):
            await call(box, "echo", text="x")
        port = url.split(":")[2].split("/")[0]
        await until(lambda: is_closed(int(port)))  # who is killed may answer for a moment yet
        again = await asyncio.create_subprocess_exec(preloaded.python, PROGRAM, port)
        await until(lambda: is_open(int(port)))
        assert (await call(box, "echo", text="back")).ok
        await box.aclose()
        again.kill()
        await again.wait()
