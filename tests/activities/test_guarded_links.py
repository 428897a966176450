"""Rules of the process see links that a write would add: the missing parent passes, a forbidden one is held back."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.rule_books import RuleBooks
from activities.work_items import WorkItems
from activities.write_guard import WriteGuard
from pointsman.clients.azure_devops.patches import set_field
from pointsman.clients.azure_devops.process_facts import ProcessReader
from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import Publish, Published
from pointsman.contracts.process import Check, CheckSeverity, Linked, ProcessPolicy
from pointsman.contracts.work_items import Proposal, ProposedLink, WorkItemKey
from pointsman.domain.proposals import canonical
from pointsman.store.items import Items
from tests.activities.sync_rig import Both, both
from tests.books_process import MemoryAudit

PARENT, CHILD = "System.LinkTypes.Hierarchy-Reverse", "System.LinkTypes.Hierarchy-Forward"
STATE = "System.State"


def check(name: str, rule: Linked, kind: str, states: tuple[str, ...] = ()) -> Check:
    return Check(
        id=name,
        practice="Work hangs together",
        source="Us",
        title=f"{name} holds",
        severity=CheckSeverity.CRITICAL,
        types=(kind,),
        states=states,
        rule=rule,
    )


RULES = ProcessPolicy(
    name="ours",
    version="1",
    processes=("Agile",),
    checks=(
        check("HUNG", Linked(relations=(PARENT,)), "Bug", ("Active",)),
        check("LEVELS", Linked(relations=(PARENT,), types=("User Story", "Feature"), at_least=0, only=True), "Bug"),
        check("BELOW", Linked(relations=(CHILD,), types=("User Story",), at_least=0, only=True), "Feature"),
    ),
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[Both]:
    async with both(tmp_path, events=()) as made:
        yield made


async def of_kind(world: Both, kind: str) -> int:
    made = await world.person.work_items.create("Fabrikam", kind, [set_field("System.Title", kind)])
    return made.id


async def publish(
    world: Both, key: WorkItemKey, parent: int, audit: MemoryAudit | None = None, **fields: Json
) -> Published:
    books = RuleBooks(ProcessReader({"fabrikam": world.service}), {"ours": RULES}, {})
    room = WorkItems(
        world.tracker,
        world.contents,
        Items(world.store),
        world.ledger,
        world.inbox,
        WriteGuard(books, audit or MemoryAudit()),
        sync=world.sync,
    )
    links = (ProposedLink(relation="Parent", target=str(parent)),) if parent else ()
    proposal = Proposal(fields={f"System.{name}": value for name, value in fields.items()}, links=links)
    ask = Publish(
        key=key,
        tenant="default",
        correlation_id="c",
        operation=f"{key.id}/1.1",
        proposal=await world.contents.put(canonical(proposal)),
        base=await world.contents.put(b'{"System.State": "New"}'),
        base_rev=1,
        enforce_from=CheckSeverity.MAJOR,
    )
    return await ActivityEnvironment().run(room.publish, ask)


async def test_a_write_that_adds_the_missing_parent_passes(world: Both) -> None:
    key, story = await world.item(), await of_kind(world, "User Story")
    held = await publish(world, key, 0, State="Active")
    assert (held.status, [one.check for one in held.broken]) == ("held_back", ["HUNG"])
    passed = await publish(world, key, story, State="Active")
    item = await world.tracker.get(key)
    assert (passed.status, item.fields[STATE], [one["rel"] for one in item.relations]) == (
        "written",
        "Active",
        [PARENT],
    )


async def test_a_link_that_a_rule_forbids_is_held_back_at_this_end_and_at_the_other(world: Both) -> None:
    key, task, feature = await world.item(), await of_kind(world, "Task"), await of_kind(world, "Feature")
    here = await publish(world, key, task)
    assert (here.status, [one.check for one in here.broken]) == ("held_back", ["LEVELS"])
    assert "its Parent link leads to Task" in here.broken[0].evidence
    there = await publish(world, key, feature)
    assert (there.status, [one.check for one in there.broken]) == ("held_back", ["BELOW"])
    assert there.broken[0].evidence.startswith(f"work item {feature}: its Child link leads to Bug {key.id}")
    assert not (await world.tracker.get(key)).relations


async def test_the_log_says_which_links_cannot_be_made(world: Both) -> None:
    key, audit = await world.item(), MemoryAudit()
    held = [await publish(world, key, 4711, audit, State="Active") for _ in range(2)]
    assert [one.status for one in held] == ["held_back", "held_back"]
    (event,) = audit.kept.values()
    assert (event.action, event.data["checks"]) == ("write.held_back", ["link Parent 4711"])
