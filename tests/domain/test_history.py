"""An item's history is the same however its deliveries come, and any moment of it can be had again."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.records import Delivery, DeliveryState, ItemTransition, WriteRecord
from pointsman.contracts.work_items import Transition, WorkItemKey, WorkItemState
from pointsman.domain.echoes import told
from pointsman.domain.history import Happening, history, standing_at

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
KEY = WorkItemKey(organisation="fabrikam", project="Web", id=42)
LINK: dict[str, Json] = {
    "rel": "System.LinkTypes.Related",
    "url": "https://dev.azure.com/fabrikam/_apis/wit/workItems/7",
}


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def delivery(sequence: int, resource: dict[str, Json], kind: str = "updated", /, **more: object) -> Delivery:
    """Arrives an hour after it happened."""
    base: Json = {"collection": {"baseUrl": "https://dev.azure.com/fabrikam/"}}
    body = {"eventType": f"workitem.{kind}", "id": "e", "resource": resource, "resourceContainers": base}
    given_: dict[str, object] = {
        "id": f"d-{sequence}",
        "sequence": sequence,
        "received_at": at(60 + sequence),
        "tenant": "t",
        "organisation": "fabrikam",
        "event_type": f"workitem.{kind}",
        "idempotency_key": f"k-{sequence}",
        "item_id": 42,
        "body": json.dumps(body | {"createdDate": at(int(str(resource.get("rev", 0)))).isoformat()}).encode(),
        "correlation_id": f"d-{sequence}",
        "chain_id": "d-1",
        "state": DeliveryState.DISPATCHED,
    }
    return Delivery.model_validate(given_ | more)


def updated(rev: int, name: str, old: Json, new: Json, **more: object) -> Delivery:
    """Revision `rev` is made so many minutes after the start."""
    fields: Json = {"System.ChangedDate": at(rev).isoformat(), **({} if new is None else {name: new})}
    resource: dict[str, Json] = {
        "id": rev,
        "workItemId": 42,
        "rev": rev,
        "fields": {name: {"oldValue": old, "newValue": new}},
        "revision": {"id": 42, "rev": rev, "fields": fields},
        "revisedBy": {"displayName": "Ada", "uniqueName": "ada@fabrikam.example"},
    }
    return delivery(rev, resource, "updated", **more)


def created() -> Delivery:
    fields: Json = {"System.Title": "Crane stops", "System.ChangedDate": at(1).isoformat(), "System.State": "New"}
    return delivery(1, {"id": 42, "rev": 1, "fields": fields}, "created")


def life() -> list[Delivery]:
    linked: dict[str, Json] = {"id": 5, "workItemId": 42, "rev": 4, "relations": {"added": [LINK]}}
    return [
        created(),
        updated(2, "System.Title", "Crane stops", "Crane stops at noon"),
        updated(3, "System.State", "New", "Active"),
        updated(4, "Custom.Note", "x", None),
        delivery(5, linked),
        delivery(6, {"id": 42, "rev": 6, "fields": {"System.ChangedDate": at(6).isoformat()}}, "deleted"),
    ]


def test_each_moment_shows_the_item_as_it_stood_then() -> None:
    entries = history(life(), (), ())
    assert standing_at(entries, at(0)).since is None
    assert standing_at(entries, at(1)).fields["System.Title"] == "Crane stops"
    assert standing_at(entries, at(2)).fields["System.Title"] == "Crane stops at noon"
    stands = standing_at(entries, at(4))
    assert (stands.fields["System.State"], "Custom.Note" in stands.fields, stands.rev) == ("Active", False, 4)
    assert (stands.deleted, standing_at(entries, at(6)).deleted) == (False, True)
    assert standing_at(entries, at(6)).links == {f"{LINK['rel']} {LINK['url']}"}


@settings(max_examples=40)
@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=4), st.integers(0, 8))
def test_order_of_arrival_and_duplicates_change_no_moment(order: list[int], again: list[int], minutes: int) -> None:
    kept = life()
    arrived = [one.model_copy(update={"sequence": place}) for place, one in enumerate(kept[at_] for at_ in order)]
    for place, number in enumerate(again, start=len(kept)):
        twice = {"sequence": place, "id": f"again-{place}", "state": DeliveryState.DUPLICATE}
        arrived.append(kept[number].model_copy(update=twice))
    in_order, disordered = (standing_at(history(rows, (), ()), at(minutes)) for rows in (kept, arrived))
    assert (disordered.fields, disordered.rev, disordered.links) == (in_order.fields, in_order.rev, in_order.links)
    assert (disordered.deleted, disordered.since) == (in_order.deleted, in_order.since)


def said(sequence: int, rev: int, kind: str, comment: int, version: int = 1, **fields: Json) -> Delivery:
    """A comment as the service tells it: as an event of its own, and as the update that it makes."""
    text: Json = {"System.History": "<p>Seen</p>", **fields}
    told: dict[str, Json] = {"rev": rev, "commentVersionRef": {"commentId": comment, "version": version}}
    if kind == "commented":
        return delivery(sequence, {**told, "id": 42, "fields": text}, kind)
    changed: Json = {"System.History": {"newValue": "<p>Seen</p>"}}
    return delivery(
        sequence, {**told, "id": sequence, "workItemId": 42, "fields": changed, "revision": {"fields": fields}}
    )


def test_a_comment_counts_once_whatever_tells_of_it() -> None:
    twice = [
        said(2, 2, "commented", 7),
        said(3, 2, "updated", 7),
        said(4, 3, "updated", 7, 2),
        said(5, 4, "updated", 8),
    ]
    assert [standing_at(history(twice, (), ()), at(minute)).comments for minute in (1, 2, 3, 4)] == [0, 1, 1, 2]
    unnamed = [said(2, 2, "commented", 0), said(3, 2, "updated", 0), said(4, 2, "updated", 7)]
    assert standing_at(history(unnamed, (), ()), at(9)).comments == 1


def test_the_item_itself_knows_of_comments_that_were_taken_back() -> None:
    gone: dict[str, Json] = {"id": 4, "workItemId": 42, "rev": 3, "revision": {"fields": {"System.CommentCount": 0}}}
    life = [said(2, 2, "updated", 7, **{"System.CommentCount": 1}), delivery(4, gone)]
    assert [standing_at(history(life, (), ()), at(minute)).comments for minute in (2, 3)] == [1, 0]


def test_a_replay_repeats_what_it_replays() -> None:
    first = updated(2, "System.Title", "a", "b", state=DeliveryState.DEAD)
    key = f"{first.idempotency_key}#replay-d-9"
    again = first.model_copy(update={"id": "d-9", "sequence": 9, "idempotency_key": key, "replayed_by": "ada"})
    entries = history([again, first], (), ())
    assert [(one.ref, one.repeats, one.marks) for one in entries] == [
        ("d-2", False, ()),
        ("d-9", True, ("replay for ada",)),
    ]


def test_what_was_recovered_and_what_was_our_own_says_so() -> None:
    ours = updated(2, "System.State", "New", "Active", state=DeliveryState.ECHO, reason=told("op-1"))
    brought_back = updated(3, "System.Title", "a", "b", recovered_from="history")
    entries = history([ours, brought_back], (), ())
    assert [(one.cause, one.marks) for one in entries] == [
        ("write:op-1", ("our write",)),
        ("", ("recovered from history",)),
    ]


def test_our_own_steps_stand_between_theirs() -> None:
    step = Transition(
        number=1,
        before=None,
        after=WorkItemState.WORKING,
        reason="routed",
        at=at(2) + timedelta(seconds=1),
        agent="fix",
    )
    write = WriteRecord(
        operation="op-1",
        key=KEY,
        base_rev=2,
        values={"System.State": "Active", "+by": "pointsman@fabrikam.example"},
        intended_at=at(2) + timedelta(seconds=5),
        rev=3,
        status="written",
    )
    entries = history(life()[:3], [ItemTransition(run_id="r", transition=step)], [write], "ado/fabrikam/Web/42")
    assert [(one.side, one.what) for one in entries] == [
        ("theirs", "created"),
        ("theirs", "updated"),
        ("ours", "working: routed"),
        ("ours", "write written on revision 2, revision 3"),
        ("theirs", "updated"),
    ]
    assert (entries[2].cause, entries[3].cause) == ("run:ado/fabrikam/Web/42", "write:op-1")
    assert entries[3].changes == {"System.State": (None, "Active")}, "the account is for telling its echoes alone"
    stands = standing_at(entries, at(2) + timedelta(seconds=30))
    assert (stands.state, stands.fields["System.State"]) == ("working", "New")


@given(st.lists(st.builds(Happening, at=st.integers(0, 9).map(at), side=st.just("theirs"), what=st.just("updated"))))
def test_the_later_the_moment_the_more_is_known(entries: list[Happening]) -> None:
    ordered = sorted(entries, key=lambda one: one.at)
    counts = [standing_at(ordered, at(minute)).entries for minute in range(10)]
    assert counts == sorted(counts)
    assert counts[-1] == len(entries)
