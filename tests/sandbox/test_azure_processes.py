"""The four processes of the stand-in: which ways there are between states, why, and what each state asks for."""

import json
from collections.abc import Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import edits
from pointsman.sandbox.azure_devops.config import ADA, NOOR, Organisation, Project, SandboxConfig
from pointsman.sandbox.azure_devops.documents import Document, FieldEdit
from pointsman.sandbox.azure_devops.edits import Manner
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError
from pointsman.sandbox.azure_devops.process import CMMI, COMMON, PROCESSES, Kind
from pointsman.sandbox.azure_devops.state import Item, World
from tests.microsoft import FOLDER, needs_microsoft
from tests.sandbox.azure import at

STATE, REASON, ASSIGNED, TITLE = "System.State", "System.Reason", "System.AssignedTo", "System.Title"
FILLED: Mapping[str, Json] = {
    f"{CMMI}Purpose": "Look at it",
    f"{CMMI}Probability": 30,
    "Microsoft.VSTS.CodeReview.Context": "Shelveset 12",
    "Microsoft.VSTS.Feedback.ApplicationType": "Web application",
    ASSIGNED: ADA.unique_name,
}
"""What some types ask for beyond a title, where nothing fills it."""
KINDS = [kind for process in PROCESSES.values() for kind in process.kinds.values()]
BASIC = {"To Do": {"Doing", "Done"}, "Doing": {"To Do", "Done"}, "Done": {"To Do", "Doing"}, "": {"To Do"}}


def named(kind: Kind) -> str:
    return f"{kind.process} {kind.name}"


@cache
def templates() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(FOLDER) / "process-templates.json").read_text("utf-8-sig"))
    return found


@pytest.fixture
def world() -> World:
    projects = tuple(Project(name=name, process=name) for name in PROCESSES)
    return World(
        SandboxConfig(
            organisations=(Organisation(name="fabrikam", projects=projects),), accounts=(), people=(ADA, NOOR)
        )
    )


def make(world: World, kind: Kind, manner: Manner = edits.KEPT, **more: Json) -> Item:
    """An item with all that its type asks for; `State="Active"` sets `System.State`."""
    wanted: dict[str, Json] = {TITLE: "T", **{name: value for name, value in FILLED.items() if name in kind.fields}}
    wanted |= {f"System.{name}": value for name, value in more.items()}
    document = Document(fields=tuple(FieldEdit(name, value, merge=False) for name, value in wanted.items()))
    organisation = world.organisations["fabrikam"]
    return edits.create(world, organisation, kind.process, kind, document, ADA, manner)[0]


def change(world: World, item: Item, manner: Manner = edits.KEPT, /, **fields: Json) -> None:
    document = Document(fields=tuple(FieldEdit(f"System.{n}", value, merge=False) for n, value in fields.items()))
    edits.patch(world, item, document, NOOR, manner)


def refused(world: World, item: Item, **fields: Json) -> list[str]:
    """The fields whose rules a change breaks; the item is as before."""
    before = item.rev
    with pytest.raises(ServiceError) as error:
        change(world, item, **fields)
    assert item.rev == before
    assert (error.value.status, error.value.body["typeKey"]) == (400, "RuleValidationException")
    broken = at(error.value.body, "customProperties", "RuleValidationErrors")
    assert isinstance(broken, list)
    assert str(at(broken, 0, "errorMessage")).startswith("TF401320: Rule Error for field ")
    return [str(at(one, "fieldReferenceName")) for one in broken]


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_an_item_goes_along_each_way_with_its_first_reason_and_along_no_other(world: World, kind: Kind) -> None:
    for start, end in product(kind.states, kind.states):
        if start == end:
            continue
        item = make(world, kind)
        change(world, item, Manner(bypass=True), State=start)
        if reasons := kind.reasons(start, end):
            change(world, item, State=end)
            assert (item.fields[STATE], item.fields[REASON]) == (end, reasons[0])
        else:
            assert refused(world, item, State=end) == [STATE]


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_an_item_begins_in_one_state_only(world: World, kind: Kind) -> None:
    assert make(world, kind).fields[STATE] == kind.initial
    for state in kind.states:
        if state != kind.initial:
            with pytest.raises(ServiceError, match="TF401320: Rule Error for field State"):
                make(world, kind, State=state)


@needs_microsoft
@pytest.mark.parametrize("name", ["Agile", "Scrum", "CMMI"])
def test_ways_reasons_and_fields_are_those_of_the_published_template(name: str) -> None:
    types = templates()[name]["workItemTypes"]
    ours = PROCESSES[name].kinds
    assert set(types) == set(ours)
    for told, kind in ((types[one], ours[one]) for one in types):
        assert kind.reference_name == told["refName"]
        assert set(kind.states) == {state["name"] for state in told["states"]}
        ways = {(way["from"], way["to"]): way for way in told["transitions"]}
        assert {(a, b) for a, ends in kind.transitions.items() for b in ends} == set(ways)
        for (start, end), way in ways.items():
            assert kind.reasons(start, end)[0] == way["default"]
            assert set(kind.reasons(start, end)) == set(way["reasons"])
        assert set(told["fields"]) <= set(kind.fields)
        assert set(kind.required) == {one for one, field in told["fields"].items() if field.get("required")}
        for one, field in told["fields"].items():
            assert list(kind.fields[one].allowed) == field.get("allowedvalues", []), (named(kind), one)


@pytest.mark.parametrize("name", ["Epic", "Issue", "Task"])
def test_states_of_basic_go_any_to_any(name: str) -> None:
    kind = PROCESSES["Basic"].kinds[name]
    assert {start: set(ends) for start, ends in kind.transitions.items()} == BASIC


def test_ids_are_those_of_the_live_service() -> None:
    assert {name: process.type_id[:8] for name, process in PROCESSES.items()} == {
        "Agile": "adcc42ab",
        "Scrum": "6b724908",
        "CMMI": "27450541",
        "Basic": "b8a3a935",
    }


@pytest.mark.parametrize(
    ("process", "types"),
    [
        ("Agile", [("Epic",), ("Feature",), ("User Story",), ("Task",)]),
        ("Scrum", [("Epic",), ("Feature",), ("Product Backlog Item",), ("Task",)]),
        ("CMMI", [("Epic",), ("Feature",), ("Requirement",), ("Task",)]),
        ("Basic", [("Epic",), ("Issue",), ("Task",)]),
    ],
)
def test_levels_lead_from_epics_down_to_tasks(process: str, types: list[tuple[str, ...]]) -> None:
    assert [level.types for level in PROCESSES[process].levels] == types


def test_a_requirement_needs_an_owner_to_become_active(world: World) -> None:
    item = make(world, PROCESSES["CMMI"].kinds["Requirement"])
    change(world, item, AssignedTo=None)
    assert refused(world, item, State="Active") == [ASSIGNED]
    change(world, item, State="Active", AssignedTo="Noor Haddad")
    assert refused(world, item, AssignedTo=None) == [ASSIGNED]
    change(world, item, State="Closed", AssignedTo=None)
    assert ASSIGNED not in item.fields


def test_whoever_makes_a_cmmi_item_owns_it_unless_they_name_somebody(world: World) -> None:
    kind = PROCESSES["CMMI"].kinds["Epic"]
    assert make(world, kind).fields[ASSIGNED] == ADA
    assert make(world, kind, AssignedTo="Noor Haddad").fields[ASSIGNED] == NOOR
    with pytest.raises(ServiceError, match="TF401320: Rule Error for field Assigned To"):
        make(world, kind, AssignedTo=None)


def test_each_required_field_that_is_missing_is_named(world: World) -> None:
    kind = PROCESSES["CMMI"].kinds["Risk"]
    document = Document(fields=(FieldEdit(f"{COMMON}Severity", None, merge=False),))
    with pytest.raises(ServiceError) as error:
        edits.create(world, world.organisations["fabrikam"], "CMMI", kind, document, ADA)
    broken = at(error.value.body, "customProperties", "RuleValidationErrors")
    assert isinstance(broken, list)
    missing = {at(one, "fieldReferenceName") for one in broken}
    assert missing == {TITLE, f"{CMMI}Probability", f"{COMMON}Severity"}


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_an_item_without_what_its_type_requires_is_refused_and_told_what(world: World, kind: Kind) -> None:
    emptied = Document(fields=tuple(FieldEdit(name, None, merge=False) for name in kind.required))
    with pytest.raises(ServiceError, match="TF401320: Rule Error for field ") as error:
        edits.create(world, world.organisations["fabrikam"], kind.process, kind, emptied, ADA)
    broken = at(error.value.body, "customProperties", "RuleValidationErrors")
    assert isinstance(broken, list)
    told = {str(at(one, "fieldReferenceName")): str(at(one, "fieldStatusFlags")) for one in broken}
    assert set(kind.required) <= set(told)
    assert set(told.values()) == {"Required, InvalidEmpty"}
    assert (error.value.status, error.value.body["typeKey"]) == (400, "RuleValidationException")


def test_stamps_come_with_a_state_and_go_on_the_way_back(world: World) -> None:
    item = make(world, PROCESSES["CMMI"].kinds["Bug"])
    for state in ("Active", "Resolved", "Closed"):
        change(world, item, State=state)
    stamps = {stamp: item.fields.get(f"{COMMON}{stamp}By") for stamp in ("Activated", "Resolved", "Closed")}
    assert stamps == {"Activated": NOOR, "Resolved": NOOR, "Closed": NOOR}
    assert item.fields[f"{COMMON}ResolvedReason"] == "Fixed"
    change(world, item, State="Active")
    assert f"{COMMON}ActivatedDate" in item.fields
    gone = {f"{COMMON}{name}" for name in ("ResolvedBy", "ResolvedDate", "ResolvedReason", "ClosedBy", "ClosedDate")}
    assert not gone & set(item.fields)


def test_who_closes_a_story_that_nobody_began_began_it_in_agile_only(world: World) -> None:
    story, requirement = (
        make(world, PROCESSES["Agile"].kinds["User Story"]),
        make(world, PROCESSES["CMMI"].kinds["Requirement"]),
    )
    change(world, story, State="Closed")
    change(world, requirement, State="Closed")
    assert f"{COMMON}ActivatedDate" in story.fields
    assert f"{COMMON}ActivatedDate" not in requirement.fields


def test_a_reason_belongs_to_its_change_of_state(world: World) -> None:
    item = make(world, PROCESSES["CMMI"].kinds["Bug"])
    assert refused(world, item, State="Active", Reason="Verified") == [REASON]
    assert refused(world, item, Reason="Build Failure") == [REASON]
    change(world, item, State="Active", Reason="Investigate")
    assert item.fields[REASON] == "Investigate"


def test_a_value_that_is_not_listed_is_refused(world: World) -> None:
    item = make(world, PROCESSES["CMMI"].kinds["Requirement"])
    wrong = Document(fields=(FieldEdit(f"{CMMI}UserAcceptanceTest", "Maybe", merge=False),))
    with pytest.raises(ServiceError, match="Rule Error for field User Acceptance Test"):
        edits.patch(world, item, wrong, NOOR)


def test_bypassing_the_rules_goes_any_way_and_signs_for_others(world: World) -> None:
    item = make(world, PROCESSES["CMMI"].kinds["Bug"])
    change(world, item, Manner(bypass=True), State="Closed", ChangedBy="Ada Byron", ChangedDate="2024-05-06T07:08:09Z")
    assert item.fields["System.ChangedBy"] == ADA
    assert item.fields["System.ChangedDate"] == "2024-05-06T07:08:09Z"
    assert item.fields["System.AuthorizedAs"] == NOOR


def test_remaining_work_of_a_finished_task_is_emptied(world: World) -> None:
    item = make(world, PROCESSES["Agile"].kinds["Task"])
    name = "Microsoft.VSTS.Scheduling.RemainingWork"
    edits.patch(world, item, Document(fields=(FieldEdit(name, 3, merge=False),)), ADA)
    change(world, item, State="Closed")
    assert name not in item.fields
