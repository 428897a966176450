"""The Agile process, as far as the stand-in plays it: types, states, fields and what they allow.

States move any-to-any, as the service allows in a process that was customised; the original graph is not enforced.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "dateTime"
    HTML = "html"
    TREE = "treePath"
    IDENTITY = "identity"
    TAGS = "tags"
    HISTORY = "history"


@dataclass(frozen=True)
class Field:
    name: str
    shape: Shape
    allowed: tuple[str, ...] = ()
    default: str | int | None = None
    read_only: bool = False


@dataclass(frozen=True)
class Kind:
    """A type of work item. `states` leads from each state to its category; the first is where items begin."""

    name: str
    reference_name: str
    color: str
    states: Mapping[str, str]
    fields: tuple[str, ...] = ()
    on_board: bool = True

    @property
    def initial(self) -> str:
        return next(iter(self.states))


COMMON, SCHEDULING, TCM = "Microsoft.VSTS.Common.", "Microsoft.VSTS.Scheduling.", "Microsoft.VSTS.TCM."
STORY_STATES = {
    "New": "Proposed",
    "Active": "InProgress",
    "Resolved": "Resolved",
    "Closed": "Completed",
    "Removed": "Removed",
}
BUG_STATES = {name: category for name, category in STORY_STATES.items() if name != "Removed"}
TASK_STATES = {name: category for name, category in STORY_STATES.items() if name != "Resolved"}
ISSUE_STATES = {"Active": "InProgress", "Closed": "Completed"}
STATE_COLORS = {
    "Proposed": "b2b2b2",
    "InProgress": "007acc",
    "Resolved": "ff9d00",
    "Completed": "339933",
    "Removed": "ffffff",
}
ACTIVITIES = ("Deployment", "Design", "Development", "Documentation", "Requirements", "Testing")

FIELDS: Mapping[str, Field] = {
    "System.Id": Field("ID", Shape.INTEGER, read_only=True),
    "System.Rev": Field("Rev", Shape.INTEGER, read_only=True),
    "System.Watermark": Field("Watermark", Shape.INTEGER, read_only=True),
    "System.TeamProject": Field("Team Project", Shape.STRING, read_only=True),
    "System.WorkItemType": Field("Work Item Type", Shape.STRING, read_only=True),
    "System.CreatedDate": Field("Created Date", Shape.DATE, read_only=True),
    "System.CreatedBy": Field("Created By", Shape.IDENTITY, read_only=True),
    "System.ChangedDate": Field("Changed Date", Shape.DATE, read_only=True),
    "System.ChangedBy": Field("Changed By", Shape.IDENTITY, read_only=True),
    "System.AuthorizedDate": Field("Authorized Date", Shape.DATE, read_only=True),
    "System.AuthorizedAs": Field("Authorized As", Shape.IDENTITY, read_only=True),
    "System.RevisedDate": Field("Revised Date", Shape.DATE, read_only=True),
    "System.CommentCount": Field("Comment Count", Shape.INTEGER, read_only=True),
    "System.IsDeleted": Field("Is Deleted", Shape.BOOLEAN, read_only=True),
    "System.BoardColumn": Field("Board Column", Shape.STRING, read_only=True),
    "System.BoardColumnDone": Field("Board Column Done", Shape.BOOLEAN, read_only=True),
    "System.Title": Field("Title", Shape.STRING),
    "System.State": Field("State", Shape.STRING),
    "System.Reason": Field("Reason", Shape.STRING),
    "System.AssignedTo": Field("Assigned To", Shape.IDENTITY),
    "System.AreaPath": Field("Area Path", Shape.TREE),
    "System.IterationPath": Field("Iteration Path", Shape.TREE),
    "System.Description": Field("Description", Shape.HTML),
    "System.History": Field("History", Shape.HISTORY),
    "System.Tags": Field("Tags", Shape.TAGS),
    f"{COMMON}Priority": Field("Priority", Shape.INTEGER, ("1", "2", "3", "4"), default=2),
    f"{COMMON}StateChangeDate": Field("State Change Date", Shape.DATE, read_only=True),
    f"{COMMON}ActivatedDate": Field("Activated Date", Shape.DATE, read_only=True),
    f"{COMMON}ActivatedBy": Field("Activated By", Shape.IDENTITY, read_only=True),
    f"{COMMON}ResolvedDate": Field("Resolved Date", Shape.DATE, read_only=True),
    f"{COMMON}ResolvedBy": Field("Resolved By", Shape.IDENTITY, read_only=True),
    f"{COMMON}ResolvedReason": Field("Resolved Reason", Shape.STRING),
    f"{COMMON}ClosedDate": Field("Closed Date", Shape.DATE, read_only=True),
    f"{COMMON}ClosedBy": Field("Closed By", Shape.IDENTITY, read_only=True),
    f"{COMMON}StackRank": Field("Stack Rank", Shape.DOUBLE),
    f"{COMMON}ValueArea": Field("Value Area", Shape.STRING, ("Architectural", "Business"), default="Business"),
    f"{COMMON}Severity": Field(
        "Severity", Shape.STRING, ("1 - Critical", "2 - High", "3 - Medium", "4 - Low"), default="3 - Medium"
    ),
    f"{COMMON}Risk": Field("Risk", Shape.STRING, ("1 - High", "2 - Medium", "3 - Low")),
    f"{COMMON}Activity": Field("Activity", Shape.STRING, ACTIVITIES),
    f"{COMMON}AcceptanceCriteria": Field("Acceptance Criteria", Shape.HTML),
    f"{COMMON}BusinessValue": Field("Business Value", Shape.INTEGER),
    f"{SCHEDULING}StoryPoints": Field("Story Points", Shape.DOUBLE),
    f"{SCHEDULING}Effort": Field("Effort", Shape.DOUBLE),
    f"{SCHEDULING}RemainingWork": Field("Remaining Work", Shape.DOUBLE),
    f"{SCHEDULING}OriginalEstimate": Field("Original Estimate", Shape.DOUBLE),
    f"{SCHEDULING}CompletedWork": Field("Completed Work", Shape.DOUBLE),
    f"{SCHEDULING}TargetDate": Field("Target Date", Shape.DATE),
    f"{SCHEDULING}DueDate": Field("Due Date", Shape.DATE),
    f"{TCM}ReproSteps": Field("Repro Steps", Shape.HTML),
    f"{TCM}SystemInfo": Field("System Info", Shape.HTML),
}

_WORK = tuple(f"{SCHEDULING}{name}" for name in ("RemainingWork", "OriginalEstimate", "CompletedWork"))
_PLAN = (f"{COMMON}ValueArea", f"{COMMON}Risk", f"{COMMON}BusinessValue", f"{SCHEDULING}Effort")
_ONLY_SOME = {
    *_WORK,
    *_PLAN,
    f"{COMMON}Severity",
    f"{COMMON}Activity",
    f"{COMMON}AcceptanceCriteria",
    f"{SCHEDULING}StoryPoints",
    f"{SCHEDULING}TargetDate",
    f"{SCHEDULING}DueDate",
    f"{TCM}ReproSteps",
    f"{TCM}SystemInfo",
}
_TYPES = "Microsoft.VSTS.WorkItemTypes."
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "Bug",
            f"{_TYPES}Bug",
            "CC293D",
            BUG_STATES,
            (
                *_WORK,
                f"{COMMON}Severity",
                f"{COMMON}Activity",
                f"{COMMON}ValueArea",
                f"{SCHEDULING}StoryPoints",
                f"{TCM}ReproSteps",
                f"{TCM}SystemInfo",
            ),
        ),
        Kind(
            "User Story",
            f"{_TYPES}UserStory",
            "009CCC",
            STORY_STATES,
            (
                f"{COMMON}ValueArea",
                f"{COMMON}Risk",
                f"{COMMON}AcceptanceCriteria",
                f"{SCHEDULING}StoryPoints",
            ),
        ),
        Kind("Task", f"{_TYPES}Task", "F2CB1D", TASK_STATES, (*_WORK, f"{COMMON}Activity"), on_board=False),
        Kind("Feature", f"{_TYPES}Feature", "773B93", STORY_STATES, (*_PLAN, f"{SCHEDULING}TargetDate")),
        Kind("Epic", f"{_TYPES}Epic", "FF7B00", STORY_STATES, (*_PLAN, f"{SCHEDULING}TargetDate")),
        Kind("Issue", f"{_TYPES}Issue", "B4009E", ISSUE_STATES, (f"{SCHEDULING}DueDate",), on_board=False),
    )
}

_FIELD_NAMES = {name.lower(): name for name in FIELDS}
_KIND_NAMES = {name.lower(): kind for name, kind in KINDS.items()}

LINKS: Mapping[str, tuple[str, str]] = {
    "System.LinkTypes.Hierarchy-Forward": ("Child", "System.LinkTypes.Hierarchy-Reverse"),
    "System.LinkTypes.Hierarchy-Reverse": ("Parent", "System.LinkTypes.Hierarchy-Forward"),
    "System.LinkTypes.Dependency-Forward": ("Successor", "System.LinkTypes.Dependency-Reverse"),
    "System.LinkTypes.Dependency-Reverse": ("Predecessor", "System.LinkTypes.Dependency-Forward"),
    "System.LinkTypes.Duplicate-Forward": ("Duplicate", "System.LinkTypes.Duplicate-Reverse"),
    "System.LinkTypes.Duplicate-Reverse": ("Duplicate Of", "System.LinkTypes.Duplicate-Forward"),
    "System.LinkTypes.Related": ("Related", "System.LinkTypes.Related"),
}
"""Links between items: the name at this end, and the type that the other end shows."""

RESOURCE_LINKS = ("Hyperlink", "ArtifactLink", "AttachedFile")


def field_named(name: str) -> tuple[str, Field] | None:
    """Canonical reference name and definition; names are case-insensitive."""
    canonical = _FIELD_NAMES.get(name.lower())
    return (canonical, FIELDS[canonical]) if canonical else None


def kind_named(name: str) -> Kind | None:
    return _KIND_NAMES.get(name.lower())


def has_field(kind: Kind, name: str) -> bool:
    return name not in _ONLY_SOME or name in kind.fields
