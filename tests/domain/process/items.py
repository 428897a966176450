"""For each of our checks a case in which it holds and one in which it is broken."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pointsman.contracts.base import Json
from pointsman.contracts.process import Change, Graph, ItemFacts, LinkedItem, Planned, ProjectFacts, PullRequest

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CHILD, PARENT = "System.LinkTypes.Hierarchy-Forward", "System.LinkTypes.Hierarchy-Reverse"
STATE, AUTHOR, OWNER = "System.State", "System.CreatedBy", "System.AssignedTo"
ADA, BOB, BOT = "ada@fabrikam.com", "bob@fabrikam.com", "agent@fabrikam.com"
CMMI, COMMON, PLANNED = "Microsoft.VSTS.CMMI", "Microsoft.VSTS.Common", "Microsoft.VSTS.Scheduling"


def days_ago(days: int) -> str:
    return (NOW - timedelta(days=days)).isoformat()


def linked(relation: str, kind: str = "", state: str = "", **fields: Json) -> LinkedItem:
    return LinkedItem(
        relation=relation,
        id=7,
        type=kind,
        state=state,
        fields={f"{CMMI}.{key}": value for key, value in fields.items()},
    )


def change(update: int, by: str = ADA, authorised: str = "", **after: Json) -> Change:
    """`state`, or a field of CMMI by its short name."""
    names = {"state": STATE, "title": "System.Title", "reason": "System.Reason", "owner": OWNER, "author": AUTHOR}
    names |= {"size": f"{PLANNED}.Size", "estimate": f"{PLANNED}.OriginalEstimate"}
    return Change(
        update=update,
        at=NOW - timedelta(days=100 - update),
        by=by,
        authorised_as=authorised or by,
        after={names.get(name, name): value for name, value in after.items()},
    )


def item(kind: str, state: str, *links: LinkedItem, changes: tuple[Change, ...] = (), **fields: Json) -> ItemFacts:
    return ItemFacts(id=1, type=kind, state=state, links=links, changes=changes, fields=fields)


def with_fields(kind: str, state: str, fields: Mapping[str, Json]) -> ItemFacts:
    return ItemFacts(id=1, type=kind, state=state, links=(), changes=(), fields=dict(fields))


def lived(kind: str, *changes: Change, links: tuple[LinkedItem, ...] = ()) -> ItemFacts:
    """An item of which only the history counts. Its state is the last that it came into."""
    state = next(str(one.after[STATE]) for one in reversed(changes) if STATE in one.after)
    return ItemFacts(id=1, type=kind, state=state, links=links, changes=changes)


GRAPH = Graph(
    steps={
        "": {"Proposed": ("New",)},
        "Proposed": {"Active": ("Accepted", "Investigate"), "Closed": ("Rejected",)},
        "Active": {"Resolved": ()},
        "Resolved": {"Closed": (), "Active": ()},
        "Closed": {"Active": ()},
    }
)
REQUIREMENT: dict[str, Json] = {
    "System.Description": "<div>Trains keep their distance</div>",
    OWNER: {"uniqueName": ADA},
    f"{COMMON}.Triage": "Triaged",
    f"{CMMI}.Committed": "Yes",
}
ASSESSED: dict[str, Json] = {
    f"{CMMI}.{name}": "<p>none</p>"
    for name in (
        "Justification",
        "ImpactOnArchitecture",
        "ImpactOnUserExperience",
        "ImpactOnTest",
        "ImpactOnDevelopment",
        "ImpactOnTechnicalPublications",
    )
}
RISK: dict[str, Json] = {
    f"{CMMI}.Probability": 3.0,
    f"{COMMON}.Severity": "2 - High",
    f"{CMMI}.MitigationPlan": "<p>slow down</p>",
    f"{CMMI}.MitigationTriggers": "<p>frost</p>",
    OWNER: f"Ada <{ADA}>",
}


def approved(by: str, *links: LinkedItem) -> ItemFacts:
    made = change(1, author=ADA, state="Proposed")
    changes = (made, change(2, by, state="Active"), change(3, BOB, state="Closed"))
    return ItemFacts(id=1, type="Change Request", state="Closed", links=links, changes=changes, fields=dict(ASSESSED))


def closed(kind: str, by: str, *, first: str = "Proposed", author: str = ADA) -> ItemFacts:
    """Assigned to Ada, resolved by her, closed by somebody."""
    return lived(
        kind,
        change(1, author, author=author, owner=ADA, state=first),
        change(2, ADA, state="Resolved"),
        change(3, by, state="Closed"),
    )


def proved(outcomes: dict[int, str] | None, **fields: Json) -> ItemFacts:
    return ItemFacts(id=1, type="Requirement", state="Closed", outcomes=outcomes, fields=fields)


def merged(*approvers: str) -> ItemFacts:
    request = PullRequest(id=5, author=ADA, completed=True, approvers=approvers)
    return ItemFacts(id=1, type="Bug", state="Closed", pull_requests=(request,))


def planned(start: int, finish: int) -> ItemFacts:
    """Active in an iteration with dates so many days from now."""
    begins, ends = (NOW + timedelta(days=days) for days in (start, finish))
    return ItemFacts(id=1, type="Task", state="Active", planned=Planned(path="p\\1", start=begins, finish=ends))


AFFECTS, AFFECTED = f"{COMMON}.Affects-Forward", f"{COMMON}.Affects-Reverse"
ACTIVE = change(2, state="Active")
NEW = change(1, state="Proposed", title="Distance")

# Check: an item of which it holds, and one that breaks it.
CASES: dict[str, tuple[ItemFacts, ItemFacts]] = {
    "RDM-1.parent": (item("Requirement", "Active", linked(PARENT, "Feature")), item("Requirement", "Active")),
    "RDM-1.level": (
        item("Feature", "Active", linked(PARENT, "Epic")),
        item("Feature", "New", linked(PARENT, "Feature")),
    ),
    "RDM-1.bug": (item("Bug", "Active", linked(PARENT, "Feature")), item("Bug", "Active", linked(PARENT, "Epic"))),
    "RDM-1.top": (item("Epic", "Active"), item("Epic", "Active", linked(PARENT, "Feature"))),
    "RDM-1.task": (item("Task", "Active", linked(PARENT, "Bug")), item("Task", "Active", linked(PARENT, "Epic"))),
    "RDM-1.work": (
        item("Requirement", "Active", linked("Pull Request")),
        item("Requirement", "Active", linked(CHILD, "Bug")),
    ),
    "RDM-1.proof": (
        item("Requirement", "Active", linked(f"{COMMON}.TestedBy-Forward", "Test Case")),
        item("Requirement", "Active"),
    ),
    "RDM-2": (
        with_fields("Requirement", "Active", REQUIREMENT),
        with_fields("Requirement", "Active", {**REQUIREMENT, "System.Description": "<div><br></div>"}),
    ),
    "RDM-3": (
        lived("Requirement", NEW, ACTIVE, change(3, title="D"), links=(linked(AFFECTED, "Change Request"),)),
        lived("Requirement", NEW, ACTIVE, change(3, title="Less distance")),
    ),
    "CM-1.build": (
        item("Bug", "Closed", linked("Integrated in build")),
        with_fields("Bug", "Closed", {"Microsoft.VSTS.Build.IntegrationBuild": ""}),
    ),
    "CM-2": (approved(BOB, linked(AFFECTS, "Requirement")), approved(ADA, linked(AFFECTS, "Requirement"))),
    "CM-3": (lived("Bug", NEW), lived("Bug", change(1, ADA, BOB, state="Proposed"))),
    "PQA-1.independent": (
        lived("Review", change(1, author=ADA, state="Active"), change(2, BOB, state="Closed")),
        lived("Review", change(1, author=ADA, state="Active"), change(2, ADA, state="Closed")),
    ),
    "PQA-1.findings": (item("Review", "Closed"), item("Review", "Closed", linked(CHILD, "Bug", "Active"))),
    "PQA-2": (
        lived("Requirement", NEW, ACTIVE).model_copy(update={"graph": GRAPH}),
        lived("Requirement", NEW, change(2, state="Resolved")).model_copy(update={"graph": GRAPH}),
    ),
    "PQA-2.age": (
        with_fields("Bug", "Resolved", {f"{COMMON}.StateChangeDate": days_ago(14)}),
        with_fields("Bug", "Resolved", {f"{COMMON}.StateChangeDate": days_ago(15)}),
    ),
    "VV-1": (proved({9: "Passed"}), proved({9: "Failed"})),
    "PR-1": (merged(BOB, "cy@fabrikam.com"), merged(BOB, ADA.upper())),
    "MC-1.fresh": (
        with_fields("Task", "Active", {"System.ChangedDate": days_ago(13)}),
        with_fields("Task", "Active", {"System.ChangedDate": days_ago(30)}),
    ),
    "MC-1.work": (
        with_fields("Task", "Active", {f"{PLANNED}.RemainingWork": 0.0, f"{PLANNED}.CompletedWork": 2}),
        with_fields("Task", "Active", {f"{PLANNED}.RemainingWork": 3.5}),
    ),
    "MC-1.date": (
        with_fields("Task", "Active", {f"{PLANNED}.FinishDate": days_ago(-1)}),
        with_fields("Task", "Active", {f"{PLANNED}.FinishDate": days_ago(1)}),
    ),
    "MC-1.iteration": (planned(-30, 0), planned(-30, -2)),
    "MC-2.escalated": (
        with_fields(
            "Issue", "Active", {f"{CMMI}.Escalate": "Yes", OWNER: ADA, f"{CMMI}.TargetResolveDate": NOW.isoformat()}
        ),
        with_fields("Issue", "Active", {f"{CMMI}.Escalate": "Yes", OWNER: ADA}),
    ),
    "MC-2.action": (
        item("Issue", "Active", linked(CHILD, "Task", TaskType="Corrective Action")),
        item("Issue", "Active", linked(CHILD, "Task", TaskType="Planned")),
    ),
    "RSK-1": (with_fields("Risk", "Active", RISK), with_fields("Risk", "Active", {**RISK, OWNER: None})),
    "RSK-1.action": (
        item("Risk", "Active", linked("System.LinkTypes.Related", "Task", TaskType="Mitigation Action")),
        item("Risk", "Active"),
    ),
    "MPM-1": (
        with_fields("Task", "Closed", {f"{PLANNED}.OriginalEstimate": 3, f"{PLANNED}.CompletedWork": 4}),
        with_fields("Task", "Closed", {f"{PLANNED}.CompletedWork": 4}),
    ),
    "EST-1": (
        lived("Requirement", NEW, change(2, size=3), change(3, state="Active")),
        lived("Requirement", NEW, ACTIVE, change(3, size=3)),
    ),
    "EST-1.task": (
        lived("Task", NEW, change(2, state="Active", estimate=3)),
        lived("Task", NEW, ACTIVE),
    ),
    "PLAN-1": (
        with_fields("Bug", "Active", {"System.IterationPath": "Fabrikam\\Sprint 1"}),
        with_fields("Bug", "Active", {"System.IterationPath": "Fabrikam"}),
    ),
    "CAR-1": (
        with_fields("Bug", "Closed", {f"{COMMON}.Severity": "1 - Critical", f"{CMMI}.RootCause": "Design Error"}),
        with_fields("Bug", "Closed", {f"{COMMON}.Severity": "1 - Critical", f"{CMMI}.RootCause": "Unknown"}),
    ),
    "SEG-1": (closed("Bug", BOB), closed("Bug", BOT)),
}

# Check: a project of which it holds, and one that breaks it.
REVIEWERS, LINKING = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd", "40e92b44-2fe1-4dd6-b3d8-74a9c21d0c6e"
PROJECTS: dict[str, tuple[ProjectFacts, ProjectFacts]] = {
    "CM-1.branch": (
        ProjectFacts(name="p", policies={"signals": (REVIEWERS, LINKING)}),
        ProjectFacts(name="p", policies={"signals": (REVIEWERS, LINKING), "points": (REVIEWERS,)}),
    ),
    "CM-1.item": (
        ProjectFacts(name="p", unaccounted=()),
        ProjectFacts(name="p", unaccounted=(("signals", 7),)),
    ),
    "CM-3.policy": (
        ProjectFacts(name="p", bypasses=()),
        ProjectFacts(name="p", bypasses=((NOW, 'Policies on "main" were bypassed'),)),
    ),
    "PQA-1.share": (
        ProjectFacts(name="p", counts={"Review": 2, "Requirement": 20}),
        ProjectFacts(name="p", counts={"Requirement": 1}),
    ),
    "MPM-1.defects": (
        ProjectFacts(name="p", filled={f"Bug/{CMMI}.HowFound": (9, 10), f"Bug/{CMMI}.RootCause": (10, 10)}),
        ProjectFacts(name="p", filled={f"Bug/{CMMI}.HowFound": (8, 10), f"Bug/{CMMI}.RootCause": (10, 10)}),
    ),
}
