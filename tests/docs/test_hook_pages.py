"""The pages about subscriptions, secrets and outages: what they tell to type is typed here, against the stand-in."""

import asyncio
import shlex
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pointsman.clients.azure_devops.patches import set_field
from pointsman.temporal_server import DevServer
from tests.docs.blocks import ROOT, blocks
from tests.sandbox.azure import SERVICE_TOKEN
from tests.starter.cli_rig import Answer, Rig
from tests.starter.hooks_rig import NEW, OLD, HooksRig, command_line, hooks_rig
from tests.workflows.fakes_of_hooks import QuietKeeper
from tests.workflows.recovery_rig import Recovering, recovering

HERE = "tests/docs/test_hook_pages.py"
FOUND = 9
"""Exit code of a dry run that has something to do."""


def commands(page: str, test: str) -> list[list[str]]:
    """The command lines of a page that are marked with a test of this file, without the program's name."""
    lines = [
        line.strip()
        for block in blocks(ROOT / "docs" / page)
        if block.how == "tested by" and block.what == f"{HERE}::{test}"
        for line in block.text.splitlines()
    ]
    assert lines, f"{page} has no block for {test}"
    return [words[1:] for line in lines if (words := shlex.split(line, comments=True))]


async def typed(rig: Rig, words: list[str]) -> Answer:
    """In a thread of its own: this one serves what it calls."""
    answer = await asyncio.to_thread(rig.run, *words)
    allowed = {0, FOUND} if "--dry-run" in words else {0}
    assert answer.code in allowed, f"{words}: exit {answer.code}\n{answer.out}\n{answer.err}"
    return answer


@pytest.fixture
async def hooks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[HooksRig]:
    async with hooks_rig(command_line(tmp_path / "data", capsys, monkeypatch), monkeypatch) as made:
        yield made


@pytest.fixture
async def outage(
    dev_server: DevServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[tuple[Recovering, Rig]]:
    async with recovering(await dev_server.connect(), tmp_path) as world:
        settings = {
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": "",
            "POLICY_DIR": "",
            "CONFIG_FILE": "",
            "TEMPORAL_ADDRESS": dev_server.address,
            "TASK_QUEUE": world.queue,
            "AZURE_DEVOPS_URL": world.azure.base_url,
            "AZURE_DEVOPS_TOKEN": SERVICE_TOKEN,
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"POINTSMAN_{name}", value)
        monkeypatch.setenv("USER", "ada")
        yield world, Rig(tmp_path, capsys)


async def test_subscriptions_are_made_as_the_page_says(hooks: HooksRig) -> None:
    told = commands("connect-azure-devops.md", "test_subscriptions_are_made_as_the_page_says")
    for words in told:
        await typed(hooks.cli, words)
    assert len(await hooks.there()) == 5
    assert await hooks.passwords() == [OLD] * 3


async def test_a_hook_in_trouble_is_mended_as_the_runbook_says(hooks: HooksRig) -> None:
    await hooks.run("ensure")
    (held,) = await hooks.azure.service.hooks.list("workitem.created")
    await hooks.azure.control("POST", f"subscriptions/{held.id}", {"status": "disabledBySystem"})
    first, *rest = commands("runbooks.md", "test_a_hook_in_trouble_is_mended_as_the_runbook_says")
    assert "disabledBySystem" in (await typed(hooks.cli, first)).out
    for words in rest:
        await typed(hooks.cli, words)
    assert {status for _, status in await hooks.there()} == {"enabled"}


async def test_the_secret_is_rotated_as_the_page_says(hooks: HooksRig) -> None:
    await hooks.run("ensure")
    hooks.secrets(OLD, NEW)
    hooks.gate.accepted.add(NEW)
    for words in commands("rotate-secrets.md", "test_the_secret_is_rotated_as_the_page_says"):
        await typed(hooks.cli, words)
    hooks.gate.accepted.discard(OLD)
    assert await hooks.passwords() == [NEW] * 3


async def test_an_outage_is_recovered_from_as_the_page_says(outage: tuple[Recovering, Rig]) -> None:
    world, cli = outage
    await world.azure.make()
    await world.azure.person.work_items.patch(1, [set_field("System.Title", "Till")])
    async with world.worker(QuietKeeper()):
        for words in commands("recover-from-an-outage.md", "test_an_outage_is_recovered_from_as_the_page_says"):
            await typed(cli, words)
    kept = await world.inbox.find()
    assert {row.event_type for row in kept} == {"workitem.created", "workitem.updated"}
    assert all(row.recovered_from for row in kept)
