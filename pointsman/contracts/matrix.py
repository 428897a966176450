"""The traceability matrix: what it is made of, a row of it, and what a row lacks.

An epic is broken down into features, those into requirements, those into work; work is done by code, code is built, a
test case proves it, a review looks at it, a change request changes it. A cell says what was found there. What could not
be read is `no data`, never `covered`.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract


class Role(StrEnum):
    """What a type of work item is in the matrix."""

    EPIC = "epic"
    FEATURE = "feature"
    REQUIREMENT = "requirement"
    WORK = "work"
    TEST = "test"
    REVIEW = "review"
    CHANGE = "change"


class Column(StrEnum):
    """The columns, in their order."""

    EPIC = "epic"
    FEATURE = "feature"
    REQUIREMENT = "requirement"
    WORK = "work"
    CODE = "code"
    BUILD = "build"
    TEST = "test"
    OUTCOME = "outcome"
    REVIEW = "review"
    CHANGE = "change"


class Cover(StrEnum):
    COVERED = "covered"
    GAP = "gap"
    NO_DATA = "no_data"
    """It could not be read, so nothing is said of it."""
    NOT_APPLICABLE = "not_applicable"
    """Nothing is to be there: the process has no such type, or the link before it is missing already."""


class Gap(StrEnum):
    """What is missing, by name."""

    NO_EPIC = "no_epic"
    NO_FEATURE = "no_feature"
    NO_REQUIREMENT = "no_requirement"
    """Nothing below an epic or a feature; or an item that serves, proves or changes no requirement."""
    NO_WORK = "no_work"
    NO_CODE = "no_code"
    NOT_MERGED = "not_merged"
    """All its pull requests are open or abandoned."""
    NOT_BUILT = "not_built"
    BUILD_FAILED = "build_failed"
    """The last build that is done did not succeed."""
    NO_TEST = "no_test"
    NEVER_RUN = "never_run"
    TEST_FAILED = "test_failed"
    NO_REVIEW = "no_review"
    REVIEW_OPEN = "review_open"
    NOT_APPROVED = "not_approved"
    """A pull request was completed without the approval of anybody but its author."""
    CHANGE_OPEN = "change_open"
    """The requirement is closed, and a change request for it is not."""


class MatrixShape(Contract):
    """Which types of a process play which role; types without one are left out."""

    process: str = ""
    roles: dict[str, Role] = Field(default_factory=dict)


class MatrixItem(Contract):
    """What the matrix keeps of a work item. `type` is empty where it may not be seen."""

    id: int
    project: str = ""
    type: str = ""
    state: str = ""
    title: str = ""
    rev: int = 0
    deleted: bool = False
    linked_to_code: bool = True
    """False where the service says that it has no link to code, so that its links need not be read."""
    code_known: bool = False
    """Whether its links to code were read."""


class LinkKind(StrEnum):
    """Links between items that the matrix follows, each from its forward end."""

    CHILD = "child"
    TESTED_BY = "tested_by"
    AFFECTS = "affects"
    RELATED = "related"


class LinkTold(Contract):
    """A link that came (`active`) or went."""

    kind: LinkKind
    source: int
    target: int
    active: bool = True


class CodeKind(StrEnum):
    PULL_REQUEST = "pull_request"
    COMMIT = "commit"
    BUILD = "build"


class CodeLink(Contract):
    """A link of an item to code. `place` is `project/repository`, by id; empty for a build."""

    kind: CodeKind
    name: str
    place: str = ""


class RequestTold(Contract):
    """A pull request. `approvals` are those of people other than its author."""

    number: int
    status: str = ""
    author: str = ""
    approvals: int = 0
    commits: tuple[str, ...] = ()
    """What it brings, and what its merge made."""

    @property
    def over(self) -> bool:
        """It will not change any more."""
        return self.status in ("completed", "abandoned")


class BuildTold(Contract):
    """A build. `result` is empty until it is done."""

    id: int
    number: str = ""
    status: str = ""
    result: str = ""
    commit: str = ""

    @property
    def over(self) -> bool:
        return self.status == "completed"


class OutcomeTold(Contract):
    """How a test case ended when it was last run; lower case."""

    case: int
    outcome: str
    run: int = 0
    at: datetime | None = None


class ItemsBatch(Contract):
    """A part of the items that changed behind a token, and the token to go on with."""

    items: tuple[MatrixItem, ...] = ()
    token: str = ""
    is_last: bool = True


class LinksBatch(Contract):
    links: tuple[LinkTold, ...] = ()
    token: str = ""
    is_last: bool = True


class MatrixPhase(StrEnum):
    """What is read, in this order."""

    BEGIN = "begin"
    ITEMS = "items"
    LINKS = "links"
    STRANGERS = "strangers"
    """Items of other projects that are linked to."""
    TOUCHED = "touched"
    """Items that code names which came since."""
    CODE = "code"
    REQUESTS = "requests"
    BUILDS = "builds"
    OUTCOMES = "outcomes"
    DONE = "done"


class MatrixScope(Contract):
    """Which project's matrix. `whole` reads everything anew; otherwise what changed since the last reading."""

    tenant: str
    organisation: str
    project: str
    whole: bool = False


class MatrixMark(Contract):
    """How far a project was read. All that is behind it is kept, so that a reading that broke off goes on from here."""

    items_token: str = ""
    links_token: str = ""
    generation: int = 1
    """Counts readings of everything: what an earlier one saw and the last did not is gone."""
    since: datetime | None = None
    """When the last complete reading began; None before the first."""
    until: datetime | None = None
    """When the reading that is under way began."""
    unknown: tuple[Column, ...] = ()
    """What could not be read for the project as a whole."""


class MatrixProgress(Contract):
    """Where a reading is, and what it has read; for people, and to go on with."""

    phase: MatrixPhase = MatrixPhase.BEGIN
    counts: dict[MatrixPhase, int] = Field(default_factory=dict)

    @property
    def done(self) -> bool:
        return self.phase is MatrixPhase.DONE


class Entry(Contract):
    """One thing in a cell. `name` is the number of an item, else what people call it: `PR 12`, `a1b2c3d4`."""

    name: str
    told: str = ""
    """Its type and state, or how it ended."""
    item: int = 0
    """0 for what is no work item."""
    title: str = ""


class Cell(Contract):
    cover: Cover
    entries: tuple[Entry, ...] = ()
    gaps: tuple[Gap, ...] = ()


class MatrixRow(Contract):
    """What belongs to one requirement; or an item that belongs to none, with the gap that says so."""

    subject: Entry
    role: Role
    cells: dict[Column, Cell]

    @property
    def gaps(self) -> tuple[tuple[Column, Gap], ...]:
        return tuple((column, gap) for column, cell in self.cells.items() for gap in cell.gaps)

    @property
    def unknown(self) -> tuple[Column, ...]:
        return tuple(column for column, cell in self.cells.items() if cell.cover is Cover.NO_DATA)


class MatrixCoverage(Contract):
    """Rows of a matrix, counted."""

    rows: int = 0
    complete: int = 0
    """Rows without any gap and with nothing unknown."""
    covers: dict[str, int] = Field(default_factory=dict)
    """By `COLUMN/COVER`."""
    gaps: dict[str, int] = Field(default_factory=dict)
    """By `COLUMN/GAP`."""
