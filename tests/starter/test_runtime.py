"""The composition that processes share: who is given which secret, what is announced, and that all of it ends."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from pointsman.config import Misconfigured, Settings
from pointsman.contracts.actions import Action
from pointsman.contracts.lifecycle import TakeIn
from pointsman.contracts.records import Chain
from pointsman.contracts.turns import Think, TurnRequest
from pointsman.contracts.work_items import Facts, WorkItemKey
from pointsman.llm.types import Role, text_message
from starter.connection import Connection
from starter.needs import check
from starter.runtime import Runtime, activities, runtime
from tests.clients.mcp_rig import PLAIN, gone, until

TOKEN, KEY = "token-of-the-tracker", "key-of-the-provider"
Activity = Callable[..., Awaitable[object]]
ITEM = WorkItemKey(organisation="harbour", project="Quay", id=41)
CHAIN = Chain(tenant="default", correlation_id="c-1", key=ITEM)
POLICY = f"""version: "7"
routes: []
agents:
  - name: triage
    model: gpt-6.1-terra
    prompt: triage
    tools: [ours/*, foreign/*]
tool_servers:
  - {{name: ours, command: [pointsman, mcp, work-items]}}
  - {{name: foreign, command: ["{PLAIN[0]}", "{PLAIN[1]}"]}}
"""
LENGTH = b"content-length:"
REFUSAL = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture
def settings(migrated_file: Path, tmp_path: Path) -> Settings:
    shutil.copy(migrated_file, tmp_path / "pointsman.db")
    (tmp_path / "policy.yaml").write_text(POLICY)
    return made(data_dir=str(tmp_path), policy_dir=str(tmp_path))


def made(**given: object) -> Settings:
    credentials = {"openai_api_key": KEY, "azure_devops_token": TOKEN}
    return Settings.model_validate({**credentials, "origins": {}, **given})


def children() -> dict[str, tuple[int, dict[str, str]]]:
    """Number and environment of each process that we started, by the last word of its command line."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = place.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            words = place.joinpath("cmdline").read_text().split("\0")
            lines = place.joinpath("environ").read_text().split("\0")
        except OSError:
            continue
        if int(parent) == os.getpid() and words[-2:-1]:
            found[words[-2]] = int(place.name), dict(line.split("=", 1) for line in lines if "=" in line)
    return found


async def both_run() -> bool:
    return {"work-items", PLAIN[1]} <= children().keys()


async def test_only_our_own_tool_server_is_given_the_token_and_none_outlives_us(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a real process, the secrets are in our own environment, too.
    monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_TOKEN", TOKEN)
    monkeypatch.setenv("POINTSMAN_OPENAI_API_KEY", KEY)
    async with runtime(settings) as rt, activities(rt, Connection()):
        await until(both_run)
        given = children()
        (our_process, ours), (foreign_process, foreign) = given["work-items"], given[PLAIN[1]]
    assert ours["POINTSMAN_AZURE_DEVOPS_TOKEN"] == TOKEN
    assert KEY not in ours.values()
    assert [name for name in foreign if name.startswith("POINTSMAN_")] == []
    assert not {TOKEN, KEY} & set(foreign.values())
    for process in (our_process, foreign_process):
        await until(partial(gone, process))


class Listening:
    """Somebody who takes connections, refuses every request, and counts who is still there."""

    def __init__(self) -> None:
        self.taken = 0
        self.open = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                sizes = [line.partition(b":")[2] for line in head.splitlines() if line.lower().startswith(LENGTH)]
                await reader.readexactly(sum(map(int, sizes)))
                writer.write(REFUSAL)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # they have hung up
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def listening() -> AsyncGenerator[tuple[str, Listening]]:
    there = Listening()
    async with await asyncio.start_server(there, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", there


async def test_what_the_composition_opened_is_closed_with_it(settings: Settings) -> None:
    async with listening() as (tracker_url, tracker), listening() as (model_url, model):
        given = {"azure_devops_url": (f"{tracker_url}/harbour",), "openai_base_url": f"{model_url}/v1"}
        async with runtime(settings.model_copy(update=given)) as rt, activities(rt, Connection()) as ours:
            by_name = {one.__name__: cast(Activity, one) for one in ours}
            environment = ActivityEnvironment()
            take_in = TakeIn(key=ITEM, tenant="default", correlation_id="c-1")
            with pytest.raises(ApplicationError):
                await environment.run(by_name["take_in"], take_in)
            with pytest.raises(ApplicationError):
                await environment.run(by_name["think"], await thinking(rt))
            assert (tracker.open, model.open) == (1, 1)
        await until(partial(hung_up, tracker, model))
    assert (tracker.taken, model.taken) == (1, 1)


async def hung_up(*sides: Listening) -> bool:
    return not any(side.open for side in sides)


async def thinking(rt: Runtime) -> Think:
    """A model call over a transcript that says one word."""
    word = text_message(Role.USER, "hello").to_bytes()
    await rt.books.transcripts.append("t", CHAIN, "open/item", Role.USER, word)
    request = TurnRequest(
        key=ITEM,
        tenant="default",
        correlation_id="c-1",
        number=1,
        transcript="t",
        agent=rt.policy.policy.agents[0].model_copy(update={"tools": ()}),
        facts=Facts(key=ITEM, type="Bug", title="Crane stops at noon"),
    )
    return Think(request=request, step=1)


async def test_policy_in_force_is_told_to_the_audit_log_and_its_prompts_are_kept(settings: Settings) -> None:
    async with runtime(settings) as rt:
        policy = rt.policy.policy
        told = [event for event in await rt.books.audit.find() if event.action == Action.POLICY_LOADED]
        assert [(event.data["version"], event.data["hash"]) for event in told] == [("7", policy.hash)]
        assert (await rt.books.contents.get(policy.agents[0].prompt)).decode() in rt.policy.prompts.values()


@pytest.mark.parametrize("name", ["openai_api_key", "azure_devops_token"])
def test_a_credential_that_is_missing_is_named_and_the_other_is_not_shown(name: str) -> None:
    complete = made()
    check(complete, ["worker"])
    with pytest.raises(Misconfigured, match=f"POINTSMAN_{name.upper()} is not set") as told:
        check(complete.model_copy(update={name: None}), ["worker"])
    assert KEY not in str(told.value)
    assert TOKEN not in str(told.value)
