"""Rules of a process, what is known of an item or a project when they are applied, and what was found.

A check is one sentence that can be decided: whom it concerns, when, and what must be so. What cannot be known from
here is `no data`, never `held`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from pointsman.contracts.base import Contract, Json


class CheckSeverity(StrEnum):
    INFO = "info"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class Filled(Contract):
    """Each of these fields says something other than nothing and than `empty`."""

    kind: Literal["filled"] = "filled"
    fields: tuple[str, ...] = Field(min_length=1)
    empty: tuple[str, ...] = ()
    """Values that say nothing, for example `Unknown`."""


class OneOf(Contract):
    """The field has one of these values."""

    kind: Literal["one_of"] = "one_of"
    field: str
    values: tuple[str, ...] = Field(min_length=1)


class Nested(Contract):
    """The path in the field, an area or an iteration, leads below the root."""

    kind: Literal["nested"] = "nested"
    field: str


class Linked(Contract):
    """At least so many links lead to items like these. Empty criteria take any."""

    kind: Literal["linked"] = "linked"
    relations: tuple[str, ...] = Field(min_length=1)
    """Reference names such as System.LinkTypes.Hierarchy-Reverse, or names of artifact links such as Pull Request."""
    types: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    values: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Fields of the linked item, and what they may say."""
    at_least: int = Field(default=1, ge=0)
    only: bool = False
    """Links of these relations may lead to such items only; at most one of them where it is a parent."""


class Transitions(Contract):
    """Each change of state is one that the process allows, for a reason that it allows."""

    kind: Literal["transitions"] = "transitions"


class Unchanged(Contract):
    """These fields did not change while the item was in these states, unless it is linked as told."""

    kind: Literal["unchanged"] = "unchanged"
    fields: tuple[str, ...] = Field(min_length=1)
    states: tuple[str, ...] = Field(min_length=1)
    unless: Linked | None = None


class Before(Contract):
    """These fields were filled when the item entered this state, and were not filled in afterwards."""

    kind: Literal["before"] = "before"
    state: str
    fields: tuple[str, ...] = Field(min_length=1)


class Age(Contract):
    """Not more days since the item changed, or since it came into its state."""

    kind: Literal["age"] = "age"
    since: Literal["changed", "state"] = "changed"
    days: int = Field(ge=1)


class NotOverdue(Contract):
    """The first of these dates that is told has not passed. Without any there is no data."""

    kind: Literal["not_overdue"] = "not_overdue"
    fields: tuple[str, ...] = Field(min_length=1)


class InTime(Contract):
    """The iteration that it is planned into has dates, in order, and is not over."""

    kind: Literal["in_time"] = "in_time"


class OtherPerson(Contract):
    """Whoever brought the item into `state` is not who did the work: by these fields, or by an earlier state."""

    kind: Literal["other_person"] = "other_person"
    state: str
    than_fields: tuple[str, ...] = ()
    """Identity fields, as they were just before the change."""
    than_state: str = ""
    """Whoever brought it into this state last before."""
    no_agent: bool = False
    """Nor one of the accounts that agents work under."""


class OwnName(Contract):
    """Each revision was written by the account that it names as its author: nobody wrote in another's name."""

    kind: Literal["own_name"] = "own_name"


class Tested(Contract):
    """The last outcome of each test case that proves the item is `Passed`, and there is one."""

    kind: Literal["tested"] = "tested"


class Reviewed(Contract):
    """Each completed pull request was approved by so many people other than its author."""

    kind: Literal["reviewed"] = "reviewed"
    approvals: int = Field(default=2, ge=1)


class Protected(Contract):
    """Of the project: policies of these types are on and blocking on its default branches."""

    kind: Literal["protected"] = "protected"
    policies: tuple[str, ...] = Field(min_length=1)
    """Ids of policy types."""


class Unbypassed(Contract):
    """Of the project: nothing went past the policies of its branches within so many days."""

    kind: Literal["unbypassed"] = "unbypassed"
    days: int = Field(default=30, ge=1, le=90)
    told_by: Literal["audit_log", "pull_requests"] = "audit_log"
    """The audit log tells of whoever went past them; pull requests tell which of those that were completed into a
    default branch name no work item."""


class Ratio(Contract):
    """Of the project: at least one item of `types` for each `per` items of `of`."""

    kind: Literal["ratio"] = "ratio"
    types: tuple[str, ...] = Field(min_length=1)
    of: tuple[str, ...] = Field(min_length=1)
    per: int = Field(ge=1)


class Complete(Contract):
    """Of the project: so many of a hundred items have each of these fields filled."""

    kind: Literal["complete"] = "complete"
    fields: tuple[str, ...] = Field(min_length=1)
    percent: int = Field(ge=1, le=100)
    by_value: bool = False
    """Count what they say, too: for lists of a few values, not for free text and people."""


class AnyOf(Contract):
    """One of these holds."""

    kind: Literal["any_of"] = "any_of"
    rules: tuple["Rule", ...] = Field(min_length=2)


class AllOf(Contract):
    """Each of these holds."""

    kind: Literal["all_of"] = "all_of"
    rules: tuple["Rule", ...] = Field(min_length=2)


Rule = Annotated[
    Filled
    | OneOf
    | Nested
    | Linked
    | Transitions
    | Unchanged
    | Before
    | Age
    | NotOverdue
    | InTime
    | OtherPerson
    | OwnName
    | Tested
    | Reviewed
    | Protected
    | Unbypassed
    | Ratio
    | Complete
    | AnyOf
    | AllOf,
    Field(discriminator="kind"),
]
for _several in (AnyOf, AllOf):
    _several.model_rebuild()  # now, and not when one is first made: their shape must not depend on that
OfProject = Protected | Unbypassed | Ratio | Complete
"""Rules that one item cannot decide."""


class Check(Contract):
    """One rule of a process with its place in the practice that asks for it."""

    id: str
    practice: str
    source: str
    """Where the practice is written down."""
    title: str
    severity: CheckSeverity = CheckSeverity.MINOR
    types: tuple[str, ...] = ()
    """Types of work items; empty: all."""
    states: tuple[str, ...] = ()
    """States in which it must hold; empty: all."""
    when: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Fields, and what they say where the check applies."""
    query: str = ""
    """Condition in WIQL that finds the items which it concerns; empty: all of its types, or, of rules about branches
    and the audit log, none."""
    rule: Rule


class ProcessPolicy(Contract):
    """The checks of one process. `processes` are the names of processes that it is meant for."""

    name: str
    version: str
    processes: tuple[str, ...] = ()
    base: str = ""
    """Process of the system that they were derived from, `CMMI` for one: its template says which ways and reasons there
    are where the service does not."""
    levels: tuple[tuple[str, ...], ...] = ()
    """Types of work items, level by level from the top: each has its parent in the level above."""
    checks: tuple[Check, ...] = ()


class LinkedItem(Contract):
    """The other end of a link. `id` is 0 for what is no work item; an item without type may not be seen. `fields` are
    those that checks ask for."""

    relation: str
    id: int = 0
    type: str = ""
    state: str = ""
    fields: dict[str, Json] = Field(default_factory=dict)


class Change(Contract):
    """One entry of an item's history: what was before, what is since, by whom. `update` is its number."""

    update: int
    at: datetime
    by: str = ""
    authorised_as: str = ""
    before: dict[str, Json] = Field(default_factory=dict)
    after: dict[str, Json] = Field(default_factory=dict)


class PullRequest(Contract):
    """A pull request that the item is linked to. People are unique names."""

    id: int
    author: str = ""
    completed: bool = False
    approvers: tuple[str, ...] = ()


class Graph(Contract):
    """Where items of a type may go: state (empty: a new item) to states, each with the reasons that are allowed.

    No reasons mean that they are not known.
    """

    steps: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)


class Planned(Contract):
    """The iteration that an item is in, and its dates where it has any."""

    path: str
    start: datetime | None = None
    finish: datetime | None = None


class ItemFacts(Contract):
    """What is known of an item. A part that is None could not be read, so nothing is decided by it."""

    id: int
    type: str
    state: str
    rev: int = 0
    title: str = ""
    fields: dict[str, Json] = Field(default_factory=dict)
    links: tuple[LinkedItem, ...] | None = None
    changes: tuple[Change, ...] | None = None
    graph: Graph | None = None
    pull_requests: tuple[PullRequest, ...] | None = None
    planned: Planned | None = None
    outcomes: dict[int, str] | None = None
    """Last outcome by test case; empty where one never ran."""


class ProjectFacts(Contract):
    """What is known of a project as a whole; see `ItemFacts` for None."""

    name: str
    counts: dict[str, int] | None = None
    """Items by type."""
    filled: dict[str, tuple[int, int]] | None = None
    """By `TYPE/FIELD`: how many items have it, of how many."""
    policies: dict[str, tuple[str, ...]] | None = None
    """By repository: types of the policies that are on and blocking on its default branch."""
    bypasses: tuple[tuple[datetime, str], ...] | None = None
    """When somebody went past branch policies, and what the audit log says of it."""
    unaccounted: tuple[tuple[str, int], ...] | None = None
    """Repository and number of pull requests that went into its default branch without a work item."""


class Standing(StrEnum):
    HELD = "held"
    VIOLATED = "violated"
    NO_DATA = "no_data"


class Finding(Contract):
    """What a check found, and by what. Where it does not apply there is none."""

    check: str
    standing: Standing
    severity: CheckSeverity
    item: int = 0
    """0: the project as a whole."""
    evidence: str = ""
    update: int = 0
    """The entry of the item's history that broke it; 0 where it is about how things stand."""
    title: str = ""
    practice: str = ""
    """Both of the check."""
    about: str = ""
    """What of the project breaks it, where a check finds several: a repository, a field, what somebody did."""
