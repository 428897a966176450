"""A connection's life, with a server of the older protocol: it starts when needed, and comes back after it went."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from mcp.client import stdio

from pointsman.clients import mcp_connection
from pointsman.clients.mcp import Mcp, ToolAnswer
from pointsman.contracts.policy import ToolServer
from pointsman.ports import Rejected, Unavailable
from tests.clients.mcp_rig import PLAIN, boxed, gone, until

ALL = ("plain/*",)


def plain(**fields: object) -> ToolServer:
    return ToolServer.model_validate({"name": "plain", "command": PLAIN, **fields})


PLAIN_SERVER = plain()


async def call(box: Mcp, name: str, **arguments: str) -> ToolAnswer:
    return await box.call(ALL, f"plain__{name}", dict(arguments))


async def test_all_pages_of_a_list_are_read() -> None:
    async with boxed(PLAIN_SERVER) as box:
        names = [tool.tool for tool in await box.definitions(ALL)]
    assert len(names) == len(set(names)) == 10


async def test_tool_that_a_server_learns_is_known_at_once() -> None:
    async with boxed(PLAIN_SERVER) as box:
        assert not (await call(box, "juggle")).ok
        await call(box, "learn", tool="juggle")
        await until(lambda: known(box, "juggle"))
        assert (await call(box, "juggle")).ok


async def known(box: Mcp, tool: str) -> bool:
    return tool in [known.tool for known in await box.definitions(ALL)]


async def test_two_who_come_first_share_one_server() -> None:
    async with boxed(PLAIN_SERVER) as box:
        one, other = await asyncio.gather(call(box, "pid"), call(box, "pid"))
    assert one == other


async def test_text_that_is_no_text_is_mended_and_its_answer_is_heard() -> None:
    async with boxed(plain(timeout=timedelta(seconds=60))) as box:
        half, raw = await call(box, "half"), await call(box, "bytes")
    assert half == ToolAnswer(True, "train \N{REPLACEMENT CHARACTER} at\N{REPLACEMENT CHARACTER} noon")
    assert raw == ToolAnswer(True, '"train \N{REPLACEMENT CHARACTER}"')


async def test_trouble_of_the_server_itself_is_an_answer_and_not_the_end() -> None:
    async with boxed(PLAIN_SERVER) as box:
        before = await call(box, "pid")
        answer = await call(box, "own_fault")
        assert answer == ToolAnswer(False, "plain__own_fault was refused by its server: the server's own trouble")
        assert await call(box, "pid") == before


async def test_answer_against_the_protocol_is_said_to_be() -> None:
    async with boxed(PLAIN_SERVER) as box:
        answer = await call(box, "nonsense")
        assert answer == ToolAnswer(False, "plain__nonsense answered what its own description does not allow.")
        assert (await call(box, "pid")).ok


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK ends a server that does not end by itself after a shorter while."""
    monkeypatch.setattr(stdio, "PROCESS_TERMINATION_TIMEOUT", 0.05)


@pytest.mark.usefixtures("impatient")
async def test_caller_who_does_not_wait_for_the_start_leaves_no_process(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    async with boxed(PLAIN_SERVER, SILENT=str(note)) as box:
        starting = asyncio.create_task(box.definitions(ALL))
        await until(lambda: written(note))
        process = int(noted(note))
        assert not await gone(process)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert await gone(process)


async def written(note: Path) -> bool:
    return bool(noted(note))


def noted(note: Path) -> str:
    return note.read_text() if note.exists() else ""


async def test_call_over_its_time_is_stopped_and_said_to_be() -> None:
    async with boxed(plain(timeout=timedelta(milliseconds=300))) as box:
        await until(lambda: counted_in_time(box, 0))
        answer = await call(box, "sleep")
        assert answer == ToolAnswer(
            False, "plain__sleep took longer than 0.3 s and was stopped. Ask for less, or do without."
        )
        await until(lambda: counted_in_time(box, 1))


async def counted_in_time(box: Mcp, stops: int) -> bool:
    """The server's other answers have as little time: on a busy machine, one may be too late."""
    try:
        answer = await call(box, "stops")
    except Unavailable:
        return False
    return answer.ok and int(answer.text) >= stops


async def test_process_gets_what_it_is_given_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_SECRET_OF_OURS", "x")
    async with boxed(PLAIN_SERVER, GREETING="hello") as box:
        answer = await call(box, "variables")
    assert '"GREETING"' in answer.text
    assert '"PATH"' in answer.text
    assert "POINTSMAN" not in answer.text


async def test_server_that_dies_in_a_call_is_unavailable_and_then_back() -> None:
    async with boxed(PLAIN_SERVER) as box:
        with pytest.raises(Unavailable, match="went away during a call; whether it took effect is not known"):
            await call(box, "die")
        assert (await call(box, "pid")).ok


async def test_server_killed_between_calls_is_started_again_unnoticed() -> None:
    async with boxed(PLAIN_SERVER) as box:
        first = int((await call(box, "pid")).text)
        os.kill(first, signal.SIGKILL)
        await until(lambda: gone(first))
        assert int((await call(box, "pid")).text) != first


async def test_nothing_of_ours_is_left_running_after_the_end() -> None:
    async with boxed(PLAIN_SERVER) as box:
        process = int((await call(box, "pid")).text)
    assert await gone(process)


async def test_closed_box_opens_again() -> None:
    async with boxed(PLAIN_SERVER) as box:
        await call(box, "pid")
        await box.aclose()
        assert (await call(box, "pid")).ok


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (ToolServer(name="plain", command=("no-such-program-here",)), "FileNotFoundError"),
        (ToolServer(name="plain", command=(sys.executable, "-c", "raise SystemExit('no token')")), "said: no token"),
        (ToolServer(name="plain", url="http://user:pw@127.0.0.1:9/mcp?key=k"), "(http://127.0.0.1:9/mcp)"),
    ],
)
async def test_server_that_cannot_be_reached_is_unavailable(server: ToolServer, said: str) -> None:
    async with boxed(server) as box:
        with pytest.raises(Unavailable, match="tool server 'plain'") as caught:
            await call(box, "pid")
        assert said in str(caught.value)


async def test_secret_of_a_server_is_not_in_the_error() -> None:
    async with boxed(PLAIN_SERVER, FAIL_AT_START="token-0123456789") as box:
        with pytest.raises(Unavailable) as caught:
            await box.definitions(ALL)
    assert "cannot start: ***" in str(caught.value)


@pytest.mark.usefixtures("impatient")
async def test_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mcp_connection, "CONNECT_TIMEOUT_SECONDS", 0.3)
    async with boxed(PLAIN_SERVER, SILENT=str(tmp_path / "pid")) as box:
        with pytest.raises(Unavailable, match=r"no answer within 0\.3 s"):
            await box.definitions(ALL)


@pytest.mark.parametrize(
    ("allowed", "said"), [(["nobody/*"], "no tool server 'nobody'"), (["plain/nothing"], "has no tool 'nothing'")]
)
async def test_list_that_names_what_does_not_exist_is_rejected(allowed: list[str], said: str) -> None:
    async with boxed(PLAIN_SERVER) as box:
        with pytest.raises(Rejected, match=said):
            await box.definitions(allowed)
