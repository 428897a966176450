"""Old values come back in a new revision, once; what somebody else has changed since stays theirs unless forced."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.process import Graph
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.rollback import RollbackPlan, RollbackScope
from pointsman.contracts.tracker import ItemUpdate, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain import rollback
from pointsman.domain.echoes import equal, tags_of
from pointsman.domain.rollback import Known, plan, shown

US, ADA = "pointsman@fabrikam.example", "ada@fabrikam.example"
KEY = WorkItemKey(organisation="fabrikam", project="Web", id=1)
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PRIORITY, SEVERITY, TITLE = "Microsoft.VSTS.Common.Priority", "Microsoft.VSTS.Common.Severity", "System.Title"
STATE, TAGS, REASON = "System.State", "System.Tags", "System.Reason"
GRAPH = Graph(steps={"Active": {"Resolved": ()}, "Resolved": {"Active": (), "Closed": ()}, "Closed": {"Active": ()}})


class Book:
    """An item with its history and our ledger. An hour passes between revisions."""

    def __init__(self, **fields: Json) -> None:
        self.item = TrackedItem(id=1, rev=1, fields={name.replace("__", "."): one for name, one in fields.items()})
        self.updates = [ItemUpdate(id=1, rev=1, revised_by=ADA, revised_at=START, changed=_made(self.item.fields))]
        self.writes: list[WriteRecord] = []

    def change(self, by: str, values: Mapping[str, Json], beside: Mapping[str, Json] | None = None) -> int:
        """Somebody's revision; `beside` is what rules of the service set with it."""
        rev, both = self.item.rev + 1, {**values, **(beside or {})}
        changed = {name: (self.item.fields.get(name), new) for name, new in both.items()}
        at = START + timedelta(hours=rev)
        self.updates.append(ItemUpdate(id=rev, rev=rev, revised_by=by, revised_at=at, changed=changed))
        fields = {**self.item.fields, **{name: new for name, new in both.items() if name != "System.History"}}
        self.item = self.item.model_copy(update={"rev": rev, "fields": fields})
        return rev

    def write(self, operation: str, values: Mapping[str, Json], beside: Mapping[str, Json] | None = None) -> int:
        """A write of ours."""
        base = self.item.rev
        rev = self.change(US, values, beside)
        row = WriteRecord(
            operation=operation,
            key=KEY,
            base_rev=base,
            values=dict(values),
            intended_at=START,
            rev=rev,
            status="written",
        )
        self.writes.append(row)
        return rev

    def plan(self, *, force: bool = False, graph: Graph | None = GRAPH, **scope: object) -> RollbackPlan:
        known = Known(self.item, self.updates, self.writes, US, graph)
        return plan(known, RollbackScope.model_validate(scope), force=force)

    def carry_out(self, found: RollbackPlan) -> None:
        assert not found.refused, found.refused
        if found.back:
            self.write(f"{rollback.OPERATION}{self.item.rev}", found.values())


def _made(fields: Mapping[str, Json]) -> dict[str, tuple[Json, Json]]:
    return {name: (None, value) for name, value in fields.items()}


def bug() -> Book:
    made = Book(System__Title="Login fails", System__State="Active", System__Tags="web")
    made.change(ADA, {PRIORITY: 3})
    return made


NAMES = st.sampled_from([PRIORITY, SEVERITY, TITLE])
EDITS = st.lists(
    st.tuples(st.booleans(), st.dictionaries(NAMES, st.integers(1, 4), min_size=1)), min_size=1, max_size=8
)


def played(edits: list[tuple[bool, dict[str, int]]]) -> Book:
    made = Book(System__Title="Login fails")
    for number, (is_ours, values) in enumerate(edits):
        meant: dict[str, Json] = dict(values)
        if is_ours:
            made.write(f"run-1/{number}", meant)
        else:
            made.change(ADA, meant)
    return made


@given(EDITS, st.data())
def test_going_back_to_a_revision_gives_its_values_again_and_only_once(
    edits: list[tuple[bool, dict[str, int]]], data: st.DataObject
) -> None:
    made = played(edits)
    rev = data.draw(st.integers(1, made.item.rev))
    then = dict(Book(System__Title="Login fails").item.fields)
    for update in made.updates[:rev]:
        then |= {name: new for name, (_, new) in update.changed.items()}
    made.carry_out(made.plan(rev=rev, force=True))
    assert all(equal(made.item.fields.get(name), then.get(name)) for name in (PRIORITY, SEVERITY, TITLE))
    assert made.plan(rev=rev, force=True).back == ()


@given(EDITS)
def test_nobody_elses_change_is_taken_back_unless_it_is_asked_for(edits: list[tuple[bool, dict[str, int]]]) -> None:
    made = played(edits)
    theirs = {name for one in made.updates[1:] if one.revised_by == ADA for name in one.changed}
    found = made.plan(rev=1)
    touched = {one.field for one in found.back}
    assert {one.field for one in found.refused} == theirs & touched
    assert all(one.by == ADA or one.reason for one in found.refused)


@given(EDITS, st.data())
def test_a_write_is_taken_back_once_or_refused(edits: list[tuple[bool, dict[str, int]]], data: st.DataObject) -> None:
    made = played(edits)
    if not made.writes:
        return
    write = data.draw(st.sampled_from(made.writes))
    before = {name: old for name, (old, _) in made.updates[write.rev - 1].changed.items()}
    found = made.plan(write=write.operation)
    later = {name for one in made.updates if one.rev > write.rev for name in one.changed}
    assert {one.field for one in found.refused} <= later
    if not found.refused:
        made.carry_out(found)
        assert all(equal(made.item.fields.get(name), old) for name, old in before.items())
        assert made.plan(write=write.operation).back == ()


def test_a_write_leaves_what_the_service_set_beside_it() -> None:
    made = bug()
    made.write("run-1/1.1", {STATE: "Resolved", PRIORITY: 1}, {REASON: "Fixed", SEVERITY: "2 - High"})
    assert made.plan(write="run-1/1.1").values() == {STATE: "Active", PRIORITY: 3}


def test_a_turn_is_all_that_one_run_or_one_turn_of_it_wrote() -> None:
    made = bug()
    made.write("run-1/1.1", {PRIORITY: 2})
    made.write("run-1/2.2", {PRIORITY: 1, TITLE: "Login fails on Safari"})
    made.write("run-2/1.1", {SEVERITY: "1 - Critical"})
    assert made.plan(turn="run-1").values() == {PRIORITY: 3, TITLE: "Login fails"}
    assert made.plan(turn="run-1/2").values() == {PRIORITY: 2, TITLE: "Login fails"}
    (held,) = made.plan(turn="run-1/1").refused
    assert held.reason == "our later write run-1/2.2 changed it, in revision 4"
    assert made.plan(turn="run-1/1", force=True).values() == {PRIORITY: 3}
    assert made.plan(turn="run-9").refused[0].reason == "the ledger has no turn 'run-9' of this item"


def test_a_field_goes_back_before_our_last_write_of_it_and_a_second_request_finds_nothing() -> None:
    made = bug()
    made.write("run-1/1.1", {PRIORITY: 2})
    made.write("run-1/2.2", {PRIORITY: 1})
    made.carry_out(made.plan(fields=(PRIORITY,)))
    assert made.item.fields[PRIORITY] == 2
    assert made.plan(fields=(PRIORITY,)) == RollbackPlan(rev=5)
    assert made.plan(fields=(TITLE,)).refused[0].reason == f"we never wrote {TITLE}"


def test_what_a_human_changed_since_is_refused_with_who_and_when_unless_forced() -> None:
    made = bug()
    made.write("run-1/1.1", {PRIORITY: 1, TITLE: "Login is slow"})
    made.change(ADA, {PRIORITY: 4})
    found = made.plan(write="run-1/1.1")
    (held,) = found.refused
    assert (held.field, held.by, held.rev) == (PRIORITY, ADA, 4)
    assert held.reason == f"{ADA} has changed it since, in revision 4"
    assert made.plan(write="run-1/1.1", fields=(TITLE,)).values() == {TITLE: "Login fails"}
    assert made.plan(write="run-1/1.1", force=True).values() == {PRIORITY: 3, TITLE: "Login fails"}


def test_a_human_at_our_account_is_a_human() -> None:
    made = bug()
    made.write("run-1/1.1", {PRIORITY: 1})
    made.change(US, {PRIORITY: 4})
    assert made.plan(write="run-1/1.1").refused[0].rev == 4


def test_what_somebody_has_taken_back_already_needs_nothing() -> None:
    made = bug()
    made.write("run-1/1.1", {PRIORITY: 1})
    made.change(ADA, {PRIORITY: 3})
    assert made.plan(write="run-1/1.1") == RollbackPlan(rev=4)


@pytest.mark.parametrize("force", [False, True])
def test_a_state_goes_back_along_a_transition_or_not_at_all(force: bool) -> None:
    made = bug()
    made.write("run-1/1.1", {STATE: "Resolved"})
    made.write("run-1/2.2", {STATE: "Closed"})
    assert made.plan(turn="run-1", force=force).values() == {STATE: "Active"}
    (held,) = made.plan(write="run-1/2.2", force=force).refused
    assert held.reason == "the process has no transition from Closed to Resolved; from there it leads to: Active"
    assert "cannot be read" in made.plan(turn="run-1", force=force, graph=None).refused[0].reason


def test_tags_are_taken_back_one_by_one() -> None:
    made = bug()
    made.write("run-1/1.1", {TAGS: "web; triaged; Slow"})
    made.change(ADA, {TAGS: "Slow; triaged; web; customer"})
    assert tags_of(made.plan(write="run-1/1.1").values()[TAGS]) == {"web", "customer"}
    assert made.plan(rev=2, force=True).values()[TAGS] == "web"
    made.change(ADA, {TAGS: "customer; web"})
    assert made.plan(write="run-1/1.1").back == ()


def test_people_are_written_by_name() -> None:
    ada: Json = {"displayName": "Ada", "uniqueName": ADA, "id": "7"}
    noor: Json = {"displayName": "Noor", "uniqueName": "noor@fabrikam.example", "id": "8"}
    made = bug()
    made.change(ADA, {"System.AssignedTo": ada})
    made.write("run-1/1.1", {"System.AssignedTo": noor})
    assert made.plan(write="run-1/1.1").values() == {"System.AssignedTo": ADA}


def test_comments_and_moves_are_kept_and_told() -> None:
    made = bug()
    made.write("run-1/1.1", {"System.History": "<p>Looked at it</p>", PRIORITY: 1})
    made.change(ADA, {"System.TeamProject": "Shop", "System.AreaPath": "Shop"})
    found = made.plan(rev=2, force=True)
    assert found.values() == {PRIORITY: 3, "System.AreaPath": None}
    assert [one.field for one in found.kept] == ["System.History", "System.TeamProject"]


def test_a_write_in_doubt_counts_where_the_history_shows_it() -> None:
    made = bug()
    made.write("run-1/1.1", {PRIORITY: 1})
    made.writes = [made.writes[0].model_copy(update={"rev": 0, "status": "intended"})]
    assert made.plan(write="run-1/1.1").values() == {PRIORITY: 3}
    made.writes = [made.writes[0].model_copy(update={"values": {PRIORITY: 2}})]
    assert "was not carried out" in made.plan(write="run-1/1.1").refused[0].reason


@pytest.mark.parametrize(
    ("scope", "why"),
    [
        ({}, "nothing is named"),
        ({"rev": 9}, "there is no revision 9: the item is at 3"),
        ({"moment": START - timedelta(days=1)}, "the item was not there at 2026-01-04"),
        ({"write": "run-1/1.1", "fields": (TITLE,)}, f"it did not change {TITLE}"),
        ({"write": "run-9/1.1"}, "the ledger has no write 'run-9/1.1'"),
    ],
)
def test_what_names_nothing_is_refused_with_the_reason(scope: dict[str, object], why: str) -> None:
    made = bug()
    made.write("run-1/1.1", {PRIORITY: 1})
    known = Known(made.item, made.updates, made.writes, US, GRAPH)
    found = plan(known, RollbackScope.model_validate(scope))
    assert found.refused[0].reason.startswith(why)
    assert found.back == ()


def test_a_moment_is_the_last_revision_made_by_then() -> None:
    made = bug()
    made.write("run-1/1.1", {PRIORITY: 1})
    assert made.plan(moment=START + timedelta(hours=2, minutes=30)).values() == {PRIORITY: 3}
    assert made.plan(moment=START + timedelta(hours=9)).back == ()


def test_nothing_is_written_to_an_item_in_the_recycle_bin() -> None:
    made = bug()
    made.write("run-1/1.1", {PRIORITY: 1})
    made.item = made.item.model_copy(update={"deleted": True})
    assert "in the recycle bin" in made.plan(write="run-1/1.1", force=True).refused[0].reason


def test_values_are_cut_where_they_travel() -> None:
    made = bug()
    made.write("run-1/1.1", {TITLE: "x" * 500})
    (field,) = shown(made.plan(write="run-1/1.1")).back
    assert (len(str(field.now)), field.then) == (203, "Login fails")
