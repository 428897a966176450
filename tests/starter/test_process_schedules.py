"""Projects are checked in full when policy says, and only those that it names."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client, ScheduleActionStartWorkflow

from pointsman.contracts.policy import Policy
from pointsman.contracts.process_control import CheckedProject, OnOpen, ProcessControl
from pointsman.policies.process_rules import load_processes
from pointsman.temporal_server import DevServer
from starter import process_schedules
from starter.process_checks import workflow_id

KNOWN = load_processes()
ORGANISATION = f"org-{uuid4().hex[:8]}"


def wanted(*projects: str, every: timedelta = timedelta(days=1), cron: str = "") -> Policy:
    control = ProcessControl(
        every=every,
        cron=cron,
        on_open=(OnOpen(notify=("team",)),),
        projects=tuple(CheckedProject(organisation=ORGANISATION, project=one, process="cmmi") for one in projects),
    )
    return Policy(version="1", process=control)


@pytest.fixture
async def client(dev_server: DevServer) -> AsyncGenerator[Client]:
    made = await dev_server.connect()
    yield made
    await ensure(made, wanted())


async def ensure(client: Client, policy: Policy) -> None:
    await process_schedules.ensure_schedules(client, policy, KNOWN, "nobody-works-here")


async def test_a_schedule_carries_the_rules_and_what_is_to_be_done_when_violations_open(client: Client) -> None:
    await ensure(client, wanted("Web"))
    handle = client.get_schedule_handle(workflow_id(ORGANISATION, "Web"))
    schedule = (await handle.describe()).schedule
    assert [one.every for one in schedule.spec.intervals] == [timedelta(days=1)]
    assert isinstance(schedule.action, ScheduleActionStartWorkflow)
    assert (schedule.action.workflow, schedule.action.id) == ("CheckProcess", handle.id)
    await handle.pause(note="a freeze")
    await ensure(client, wanted("Web", cron="0 3 * * 1-5"))
    described = (await handle.describe()).schedule
    assert described.state.paused, "whoever paused it has not said to go on"
    assert [one.every for one in described.spec.intervals] == []
    assert len(described.spec.calendars) == 1
    (scope,) = process_schedules.scopes(wanted("Web"), KNOWN)
    assert (scope.policy, scope.on_open[0].notify, scope.reason) == (KNOWN["cmmi"], ("team",), "on schedule")


async def listed(client: Client, *projects: str) -> set[str]:
    found = {one.id async for one in await client.list_schedules()}
    return {name for name in projects if workflow_id(ORGANISATION, name) in found}


async def test_a_project_that_policy_no_longer_names_is_checked_no_longer(client: Client) -> None:
    await ensure(client, wanted("Web", "App"))
    async with asyncio.timeout(60):
        while await listed(client, "Web", "App") != {"Web", "App"}:  # noqa: ASYNC110 - the list follows in a moment
            await asyncio.sleep(0.01)
        await process_schedules.ensure_schedules(client, wanted(), KNOWN, "of-somebody-else")
        assert await listed(client, "Web", "App") == {"Web", "App"}
        await ensure(client, wanted("App", every=timedelta()))
        while await listed(client, "Web", "App"):  # noqa: ASYNC110 - so it does here
            await asyncio.sleep(0.01)
