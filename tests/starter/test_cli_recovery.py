"""`pointsman hooks recover` and `status` against the stand-in, our books and a worker: what was lost comes back, and
what cannot is told with its reason."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pointsman.clients.azure_devops.patches import set_field
from pointsman.contracts.records import Caller
from pointsman.contracts.recovery import HookProblem, HookState, RecoverResult, Tally, Unrecovered, WatchHooks
from pointsman.temporal_server import DevServer
from tests.sandbox.azure import SERVICE_TOKEN
from tests.starter.cli_rig import Answer, Rig
from tests.workflows.fakes_of_hooks import QuietKeeper, RefusedKeeper
from tests.workflows.recovery_rig import PROJECT, Recovering, recovering

CALLER = Caller(workflow_id="recover/fabrikam/Fabrikam", run_id="r")
DOWN = HookState(
    organisation="fabrikam",
    subscription_id="s1",
    event_type="workitem.updated",
    status="disabledBySystem",
    problem=HookProblem.DISABLED,
)


@dataclass
class Commands:
    """Command lines, each in a thread of its own: this one serves what they call."""

    world: Recovering
    cli: Rig

    async def run(self, *words: str) -> Answer:
        return await asyncio.to_thread(self.cli.run, "hooks", *words)


@pytest.fixture
async def rig(
    dev_server: DevServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Commands]:
    async with recovering(await dev_server.connect(), tmp_path) as world:
        settings = {
            "POINTSMAN_DATA_DIR": str(tmp_path),
            "POINTSMAN_DATABASE_URL": "",
            "POINTSMAN_POLICY_DIR": "",
            "POINTSMAN_CONFIG_FILE": "",
            "POINTSMAN_TEMPORAL_ADDRESS": dev_server.address,
            "POINTSMAN_TASK_QUEUE": world.queue,
            "POINTSMAN_AZURE_DEVOPS_URL": world.azure.base_url,
            "POINTSMAN_AZURE_DEVOPS_TOKEN": SERVICE_TOKEN,
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "USER": "ada",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield Commands(world, Rig(tmp_path, capsys))


def rows(answer: Answer) -> list[list[str]]:
    return [line.split("\t") for line in answer.out.splitlines()]


async def test_what_was_lost_comes_back_once_somebody_asks(rig: Commands) -> None:
    never = await rig.run("status")
    assert (never.code, never.out) == (0, "")
    assert "never looked for; do it now: pointsman hooks recover" in never.err
    await rig.world.azure.make()
    await rig.world.azure.person.work_items.patch(1, [set_field("System.Title", "Till")])
    ask = ("recover", "--organisation", "Fabrikam", "--project", PROJECT, "--since", "2020-01-01")
    lost = [["fabrikam", PROJECT, event, "1", ""] for event in ("workitem.created", "workitem.updated")]
    async with rig.world.worker(QuietKeeper()):
        tried = await rig.run(*ask, "--dry-run")
        assert (tried.code, rows(tried)) == (0, lost)
        assert "2 events would be recovered; nothing was done" in tried.err
        assert list(await rig.world.inbox.find()) == []
        done = await rig.run(*ask)
        assert (done.code, rows(done)) == (0, lost)
        assert len(await rig.world.inbox.find()) == 2
        again = await rig.run(*ask, "--by", "grace", "--json")
    assert (again.code, again.document()["recovered"]) == (0, [])
    told = await rig.run("status")
    assert (told.code, f"fabrikam/{PROJECT} was looked through" in told.err) == (0, True)
    ((_, last), (_, first)) = await rig.world.recoveries.latest()
    assert (last.by, last.reason, first.by, first.tally.events) == ("grace", "asked for by grace", "ada", 2)


async def test_what_cannot_come_back_is_named_and_is_a_finding(rig: Commands) -> None:
    async with rig.world.worker(RefusedKeeper()):
        answer = await rig.run("recover", "--since", "2020-01-01T00:00Z")
    assert answer.code == 9
    ((_, _, what, count, why),) = rows(answer)
    assert (what, count) == ("subscriptions", "0")
    assert why.endswith("no permission to view subscriptions of fabrikam")
    assert answer.err.endswith("0 events recovered; cannot be: 1, see reason\n")
    async with rig.world.worker(RefusedKeeper()):
        again = await rig.run("recover", "--since", "2020-01-01T00:00Z")
    assert (again.code, again.out) == (0, "")
    assert "as an earlier recovery told, cannot be: subscriptions; see pointsman hooks status" in again.err
    told = (await rig.run("status")).err
    assert "0 not, and 1 not as an earlier recovery told" in told
    assert "fabrikam/* cannot recover subscriptions: they were not looked after" in told


async def test_without_a_worker_it_says_so_and_waits(rig: Commands) -> None:
    assert rig.world.client is not None
    client, query = rig.world.client, f"TaskQueue = '{rig.world.queue}' AND ExecutionStatus = 'Running'"
    asking = asyncio.create_task(rig.run("recover", "--project", PROJECT, "--since", "2020-01-01"))
    async with asyncio.timeout(60):
        while (await client.count_workflows(query)).count < 1:  # noqa: ASYNC110 - only the server tells
            await asyncio.sleep(0.05)
    async with rig.world.worker(QuietKeeper()):
        answer = await asking
    assert answer.code == 0
    assert "it waits for a worker; start one: pointsman serve" in answer.err


async def test_project_that_we_may_not_see_ends_it_with_the_next_step(rig: Commands) -> None:
    async with rig.world.worker(QuietKeeper()):
        answer = await rig.run("recover", "--project", "Nowhere", "--since", "2020-01-01")
    assert (answer.code, answer.out) == (3, "")
    assert "The following project does not exist: nowhere" in answer.err
    assert answer.err.rstrip().endswith("pointsman doctor --online")


async def test_what_is_no_moment_and_no_organisation_is_refused_before_anything_is_asked(rig: Commands) -> None:
    answer = await rig.run("recover", "--since", "yesterday")
    assert (answer.code, "--since 'yesterday' is no time" in answer.err) == (2, True)
    answer = await rig.run("recover", "--since", "2999-01-01")
    assert (answer.code, "--since '2999-01-01' is still to come" in answer.err) == (2, True)
    elsewhere = await rig.run("recover", "--organisation", "Contoso")
    assert (elsewhere.code, "--organisation 'Contoso' is none of fabrikam" in elsewhere.err) == (2, True)


async def test_status_says_where_nobody_looks_after_subscriptions(
    rig: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_PUBLIC_URL", "")
    assert "looks after no subscription" in (await rig.run("status")).err
    monkeypatch.setenv("POINTSMAN_PUBLIC_URL", "https://hooks.example.com")
    assert "looks after no subscription" not in (await rig.run("status")).err


async def test_trouble_is_shown_and_is_a_finding_on_demand(rig: Commands) -> None:
    books = rig.world.recoveries
    await books.keep_hooks(WatchHooks(organisation="fabrikam"), [DOWN], CALLER)
    span = Unrecovered(what="git.push", reason="on probation", since=datetime(2026, 1, 5, 9, tzinfo=UTC))
    tally = Tally(recovered={"workitem.updated": 3}, unrecovered=(span,), unrecovered_count=1)
    await books.finish(RecoverResult(organisation="fabrikam", tally=tally), CALLER)
    shown = await rig.run("status")
    assert (shown.code, rows(shown)[0][:5]) == (
        0,
        ["fabrikam", "workitem.updated", "s1", "disabled", "disabledBySystem"],
    )
    assert "fabrikam/* was looked through" in shown.err
    assert "3 recovered, 1 not" in shown.err
    assert (await rig.run("status", "--exit-status")).code == 9
