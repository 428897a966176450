"""Writes are taken back as new revisions, once, whatever dies on the way; and what others changed stays theirs."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from pointsman.clients.azure_devops.patches import add_tags, set_field
from pointsman.contracts.records import Chain
from pointsman.contracts.rollback import RollbackRequest, RollbackResult
from pointsman.domain.echoes import echo_of
from pointsman.sandbox.azure_devops.config import Organisation, Project
from pointsman.store.agreements import Agreements
from pointsman.store.audit import Audit
from pointsman.store.conflicts import Quarantines
from pointsman.temporal_server import DevServer
from tests.sandbox.azure import config
from tests.workflows.rollback_rig import (
    CALLER,
    PRIORITY,
    STATE,
    TITLE,
    RollingBack,
    Unlucky,
    key,
    request,
    rolling_back,
)

TAGS = "System.Tags"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[RollingBack]:
    async with rolling_back(tmp_path) as made:
        yield made


async def run(rig: RollingBack, ask: RollbackRequest) -> RollbackResult:
    return await ActivityEnvironment().run(rig.rollbacks().write, ask)


async def planned(rig: RollingBack, ask: RollbackRequest) -> RollbackResult:
    return await ActivityEnvironment().run(rig.rollbacks().plan, ask)


async def test_a_turn_is_taken_back_in_one_new_revision_and_its_echo_is_known(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    await rig.azure.person.work_items.patch(made.id, [add_tags(["web"])])
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1, TAGS: "web; triaged", STATE: "Active"}, "<p>Looked at it</p>")
    await rig.write(made.id, "run-1/2.2", {TITLE: "Basket loses items"})
    result = await run(rig, request(made.id, turn="run-1"))
    after = await rig.fields(made.id)
    assert (result.status, result.rev, after["System.Rev"]) == ("written", 5, 5)
    assert (after[PRIORITY], after[TITLE], after[TAGS]) == (3, "Basket is empty", "web")
    assert after[STATE] == made.fields[STATE]
    assert [one.field for one in result.plan.kept] == ["System.History"]
    (update,) = await rig.tracker.updates(key(made.id), after_rev=4)
    echo = echo_of(await rig.ledger.writes(key(made.id)), update.rev, update.changed)
    assert echo is not None
    assert echo.operation == result.operation


async def test_the_log_says_who_wanted_it_and_why_and_both_sides_agree_on_it(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1})
    chain = Chain(tenant="default", correlation_id="c-1", key=key(made.id))
    await Agreements(rig.store).read(chain, 2, {PRIORITY: 1, TITLE: "Basket is empty"}, [])
    ask = request(made.id, fields=(PRIORITY,))
    await run(rig, ask)
    (event,) = await Audit(rig.store).find(action="item.rolled_back")
    assert (event.actor, event.data["reason"], event.data["fields"]) == ("ada", "wrong customer", [PRIORITY])
    assert event.data["scope"] == {"fields": [PRIORITY]}
    agreed = await Agreements(rig.store).get(key(made.id))
    assert agreed is not None
    assert (agreed.rev, agreed.fields[PRIORITY]) == (3, 3)
    again = await run(rig, request(made.id, fields=(PRIORITY,)))
    assert (again.status, again.rev) == ("unchanged", 0)


async def test_what_somebody_else_changed_since_is_refused_unless_forced(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1, TITLE: "Basket loses items"})
    await rig.azure.person.work_items.patch(made.id, [set_field(PRIORITY, 4)])
    refused = await run(rig, request(made.id, write="run-1/1.1"))
    assert refused.status == "refused"
    assert refused.plan.refused[0].reason == "ada@fabrikam.example has changed it since, in revision 3"
    assert (await rig.fields(made.id))["System.Rev"] == 3
    forced = await run(rig, request(made.id, write="run-1/1.1", force=True))
    assert forced.status == "written"
    assert (await rig.fields(made.id))[PRIORITY] == 3


async def test_a_state_that_has_no_way_back_is_refused_by_the_process_of_the_project(tmp_path: Path) -> None:
    cmmi = config().model_copy(
        update={"organisations": (Organisation(name="fabrikam", projects=(Project(name="Fabrikam", process="CMMI"),)),)}
    )
    async with rolling_back(tmp_path, of=cmmi) as rig:
        made = await rig.azure.make()
        await rig.azure.person.work_items.patch(made.id, [set_field("System.AssignedTo", "ada@fabrikam.example")])
        for number, state in enumerate(("Active", "Resolved", "Closed"), 1):
            await rig.write(made.id, f"run-1/{number}.{number}", {STATE: state})
        refused = await run(rig, request(made.id, write="run-1/3.3", force=True))
        assert refused.plan.refused[0].reason.startswith("the process has no transition from Closed to Resolved")
        assert (await rig.fields(made.id))[STATE] == "Closed"
        done = await run(rig, request(made.id, write="run-1/2.2", force=True))
        assert (done.status, (await rig.fields(made.id))[STATE]) == ("written", "Active")


async def test_a_dry_run_says_what_it_would_come_to_and_writes_nothing(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1})
    result = await planned(rig, request(made.id, rev=1, dry_run=True))
    assert (result.status, [(one.field, one.now, one.then) for one in result.plan.back]) == (
        "would",
        [(PRIORITY, 1, 3)],
    )
    assert (await rig.fields(made.id))["System.Rev"] == 2
    assert len(await rig.ledger.writes(key(made.id))) == 1


async def test_an_item_in_the_recycle_bin_or_in_quarantine_is_left_alone(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1})
    chain = Chain(tenant="default", correlation_id="c-1", key=key(made.id))
    await Quarantines(rig.store).put(chain, "20 writes in 10 minutes", 20, CALLER)
    held = await run(rig, request(made.id, write="run-1/1.1"))
    assert held.plan.refused[0].reason.endswith("nothing is written to it: 20 writes in 10 minutes")
    await Quarantines(rig.store).release(key(made.id), "ada")
    await rig.azure.person.work_items.delete(made.id)
    binned = await run(rig, request(made.id, write="run-1/1.1", force=True))
    assert "it is in the recycle bin" in binned.plan.refused[0].reason


async def test_an_answer_that_was_lost_leads_to_no_second_write(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1})
    ask, room = request(made.id, write="run-1/1.1"), rig.rollbacks(Unlucky(rig, "lost"))
    with pytest.raises(ApplicationError, match="the answer was lost"):
        await ActivityEnvironment().run(room.write, ask)
    result = await ActivityEnvironment().run(room.write, ask)
    assert (result.status, result.rev) == ("written", 3)
    assert (await rig.fields(made.id))["System.Rev"] == 3
    assert len(await Audit(rig.store).find(action="item.rolled_back")) == 1


async def test_a_change_that_comes_in_between_is_respected(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1})
    ask, room = request(made.id, write="run-1/1.1"), rig.rollbacks(Unlucky(rig, "overtaken"))
    with pytest.raises(ApplicationError, match="revision 2 was overtaken"):
        await ActivityEnvironment().run(room.write, ask)
    result = await ActivityEnvironment().run(room.write, ask)
    assert (result.status, (await rig.fields(made.id))[PRIORITY]) == ("refused", 4)
    assert (await rig.ledger.writes(key(made.id)))[-1].status == "abandoned", "nobody need doubt it"


async def test_an_answer_that_was_lost_behind_a_change_in_between_leads_to_no_second_write(rig: RollingBack) -> None:
    """The attempt that comes through sets other values than the one that was overtaken."""
    made = await rig.azure.make()
    await rig.write(made.id, "run-1/1.1", {TAGS: "ours"})
    ask = request(made.id, write="run-1/1.1")
    for trouble in ("overtaken", "lost"):
        with pytest.raises(ApplicationError):
            await ActivityEnvironment().run(rig.rollbacks(Unlucky(rig, trouble, {TAGS: "ours; theirs"})).write, ask)
    result = await ActivityEnvironment().run(rig.rollbacks().write, ask)
    assert (result.status, result.rev, (await rig.fields(made.id))[TAGS]) == ("written", 4, "theirs")
    overtaken, written = (await rig.ledger.writes(key(made.id)))[1:]
    assert [(one.status, one.rev) for one in (overtaken, written)] == [("abandoned", 0), ("written", 4)]
    assert written.values[TAGS] == ["theirs"]
    assert len(await Audit(rig.store).find(action="item.rolled_back")) == 1


async def test_what_the_service_refuses_is_given_up_in_the_ledger(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1})
    ask, room = request(made.id, write="run-1/1.1"), rig.rollbacks(Unlucky(rig, "refused"))
    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(room.write, ask)
    assert refused.value.non_retryable
    assert (await rig.ledger.writes(key(made.id)))[-1].status == "abandoned"


async def test_a_run_survives_what_it_was_asked_for_and_tells_it(dev_server: DevServer, tmp_path: Path) -> None:
    client: Client = await dev_server.connect()
    async with rolling_back(tmp_path, client) as rig:
        made = await rig.azure.make(Common_Priority=3)
        await rig.write(made.id, "run-1/1.1", {PRIORITY: 1})
        async with rig.worker():
            dry = await rig.roll_back(request(made.id, turn="run-1", dry_run=True))
            done = await rig.roll_back(request(made.id, turn="run-1"))
            again = await rig.roll_back(request(made.id, turn="run-1"))
        assert [one.status for one in (dry, done, again)] == ["would", "written", "unchanged"]
        assert (await rig.fields(made.id))[PRIORITY] == 3
