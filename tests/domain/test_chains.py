"""Which edges follow from an event, and what is reached over edges: each thing once, and within the limit."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.chains import Direction, Edge, EdgeKind, ThingKind
from pointsman.domain import chains
from pointsman.domain.chains import edges_of, edges_told, kind_of, latest, parent_run, walk
from pointsman.domain.deliveries import read_bytes
from pointsman.domain.events.reading import parse

START = datetime(2026, 3, 1, tzinfo=UTC)
ITEMS = "https://dev.azure.com/fabrikam/p/_apis/wit/workItems"
SHA, OTHER = "a" * 40, "B" * 40
LINK_TYPES = sorted(chains.LINKS)


def body(event_type: str, resource: Json, **more: Json) -> dict[str, Json]:
    base: Json = {"collection": {"baseUrl": "https://dev.azure.com/fabrikam/"}}
    told: dict[str, Json] = {"id": "e", "eventType": event_type, "subscriptionId": "s", "resource": resource}
    return {**told, "resourceContainers": base, "createdDate": "2026-03-01T09:00:00Z", **more}


def linked(change: str, rel: str, url: str, item: int = 42) -> dict[str, Json]:
    relations: Json = {change: [{"rel": rel, "url": url}]}
    return body("workitem.updated", {"id": 3, "workItemId": item, "rev": 2, "relations": relations})


def told(sent: dict[str, Json]) -> list[tuple[str, str, str]]:
    return [(edge.cause, edge.kind.value, edge.effect) for edge in edges_of(parse(sent), "d-1")]


def test_a_link_is_the_same_edge_from_either_end() -> None:
    from_parent = linked("added", "System.LinkTypes.Hierarchy-Forward", f"{ITEMS}/7", item=2)
    from_child = linked("added", "System.LinkTypes.Hierarchy-Reverse", f"{ITEMS}/2", item=7)
    assert told(from_parent) == told(from_child) == [("item:fabrikam/2", "child", "item:fabrikam/7")]


@given(st.sampled_from(LINK_TYPES), st.integers(1, 999), st.integers(1, 999))
def test_every_link_type_has_one_direction(rel: str, one: int, other: int) -> None:
    forward = linked("added", f"{rel}{chains.FORWARD}", f"{ITEMS}/{other}", item=one)
    reverse = linked("added", f"{rel}{chains.REVERSE}", f"{ITEMS}/{one}", item=other)
    assert told(forward) == told(reverse)
    assert len(told(forward)) == (one != other)


@pytest.mark.parametrize("key", ["relations", "RELATIONS", "\\u0072elations"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_links_of_a_created_item_are_found_however_their_key_is_written(key: str, encoding: str) -> None:
    link: Json = {"rel": "System.LinkTypes.Related", "url": f"{ITEMS}/7"}
    sent = body("workitem.created", {"id": 42, "rev": 1, "relations": [link]})
    raw = json.dumps(sent).replace("relations", key).encode(encoding)
    assert [edge.effect for edge in edges_told(read_bytes(raw), raw, "d-1")] == ["item:fabrikam/7"]


@pytest.mark.parametrize(
    ("uri", "thing"),
    [
        ("vstfs:///Git/PullRequestId/p%2Fr%2F7", "pull_request:fabrikam/7"),
        (f"vstfs:///Git/Commit/p%2Fr%2F{OTHER}", f"commit:fabrikam/{'b' * 40}"),
        ("vstfs:///Build/Build/12", "build:fabrikam/12"),
    ],
)
def test_an_item_leads_to_the_code_that_it_links(uri: str, thing: str) -> None:
    assert told(linked("added", "ArtifactLink", uri)) == [("item:fabrikam/42", "linked", thing)]


def test_a_link_that_is_taken_away_is_told_as_removed() -> None:
    (edge,) = edges_of(parse(linked("removed", "System.LinkTypes.Related", f"{ITEMS}/7")), "d-1")
    assert (edge.removed, edge.evidence, edge.kind) == (True, "d-1", EdgeKind.RELATED)


def test_links_that_come_with_a_created_item_count_too() -> None:
    relations: Json = [{"rel": "System.LinkTypes.Hierarchy-Reverse", "url": f"{ITEMS}/2"}]
    created = body("workitem.created", {"id": 42, "rev": 1, "fields": {}, "relations": relations})
    assert told(created) == [("item:fabrikam/2", "child", "item:fabrikam/42")]


def test_a_push_leads_to_its_commits_and_items_lead_to_commits_that_mention_them() -> None:
    commits: Json = [{"commitId": SHA, "comment": "Stop the crane, AB#42 and #43, not a#44 or /#45"}]
    ref: Json = {"name": "refs/heads/main", "oldObjectId": "0" * 40, "newObjectId": SHA}
    sent = body("git.push", {"commits": commits, "refUpdates": [ref], "pushId": 5})
    assert told(sent) == [
        ("event:d-1", "about", f"commit:fabrikam/{SHA}"),
        ("item:fabrikam/42", "mentioned", f"commit:fabrikam/{SHA}"),
        ("item:fabrikam/43", "mentioned", f"commit:fabrikam/{SHA}"),
    ]


def test_a_pull_request_stands_between_its_commits_and_a_build_behind_what_it_builds() -> None:
    merged: Json = {
        "pullRequestId": 7,
        "status": "completed",
        "title": "Stop the crane (#42)",
        "lastMergeSourceCommit": {"commitId": SHA},
        "lastMergeCommit": {"commitId": OTHER},
    }
    assert told(body("git.pullrequest.merged", merged)) == [
        ("event:d-1", "about", "pull_request:fabrikam/7"),
        ("item:fabrikam/42", "mentioned", "pull_request:fabrikam/7"),
        (f"commit:fabrikam/{SHA}", "source", "pull_request:fabrikam/7"),
        ("pull_request:fabrikam/7", "merged", f"commit:fabrikam/{OTHER.lower()}"),
    ]
    built: Json = {
        "id": 12,
        "sourceVersion": OTHER,
        "sourceBranch": "refs/pull/7/merge",
        "triggerInfo": {"ci.message": "fixes #42"},
    }
    assert told(body("build.complete", built)) == [
        ("event:d-1", "about", "build:fabrikam/12"),
        ("item:fabrikam/42", "mentioned", "build:fabrikam/12"),
        (f"commit:fabrikam/{OTHER.lower()}", "built", "build:fabrikam/12"),
        ("pull_request:fabrikam/7", "built", "build:fabrikam/12"),
    ]


def test_a_trial_merge_leads_to_no_commit() -> None:
    active: Json = {"pullRequestId": 7, "status": "active", "lastMergeCommit": {"commitId": OTHER}}
    assert told(body("git.pullrequest.updated", active)) == [("event:d-1", "about", "pull_request:fabrikam/7")]


def test_a_run_is_the_build_of_its_number() -> None:
    run: Json = {"run": {"id": 12}, "pipeline": {"id": 3}}
    assert told(body("ms.vss-pipelines.run-state-changed-event", run)) == [("event:d-1", "about", "build:fabrikam/12")]


def test_a_test_notification_connects_nothing() -> None:
    sent = linked("added", "System.LinkTypes.Related", f"{ITEMS}/7")
    assert told({**sent, "subscriptionId": "00000000-0000-0000-0000-000000000000"}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from([SHA, f"{ITEMS}/7", "#42"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "relations", "added", "rel", "url", "commits", "commitId", "comment", "run"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(["git.push", "workitem.updated", "build.complete", "git.pullrequest.created", "x"]), JSON)
def test_whatever_comes_every_edge_connects_two_different_things(event_type: str, resource: Json) -> None:
    for edge in edges_of(parse(body(event_type, resource)), "d-1"):
        assert edge.cause != edge.effect
        assert kind_of(edge.cause)
        assert kind_of(edge.effect)


@given(st.booleans(), st.sampled_from(["workitem.updated", "workitem.commented", "git.push", "workitem.created"]))
def test_a_body_that_is_not_read_again_would_tell_nothing(has_link: bool, event_type: str) -> None:
    sent = linked("added", "System.LinkTypes.Related", f"{ITEMS}/7") if has_link else body(event_type, {"id": 3})
    raw = json.dumps(sent).encode()
    assert edges_told(read_bytes(raw), raw, "d-1") == edges_of(parse(sent), "d-1")


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        ("ado/fabrikam/Web/42/turn-3", "ado/fabrikam/Web/42"),
        ("ado/fabrikam/Web/42/escalation-1", "ado/fabrikam/Web/42"),
        ("ado/fabrikam/Web/42", "ado/fabrikam/Web/42"),
        ("ado/fabrikam/turn-1/42", "ado/fabrikam/turn-1/42"),
    ],
)
def test_the_name_of_a_workflow_tells_who_started_it(child: str, parent: str) -> None:
    assert parent_run(child) == parent


NAMES = st.integers(0, 12).map(lambda number: f"item:x/{number + 1}")
EDGES = st.lists(
    st.builds(
        Edge,
        cause=NAMES,
        effect=NAMES,
        kind=st.sampled_from([EdgeKind.CHILD, EdgeKind.RELATED]),
        removed=st.booleans(),
        at=st.integers(0, 5).map(lambda minutes: START + timedelta(minutes=minutes)),
    ),
    max_size=40,
)


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


def graph(edges: Sequence[Edge], asked: list[str] | None = None) -> chains.Neighbours:
    def neighbours(things: Sequence[str]) -> Iterable[Edge]:
        if asked is not None:
            asked.extend(things)
        return [edge for edge in edges if edge.cause in things or edge.effect in things]

    return neighbours


def reachable(edges: Sequence[Edge], start: str, direction: Direction) -> set[str]:
    """The slow and certain way: until nothing is added."""
    found, before = {start}, set[str]()
    while found != before:
        before = set(found)
        for edge in edges:
            if edge.cause in before and direction is not Direction.CAUSES:
                found.add(edge.effect)
            if edge.effect in before and direction is not Direction.EFFECTS:
                found.add(edge.cause)
    return found


@given(EDGES, st.sampled_from(list(Direction)))
def test_a_walk_reaches_all_and_asks_for_each_once_circle_or_not(edges: list[Edge], direction: Direction) -> None:
    asked: list[str] = []
    found = walk("item:x/1", "t", graph(edges, asked), 1_000, direction)
    assert set(found.things) == reachable(edges, "item:x/1", direction)
    assert sorted(asked) == sorted(found.things)
    assert found.complete


def test_no_event_led_to_what_a_run_did_before_it_came() -> None:
    """Two events, each with a write and its echo; between them the run asked a question."""
    run, writes = "run:ado/x/rail/1", ("write:1", "write:2")
    edges = [Edge(cause=run, effect="escalation:ESC-1", kind=EdgeKind.ASKED, at=minute(3))]
    for event, wrote, came in (("event:a", "write:1", 1), ("event:b", "write:2", 5)):
        edges += [
            Edge(cause=event, effect="item:x/1", kind=EdgeKind.ABOUT, at=minute(came)),
            Edge(cause=event, effect=run, kind=EdgeKind.HANDED_OVER, at=minute(came + 4)),
            Edge(cause=run, effect=wrote, kind=EdgeKind.WROTE, at=minute(came + 1)),
            Edge(cause=wrote, effect=f"{event}-echo", kind=EdgeKind.ECHOED, at=minute(came + 2)),
        ]

    def led(start: str, direction: Direction) -> set[str]:
        return set(walk(start, "t", graph(edges), 100, direction).things)

    assert led("escalation:ESC-1", Direction.CAUSES) == {"escalation:ESC-1", run, "event:a"}
    assert led("write:2", Direction.CAUSES) == {"write:2", run, "event:a", "event:b"}
    assert led("event:b", Direction.EFFECTS) == {"event:b", run, "item:x/1", "write:2", "event:b-echo"}
    assert {"escalation:ESC-1", *writes} < led("event:a", Direction.EFFECTS)
    assert {"event:a", "event:b"} < led(run, Direction.CAUSES)


@given(EDGES, st.integers(1, 6))
def test_a_walk_keeps_within_its_limit_and_says_when_there_is_more(edges: list[Edge], limit: int) -> None:
    found = walk("item:x/1", "t", graph(edges), limit)
    everything = reachable(edges, "item:x/1", Direction.BOTH)
    assert len(found.things) == min(limit, len(everything))
    assert found.complete == (len(everything) <= limit)
    assert all({edge.cause, edge.effect} <= set(found.things) for edge in found.edges)


@given(EDGES)
def test_what_was_told_last_counts_in_whatever_order_it_is_read(edges: list[Edge]) -> None:
    shuffled = sorted(edges, key=lambda edge: hash((edge.cause, edge.effect, edge.removed)))
    assert latest(edges) == latest(shuffled)
    for edge in latest(edges):
        alike = [one for one in edges if (one.cause, one.effect, one.kind) == (edge.cause, edge.effect, edge.kind)]
        assert edge.at == max(one.at for one in alike if one.at)


def test_names_of_things_are_told_from_other_text() -> None:
    assert kind_of("item:fabrikam/42") is ThingKind.ITEM
    assert [kind_of(text) for text in ("item:", "thing:x", "0199", "")] == [None] * 4
    assert chains.item_of("item:a/b/7") == ("a/b", 7)
    assert [chains.item_of(text) for text in ("item:7", "item:a/b", "build:a/7")] == [None] * 3
