"""Violations are kept with their life, each turn of it in the audit log, on both databases."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from pointsman.contracts.process import CheckSeverity, Finding, Standing
from pointsman.contracts.violations import Inspection, Settlement, ViolationState
from pointsman.contracts.work_items import ProjectKey, WorkItemKey
from pointsman.ports import Missing, Rejected
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.process_violations import ProcessViolations
from pointsman.store.standing import Standings

PRACTICE = "Work is traceable"
KEY = WorkItemKey(organisation="fabrikam", project="Web", id=42)


def inspection(*broken: str, rev: int = 1, key: WorkItemKey = KEY, days: int = 0) -> Inspection:
    return Inspection(
        tenant="team",
        process="cmmi",
        key=key,
        rev=rev,
        at=datetime.now(UTC) + timedelta(days=days),
        checks=("A", "B"),
        findings=tuple(
            Finding(
                check=name, standing=Standing.VIOLATED, severity=CheckSeverity.MAJOR, item=key.id, practice=PRACTICE
            )
            for name in broken
        ),
    )


async def actions(store: Store) -> Sequence[str]:
    return [one.action for one in await Audit(store).find(key=KEY)]


async def settled(kept: ProcessViolations, made: Inspection) -> Settlement:
    """By name only."""
    return (await kept.settle(made)).model_copy(update={"untold": (), "changed": ()})


async def test_a_violation_is_opened_once_and_resolved_by_the_revision_without_it(store: Store) -> None:
    kept = ProcessViolations(store)
    assert await settled(kept, inspection("A")) == Settlement(opened=("VIO-1",), standing=1)
    assert await settled(kept, inspection("A", rev=2)) == Settlement(standing=1)
    assert await settled(kept, inspection(rev=3)) == Settlement(resolved=("VIO-1",))
    assert await kept.find() == []
    (resolved,) = await kept.find(every=True)
    assert (resolved.state, resolved.resolved_rev, resolved.opened_rev) == (ViolationState.RESOLVED, 3, 1)
    assert await settled(kept, inspection("A", rev=4)) == Settlement(opened=("VIO-2",), standing=1)
    assert await actions(store) == ["violation.opened", "violation.resolved", "violation.opened"]


async def test_who_takes_it_on_and_who_lets_it_stand_is_kept(store: Store) -> None:
    kept = ProcessViolations(store)
    await kept.settle(inspection("A", "B"))
    until = datetime.now(UTC) + timedelta(days=1)
    assert (await kept.acknowledge("VIO-1", "ada", "on Monday")).state is ViolationState.ACKNOWLEDGED
    waived = await kept.waive("vio-2", "noor", "the supplier delivers in January", until)
    assert (waived.by, waived.until) == ("noor", until)
    assert await kept.waive("VIO-2", "noor", waived.reason, until) == waived
    assert (await kept.settle(inspection("A", "B"))).standing == 1, "what is waived does not count"
    assert (await kept.settle(inspection("A", "B", days=2))).returned == ("VIO-2",)
    told = [one for one in await Audit(store).find(key=KEY) if one.action == "violation.waived"]
    assert [(one.actor, one.data["reason"]) for one in told] == [("noor", "the supplier delivers in January")]
    assert (await actions(store))[-1] == "violation.returned"


async def test_a_decision_that_cannot_stand_changes_nothing(store: Store) -> None:
    kept = ProcessViolations(store)
    with pytest.raises(Missing, match="no violation 'VIO-9'"):
        await kept.acknowledge("VIO-9", "ada")
    await kept.settle(inspection("A"))
    with pytest.raises(Rejected, match="is over already: nothing was changed"):
        await kept.waive("VIO-1", "ada", "why", datetime.now(UTC) - timedelta(seconds=1))
    await kept.settle(inspection(rev=2))
    with pytest.raises(Rejected, match="was resolved in revision 2: nothing was changed"):
        await kept.acknowledge("VIO-1", "ada")
    assert await actions(store) == ["violation.opened", "violation.resolved"]


async def test_violations_are_found_by_where_they_are(store: Store) -> None:
    kept = ProcessViolations(store)
    other = WorkItemKey(organisation="contoso", project="App", id=7)
    await kept.settle(inspection("A", "B"))
    await kept.settle(inspection("B", key=other))
    assert [one.id for one in await kept.find()] == ["VIO-3", "VIO-2", "VIO-1"]
    assert [one.id for one in await kept.find(project="App")] == ["VIO-3"]
    assert [one.id for one in await kept.find(organisation="fabrikam", limit=1)] == ["VIO-2"]
    assert [one.check for one in await kept.find(item_id=42)] == ["B", "A"]


async def test_nobody_is_told_twice_and_nobody_is_asked_about_what_is_resolved(store: Store) -> None:
    kept = ProcessViolations(store)
    first = await kept.settle(inspection("A", "B"))
    assert [one.id for one in first.untold] == [one.id for one in first.changed] == ["VIO-1", "VIO-2"]
    assert [one.id for one in (await kept.settle(inspection("A", "B"))).untold] == ["VIO-1", "VIO-2"]
    await kept.acknowledge("VIO-2", "ada")
    assert [one.id for one in await kept.untold("fabrikam", [42, 43])] == ["VIO-1"]
    await kept.told(["VIO-1", "VIO-9"], asked=["VIO-1"])
    assert await kept.untold("fabrikam", [42]) == []
    last = await kept.settle(inspection(rev=2))
    assert (last.untold, last.called_off, len(last.changed)) == ((), ("VIO-1",), 2)


async def test_violations_that_stand_are_counted_by_check_and_by_who_has_them(store: Store) -> None:
    kept = ProcessViolations(store)
    await kept.settle(inspection("A", "B"))
    await kept.settle(inspection("A", key=KEY.model_copy(update={"id": 43})))
    await kept.acknowledge("VIO-2", "ada")
    counts = (await Standings(store)()).violations
    told = {(one.project, one.check, one.state, one.severity.value): one.count for one in counts}
    assert told == {("Web", "A", "open", "major"): 2, ("Web", "B", "acknowledged", "major"): 1}
    assert {one.practice for one in counts} == {"Work is traceable"}


async def test_a_violation_whose_waiver_has_ended_is_open_before_any_check_says_so(store: Store) -> None:
    kept = ProcessViolations(store)
    await kept.settle(inspection("A", "B"))
    ends, stays = datetime.now(UTC) + timedelta(seconds=0.2), datetime.now(UTC) + timedelta(days=1)
    await kept.waive("VIO-1", "noor", "for today", ends)
    await kept.waive("VIO-2", "noor", "until the split", stays)
    await asyncio.sleep(0.25)
    assert [one.id for one in await kept.find(state="open")] == ["VIO-1"]
    assert [one.id for one in await kept.find(state="waived")] == ["VIO-2"]
    assert [one.state for one in await kept.find()] == [ViolationState.WAIVED, ViolationState.OPEN]
    told = {(one.check, one.state): one.count for one in (await Standings(store)()).violations}
    assert told == {("A", "open"): 1, ("B", "waived"): 1}
    assert (await kept.settle(inspection("A", "B"))).returned == ("VIO-1",)


async def test_a_project_as_a_whole_has_violations_of_its_own_told_apart_by_what_they_are_about(store: Store) -> None:
    kept = ProcessViolations(store)
    web, app = (ProjectKey(organisation="fabrikam", project=name) for name in ("Web", "App"))
    await kept.settle(inspection("A"))
    one, other = (
        inspection("A", rev=0, key=web).model_copy(update={"findings": (found.model_copy(update={"about": about}),)})
        for found in inspection("A", key=web).findings
        for about in ("web", "docs")
    )
    assert (await kept.settle(one)).opened == ("VIO-2",)
    assert (await kept.settle(inspection("A", key=app))).opened == ("VIO-3",)
    again = one.model_copy(update={"key": web.model_copy(update={"project": "WEB"})})
    assert (await kept.settle(again)).standing == 1, "names of projects are the same in any case"
    assert [violation.id for violation in await kept.untold("fabrikam", [0, 42], "web")] == ["VIO-1", "VIO-2"]
    assert await kept.broken_items("fabrikam", "web", 0, None) == [42]
    changed = await kept.settle(other)
    assert (changed.opened, changed.resolved) == (("VIO-4",), ("VIO-2",))
    with pytest.raises(Rejected, match="VIO-2 was resolved on 20"):
        await kept.acknowledge("VIO-2", "ada")
    assert [violation.id for violation in await kept.find(whole=True)] == ["VIO-4", "VIO-3"]
    (found,) = await kept.find(project="app", whole=True)
    assert (str(found.key), found.key, found.about) == ("fabrikam/App", app, "")
    told = [event for event in await Audit(store).find(action="violation.opened") if event.data.get("project")]
    assert [(event.chain.key, event.data["project"]) for event in told] == [(None, "Web"), (None, "App"), (None, "Web")]
    assert sum(one.count for one in (await Standings(store)()).violations) == 3
