"""What Temporal's UI tells of rollbacks and comparisons: who, what, why, and nothing that could be taken for markup."""

from datetime import UTC, datetime

import pytest

from pointsman.contracts.policy import Policy
from pointsman.contracts.reconciliation import (
    ReconcileCarry,
    ReconcileFinding,
    ReconcileReport,
    ReconcileRequest,
    ReconcileTally,
    SyncStanding,
)
from pointsman.contracts.rollback import (
    FieldBack,
    FieldHeld,
    RollbackPlan,
    RollbackRequest,
    RollbackResult,
    RollbackScope,
)
from pointsman.domain.briefing import placed
from pointsman.domain.reconciliation_story import reconciliation
from pointsman.domain.rollback_story import rollback, scope_told
from tests.domain.samples import KEY

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        (RollbackScope(write="run-1/1.1"), "write run-1/1.1"),
        (RollbackScope(turn="run-1", fields=("System.Title",)), "turn run-1, only System.Title"),
        (RollbackScope(moment=NOON), "all since 2026-01-05T12:00:00+00:00"),
        (RollbackScope(rev=7), "all since revision 7"),
        (RollbackScope(fields=("A", "B")), "our last write, only A, B"),
    ],
)
def test_what_is_taken_back_is_told_in_words(scope: RollbackScope, told: str) -> None:
    assert scope_told(scope) == told


def test_a_rollback_tells_who_wanted_what_and_why_and_what_it_came_to() -> None:
    ask = RollbackRequest(
        key=KEY,
        tenant="default",
        correlation_id="c-1",
        operation="rollback/1",
        scope=RollbackScope(rev=7),
        dry_run=True,
        by="ada",
        reason="wrong *customer*",
    )
    found = RollbackPlan(
        back=(
            FieldBack(field="System.Title", now="", then="Login fails"),
            FieldBack(field="System.State", now="Done", then="New"),
        ),
        refused=(FieldHeld(reason="it is in the recycle bin"), FieldHeld(field="System.State", reason="no way")),
        kept=(FieldHeld(field="System.History", reason="comments stay"),),
    )
    text = rollback(ask, RollbackResult(key=KEY, operation="rollback/1", status="refused", plan=found))
    assert "(dry run: nothing is written)" in text
    assert "**refused**: all since revision 7" in text
    assert "asked for by ada: wrong" in text
    assert "wrong *customer*" not in text
    assert "- System.Title: (empty) -> Login fails" in text.replace("\u2060", "")
    assert "Done" not in text, "what is refused would not be set"
    assert "- all of it: it is in the recycle bin" in text
    assert "**Kept:**\n\n- System.History: comments stay" in text.replace("\u2060", "")
    done = rollback(ask, RollbackResult(key=KEY, operation="rollback/1", status="written", rev=9))
    assert "**written, revision 9**" in done


def test_a_comparison_tells_how_far_it_is_and_what_it_found() -> None:
    lost = ReconcileFinding(item_id=7, standing=SyncStanding.LOST, reason="2 events never came", repaired=True)
    tally = ReconcileTally(items=9, counts={"equal": 8, "lost": 1}, events=2, findings=(lost,))
    ask = ReconcileRequest(organisation="fabrikam", policy=Policy(version="1"), dry_run=True, reason="schedule")
    under_way = reconciliation(ask, ReconcileCarry(project="Web", after=200, tally=tally))
    assert "**Web, items above 200**: schedule" in under_way
    assert "items: 9 (equal 8, lost 1)" in under_way
    assert "7 lost, repaired: 2 events never came" in under_way
    report = ReconcileReport(organisation="fabrikam", project="Web", tally=tally)
    done = reconciliation(ask.model_copy(update={"dry_run": False}), ReconcileCarry(reports=(report,)))
    assert "**done**" in done
    assert "**Web**" in done
    assert "dry run" not in done


def test_an_item_is_known_by_the_project_where_it_is() -> None:
    assert placed(KEY, {"System.TeamProject": "Shop"}).project == "Shop"
    assert placed(KEY, {}) == placed(KEY, {"System.TeamProject": None}) == KEY
