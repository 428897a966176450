"""Which things an event connects, and what can be reached over such connections.

An item's link is told at both of its ends, in the direction of whoever tells; here it has one: a parent leads to its
child, a predecessor to its successor, an item to the code that serves it. That an event is about an item, and which
workflow it went to, says its row in the inbox already, and is not said again.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import NamedTuple

from pointsman.contracts import events as told
from pointsman.contracts.chains import Direction, Edge, EdgeKind, ThingKind, Walk
from pointsman.contracts.work_items import EventKind
from pointsman.domain.artifacts import ARTIFACT_LINK, ArtifactKind, parse
from pointsman.domain.deliveries import Heard
from pointsman.domain.events.reading import parse_bytes
from pointsman.domain.loose import number_in, organisation_in

COMMITS_MAX = 100  # of one push: a branch that is pushed for the first time may bring its whole history
MENTIONS_MAX = 20
LINKS_MAX = 1_000  # of one item, the service's own limit
ITEM_IN_URL = re.compile(r"/_apis/wit/workitems/(\d+)", re.IGNORECASE)
MENTION = re.compile(r"(?<![\w#&/])(?:AB)?#(\d{1,10})(?![\w])")
PULL_REQUEST_BRANCH = re.compile(r"refs/pull/(\d{1,10})/")
COMMIT = re.compile(r"[0-9a-f]{40}", re.IGNORECASE)
CHILD_RUN = re.compile(r"/(?:turn|escalation)[-/]\d+$")
NO_COMMIT = "0" * 40
# Events of an item that bring links only where they say so.
QUIET = frozenset({EventKind.UPDATED, EventKind.COMMENTED, EventKind.DELETED})
FORWARD, REVERSE = "-Forward", "-Reverse"
LINKS: Mapping[str, EdgeKind] = {
    "System.LinkTypes.Hierarchy": EdgeKind.CHILD,
    "System.LinkTypes.Related": EdgeKind.RELATED,
    "System.LinkTypes.Dependency": EdgeKind.SUCCESSOR,
    "System.LinkTypes.Duplicate": EdgeKind.DUPLICATE,
    "Microsoft.VSTS.Common.TestedBy": EdgeKind.TESTED_BY,
    "Microsoft.VSTS.Common.Affects": EdgeKind.AFFECTS,
}
ARTIFACTS: Mapping[ArtifactKind, ThingKind] = {
    ArtifactKind.PULL_REQUEST: ThingKind.PULL_REQUEST,
    ArtifactKind.COMMIT: ThingKind.COMMIT,
    ArtifactKind.BUILD: ThingKind.BUILD,
}
DONE_BY_RUNS = frozenset({EdgeKind.STARTED, EdgeKind.ASKED, EdgeKind.WROTE})
CLOCKS_APART = 5.0
"""Seconds between the clocks of our processes."""

Neighbours = Callable[[Sequence[str]], Iterable[Edge]]
"""Edges that have one of these things at an end."""


class Connects(NamedTuple):
    """An edge before it is known who tells it: most of an event's are told several times over."""

    cause: str
    effect: str
    kind: EdgeKind
    removed: bool = False


def thing(kind: ThingKind, *parts: object) -> str:
    return f"{kind.value}:{'/'.join(map(str, parts))}"


def kind_of(name: str) -> ThingKind | None:
    """None for a text that names no thing."""
    kind, colon, rest = name.partition(":")
    return ThingKind(kind) if colon and rest and kind in set(ThingKind) else None


def bare(name: str) -> str:
    """The name without its kind."""
    return name.partition(":")[2]


def item_of(name: str) -> tuple[str, int] | None:
    """Organisation and number, where the name is an item's."""
    organisation, slash, number = bare(name).rpartition("/")
    if kind_of(name) is not ThingKind.ITEM or not slash or not (number.isascii() and number.isdigit()):
        return None
    return organisation, int(number)


def parent_run(workflow_id: str) -> str:
    """The workflow that started this one, as its name tells; itself, where none did."""
    return CHILD_RUN.sub("", workflow_id)


def edges_of(event: told.Event, event_id: str) -> tuple[Edge, ...]:
    """What a delivery connects, besides itself with its work item. Nothing for one that was only sent as a test."""
    organisation = event.envelope.organisation
    if not organisation or event.envelope.is_test:
        return ()
    found = dict.fromkeys(_told(event, thing(ThingKind.EVENT, event_id), organisation))
    at = event.envelope.created_at
    return tuple(_signed(connects, event_id, at) for connects in found if connects.cause != connects.effect)


def edges_told(heard: Heard, body: bytes, event_id: str) -> tuple[Edge, ...]:
    """`edges_of` for a delivery as it was received and heard. Nearly all are of an item whose links stay: for them the
    body is not read again."""
    if heard.unreadable or (heard.kind in QUIET and not heard.links_changed) or (heard.kind and not _has_links(body)):
        return ()
    return edges_of(parse_bytes(body, heard.organisation, heard), event_id)


def _has_links(body: bytes) -> bool:
    """Whether an item's event may bring links. A key may be in any case, with escapes, or in UTF-16."""
    return b"relations" in body.lower() or b"\\u" in body or b"\x00" in body


def _signed(connects: Connects, event_id: str, at: datetime | None) -> Edge:
    evidence = "" if connects.kind is EdgeKind.ABOUT else event_id
    return Edge(**connects._asdict(), evidence=evidence, at=at)


def _told(event: told.Event, this: str, organisation: str) -> Iterator[Connects]:
    match event:
        case told.WorkItemTold():
            yield from _links(event, organisation)
        case told.CodePushed():
            yield from _pushed(event, this, organisation)
        case told.PullRequestTold():
            yield from _pull_request(event, this, organisation)
        case told.BuildCompleted():
            yield from _built(event, this, organisation)
        case told.RunTold():
            yield from _run(event, this, organisation)
        case told.ReleaseTold() if event.release_id:
            yield _about(this, thing(ThingKind.RELEASE, organisation, event.release_id))
        case told.ChangesetCheckedIn() if event.changeset:
            changeset = thing(ThingKind.CHANGESET, organisation, event.changeset)
            yield _about(this, changeset)
            yield from _mentions(event.comment, changeset, organisation)


def _about(this: str, what: str) -> Connects:
    return Connects(cause=this, effect=what, kind=EdgeKind.ABOUT)


def _links(event: told.WorkItemTold, organisation: str) -> Iterator[Connects]:
    item = thing(ThingKind.ITEM, organisation, event.item_id)
    for link in event.links[:LINKS_MAX]:
        yield from _link(item, link, organisation)
    if isinstance(event, told.WorkItemUpdated):
        for link in event.links_added[:LINKS_MAX]:
            yield from _link(item, link, organisation)
        for link in event.links_removed[:LINKS_MAX]:
            for edge in _link(item, link, organisation):
                yield edge._replace(removed=True)


def _link(item: str, link: told.Link, organisation: str) -> Iterator[Connects]:
    if link.rel == ARTIFACT_LINK:
        artifact = parse(link.url)
        if artifact and artifact.kind in ARTIFACTS:
            name = artifact.name.lower() if artifact.kind is ArtifactKind.COMMIT else artifact.name
            linked = thing(ARTIFACTS[artifact.kind], organisation, name)
            yield Connects(cause=item, effect=linked, kind=EdgeKind.LINKED)
        return
    is_reverse = link.rel.endswith(REVERSE)
    kind = LINKS.get(link.rel.removesuffix(FORWARD).removesuffix(REVERSE))
    number = number_in(ITEM_IN_URL, link.url)
    if kind is None or not number:
        return
    other = thing(ThingKind.ITEM, organisation_in((link.url,)) or organisation, number)
    is_reverse = other < item if kind is EdgeKind.RELATED else is_reverse  # it has no direction of its own
    cause, effect = (other, item) if is_reverse else (item, other)
    yield Connects(cause=cause, effect=effect, kind=kind)


def _mentions(text: str, mentioning: str, organisation: str) -> Iterator[Connects]:
    numbers = dict.fromkeys(int(number) for number in MENTION.findall(text))
    for number in [number for number in numbers if 0 < number < 2**31][:MENTIONS_MAX]:
        item = thing(ThingKind.ITEM, organisation, number)
        yield Connects(cause=item, effect=mentioning, kind=EdgeKind.MENTIONED)


def _commit(organisation: str, commit_id: str) -> str:
    """Empty for what is no commit."""
    if COMMIT.fullmatch(commit_id) is None or commit_id == NO_COMMIT:
        return ""
    return thing(ThingKind.COMMIT, organisation, commit_id.lower())


def _pushed(event: told.CodePushed, this: str, organisation: str) -> Iterator[Connects]:
    told_commits = [(one.id, one.comment) for one in event.commits[:COMMITS_MAX]]
    for commit_id, comment in [*told_commits, *((ref.new, "") for ref in event.refs[:COMMITS_MAX])]:
        if commit := _commit(organisation, commit_id):
            yield _about(this, commit)
            yield from _mentions(comment, commit, organisation)


def _pull_request(event: told.PullRequestTold, this: str, organisation: str) -> Iterator[Connects]:
    if not event.number:
        return
    pull_request = thing(ThingKind.PULL_REQUEST, organisation, event.number)
    yield _about(this, pull_request)
    yield from _mentions(f"{event.title}\n{event.description}", pull_request, organisation)
    if source := _commit(organisation, event.source_commit):
        yield Connects(cause=source, effect=pull_request, kind=EdgeKind.SOURCE)
    merged = _commit(organisation, event.merge_commit)
    if merged and event.status.casefold() == "completed":  # until then it is a trial that the service throws away
        yield Connects(cause=pull_request, effect=merged, kind=EdgeKind.MERGED)


def _built(event: told.BuildCompleted, this: str, organisation: str) -> Iterator[Connects]:
    if not event.build_id:
        return
    build = thing(ThingKind.BUILD, organisation, event.build_id)
    yield _about(this, build)
    yield from _mentions(event.message, build, organisation)
    if commit := _commit(organisation, event.commit):
        yield Connects(cause=commit, effect=build, kind=EdgeKind.BUILT)
    if number := number_in(PULL_REQUEST_BRANCH, event.branch):
        pull_request = thing(ThingKind.PULL_REQUEST, organisation, number)
        yield Connects(cause=pull_request, effect=build, kind=EdgeKind.BUILT)


def _run(event: told.RunTold, this: str, organisation: str) -> Iterator[Connects]:
    if event.run_id:
        yield _about(this, thing(ThingKind.BUILD, organisation, event.run_id))
    if isinstance(event, told.ApprovalTold) and event.approval_id:
        approval = thing(ThingKind.APPROVAL, organisation, event.approval_id)
        yield _about(this, approval)
        if event.run_id:
            build = thing(ThingKind.BUILD, organisation, event.run_id)
            yield Connects(cause=build, effect=approval, kind=EdgeKind.ASKED)


def walk(start: str, tenant: str, neighbours: Neighbours, limit: int, direction: Direction = Direction.BOTH) -> Walk:
    """All things within reach, nearest first, `limit` at most. A circle is walked once.

    `neighbours` is asked once for each distance.
    """
    things: dict[str, None] = {start: None}
    edges: list[Edge] = []
    edge_of: list[str] = [start]
    complete = True
    while edge_of:
        fresh: list[str] = []
        for edge in neighbours(edge_of):
            edges.append(edge)
            for end in _beyond(edge, set(edge_of), direction):
                if end in things:
                    continue
                if len(things) == limit:
                    complete = False
                    continue
                things[end] = None
                fresh.append(end)
        edge_of = fresh
    if direction is not Direction.BOTH:
        led = _in_time(start, edges, direction)
        things = {name: None for name in things if name in led}
    kept = [edge for edge in latest(edges) if edge.cause in things and edge.effect in things]
    return Walk(start=start, tenant=tenant, things=tuple(things), edges=tuple(kept), complete=complete)


def _beyond(edge: Edge, known: set[str], direction: Direction) -> Iterator[str]:
    if edge.cause in known and direction is not Direction.CAUSES:
        yield edge.effect
    if edge.effect in known and direction is not Direction.EFFECTS:
        yield edge.cause


def _in_time(start: str, edges: Sequence[Edge], direction: Direction) -> set[str]:
    """What is reached where time is kept at runs. One takes many events and does many things, and none led to what was
    done before it came. Of other things only when they were told is known, and not when they were.

    Times of effects are negated, so that in both directions a greater bound lets more pass.
    """
    sign = 1 if direction is Direction.CAUSES else -1
    beside: dict[str, list[tuple[str, Edge]]] = defaultdict(list)
    for edge in edges:
        near, far = (edge.effect, edge.cause) if sign > 0 else (edge.cause, edge.effect)
        beside[near].append((far, edge))
    came = {edge.cause: edge.at for edge in edges if edge.kind is EdgeKind.ABOUT}
    bounds, todo = {start: inf}, [start]
    while todo:
        this = todo.pop()
        for far, edge in beside[this]:
            taken = edge.kind is EdgeKind.HANDED_OVER
            at = came.get(edge.cause) if taken else edge.at if edge.kind in DONE_BY_RUNS else None
            moment, is_bound = (sign * at.timestamp() if at else -inf), taken if sign > 0 else not taken
            if is_bound and moment > bounds[this] + CLOCKS_APART:
                continue
            bound = inf if is_bound or at is None else moment
            if bound > bounds.get(far, -inf):
                bounds[far] = bound
                todo.append(far)
    return set(bounds)


def latest(edges: Iterable[Edge]) -> list[Edge]:
    """Of each connection what was told last, in an order that does not depend on the order of reading."""
    found: dict[tuple[str, str, EdgeKind], Edge] = {}
    for edge in edges:
        key = (edge.cause, edge.effect, edge.kind)
        if key not in found or _told_at(found[key]) < _told_at(edge):
            found[key] = edge
    return [found[key] for key in sorted(found)]


def _told_at(edge: Edge) -> tuple[float, bool, str]:
    # Of two told at one moment the removal counts: a link is replaced by removing and adding in one update, never
    # the same one.
    return edge.at.timestamp() if edge.at else 0.0, edge.removed, edge.evidence
