"""Deliveries as they come: documented, real, minimal, older, misnamed, and nonsense. Fixtures are our own."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.work_items import EventKind, WorkItemKey
from pointsman.domain import deliveries, loose
from pointsman.domain.deliveries import read, read_bytes
from tests.domain.payloads import documented

BASE = "https://dev.azure.com/Harbour"
PROJECT_URL = f"{BASE}/0f1c2d3e-1111-4222-8333-444455556666"
SUBSCRIPTION = "7d1f0c55-2222-4333-8444-555566667777"
FIELDS: dict[str, Json] = {
    "System.TeamProject": "Quay",
    "System.AreaPath": "Quay\\Cranes",
    "System.WorkItemType": "Bug",
    "System.State": "New",
    "System.Title": "Crane stops at noon",
    "System.Tags": "crane; Noon ",
    "System.ChangedBy": "Ada Holm <ada@harbour.example>",
    "System.Rev": 3,
    "Microsoft.VSTS.TCM.ReproSteps": "<p>Wait until noon.</p>",
}


def envelope(event_type: str, resource: Json, **more: Json) -> dict[str, Json]:
    return {
        "subscriptionId": SUBSCRIPTION,
        "notificationId": 12,
        "id": "c0ffee00-3333-4444-8555-666677778888",
        "eventType": event_type,
        "publisherId": "tfs",
        "message": None,
        "resource": resource,
        "resourceVersion": "1.0",
        "resourceContainers": {"collection": {"id": "1", "baseUrl": f"{BASE}/"}},
        "createdDate": "2026-03-01T12:00:00.1234567Z",
        **more,
    }


def item(event_type: str = "workitem.created", **more: Json) -> dict[str, Json]:
    """The resource is the work item: every event but `updated`."""
    resource: dict[str, Json] = {"id": 41, "rev": 3, "fields": FIELDS, "url": f"{PROJECT_URL}/_apis/wit/workItems/41"}
    return envelope(event_type, {**resource, **more})


def update(**more: Json) -> dict[str, Json]:
    """The resource is an entry of the history; the second one here, of item 41."""
    resource: dict[str, Json] = {
        "id": 7,
        "workItemId": 41,
        "rev": 4,
        "revisedBy": {"displayName": "Ada Holm", "uniqueName": "ada@harbour.example"},
        "fields": {
            "System.Rev": {"oldValue": 3, "newValue": 4},
            "System.ChangedDate": {"oldValue": "2026-03-01T11:00:00Z", "newValue": "2026-03-01T12:00:00Z"},
            "System.State": {"oldValue": "New", "newValue": "Active"},
            "System.AssignedTo": {"newValue": "Bo Lind <bo@harbour.example>"},
            "System.Tags": {"oldValue": "crane; Noon "},
            "WEF_0A1B2C3D4E5F4A4B8C8D0E1F2A3B4C5D_Kanban.Column": {"oldValue": "New", "newValue": "Doing"},
        },
        "revision": {"id": 41, "rev": 4, "fields": FIELDS},
        "url": f"{PROJECT_URL}/_apis/wit/workItems/41/updates/7",
    }
    return envelope("workitem.updated", {**resource, **more})


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind is not EventKind.UPDATED])
def test_every_other_event_carries_the_item_itself(kind: EventKind) -> None:
    heard = read(item(f"workitem.{kind}"))
    assert heard.kind is kind
    assert heard.key() == WorkItemKey(organisation="harbour", project="Quay", id=41)
    assert (heard.rev, heard.update_id, heard.actor, heard.changed) == (3, 0, "ada@harbour.example", {})


def test_an_update_has_its_own_number_and_names_the_item_elsewhere() -> None:
    heard = read(update())
    assert (heard.kind, heard.item_id, heard.update_id, heard.rev) == (EventKind.UPDATED, 41, 7, 4)
    assert heard.actor == "ada@harbour.example"


def test_changes_are_told_without_fields_that_move_with_every_save() -> None:
    assert read(update()).changed == {
        "System.State": ("New", "Active"),
        "System.AssignedTo": (None, "Bo Lind <bo@harbour.example>"),
        "System.Tags": ("crane; Noon ", None),
    }


def test_fields_are_those_after_the_event_even_if_the_snapshot_is_from_before() -> None:
    fields = read(update()).fields
    assert fields["System.State"] == "Active"
    assert fields["System.Title"] == "Crane stops at noon"
    assert "System.Tags" not in fields


@pytest.mark.parametrize(
    "resource",
    [
        {"workItemId": 0},
        {"workItemId": "41"},
        {"workItemId": None, "revision": None},
        {"workItemId": 0, "revision": {}},
        {"workItemId": -3, "revision": {"id": True}},
    ],
    ids=str,
)
def test_the_item_of_an_update_is_found_in_number_snapshot_or_url(resource: dict[str, Json]) -> None:
    heard = read(update(**resource))
    assert (heard.item_id, heard.update_id) == (41, 7)


def test_an_update_that_names_no_item_is_kept_without_effect() -> None:
    heard = read(envelope("workitem.updated", {"id": 7}))
    assert (heard.kind, heard.key(), heard.reason) == (None, None, "workitem.updated names no work item")
    assert heard.unreadable


def test_an_update_that_shows_the_item_instead_is_taken_for_what_it_is() -> None:
    heard = read(item("workitem.updated"))
    assert (heard.kind, heard.item_id, heard.update_id) == (EventKind.UPDATED, 41, 0)
    assert heard.idempotency_key == "event:harbour:c0ffee00-3333-4444-8555-666677778888"


def test_a_minimal_resource_is_found_by_its_url() -> None:
    heard = read(envelope("workitem.updated", {"id": 41, "url": f"{BASE}/_apis/wit/workItems/41"}))
    assert (heard.kind, heard.item_id, heard.update_id) == (EventKind.UPDATED, 41, 0)
    deleted = read(envelope("workitem.deleted", {"url": f"{BASE}/_apis/wit/recyclebin/41"}))
    assert (deleted.kind, deleted.item_id, deleted.project) == (EventKind.DELETED, 41, "")


def test_link_only_updates_need_no_fields() -> None:
    heard = read(update(fields=None, relations={"added": [{"rel": "System.LinkTypes.Related", "url": BASE}]}))
    assert heard.links_changed
    assert heard.changed == {}
    assert not read(update(relations={"added": []})).links_changed


def test_an_edited_comment_is_an_update_with_a_version() -> None:
    history: Json = {"System.History": {"oldValue": "", "newValue": "<div>at noon sharp</div>"}}
    heard = read(update(fields=history, commentVersionRef={"commentId": 9001, "version": 2}))
    assert (heard.kind, heard.comment, heard.comment_id, heard.comment_version) == (
        EventKind.UPDATED,
        "<div>at noon sharp</div>",
        9001,
        2,
    )


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        ("Ada Holm <ada@harbour.example>", "ada@harbour.example"),
        ("Ada Holm", "Ada Holm"),
        ({"displayName": "Ada Holm", "uniqueName": "ada@harbour.example"}, "ada@harbour.example"),
        ({"name": "Ada Holm <ada@harbour.example>"}, "ada@harbour.example"),
        ({"displayName": "Ada Holm <ada@harbour.example>"}, "ada@harbour.example"),
        ({"UniqueName": "HARBOUR\\ada"}, "HARBOUR\\ada"),
        ({"uniqueName": None, "displayName": ["Ada"]}, ""),
        (17, ""),
    ],
)
def test_whoever_did_it_is_named_by_text_or_object(identity: Json, actor: str) -> None:
    assert read(item(fields={**FIELDS, "System.ChangedBy": identity})).actor == actor


def test_without_a_reviser_the_snapshot_tells_who_changed_it() -> None:
    assert read(update(revisedBy=None)).actor == "ada@harbour.example"


def test_names_that_only_documentation_knows_become_the_real_ones() -> None:
    fields: Json = {
        "Microsoft.Azure DevOps Services.Common.Severity": {"oldValue": "3 - Medium", "newValue": "2 - High"}
    }
    assert read(update(fields=fields)).changed == {"Microsoft.VSTS.Common.Severity": ("3 - Medium", "2 - High")}


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (item(), "created:harbour:41"),
        (update(), "updated:harbour:41:7"),
        (item("workitem.commented", commentVersionRef={"commentId": 5, "version": 1}), "commented:harbour:41:5:1"),
        (item("workitem.commented"), "event:harbour:c0ffee00-3333-4444-8555-666677778888"),
        (item("workitem.deleted"), "deleted:harbour:41:3"),
        (item("workitem.restored"), "restored:harbour:41:3"),
        (envelope("git.push", {}), "event:harbour:c0ffee00-3333-4444-8555-666677778888"),
        (envelope("git.push", {}, id=None), ""),
    ],
)
def test_the_same_event_has_the_same_key_through_every_subscription(body: dict[str, Json], key: str) -> None:
    other = {**body, "subscriptionId": "another", "notificationId": 99}
    assert read(body).idempotency_key == read(other).idempotency_key == key


def test_the_organisation_is_that_of_the_collection_then_of_the_resource_then_the_only_one_we_know() -> None:
    body = item()
    assert read({**body, "resourceContainers": None}).organisation == "harbour"
    bare = envelope("workitem.created", {"id": 41}, resourceContainers={"collection": {"id": "1"}})
    assert read(bare, "Pier").organisation == "pier"
    assert (read(bare).kind, read(bare).reason) == (None, "workitem.created of work item 41 names no organisation")


def test_scope_is_told_by_the_fields_of_the_delivery() -> None:
    facts = read(item()).facts_for_scope()
    assert facts is not None
    assert (facts.organisation, facts.project, facts.area_path) == ("harbour", "Quay", "Quay\\Cranes")
    assert (facts.type, facts.title, facts.tags, facts.text) == (
        "Bug",
        "Crane stops at noon",
        ("crane", "Noon"),
        "Wait until noon.",
    )


def test_scope_is_left_open_when_the_delivery_lacks_a_field_of_it() -> None:
    fields = {name: value for name, value in FIELDS.items() if name != "System.AreaPath"}
    assert read(item(fields=fields)).facts_for_scope() is None
    assert read(envelope("git.push", {})).facts_for_scope() is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON: Expecting value"),
        (b"\xff\xfe{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "a JSON object is wanted, this is an array"),
        (b"null", "a JSON object is wanted, this is null"),
        (b"{}", "no event type"),
        (b'{"eventType": 5}', "no event type"),
        (b'{"eventType": "git.push"}', "event type 'git.push' concerns no work item"),
        (b'{"eventType": "workitem.moved"}', "event type 'workitem.moved' is not known"),
        (b'{"eventType": "workitem.created"}', "workitem.created names no work item"),
        (b'{"eventType": "workitem.created", "resource": {"id": 0}}', "workitem.created names no work item"),
        (b'{"eventType": "workitem.created", "resource": {"id": 9999999999}}', "workitem.created names no work item"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_understood_has_no_effect_and_a_reason(body: bytes, reason: str) -> None:
    heard = read_bytes(body)
    assert heard.kind is None
    assert heard.reason.startswith(reason)


@pytest.mark.parametrize("body", [b'{"eventType": "git.push"}', b'{"eventType": "workitem.moved"}', b"{}"])
def test_an_event_of_no_work_item_is_no_fault(body: bytes) -> None:
    assert not read_bytes(body).unreadable


@pytest.mark.parametrize(
    ("event_type", "about"),
    [
        ("git.push", "repository r-1 (cranes)"),
        ("git.pullrequest.merged", "pull request 17 (cranes)"),
        ("build.complete", "build 90"),
        ("MS.VSS-Release.release-created-event", "release 31"),
    ],
)
def test_an_event_of_no_work_item_is_kept_with_what_it_concerns(event_type: str, about: str) -> None:
    repository: Json = {"id": "r-1", "name": "cranes", "project": {"name": "Quay"}}
    resource: Json = {"id": 90, "repository": repository, "pullRequestId": 17, "release": {"id": 31}}
    heard = read(envelope(event_type, resource))
    assert (heard.kind, heard.item_id, heard.project) == (None, 0, "Quay")
    assert heard.reason == f"event type {event_type!r} concerns no work item but {about}"
    assert heard.idempotency_key == "event:harbour:c0ffee00-3333-4444-8555-666677778888"


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"eventType": "workitem.created"}'])
def test_what_should_concern_a_work_item_and_cannot_be_read_is_a_fault(body: bytes) -> None:
    assert read_bytes(body).unreadable


def test_a_test_notification_touches_no_work_item() -> None:
    heard = read({**item(), "subscriptionId": "00000000-0000-0000-0000-000000000000"})
    assert (heard.kind, heard.key()) == (None, None)
    assert heard.reason == "test notification: its work item is invented"


def test_text_that_no_column_takes_is_cleaned() -> None:
    fields = {**FIELDS, "System.TeamProject": "Qu\x00ay\x1b[31m\n", "System.Title": "Crane\x00 \ud800 stops\nat noon"}
    heard = read(item(fields=fields))
    assert heard.project == "Qu\N{REPLACEMENT CHARACTER}ay[31m"
    assert heard.fields["System.Title"] == "Crane\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER} stops\nat noon"
    assert len(read(envelope("x" * 10_000, {})).event_type) == loose.ID_CHARS


JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["id", "workItemId", "rev", "fields", "revision", "revisedBy", "relations", "commentVersionRef", "url", "_links"]
)
RESOURCES = JSON | st.dictionaries(NAMES, JSON | st.dictionaries(st.sampled_from(sorted(FIELDS)), JSON), max_size=6)
TYPES = st.sampled_from([f"workitem.{kind}" for kind in EventKind])


@given(JSON)
def test_no_json_is_too_strange(body: Json) -> None:
    assert read(body).kind is None


@given(TYPES, RESOURCES, JSON)
def test_no_resource_is_too_strange(event_type: str, resource: Json, containers: Json) -> None:
    heard = read(envelope(event_type, resource, resourceContainers=containers))
    heard.facts_for_scope()
    assert (heard.kind is None) == (heard.key() is None) == bool(heard.reason)


def recased(value: Json, case: Callable[[str], str]) -> Json:
    """The same envelope by another serialiser; names of fields are data and stay."""
    if not isinstance(value, dict):
        return value
    return {case(name): inner if name == "fields" else recased(inner, case) for name, inner in value.items()}


@given(
    st.sampled_from([item(), update(), item("workitem.deleted"), envelope("git.push", {})]),
    st.sampled_from([str.upper, str.lower, lambda name: name[:1].upper() + name[1:]]),
    st.randoms(),
)
def test_case_and_order_of_the_envelopes_keys_change_nothing(
    body: dict[str, Json], case: Callable[[str], str], chance: random.Random
) -> None:
    other = recased(body, case)
    assert isinstance(other, dict)
    names = list(other)
    chance.shuffle(names)
    assert read({name: other[name] for name in names}) == read(body)


# Microsoft's own payloads. The fixtures above hold every shape of them.
@pytest.mark.parametrize("file", documented())
def test_every_documented_delivery_is_understood(file: Path) -> None:
    body = json.loads(file.read_text(encoding="utf-8-sig"))
    heard = read({**body, "subscriptionId": SUBSCRIPTION})
    if not body["eventType"].startswith("workitem."):
        assert (heard.kind, heard.item_id) == (None, 0)
        assert "concerns no work item" in heard.reason
        return
    assert heard.kind is deliveries.KINDS[body["eventType"]]
    assert heard.item_id == (13 if "assembled" in file.stem else 5)
    assert heard.organisation == ("fabrikam" if "assembled" in file.stem else "defaultcollection")
    assert heard.actor in {"Jamal Hartnett", "user@example.com"}
    assert heard.facts_for_scope() is not None
    assert not any("Services" in name for name in heard.changed)
