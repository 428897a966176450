"""`pointsman sync rollback` and `reconcile` against the stand-in, our books and a worker; and what their page tells to
type is typed here."""

import asyncio
import json
import shlex
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pointsman.clients.azure_devops.patches import set_field
from pointsman.clients.azure_devops.tracker import Tracker
from pointsman.contracts.base import Json
from pointsman.contracts.records import Caller, WriteIntent
from pointsman.contracts.tracker import ItemWrite
from pointsman.temporal_server import DevServer
from tests.docs.blocks import ROOT, blocks
from tests.sandbox.azure import SERVICE_TOKEN
from tests.starter.cli_rig import Answer, Rig, made
from tests.workflows.reconciling_rig import Reconciled, chain_of, key, reconciling

HERE = "tests/starter/test_cli_rollback.py"
RUN = "0199c1d2-7f3a-7c11-b2a4-6d1f0e9a5b77"
PRIORITY = "Microsoft.VSTS.Common.Priority"
ITEM = "fabrikam/1"


@dataclass
class Commands:
    """Command lines, each in a thread of its own: this one serves what they call."""

    world: Reconciled
    cli: Rig

    async def run(self, *words: str) -> Answer:
        return await asyncio.to_thread(self.cli.run, *words)

    async def lost(self) -> None:
        """An item of which nothing came."""
        await self.world.listen()
        await self.world.azure.make()

    async def written(self) -> None:
        """An item that both sides know, and a write of ours to it."""
        await self.world.listen()
        await self.world.azure.make(Common_Priority=3)
        await self.world.compare()
        await self.world.heard()
        chain, run = chain_of(1), Caller(workflow_id="ado/fabrikam/Fabrikam/1", run_id=RUN)
        values: dict[str, Json] = {PRIORITY: 1, "System.Title": "Basket loses items"}
        ledger = self.world.ledger
        await ledger.intend(WriteIntent(operation=f"{RUN}/1.1", chain=chain, base_rev=1, values=values), run)
        written = await Tracker(self.world.clients).write(key(1), 1, ItemWrite(fields=values))
        await ledger.settle(f"{RUN}/1.1", "written", written.rev, run)

    async def fields(self) -> tuple[object, object, object]:
        found = (await self.world.azure.service.work_items.get(1)).fields
        return found["System.Rev"], found[PRIORITY], found["System.Title"]


@pytest.fixture
async def rig(
    dev_server: DevServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Commands]:
    async with reconciling(tmp_path, await dev_server.connect()) as world:
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
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        yield Commands(world, Rig(tmp_path, capsys))


async def test_a_rollback_is_tried_asked_for_and_done_once(rig: Commands) -> None:
    await rig.written()
    back = ("sync", "rollback", ITEM, "--turn", RUN)
    async with rig.world.worker():
        tried = await rig.run(*back, "--dry-run")
        assert tried.out.splitlines() == [
            f"{PRIORITY}\tback\t1\t3\t",
            "System.Title\tback\tBasket loses items\tBasket is empty\t",
        ]
        assert "2 fields would be taken back; nothing was done" in tried.err
        unasked = await rig.run(*back, "--reason", "wrong customer")
        assert (unasked.code, "Nobody can be asked here, so nothing was done" in unasked.err) == (2, True)
        assert await rig.fields() == (2, 1, "Basket loses items")
        done = await rig.run(*back, "--reason", "wrong customer", "--yes", "--json")
        told = json.loads(done.out)["rollback"]
        assert (done.code, told["status"], told["rev"]) == (0, "written", 3)
        assert await rig.fields() == (3, 3, "Basket is empty")
        again = await rig.run(*back, "--reason", "wrong customer", "--yes")
    assert (again.code, again.out) == (0, "")
    assert "nothing is left to take back" in again.err


async def test_what_a_human_changed_since_is_left_with_exit_5_unless_forced(rig: Commands) -> None:
    await rig.written()
    await rig.world.azure.person.work_items.patch(1, [set_field(PRIORITY, 4)])
    back = ("sync", "rollback", ITEM, "--write", f"{RUN}/1.1", "--reason", "wrong customer", "--yes")
    async with rig.world.worker():
        refused = await rig.run(*back)
        assert refused.code == 5
        assert f"{PRIORITY}\trefused\t\t\tada@fabrikam.example has changed it since, in revision 3" in refused.out
        assert "take --field for the others, or --force for these, too" in refused.err
        unknown = await rig.run("sync", "rollback", ITEM, "--write", "none", "--dry-run")
        assert (unknown.code, "see what was written: pointsman items history" in unknown.err) == (5, True)
        title = await rig.run(*back, "--field", "System.Title")
        assert (title.code, await rig.fields()) == (0, (4, 4, "Basket is empty"))
        forced = await rig.run(*back, "--force")
    assert (forced.code, await rig.fields()) == (0, (5, 3, "Basket is empty"))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((ITEM, "--turn", RUN), 2, "A rollback needs a reason: --reason TEXT. Nothing was done."),
        ((ITEM, "--dry-run"), 2, "Say what is to be taken back: --field, --write, --turn or --to."),
        ((ITEM, "--turn", RUN, "--to", "rev:1", "--dry-run"), 2, "Only one of --write, --turn and --to"),
        ((ITEM, "--to", "rev:x", "--dry-run"), 2, "'rev:x' names no revision"),
        ((ITEM, "--to", "yesterday", "--dry-run"), 2, "--to 'yesterday' is no time"),
        (("fabrikam/9", "--to", "rev:1", "--dry-run"), 3, "No work item fabrikam/9 has come in"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    words: tuple[str, ...],
    code: int,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    migrated_file: Path,
) -> None:
    answer = made(tmp_path / "data", migrated_file, capsys, monkeypatch).run("sync", "rollback", *words)
    assert (answer.code, told in answer.err) == (code, True), answer.err


async def test_a_comparison_brings_back_what_was_lost_and_shows_in_the_status(rig: Commands) -> None:
    await rig.lost()
    async with rig.world.worker():
        young = await rig.run("sync", "reconcile", "--project", "Fabrikam")
        assert (young.code, young.out, "1 pending" in young.err) == (0, "", True)
        tried = await rig.run("sync", "reconcile", "--project", "Fabrikam", "--dry-run", "--settle", "0")
        assert (tried.code, tried.out) == (9, "fabrikam\tFabrikam\tfabrikam/1\tlost\tfalse\t1 event never came\n")
        assert await rig.world.inbox.find(state="pending") == []
        done = await rig.run("sync", "reconcile", "--organisation", "Fabrikam", "--settle", "0", "--json")
        reports = {one["project"]: one for one in json.loads(done.out)["reports"]}
        assert (done.code, reports["Fabrikam"]["lost"], reports["Fabrikam"]["events"]) == (0, 1, 1)
        assert reports["Contoso"]["items"] == 0
        unknown = await rig.run("sync", "reconcile", "--project", "Nowhere")
    assert (unknown.code, "There is no project 'Nowhere' that we may see" in unknown.err) == (3, True)
    status = await rig.run("sync", "status", "--json")
    compared = {one["project"]: one for one in json.loads(status.out)["projects"]}
    assert compared["Fabrikam"]["comparison"]["findings"][0]["standing"] == "lost"
    assert (compared["Fabrikam"]["trouble"], status.code) == (0, 0)


async def test_trouble_that_a_comparison_left_is_a_finding_of_the_status(rig: Commands) -> None:
    await rig.written()
    del rig.world.azure.world.items["fabrikam"][1]
    async with rig.world.worker():
        left = await rig.run("sync", "reconcile", "--project", "Fabrikam")
    assert (left.code, "\tfabrikam/1\thidden\tfalse\tit cannot be read" in left.out) == (9, True)
    assert (await rig.run("sync", "status", "--exit-status")).code == 9


def commands(test: str, page: str = "reconciliation.md") -> list[list[str]]:
    lines = [
        line.strip()
        for block in blocks(ROOT / "docs" / page)
        if block.how == "tested by" and block.what == f"{HERE}::{test}"
        for line in block.text.splitlines()
    ]
    assert lines, f"no block for {test}"
    return [shlex.split(line.removeprefix("pointsman "), comments=True) for line in lines if line]


async def test_a_project_is_compared_as_the_page_says(rig: Commands) -> None:
    await rig.lost()
    async with rig.world.worker():
        codes = [(await rig.run(*words)).code for words in commands("test_a_project_is_compared_as_the_page_says")]
    assert codes == [9, 0, 0]
    assert len(await rig.world.inbox.find(state="pending")) == 1


async def test_writes_are_taken_back_as_the_page_says(rig: Commands) -> None:
    await rig.written()
    async with rig.world.worker():
        for words in commands("test_writes_are_taken_back_as_the_page_says"):
            answer = await rig.run(*words)
            assert answer.code == 0, f"{words}: {answer.err}"
    assert (await rig.fields())[1:] == (3, "Basket is empty")


async def test_items_out_of_step_are_looked_into_as_the_runbook_says(rig: Commands) -> None:
    await rig.written()
    there = rig.world.azure.world.items["fabrikam"]
    hidden = there.pop(1)
    async with rig.world.worker():
        assert (await rig.run("sync", "reconcile")).code == 9
        there[1] = hidden
        for words in commands("test_items_out_of_step_are_looked_into_as_the_runbook_says", "runbooks.md"):
            assert (await rig.run(*words)).code == 0
    assert (await rig.run("sync", "status", "--exit-status")).code == 0
