"""What Microsoft's own payloads of work items get wrong or hide, each found as it is, in the spelling of a server of
one's own too. They are not ours to carry: our samples of the same shapes are in `test_traps.py`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from pointsman.contracts.base import Json
from pointsman.contracts.events import (
    Event,
    FieldChange,
    Link,
    Person,
    WorkItemCommented,
    WorkItemDeleted,
    WorkItemRestored,
    WorkItemUpdated,
)
from pointsman.domain.deliveries import read
from pointsman.domain.events.reading import OPAQUE, parse
from tests.domain.test_deliveries import SUBSCRIPTION, recased
from tests.microsoft import FOLDER, needs_microsoft

ROOT = Path(__file__).parents[3]
Kind = TypeVar("Kind", bound=Event)
Spelling = Callable[[str], str]


def as_it_is(name: str) -> str:
    return name


def pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


spelled = pytest.mark.parametrize("spelling", [as_it_is, pascal])


def payload(name: str, spelling: Spelling = as_it_is) -> dict[str, Json]:
    told = json.loads((Path(FOLDER) / "payloads" / f"{name}.json").read_text(encoding="utf-8-sig"))
    found = recased({**told, "subscriptionId": SUBSCRIPTION}, spelling)
    assert isinstance(found, dict)
    return found


def event(name: str, spelling: Spelling, kind: type[Kind]) -> Kind:
    found = parse(payload(name, spelling))
    assert isinstance(found, kind)
    return found


@needs_microsoft
@spelled
def test_oldest_update_has_item_0_and_is_about_the_item_of_its_snapshot(spelling: Spelling) -> None:
    told = payload("doc-workitem.updated", spelling)
    resource = told[spelling("resource")]
    assert isinstance(resource, dict)
    assert resource[spelling("workItemId")] == 0
    found = event("doc-workitem.updated", spelling, WorkItemUpdated)
    assert (found.item_id, found.update_id, found.rev) == (5, 2, 2)
    bare = {**resource, spelling("revision"): None}
    assert read({**told, spelling("resource"): bare}).item_id == 5, "the URL names it, too"


@needs_microsoft
@spelled
def test_update_of_the_documentation_has_text_for_numbers_noise_and_a_name_that_nobody_uses(spelling: Spelling) -> None:
    found = event("doc-workitem.updated", spelling, WorkItemUpdated)
    assert found.changed == {
        "System.State": FieldChange(old="New", new="Approved"),
        "System.Reason": FieldChange(old="New defect reported", new="Approved by the Product Owner"),
        "System.AssignedTo": FieldChange(new="Jamal Hartnet"),
        "Microsoft.VSTS.Common.Severity": FieldChange(old="3 - Medium", new="2 - High"),
    }
    assert found.fields["System.State"] == "Approved", "its snapshot is from before the change"
    assert found.actor == Person(display_name="Jamal Hartnett")


@needs_microsoft
@spelled
def test_update_of_links_alone_has_no_fields_and_its_own_number(spelling: Spelling) -> None:
    found = event("assembled-workitem.updated.links-only", spelling, WorkItemUpdated)
    parent = Link(rel="System.LinkTypes.Hierarchy-Reverse", url="https://dev.azure.com/fabrikam/_apis/wit/workItems/2")
    assert (found.item_id, found.update_id, found.rev) == (13, 3, 2)
    assert (found.changed, found.links_added) == ({}, (parent,))
    assert found.actor == Person(
        id="49b79148-0000-4000-8000-8406eaa643b1", display_name="Test User", unique_name="user@example.com"
    )


@needs_microsoft
@spelled
def test_edit_of_a_comment_is_an_update_with_a_version_behind_its_snapshot(spelling: Spelling) -> None:
    found = event("assembled-workitem.updated.comment-edited", spelling, WorkItemUpdated)
    assert (found.item_id, found.update_id, found.rev) == (13, 5, 4)
    assert found.comment == "<div>hello edited</div>"
    assert found.comment_version >= 2
    assert set(found.changed) == {"System.History"}


@needs_microsoft
@spelled
def test_comment_is_the_history_of_an_item_that_is_told_as_a_whole(spelling: Spelling) -> None:
    found = event("doc-workitem.commented", spelling, WorkItemCommented)
    assert (found.item_id, found.rev, found.comment) == (5, 4, "This is a great new idea")
    assert (found.comment_id, found.comment_version) == (0, 0), "the documentation has no version of it"


@needs_microsoft
@spelled
def test_deleted_item_lives_in_the_recycle_bin_and_a_restored_one_is_an_item_again(spelling: Spelling) -> None:
    told = payload("doc-workitem.deleted", spelling)
    resource = told[spelling("resource")]
    assert isinstance(resource, dict)
    links = resource[spelling("_links")]
    assert isinstance(links, dict)
    assert str(resource[spelling("url")]).endswith("/_apis/wit/recyclebin/5")
    assert spelling("workItemUpdates") not in links
    deleted, restored = (
        event("doc-workitem.deleted", spelling, WorkItemDeleted),
        event("doc-workitem.restored", spelling, WorkItemRestored),
    )
    assert (deleted.item_id, restored.item_id) == (5, 5)
    bare = {spelling("url"): resource[spelling("url")]}
    assert read({**told, spelling("resource"): bare}).item_id == 5


@needs_microsoft
@pytest.mark.parametrize("name", ["created", "updated", "commented", "deleted", "restored"])
def test_no_documented_field_keeps_the_name_that_only_documentation_has(name: str) -> None:
    heard = read(payload(f"doc-workitem.{name}"))
    assert "Microsoft.VSTS.Common.Severity" in heard.fields
    assert not [field for field in (*heard.fields, *heard.changed) if "Azure DevOps" in field]
    assert not [field for field in heard.changed if field.startswith("WEF_")]


@needs_microsoft
def test_documented_test_notifications_touch_no_item() -> None:
    told = {**payload("doc-workitem.created"), "subscriptionId": "00000000-0000-0000-0000-000000000000"}
    assert read(told).kind is None
    assert parse(told).envelope.is_test


def test_types_that_are_known_by_name_only_are_listed() -> None:
    listed = (ROOT / "docs" / "assumptions.md").read_text(encoding="utf-8")
    assert [name for name in sorted(OPAQUE) if f"`{name}`" not in listed] == []
