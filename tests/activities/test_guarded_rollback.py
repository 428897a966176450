"""Taking a write back is a write, too: what would break rules of the item's process is refused, unless it is forced."""

from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.rollback import Rollbacks
from activities.rule_books import RuleBooks
from activities.write_guard import WriteGuard
from pointsman.clients.azure_devops.process_facts import ProcessReader
from pointsman.contracts.process import Check, CheckSeverity, OneOf, ProcessPolicy
from tests.books_process import MemoryAudit
from tests.workflows.rollback_rig import PRIORITY, RollingBack, request, rolling_back

URGENT = ProcessPolicy(
    name="urgent",
    version="1",
    processes=("Agile",),
    checks=(
        Check(
            id="URGENT",
            practice="Bugs come first",
            source="Us",
            title="A bug has priority 1 or 2",
            severity=CheckSeverity.CRITICAL,
            types=("Bug",),
            rule=OneOf(field=PRIORITY, values=("1", "2")),
        ),
    ),
)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[RollingBack]:
    async with rolling_back(tmp_path) as made:
        yield made


def guarded(rig: RollingBack, limit: CheckSeverity | None) -> Rollbacks:
    books = RuleBooks(ProcessReader({"fabrikam": rig.azure.service}), {"urgent": URGENT}, {})
    return rig.rollbacks(why_not=partial(WriteGuard(books, MemoryAudit()).why_not, limit))


async def test_what_breaks_a_rule_is_taken_back_only_by_force(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1})
    room, ask = guarded(rig, CheckSeverity.MAJOR), request(made.id, write="run-1/1.1")
    result = await ActivityEnvironment().run(room.write, ask)
    assert (result.status, (await rig.fields(made.id))[PRIORITY]) == ("refused", 1)
    (held,) = result.plan.refused
    assert held.reason.startswith("rules of the process would be broken: URGENT (critical), A bug has priority 1 or 2:")
    forced = await ActivityEnvironment().run(room.write, request(made.id, write="run-1/1.1", force=True))
    assert (forced.status, (await rig.fields(made.id))[PRIORITY]) == ("written", 3)


async def test_where_policy_enforces_nothing_nothing_is_asked(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1})
    result = await ActivityEnvironment().run(guarded(rig, None).write, request(made.id, write="run-1/1.1"))
    assert result.status == "written"
