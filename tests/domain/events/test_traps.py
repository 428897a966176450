"""What deliveries of work items are known to get wrong, or to show in more than one way."""

import pytest

from pointsman.contracts import events
from pointsman.contracts.base import Json
from pointsman.contracts.events import FieldChange, Link, Person, WorkItemUpdated
from pointsman.domain.events.reading import parse
from tests.domain.events.samples import ADA, BASE, FIELDS, ITEM, UPDATE, delivery, known


def updated(**more: Json) -> WorkItemUpdated:
    event = parse(delivery("workitem.updated", {**UPDATE, **more}))
    assert isinstance(event, WorkItemUpdated)
    return event


def test_the_id_of_an_update_is_not_the_items() -> None:
    event = updated()
    assert (event.item_id, event.update_id, event.rev) == (41, 7, 4)


@pytest.mark.parametrize(
    "more",
    [{"workItemId": 0}, {"workItemId": "0", "revision": None}, {"workItemId": None, "revision": {"rev": 4}}],
    ids=str,
)
def test_an_update_of_item_0_finds_its_item_in_snapshot_or_url(more: dict[str, Json]) -> None:
    assert (updated(**more).item_id, updated(**more).update_id) == (41, 7)


def test_a_sample_that_shows_the_restored_item_as_an_update_has_no_update_number() -> None:
    event = parse(delivery("workitem.updated", ITEM))
    assert isinstance(event, WorkItemUpdated)
    assert (event.item_id, event.update_id) == (41, 0)


def test_links_may_change_without_any_field() -> None:
    event = updated(fields=None)
    assert event.changed == {}
    assert event.links_added == (Link(rel="System.LinkTypes.Hierarchy-Reverse", url=f"{BASE}/_apis/wit/workItems/2"),)
    assert (event.links_removed, event.links_updated) == ((), ())


def test_a_field_that_was_empty_has_no_old_value_and_a_cleared_one_no_new() -> None:
    event = updated(fields={"A.B": {"newValue": 1}, "C.D": {"oldValue": "x"}, "System.State": {"oldValue": "New"}})
    assert event.changed["A.B"] == FieldChange(new=1)
    assert event.changed["C.D"] == FieldChange(old="x")
    assert "System.State" not in event.fields


@pytest.mark.parametrize(
    "noise",
    [
        "System.Watermark",
        "System.AuthorizedDate",
        "System.RevisedDate",
        "System.Rev",
        "System.ChangedDate",
        "System.PersonId",
        "System.BoardColumn",
        "System.BoardColumnDone",
        "WEF_0A1B2C3D4E5F4A4B8C8D0E1F2A3B4C5D_Kanban.Column",
        "WEF_0A1B2C3D4E5F4A4B8C8D0E1F2A3B4C5D_Kanban.Lane",
    ],
)
def test_fields_that_move_with_every_save_are_no_change(noise: str) -> None:
    assert updated(fields={noise: {"oldValue": 1, "newValue": 2}}).changed == {}


def test_a_comment_is_the_history_field_and_its_version_stands_beside() -> None:
    resource: dict[str, Json] = {**ITEM, "fields": {**FIELDS, "System.History": "<div>noon</div>"}}
    event = parse(delivery("workitem.commented", {**resource, "commentVersionRef": {"commentId": 12, "version": 1}}))
    assert isinstance(event, events.WorkItemCommented)
    assert (event.comment, event.comment_id, event.comment_version) == ("<div>noon</div>", 12, 1)


def test_an_edited_comment_comes_as_an_update() -> None:
    history: Json = {"System.History": {"oldValue": "", "newValue": "<div>edited</div>"}}
    event = updated(fields=history, commentVersionRef={"commentId": 12, "version": 2})
    assert (event.comment, event.comment_id, event.comment_version) == ("<div>edited</div>", 12, 2)


def test_a_deleted_item_is_found_in_the_recycle_bin() -> None:
    event = parse(delivery("workitem.deleted", {"url": f"{BASE}/_apis/wit/recyclebin/41"}))
    assert isinstance(event, events.WorkItemDeleted)
    assert event.item_id == 41


@pytest.mark.parametrize(
    ("told", "person"),
    [
        ("Ada Holm <ada@harbour.example>", Person(display_name="Ada Holm", unique_name="ada@harbour.example")),
        ("Ada Holm", Person(display_name="Ada Holm")),
        (ADA, Person(id="ada-1", display_name="Ada Holm", unique_name="ada@harbour.example")),
        ({"displayName": "Ada <a@x.example>"}, Person(display_name="Ada", unique_name="a@x.example")),
        (
            {"name": "Ada <a@x.example>", "displayName": "Ada", "id": "1"},
            Person(id="1", display_name="Ada", unique_name="a@x.example"),
        ),
        ({"displayName": None, "id": "00000000-0000-0000-0000-000000000000"}, Person()),
    ],
    ids=str,
)
def test_people_are_text_in_one_version_and_objects_in_the_other(told: Json, person: Person) -> None:
    assert parse(delivery("workitem.created", {**ITEM, "fields": {**FIELDS, "System.ChangedBy": told}})).actor == person


@pytest.mark.parametrize("rev", [9, "9"])
def test_numbers_may_be_text(rev: Json) -> None:
    event = parse(delivery("workitem.created", {**ITEM, "rev": None, "fields": {**FIELDS, "System.Rev": rev}}))
    assert isinstance(event, events.WorkItemCreated)
    assert event.rev == 9


def test_a_name_that_only_documentation_knows_is_the_real_one() -> None:
    change: Json = {"oldValue": "3 - Medium", "newValue": "2 - High"}
    event = updated(fields={"Microsoft.Azure DevOps Services.Common.Severity": change})
    assert set(event.changed) == {"Microsoft.VSTS.Common.Severity"}


@pytest.mark.parametrize("version", ["1.0", "1.0-preview.2", "3.1-preview.3", "5.1-preview.3", "latest", "", None])
def test_the_resource_version_is_told_and_decides_nothing(version: Json) -> None:
    event, usual = parse(known("workitem.updated", resourceVersion=version)), parse(known("workitem.updated"))
    assert event.envelope.resource_version == (version or "")
    assert event.model_copy(update={"envelope": usual.envelope}) == usual


def test_an_old_sample_has_a_scope_and_no_base_url() -> None:
    event = parse(known("workitem.created", scope="all", resourceContainers={"collection": {"id": "1"}}))
    assert isinstance(event, events.WorkItemCreated)
    assert event.envelope.organisation == "harbour"
