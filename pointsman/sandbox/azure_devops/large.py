"""A project with a past: 20,000 items with histories, links from epics down to tests, and pull requests.

The same number makes the same items, people, dates and comments. Some links are missing on purpose, as they are in
projects that people keep.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeVar
from uuid import UUID

from pointsman.sandbox.azure_devops import edits, git_edits
from pointsman.sandbox.azure_devops.clock import Clock, iso
from pointsman.sandbox.azure_devops.config import Identity, Organisation
from pointsman.sandbox.azure_devops.documents import Document, LinkEdit
from pointsman.sandbox.azure_devops.git_state import (
    HEADS,
    NO_COMMIT,
    FileChange,
    Iteration,
    Moved,
    PullRequest,
    Repository,
    Reviewer,
)
from pointsman.sandbox.azure_devops.learned import Learned, Step
from pointsman.sandbox.azure_devops.process import CMMI, COMMON, SCHEDULING, Kind, Process
from pointsman.sandbox.azure_devops.revisions import Value
from pointsman.sandbox.azure_devops.state import PARENT, Item, World

T = TypeVar("T")
BEGAN = datetime(2024, 1, 8, 8, tzinfo=UTC)
SHARES = {
    "Epic": 0.005,
    "Feature": 0.03,
    "Requirement": 0.2,
    "Change Request": 0.02,
    "Review": 0.02,
    "Risk": 0.01,
    "Test Case": 0.13,
    "Bug": 0.135,
    "Task": 0.45,
}
"""By type, in the order in which they are made: what hangs below comes behind what it hangs on."""
ABOVE = {"Feature": "Epic", "Requirement": "Feature", "Bug": "Requirement", "Task": "Requirement"}
BESIDE = {
    "Test Case": "Microsoft.VSTS.Common.TestedBy-Reverse",
    "Change Request": "Microsoft.VSTS.Common.Affects-Forward",
    "Review": "System.LinkTypes.Related",
}
"""How these are linked to a requirement."""
LINKED_SHARE = 0.95
STEPS_MAX = 4
FORWARD_SHARE = 0.9
PULL_REQUESTS_MAX = 400
AREAS = ("Checkout", "Search", "Accounts", "Reports")
THINGS = ("basket", "invoice", "search index", "sign-in", "report", "price list", "address", "voucher")
DEEDS = ("Show", "Import", "Check", "Translate", "Archive", "Sort", "Export", "Protect")
SAID = ("Looked at it with the customer.", "Waiting for test data.", "Measured: within the limit.", "Agreed in review.")
RANKS = {"Proposed": 0, "InProgress": 1, "Resolved": 2, "Completed": 3, "Removed": 3}


class PastClock(Clock):
    """Goes on by a few minutes each time it is asked, from where the project began."""

    def __init__(self) -> None:
        super().__init__()
        self._at = BEGAN

    def moment(self) -> datetime:
        return self._at

    def now(self) -> str:
        self._at += timedelta(minutes=5, milliseconds=137)
        return iso(self._at)


@dataclass
class Past:
    """What is being made. `made` holds items by type."""

    world: World
    organisation: Organisation
    project: str
    process: Process
    chance: Random
    made: dict[str, list[Item]] = field(default_factory=dict)
    people: Sequence[Identity] = field(init=False)
    learned: Learned = field(init=False)

    def __post_init__(self) -> None:
        self.people = self.world.config.identities
        self.learned = Learned(self.world, self.organisation, self.project)

    def pick(self, among: Sequence[T]) -> T:
        """A quarter of what `Random.choice` takes, which is asked for hundreds of thousands of times."""
        return among[int(self.chance.random() * len(among))]

    def number(self, low: int, high: int) -> int:
        return low + int(self.chance.random() * (high - low + 1))

    def somebody(self) -> Identity:
        return self.pick(self.people)


def seed_large(world: World, organisation: Organisation, project: str, items_count: int, number: int) -> None:
    """Fill a project, which must have the CMMI process. Nobody is subscribed yet, nobody hears."""
    clock, world.clock = world.clock, PastClock()
    is_collecting = gc.isenabled()
    gc.disable()  # what is made here stays: to look for garbage among it, again and again, takes a third of the time
    try:
        past = Past(world, organisation, project, world.process_of(organisation, project), Random(number))  # noqa: S311 - a past that can be made again, no secret
        for area in AREAS:
            world.forest.plant(organisation.name, project, "areas", [area])
        for name, share in SHARES.items():
            count = max(1, round(items_count * share))
            past.made[name] = [_item(past, past.process.kinds[name], place) for place in range(count)]
        _pull_requests(past, min(PULL_REQUESTS_MAX, items_count // 20))
    finally:
        world.clock = clock
        if is_collecting:
            gc.enable()


def _item(past: Past, kind: Kind, place: int) -> Item:
    given = {name: value for name, value in _fields(past, kind, place) if value != ""}
    item = past.learned.make(kind, given, tuple(_links(past, kind)), past.somebody())
    for step in _steps(past, kind):
        past.learned.take(item, step, past.somebody())
    return item


def _fields(past: Past, kind: Kind, place: int) -> Iterator[tuple[str, Value]]:
    """What people filled in, of what the type has, as the service keeps it."""
    title = f"{past.pick(DEEDS)} the {past.pick(THINGS)}"
    yield "System.Title", f"{title} ({kind.name.lower()} {place + 1})"
    if "System.Description" in kind.fields:
        yield "System.Description", f"<p>{title}, for whoever needs it.</p>"
    for name, fill in FILLED.items():
        if name in kind.fields:
            yield name, fill(past)


FILLED: Mapping[str, Callable[[Past], Value]] = {
    "System.AssignedTo": lambda past: past.somebody(),
    "System.AreaPath": lambda past: f"{past.project}\\{past.pick(AREAS)}",
    "System.Tags": lambda past: past.pick(("", "", "customer", "customer; release", "debt")),
    f"{COMMON}Priority": lambda past: past.number(1, 4),
    f"{COMMON}Triage": lambda past: past.pick(("Pending", "Triaged", "Triaged")),
    f"{CMMI}Committed": lambda past: past.pick(("Yes", "No")),
    f"{CMMI}Purpose": lambda past: "<p>Find what tests do not.</p>",
    f"{CMMI}Probability": lambda past: past.number(5, 95),
    f"{CMMI}MitigationPlan": lambda past: past.pick(("", "<p>Keep a second supplier.</p>")),
    f"{CMMI}Justification": lambda past: past.pick(("", "<p>The law changes.</p>")),
    f"{CMMI}RootCause": lambda past: past.pick(("Unknown", "Coding Error", "Specification Error")),
    f"{SCHEDULING}Size": lambda past: float(past.number(1, 13)),
    f"{SCHEDULING}OriginalEstimate": lambda past: float(past.number(1, 40)),
    f"{SCHEDULING}RemainingWork": lambda past: float(past.number(0, 20)),
}
"""By field: how people fill it in."""


def _links(past: Past, kind: Kind) -> Iterator[LinkEdit]:
    above, rel = (ABOVE[kind.name], PARENT) if kind.name in ABOVE else ("Requirement", BESIDE.get(kind.name, ""))
    if rel and past.made.get(above) and past.chance.random() < LINKED_SHARE:
        yield _link(rel, past.pick(past.made[above]).id)


def _link(rel: str, target: int) -> LinkEdit:
    return LinkEdit(link={"rel": rel, "url": f"items/{target}"})


def _steps(past: Past, kind: Kind) -> Iterator[Step]:
    """Along the states, mostly forward, with a word here and there."""
    chance, state = past.chance, kind.initial
    for _ in range(past.number(0, STEPS_MAX)):
        ways = list(kind.transitions.get(state, ()))
        on = [way for way in ways if RANKS[kind.states[way]] > RANKS[kind.states[state]]]
        if on and chance.random() < FORWARD_SHARE:
            ways = on[:1]
        elif not on:
            return
        state = past.pick(ways)
        said = f"<p>{past.pick(SAID)}</p>" if chance.random() < 0.3 else ""
        yield Step(state, past.somebody(), said)


def _pull_requests(past: Past, count: int) -> None:
    """One branch and one file each; a task or bug that it serves links to it."""
    repository = past.world.code.repositories(past.organisation, past.project)[0]
    main = f"{HEADS}main"
    _push(past, repository, main, NO_COMMIT, "README.md", "Begin")
    served = [*past.made["Task"], *past.made["Bug"]]
    for number in range(1, count + 1):
        item = past.pick(served)
        branch = f"{HEADS}work/{number}"
        _push(past, repository, branch, repository.refs[main], f"src/part_{number}.txt", f"Work on #{item.id}")
        _pull_request(past, repository, (branch, main), item)


def _push(past: Past, repository: Repository, branch: str, base: str, path: str, comment: str) -> None:
    change = FileChange(path, "add", f"{comment}\n")
    if base != NO_COMMIT:
        repository.refs[branch] = base
    git_edits.push(past.world, repository, Moved(branch, base, ""), [(comment, [change])], past.somebody())


def _pull_request(past: Past, repository: Repository, branches: tuple[str, str], item: Item) -> None:
    """Approved by two, and two in three are merged."""
    held = past.world.code.pull_requests_of(past.organisation)
    by, at = past.somebody(), past.world.clock.now()
    merge_id = str(UUID(int=past.chance.getrandbits(128)))
    title = f"{item.fields['System.Title']}"
    made = PullRequest(max(held, default=0) + 1, repository, *branches, title, "", by, at, merge_id)
    others = [one for one in past.people if one != by]
    made.reviewers = [Reviewer(one, past.pick((10, 10, 5, -5))) for one in others[:2]]
    made.source_commit, made.target_commit = (repository.refs[branch] for branch in branches)
    made.iterations.append(Iteration(1, by, at, "create", made.source_commit, made.target_commit, made.target_commit))
    made.merge_status = "succeeded"
    held[made.id] = made
    link = LinkEdit(link={"rel": "ArtifactLink", "url": made.uri, "attributes": {"name": "Pull Request"}})
    edits.patch(past.world, item, Document(links=(link,)), by)
    if past.chance.random() < 2 / 3:
        _merge(past, made)


def _merge(past: Past, made: PullRequest) -> None:
    repository = made.repository
    comment = f"Merge pull request {made.id}"
    merged = git_edits.merge(past.world, repository, made.target_commit, made.source_commit, comment, made.by)
    assert merged is not None, "each pull request has a file of its own"
    repository.commits[merged.id] = merged
    git_edits.moved(past.world, repository, [Moved(made.target, made.target_commit, merged.id)], [merged.id], made.by)
    made.merge_commit, made.status = merged, "completed"
    made.closed_by, made.closed_at = past.somebody(), past.world.clock.now()
