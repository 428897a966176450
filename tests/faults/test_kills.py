"""Nothing acknowledged is lost when processes are killed, and whoever says so would notice if it were."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from bench.faults.compare import violations
from bench.faults.evidence import Book, Evidence, Row, Theirs, theirs
from bench.faults.killer import BLOCK, TEMPORAL, plan
from pointsman.contracts.base import Json
from pointsman.contracts.records import (
    Attempt,
    AttemptKind,
    Caller,
    Chain,
    Delivery,
    DeliveryState,
    ItemRow,
    ItemTransition,
    WriteRecord,
)
from pointsman.contracts.work_items import Transition, WorkItemKey, WorkItemState
from pointsman.store.verification import Finding, LogState, Report
from tests.gates.sources import ROOT
from tests.preloaded import Preloaded

KILLS, OPEN_MAX = 10, 2
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = WorkItemKey(organisation="fabrikam", project="Fabrikam", id=6)
COMMENT = "<p>Looks like #1.</p>"
LOG = Report((LogState("default", 9, "root", 1, "note"),), 0, (), 0.1)


@pytest.mark.slow(60)
def test_ten_kills_lose_nothing_and_repeat_no_write(tmp_path: Path, preloaded: Preloaded) -> None:
    document = tmp_path / "faults.json"
    command = [str(preloaded.python), "-m", "bench.faults", "--kills", str(KILLS), "--seed", "1"]
    command += ["--open", str(OPEN_MAX), "--shared-tools", "--json", str(document)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-6_000:] + ended.stderr[-3_000:]
    told = json.loads(document.read_text())
    assert told["kills"] == KILLS
    assert told["kills_of_temporal"] == 1
    assert told["violations"] == []
    # How many go to the recycle bin, and how many of these come back, is up to the pace of the machine.
    assert told["deletions"] >= told["restorations"]
    assert told["counts"].get("items_withdrawn", 0) == told["counts"].get("items_in_the_recycle_bin", 0)
    assert told["counts"]["deliveries_acknowledged"] > told["counts"]["items"] > 0
    assert told["counts"]["writes_outside"] == told["counts"]["writes_in_ledger"] > 0


def attempted(event: str, status: int = 202, *, repeated: bool = False) -> Row:
    return {
        "subscription": "hook",
        "event_id": event,
        "event_type": "workitem.created",
        "item_id": KEY.id,
        "status": status,
        "repeated": repeated,
    }


def delivery(event: str, state: DeliveryState = DeliveryState.DISPATCHED) -> Delivery:
    return Delivery(
        id=f"{event}-{state}",
        received_at=NOW,
        tenant="default",
        event_type="workitem.created",
        event_id=event,
        subscription_id="hook",
        idempotency_key=event,
        item_id=KEY.id,
        body=b"",
        state=state,
        sequence=1,
        correlation_id="c",
        chain_id="c",
    )


def attempt(kind: AttemptKind, subject: str, outcome: str, number: int = 1) -> Attempt:
    return Attempt(
        id=f"{subject}-{number}",
        kind=kind,
        chain=Chain(tenant="default", correlation_id="c", key=KEY),
        caller=Caller(workflow_id="w", run_id="r", attempt=number),
        target="model",
        subject=subject,
        started_at=NOW,
        outcome=outcome,
    )


def write(operation: str = "run/1.1", rev: int = 2, status: str = "written") -> WriteRecord:
    values: dict[str, Json] = {"System.History": COMMENT}
    return WriteRecord(operation=operation, key=KEY, base_rev=1, values=values, intended_at=NOW, rev=rev, status=status)


def asked(step: str, body: str) -> Row:
    return {"body_sha256": body, "metadata": {"item": str(KEY), "step": step}}


def book() -> Book:
    reason = "written, revision 2"
    done = Transition(number=6, before=WorkItemState.PUBLISHING, after=WorkItemState.DONE, reason=reason, at=NOW)
    return Book(
        row=ItemRow(
            key=KEY,
            tenant="default",
            correlation_id="c",
            workflow_id="w",
            run_id="r",
            state=WorkItemState.DONE,
            reason=reason,
            first_at=NOW,
            changed_at=NOW,
        ),
        transitions=[ItemTransition(run_id="r", transition=done)],
        attempts=[
            attempt(AttemptKind.MODEL, "1/1/reply", "", 1),
            attempt(AttemptKind.MODEL, "1/1/reply", "ok", 2),
            attempt(AttemptKind.MODEL, "1/2/reply", "ok"),
            attempt(AttemptKind.TOOL, "1/1/tool/a", "", 1),
            attempt(AttemptKind.TOOL, "1/1/tool/a", "ok", 2),
        ],
        writes=[write()],
    )


def honest() -> Evidence:
    """One item, a kill during its first model request and one during a tool call, and one delivery twice."""
    return Evidence(
        filed=[KEY.id],
        attempts=[attempted("e1", 0), attempted("e1"), attempted("e1", repeated=True), attempted("e2")],
        lost=[],
        subscriptions=[
            {"id": "hook", "event_type": "workitem.created", "status": "enabled", "notifications": 2},
        ],
        items={KEY.id: Theirs(revisions=[2], comments=[COMMENT])},
        requests=[asked("1/1", "a"), asked("1/1", "a"), asked("1/2", "b")],
        inbox=[delivery("e1"), delivery("e1", DeliveryState.DUPLICATE), delivery("e2")],
        books={KEY.id: book()},
        audit=LOG,
    )


def with_book(held: Book) -> Evidence:
    return replace(honest(), books={KEY.id: held})


def test_honest_evidence_is_let_through() -> None:
    assert violations(honest()) == []


def ended_as(state: WorkItemState) -> Evidence:
    row = book().row
    assert row is not None, "the sample has come in"
    return with_book(replace(book(), row=row.model_copy(update={"state": state})))


DOCTORED: dict[str, tuple[str, Callable[[], Evidence]]] = {
    "a row of the inbox is missing": (
        "what is acknowledged is kept",
        lambda: replace(honest(), inbox=honest().inbox[:2]),
    ),
    "the repeated delivery left no row": (
        "what is acknowledged is kept",
        lambda: replace(honest(), inbox=[delivery("e1"), delivery("e2")]),
    ),
    "a duplicate was not recognised": (
        "what is acknowledged is kept",
        lambda: replace(honest(), inbox=[delivery("e1"), delivery("e1"), delivery("e2")]),
    ),
    "an event never got through": (
        "every event is delivered",
        lambda: replace(honest(), attempts=[*honest().attempts[:3], attempted("e2", 503)]),
    ),
    "the stand-in gave an event up": (
        "every event is delivered",
        lambda: replace(honest(), lost=[attempted("e3")]),
    ),
    "a delivery is dead": (
        "every delivery has its effect",
        lambda: replace(honest(), inbox=[*honest().inbox, delivery("e3", DeliveryState.DEAD)]),
    ),
    "a delivery still waits": (
        "every delivery has its effect",
        lambda: replace(honest(), inbox=[*honest().inbox, delivery("e3", DeliveryState.PENDING)]),
    ),
    "an item hangs": ("every item comes to its end", lambda: ended_as(WorkItemState.WORKING)),
    "an item is worked on although it is thrown away": (
        "what is deleted is withdrawn, what is restored goes on",
        lambda: replace(honest(), items={KEY.id: Theirs(revisions=[2], comments=[COMMENT], deleted=True)}),
    ),
    "an item stays withdrawn although it is back": (
        "what is deleted is withdrawn, what is restored goes on",
        lambda: ended_as(WorkItemState.WITHDRAWN),
    ),
    "an item never came in": ("every item comes to its end", lambda: with_book(replace(book(), row=None))),
    "something was still under way": (
        "every item comes to its end",
        lambda: replace(honest(), unfinished=["2 open workflows"]),
    ),
    "Azure DevOps has a second write of ours": (
        "every write happens once",
        lambda: replace(honest(), items={KEY.id: Theirs(revisions=[2, 3], comments=[COMMENT])}),
    ),
    "a turn was written twice": (
        "every write happens once",
        lambda: replace(
            with_book(replace(book(), writes=[write(), write("run/1.2", 3)])),
            items={KEY.id: Theirs(revisions=[2, 3], comments=[COMMENT])},
        ),
    ),
    "the ledger says written, Azure DevOps knows of nothing": (
        "every write happens once",
        lambda: replace(honest(), items={KEY.id: Theirs(revisions=[], comments=[COMMENT])}),
    ),
    "the same comment stands there twice": (
        "every comment is written once",
        lambda: replace(honest(), items={KEY.id: Theirs(revisions=[2], comments=[COMMENT, COMMENT])}),
    ),
    "a request came twice without doubt": (
        "a model request is repeated only in doubt",
        lambda: replace(honest(), requests=[*honest().requests, asked("1/2", "b")]),
    ),
    "a request that our books do not know": (
        "a model request is repeated only in doubt",
        lambda: replace(honest(), requests=[*honest().requests, asked("1/3", "c")]),
    ),
    "a step was asked with another body": (
        "a model request is repeated only in doubt",
        lambda: replace(honest(), requests=[asked("1/1", "a"), asked("1/1", "x"), asked("1/2", "b")]),
    ),
    "a tool was called twice and both calls are known": (
        "a tool call is repeated only in doubt",
        lambda: with_book(
            replace(book(), attempts=[*book().attempts, attempt(AttemptKind.TOOL, "1/1/tool/a", "ok", 3)])
        ),
    ),
    "the audit log does not verify": (
        "the audit log verifies",
        lambda: replace(honest(), audit=replace(LOG, findings=(Finding("default", "leaf 3", "does not fit"),))),
    ),
    "the audit log is empty": ("the audit log verifies", lambda: replace(honest(), audit=replace(LOG, logs=()))),
}


@pytest.mark.parametrize("fault", DOCTORED)
def test_doctored_evidence_is_named_by_its_rule_alone(fault: str) -> None:
    rule, doctor = DOCTORED[fault]
    assert {violation.rule for violation in violations(doctor())} == {rule}


def test_surplus_write_with_an_intent_in_doubt_is_no_violation() -> None:
    seen = with_book(replace(book(), writes=[write(), write("run/2.1", 0, "intended")]))
    written = Theirs(revisions=[2, 3], comments=[COMMENT, COMMENT])
    assert violations(replace(seen, items={KEY.id: written})) == []


def test_plan_kills_the_server_once_in_each_block_and_depends_on_its_seed_alone() -> None:
    planned = plan(3 * BLOCK, Random("1"))
    assert planned == plan(3 * BLOCK, Random("1")) != plan(3 * BLOCK, Random("2"))
    for start in range(0, len(planned), BLOCK):
        assert [what for what, _ in planned[start : start + BLOCK]].count(TEMPORAL) == 1


def revision(rev: int, *linked: int, comment: str = "") -> dict[str, Json]:
    """One that our account made."""
    return {
        "rev": rev,
        "revisedBy": {"uniqueName": "pointsman@fabrikam.example"},
        "fields": {"System.History": {"newValue": comment}} if comment else {},
        "relations": {"added": [{"rel": "any", "url": f"http://host/_apis/wit/workItems/{other}"} for other in linked]},
    }


def kept(item: int, *updates: dict[str, Json]) -> dict[str, Json]:
    return {"item": {"id": item}, "updates": [*updates], "comments": [], "deleted": False}


def test_other_end_of_a_link_is_no_write_and_a_revision_without_one_is() -> None:
    seen = theirs(
        {"fabrikam": [kept(6, revision(3, 8, comment=COMMENT)), kept(8, revision(5, 6), revision(7, 9))]}, "fabrikam"
    )
    assert {item: found.revisions for item, found in seen.items()} == {6: [3], 8: [7]}
