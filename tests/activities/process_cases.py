"""For each check of our sets an item that keeps to it and one that breaks it, as people make them."""

from dataclasses import dataclass

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.config import ADA, NOOR, POINTSMAN, Identity

CMMI, COMMON, SCHEDULING = "Microsoft.VSTS.CMMI", "Microsoft.VSTS.Common", "Microsoft.VSTS.Scheduling"
PARENT, CHILD = "System.LinkTypes.Hierarchy-Reverse", "System.LinkTypes.Hierarchy-Forward"
RELATED, TESTED_BY = "System.LinkTypes.Related", f"{COMMON}.TestedBy-Forward"
AFFECTS, AFFECTED = f"{COMMON}.Affects-Forward", f"{COMMON}.Affects-Reverse"
SIZE, ESTIMATE = f"{SCHEDULING}.Size", f"{SCHEDULING}.OriginalEstimate"
DONE_WORK, LEFT_WORK = f"{SCHEDULING}.CompletedWork", f"{SCHEDULING}.RemainingWork"
STATE, OWNER, TITLE = "System.State", "System.AssignedTo", "System.Title"
ACCEPTED = f"{COMMON}.AcceptanceCriteria"
CRITICAL = {f"{COMMON}.Severity": "1 - Critical"}
Fields = dict[str, Json]


@dataclass(frozen=True)
class Step:
    """One document by one person. With `forced` it goes past the rules, and may be signed with another's name."""

    fields: Fields
    by: Identity = ADA
    forced: bool = False


@dataclass(frozen=True)
class To:
    """A link to an item of a type in its first state, with fields; or to what `special` names."""

    relation: str
    type: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    special: str = ""


@dataclass(frozen=True)
class Case:
    """The first step makes it, with its links. It is judged so many days later."""

    type: str
    steps: tuple[Step, ...]
    links: tuple[To, ...] = ()
    days: int = 0


def with_fields(kind: str, fields: Fields, *steps: Step | str, links: tuple[To, ...] = (), days: int = 0) -> Case:
    """A text is a state that it comes into by Ada's hand."""
    told = [Step({STATE: one}) if isinstance(one, str) else one for one in steps]
    return Case(kind, (Step(fields), *told), links, days)


def case(kind: str, *steps: Step | str, links: tuple[To, ...] = (), days: int = 0) -> Case:
    return with_fields(kind, {}, *steps, links=links, days=days)


def by(person: Identity, state: str, **fields: Json) -> Step:
    return Step({STATE: state, **fields}, person)


def task(kind: str) -> To:
    return To(RELATED, "Task", ((f"{CMMI}.TaskType", kind),))


READY: Fields = {
    "System.Description": "<p>Keep the distance</p>",
    f"{COMMON}.Triage": "Triaged",
    f"{CMMI}.Committed": "Yes",
}
ASSESSED: Fields = {
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
RISK: Fields = {
    f"{CMMI}.Probability": 30,
    f"{COMMON}.Severity": "2 - High",
    f"{CMMI}.MitigationPlan": "<p>slow down</p>",
    f"{CMMI}.MitigationTriggers": "<p>frost</p>",
}
PROBABLE: Fields = {f"{CMMI}.Probability": 30}
PURPOSE: Fields = {f"{CMMI}.Purpose": "<p>the brakes</p>"}
REVIEWED, UNREVIEWED = To("", special="reviewed"), To("", special="unreviewed")
PASSED, FAILED = To(TESTED_BY, special="passed"), To(TESTED_BY, special="failed")

OF_CMMI: dict[str, tuple[Case, Case]] = {
    "RDM-1.parent": (case("Requirement", links=(To(PARENT, "Feature"),)), case("Requirement")),
    "RDM-1.level": (
        case("Feature", links=(To(PARENT, "Epic"),)),
        case("Feature", links=(To(PARENT, "Feature"),)),
    ),
    "RDM-1.bug": (case("Bug", links=(To(PARENT, "Requirement"),)), case("Bug", links=(To(PARENT, "Epic"),))),
    "RDM-1.top": (case("Epic"), case("Epic", links=(To(PARENT, "Feature"),))),
    "RDM-1.task": (case("Task", links=(To(PARENT, "Bug"),)), case("Task", links=(To(PARENT, "Epic"),))),
    "RDM-1.work": (case("Requirement", "Active", links=(To(CHILD, "Task"),)), case("Requirement", "Active")),
    "RDM-1.proof": (case("Requirement", "Active", links=(FAILED,)), case("Requirement", "Active")),
    "RDM-2": (
        with_fields("Requirement", READY, "Active"),
        with_fields("Requirement", {**READY, "System.Description": "<p> </p>"}, "Active"),
    ),
    "RDM-3": (
        case("Requirement", "Active", Step({TITLE: "Shorter"}), links=(To(AFFECTED, "Change Request"),)),
        case("Requirement", "Active", Step({TITLE: "Shorter"})),
    ),
    "CM-1.build": (
        with_fields("Bug", {"Microsoft.VSTS.Build.IntegrationBuild": "20261121.3"}, "Closed"),
        case("Bug", "Closed"),
    ),
    "CM-2": (
        with_fields("Change Request", ASSESSED, by(NOOR, "Active"), "Closed", links=(To(AFFECTS, "Requirement"),)),
        with_fields("Change Request", ASSESSED, "Active", "Closed", links=(To(AFFECTS, "Requirement"),)),
    ),
    "CM-3": (
        case("Bug"),
        case("Bug", Step({TITLE: "As Noor", "System.ChangedBy": NOOR.combined}, forced=True)),
    ),
    "PQA-1.independent": (
        with_fields("Review", PURPOSE, by(NOOR, "Closed")),
        with_fields("Review", PURPOSE, "Closed"),
    ),
    "PQA-1.findings": (
        with_fields("Review", PURPOSE, "Closed"),
        with_fields("Review", PURPOSE, "Closed", links=(To(CHILD, "Bug"),)),
    ),
    "PQA-2": (case("Bug", "Active"), case("Bug", Step({STATE: "Resolved"}, forced=True))),
    "PQA-2.age": (case("Bug", "Active", "Resolved"), case("Bug", "Active", "Resolved", days=15)),
    "VV-1": (
        case("Requirement", "Active", "Resolved", "Closed", links=(PASSED,)),
        case("Requirement", "Active", "Resolved", "Closed", links=(FAILED,)),
    ),
    "PR-1": (case("Bug", links=(REVIEWED,)), case("Bug", links=(UNREVIEWED,))),
    "MC-1.fresh": (case("Task", "Active"), case("Task", "Active", days=15)),
    "MC-1.work": (
        case("Task", Step({STATE: "Active", DONE_WORK: 2, LEFT_WORK: 3})),
        case("Task", Step({STATE: "Active", DONE_WORK: 2})),
    ),
    "MC-1.date": (
        with_fields("Task", {f"{SCHEDULING}.FinishDate": "2199-01-01T00:00:00Z"}),
        with_fields("Task", {f"{SCHEDULING}.FinishDate": "2020-01-01T00:00:00Z"}),
    ),
    "MC-1.iteration": (
        case("Task", Step({STATE: "Active", "System.IterationPath": "CMMI\\Now"})),
        case("Task", Step({STATE: "Active", "System.IterationPath": "CMMI\\Over"})),
    ),
    "MC-2.escalated": (
        with_fields("Issue", {f"{CMMI}.Escalate": "Yes", f"{CMMI}.TargetResolveDate": "2199-01-01T00:00:00Z"}),
        with_fields("Issue", {f"{CMMI}.Escalate": "Yes"}),
    ),
    "MC-2.action": (
        case("Issue", "Active", links=(task("Corrective Action"),)),
        case("Issue", "Active", links=(task("Planned"),)),
    ),
    "RSK-1": (with_fields("Risk", RISK), with_fields("Risk", PROBABLE)),
    "RSK-1.action": (
        with_fields("Risk", PROBABLE, "Active", links=(task("Mitigation Action"),)),
        with_fields("Risk", PROBABLE, "Active"),
    ),
    "MPM-1": (
        with_fields("Task", {ESTIMATE: 3, DONE_WORK: 4}, "Active", "Closed"),
        case("Task", "Active", "Closed"),
    ),
    "EST-1": (with_fields("Requirement", {SIZE: 3}, "Active"), case("Requirement", "Active", Step({SIZE: 3}))),
    "EST-1.task": (with_fields("Task", {ESTIMATE: 3}, "Active"), case("Task", "Active", Step({ESTIMATE: 3}))),
    "PLAN-1": (
        case("Bug", Step({STATE: "Active", "System.IterationPath": "CMMI\\Now"})),
        case("Bug", "Active"),
    ),
    "CAR-1": (
        with_fields("Bug", {**CRITICAL, f"{CMMI}.RootCause": "Design Error"}, "Closed"),
        with_fields("Bug", {**CRITICAL, f"{CMMI}.RootCause": "Unknown"}, "Closed"),
    ),
    "SEG-1": (
        case("Bug", "Active", "Resolved", by(NOOR, "Closed")),
        case("Bug", "Active", "Resolved", by(POINTSMAN, "Closed")),
    ),
}


def _shared(
    story: str, active: str, done: str, walk: tuple[str, ...], parent: str = "Feature"
) -> dict[str, tuple[Case, Case]]:
    """What Agile and Scrum ask alike."""
    return {
        "TRACE-1": (
            case(story, *walk[: walk.index(active) + 1], links=(To(PARENT, parent),)),
            case(story, *walk[: walk.index(active) + 1]),
        ),
        "TRACE-2": (case("Task", links=(To(PARENT, "Bug"),)), case("Task", links=(To(PARENT, "Feature"),))),
        "DONE-1": (case(story, *walk, links=(PASSED,)), case(story, *walk, links=(FAILED,))),
        "REVIEW-1": (case("Bug", links=(REVIEWED,)), case("Bug", links=(UNREVIEWED,))),
        "AGENT-1": (case(story, *walk), case(story, *walk[:-1], by(POINTSMAN, done))),
    }


OF_AGILE: dict[str, tuple[Case, Case]] = {
    **_shared("User Story", "Active", "Closed", ("Active", "Resolved", "Closed")),
    "READY-1": (
        with_fields(
            "User Story", {ACCEPTED: "<p>It holds</p>", f"{SCHEDULING}.StoryPoints": 3, OWNER: ADA.combined}, "Active"
        ),
        with_fields("User Story", {ACCEPTED: "<p>It holds</p>", f"{SCHEDULING}.StoryPoints": 3}, "Active"),
    ),
    "FLOW-1": (case("User Story", "Active"), case("User Story", "Removed", Step({STATE: "Closed"}, forced=True))),
    "FLOW-2": (case("Task", "Active"), case("Task", "Active", days=15)),
}
OF_SCRUM: dict[str, tuple[Case, Case]] = {
    **_shared("Product Backlog Item", "Committed", "Done", ("Approved", "Committed", "Done")),
    "READY-1": (
        with_fields(
            "Product Backlog Item", {ACCEPTED: "<p>It holds</p>", f"{SCHEDULING}.Effort": 3}, "Approved", "Committed"
        ),
        with_fields("Product Backlog Item", {ACCEPTED: "<p>It holds</p>"}, "Approved", "Committed"),
    ),
    "FLOW-1": (
        case("Product Backlog Item", "Approved"),
        case("Product Backlog Item", "Removed", Step({STATE: "Committed"}, forced=True)),
    ),
    "FLOW-2": (case("Impediment"), case("Impediment", days=8)),
}
OWNED: Fields = {OWNER: ADA.combined}
OF_BASIC: dict[str, tuple[Case, Case]] = {
    "TRACE-1": (case("Issue", links=(To(PARENT, "Epic"),)), case("Issue", links=(To(PARENT, "Issue"),))),
    "TRACE-2": (case("Task", links=(To(PARENT, "Issue"),)), case("Task", links=(To(PARENT, "Epic"),))),
    "READY-1": (with_fields("Task", OWNED, "Doing"), case("Task", "Doing")),
    "FLOW-1": (case("Issue", "Doing"), case("Issue", Step({STATE: "Elsewhere"}, forced=True))),
    "FLOW-2": (case("Task", "Doing"), case("Task", "Doing", days=15)),
    "REVIEW-1": (case("Issue", links=(REVIEWED,)), case("Issue", links=(UNREVIEWED,))),
    "AGENT-1": (case("Task", "Doing", "Done"), case("Task", "Doing", by(POINTSMAN, "Done"))),
}
CASES = {"cmmi": OF_CMMI, "agile": OF_AGILE, "scrum": OF_SCRUM, "basic": OF_BASIC}
PROJECTS = {"cmmi": "CMMI", "agile": "Agile", "scrum": "Scrum", "basic": "Basic"}
