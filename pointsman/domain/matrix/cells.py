"""What is in each cell of a row, and what it lacks.

A gap is named only where it is known to be one: where something may not be seen, or was not read, there is no data.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pointsman.contracts.matrix import (
    Cell,
    CodeKind,
    CodeLink,
    Column,
    Cover,
    Entry,
    Gap,
    RequestTold,
    Role,
)
from pointsman.domain.matrix.around import Around, above, below, commits_of, hidden_next_to, next_to
from pointsman.domain.matrix.shapes import has

CLOSED = frozenset({"closed", "done"})
COMMIT_CHARS = 8
COMPLETED, SUCCEEDED, PASSED = "completed", "succeeded", "passed"
NOTHING = Cell(cover=Cover.NOT_APPLICABLE)
UNKNOWN = Cell(cover=Cover.NO_DATA)


def gap(*gaps: Gap, entries: Sequence[Entry] = ()) -> Cell:
    return Cell(cover=Cover.GAP, entries=tuple(entries), gaps=gaps)


def covered(entries: Sequence[Entry] = ()) -> Cell:
    return Cell(cover=Cover.COVERED, entries=tuple(entries))


def entry(around: Around, item_id: int) -> Entry:
    item = around.items[item_id]
    return Entry(name=str(item_id), told=f"{item.type}, {item.state}", item=item_id, title=item.title)


def entries(around: Around, item_ids: Iterable[int]) -> list[Entry]:
    return [entry(around, one) for one in item_ids]


def climbed(around: Around, item_id: int) -> list[int]:
    """All that the item serves, nearest first."""
    found: dict[int, None] = {}
    level = above(around, item_id)
    while level:
        found.update(dict.fromkeys(level))
        level = [one for lower in level for one in above(around, lower) if one not in found]
    return list(found)


def upward(around: Around, item_id: int, role: Role, missing: Gap) -> Cell:
    """Whether the item hangs on one of this role."""
    if not has(around.shape, role):
        return NOTHING
    found = climbed(around, item_id)
    if there := [one for one in found if around.role(one) is role]:
        return covered(entries(around, there))
    return UNKNOWN if any(around.hidden(one) for one in found) else gap(missing)


@dataclass(frozen=True)
class Done:
    """What was done for a requirement, or for work that belongs to none: itself and all work below it."""

    around: Around
    subject: int
    unknown: frozenset[Column]
    """What could not be read for the project as a whole."""

    @cached_property
    def items(self) -> list[int]:
        found: dict[int, None] = {self.subject: None}
        pending = [self.subject]
        while pending:
            fresh = [one for one in below(self.around, pending.pop()) if self.around.role(one) is Role.WORK]
            pending += [one for one in fresh if one not in found]
            found.update(dict.fromkeys(fresh))
        return list(found)

    @cached_property
    def links(self) -> list[CodeLink]:
        found = {(link.kind, link.name): link for one in self.items for link in self.around.code.get(one, ())}
        return sorted(found.values(), key=lambda link: (link.kind, link.name.zfill(COMMIT_CHARS)))

    @cached_property
    def is_whole(self) -> bool:
        """Everything below may be seen, and its links to code were read."""
        hidden = (self.around.hidden(child) for one in self.items for child in below(self.around, one))
        return not any(hidden) and all(self.around.items[one].code_known for one in self.items)

    def requests(self) -> list[tuple[CodeLink, RequestTold | None]]:
        wanted = (link for link in self.links if link.kind is CodeKind.PULL_REQUEST)
        return [(link, self.around.requests.get(link.name)) for link in wanted]


def work(done: Done) -> Cell:
    """Work below a requirement; one that was done without, by code alone, lacks none."""
    around = done.around
    there = [one for one in done.items if one != done.subject or around.role(one) is Role.WORK]
    if there or done.around.code.get(done.subject):
        return covered(entries(around, sorted(there)))
    return gap(Gap.NO_WORK) if done.is_whole else UNKNOWN


def code(done: Done) -> Cell:
    requests = done.requests()
    commits = [link for link in done.links if link.kind is CodeKind.COMMIT]
    told = [_request(link, request) for link, request in requests]
    told += [Entry(name=link.name[:COMMIT_CHARS], told="commit", title=link.name) for link in commits]
    if commits or any(request and request.status == COMPLETED for _, request in requests):
        return covered(told)
    if not told:
        return gap(Gap.NO_CODE) if done.is_whole else UNKNOWN
    if not done.is_whole or _unread(done):
        return Cell(cover=Cover.NO_DATA, entries=tuple(told))
    return gap(Gap.NOT_MERGED, entries=told)


def _request(link: CodeLink, request: RequestTold | None) -> Entry:
    told = f"{request.status}, {request.approvals} approving" if request else "not to be seen"
    return Entry(name=f"PR {link.name}", told=told)


def build(done: Done, code_cell: Cell) -> Cell:
    """The last build that is done counts, whichever pipeline it was of."""
    around = done.around
    names = {link.name for link in done.links if link.kind is CodeKind.BUILD}
    for commit in commits_of(around, done.links):
        names |= around.built.get(commit, set())
    known = sorted((one for name in names if (one := around.builds.get(name))), key=lambda one: one.id)
    told = [Entry(name=f"Build {one.number or one.id}", told=one.result or one.status) for one in known]
    over = [one for one in known if one.over]
    if over:
        return covered(told) if over[-1].result == SUCCEEDED else gap(Gap.BUILD_FAILED, entries=told)
    if len(known) < len(names) or Column.BUILD in done.unknown or not done.is_whole or _unread(done):
        return Cell(cover=Cover.NO_DATA, entries=tuple(told))
    if not told and Gap.NO_CODE in code_cell.gaps:
        return NOTHING
    return gap(Gap.NOT_BUILT, entries=told)


def _unread(done: Done) -> bool:
    """A pull request may not be seen, and with it its commits."""
    return any(request is None for _, request in done.requests())


def test(done: Done) -> Cell:
    there = next_to(done.around, done.items, Role.TEST)
    if there:
        return covered(entries(done.around, there))
    is_open = hidden_next_to(done.around, done.items, Role.TEST) or _hides_work(done)
    return UNKNOWN if is_open else gap(Gap.NO_TEST)


def _hides_work(done: Done) -> bool:
    return any(done.around.hidden(child) for one in done.items for child in below(done.around, one))


def outcome(around: Around, cases: Sequence[int], unknown: frozenset[Column]) -> Cell:
    """Of each test case the last outcome."""
    if not cases:
        return NOTHING
    if Column.OUTCOME in unknown:
        return UNKNOWN
    last = {case: around.outcomes.get(case) for case in cases}
    told = [Entry(name=str(case), told=one.outcome if one else "never run", item=case) for case, one in last.items()]
    gaps = [Gap.TEST_FAILED] if any(one and one.outcome != PASSED for one in last.values()) else []
    gaps += [Gap.NEVER_RUN] if None in last.values() else []
    return gap(*gaps, entries=told) if gaps else covered(told)


def review(done: Done) -> Cell:
    """A review that is closed, or the approval of others for each pull request that was completed."""
    around = done.around
    reviews = next_to(around, done.items, Role.REVIEW)
    requests = done.requests()
    merged = [(link, one) for link, one in requests if one and one.status == COMPLETED]
    told = entries(around, reviews)
    told += [Entry(name=f"PR {link.name}", told=f"{one.approvals} approving") for link, one in merged]
    gaps = [Gap.NOT_APPROVED] if any(not one.approvals for _, one in merged) else []
    if reviews and not any(is_closed(around, one) for one in reviews):
        gaps.append(Gap.REVIEW_OPEN)
    if gaps:
        return gap(*gaps, entries=told)
    if told:
        return covered(told)
    if _unread(done) or not done.is_whole or hidden_next_to(around, done.items, Role.REVIEW):
        return UNKNOWN
    return gap(Gap.NO_REVIEW) if has(around.shape, Role.REVIEW) else NOTHING


def change(done: Done) -> Cell:
    """Nothing has to be changed; but what was changed is not closed while a request for it is open."""
    around = done.around
    requests = next_to(around, done.items, Role.CHANGE)
    if not requests:
        is_open = has(around.shape, Role.CHANGE) and hidden_next_to(around, done.items, Role.CHANGE)
        return UNKNOWN if is_open else NOTHING
    told = entries(around, requests)
    if is_closed(around, done.subject) and not all(is_closed(around, one) for one in requests):
        return gap(Gap.CHANGE_OPEN, entries=told)
    return covered(told)


def is_closed(around: Around, item_id: int) -> bool:
    return around.items[item_id].state.casefold() in CLOSED
