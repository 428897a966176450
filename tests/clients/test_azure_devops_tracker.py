"""`Tracker` over the stand-in: the port as activities use it."""

from collections.abc import AsyncGenerator

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps, Tracker
from pointsman.clients.azure_devops.patches import add_relation, remove_relation, set_field
from pointsman.contracts.tracker import ItemWrite
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.sync.agreeing import links_of
from pointsman.ports import Conflict, Missing, Rejected, WorkTracker
from tests.sandbox.azure import PERSON_TOKEN, SERVICE_TOKEN, Azure, azure_devops

PRIORITY = "Microsoft.VSTS.Common.Priority"


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


@pytest.fixture
def tracker(azure: Azure) -> WorkTracker:
    return Tracker({"Fabrikam": azure.service})


def key(item_id: int, organisation: str = "fabrikam") -> WorkItemKey:
    return WorkItemKey(organisation=organisation, project="Fabrikam", id=item_id)


async def test_item_comes_with_its_page_and_links(azure: Azure, tracker: WorkTracker) -> None:
    story, task = await azure.make("User Story"), await azure.make("Task")
    url = f"{azure.base_url}/_apis/wit/workItems/{task.id}"
    await azure.person.work_items.patch(story.id, [add_relation("System.LinkTypes.Hierarchy-Forward", url)])
    item = await tracker.get(key(story.id))
    assert (item.id, item.rev, item.deleted) == (story.id, 1, False)
    assert [(relation["rel"], relation["url"]) for relation in item.relations] == [
        ("System.LinkTypes.Hierarchy-Forward", url)
    ]
    assert item.url.endswith(f"wi.aspx?pcguid={item.url.partition('pcguid=')[2]}")


async def test_item_in_the_recycle_bin_comes_back_as_deleted(azure: Azure, tracker: WorkTracker) -> None:
    made = await azure.make()
    await azure.person.work_items.delete(made.id)
    item = await tracker.get(key(made.id))
    assert (item.deleted, item.fields["System.Title"]) == (True, "Basket is empty")


async def test_item_that_never_was_is_missing(tracker: WorkTracker) -> None:
    with pytest.raises(Missing, match="no work item 77"):
        await tracker.get(key(77))


async def test_write_is_one_guarded_patch(azure: Azure, tracker: WorkTracker) -> None:
    made = await azure.make()
    change = ItemWrite(fields={PRIORITY: 1}, tags=("basket",), comment="<p>Done.</p>")
    item = await tracker.write(key(made.id), 1, change)
    assert (item.rev, item.fields[PRIORITY], item.fields["System.Tags"]) == (2, 1, "basket")
    with pytest.raises(Conflict):
        await tracker.write(key(made.id), 1, change)
    assert (await azure.control("GET", "counters"))["writes"] == [
        {"organisation": "fabrikam", "item_id": made.id, "by": "pointsman@fabrikam.example", "count": 1}
    ]


async def test_write_keeps_tags_that_stand(azure: Azure, tracker: WorkTracker) -> None:
    made = await azure.make()
    await tracker.write(key(made.id), 1, ItemWrite(tags=("old",)))
    item = await tracker.write(key(made.id), 2, ItemWrite(tags=("New", "OLD")))
    assert item.fields["System.Tags"] == "New; old"


async def test_tags_among_the_fields_take_the_place_of_all_that_stand(azure: Azure, tracker: WorkTracker) -> None:
    made = await azure.make()
    await tracker.write(key(made.id), 1, ItemWrite(tags=("old", "new")))
    item = await tracker.write(key(made.id), 2, ItemWrite(fields={"System.Tags": "new; newer"}))
    assert item.fields["System.Tags"] == "new; newer"
    item = await tracker.write(key(made.id), 3, ItemWrite(fields={"System.Tags": ""}))
    assert "System.Tags" not in item.fields


async def test_updates_tell_who_changed_what_after_a_revision(azure: Azure, tracker: WorkTracker) -> None:
    made = await azure.make(Common_Priority=2)
    await azure.person.work_items.patch(made.id, [set_field("System.Title", "Other")])
    await tracker.write(key(made.id), 2, ItemWrite(fields={PRIORITY: 1}))
    updates = await tracker.updates(key(made.id), after_rev=1)
    assert [(update.rev, update.revised_by) for update in updates] == [
        (2, "ada@fabrikam.example"),
        (3, "pointsman@fabrikam.example"),
    ]
    assert updates[0].changed["System.Title"] == ("Basket is empty", "Other")
    assert updates[1].changed[PRIORITY] == (2, 1)
    assert updates[0].revised_at is not None
    assert updates[1].revised_at is not None
    assert updates[0].revised_at < updates[1].revised_at


async def test_updates_of_links_stand_at_the_revision_that_they_do_not_move(azure: Azure, tracker: WorkTracker) -> None:
    first, second = await azure.make(), await azure.make()
    url = f"{azure.base_url}/_apis/wit/workItems/{second.id}"
    await azure.person.work_items.patch(first.id, [add_relation("System.LinkTypes.Related", url)])
    await azure.person.work_items.patch(first.id, [set_field("System.Title", "Other")])
    assert [(update.id, update.rev) for update in await tracker.updates(key(first.id))] == [(1, 1), (2, 1), (3, 2)]
    assert [update.id for update in await tracker.updates(key(first.id), after_rev=1)] == [3]


async def test_an_update_of_links_says_what_came_and_went_and_counts_from_the_end_of_the_entry_before(
    azure: Azure, tracker: WorkTracker
) -> None:
    made, other = await azure.make(), await azure.make()
    url = f"{azure.service.base_url}/_apis/wit/workItems/{other.id}"
    await azure.person.work_items.patch(made.id, [add_relation("System.LinkTypes.Related", url, "see there")])
    await azure.person.work_items.patch(made.id, [remove_relation(0)])
    first, added, removed = await tracker.updates(key(made.id))
    ends = await azure.service.work_items.updates(made.id)
    assert [added.revised_at, removed.revised_at] == [one.revised_date for one in ends[:2]]
    assert first.revised_at is not None
    assert [links_of(one.links_added) for one in (first, added, removed)] == [
        (),
        (f"System.LinkTypes.Related {other.id}",),
        (),
    ]
    (gone,) = removed.links_removed
    assert isinstance(gone["attributes"], dict)
    assert gone["attributes"]["comment"] == "see there"


async def test_identity_is_asked_once(azure: Azure, tracker: WorkTracker) -> None:
    assert await tracker.identity() == "pointsman@fabrikam.example"
    assert await tracker.identity("Fabrikam") == "pointsman@fabrikam.example"
    assert (await azure.control("GET", "counters"))["requests"] == {"connection.data 200": 1}


async def test_organisations_with_different_accounts_must_be_named(azure: Azure) -> None:
    async with AzureDevOps(f"{azure.url}/contoso", SecretStr(PERSON_TOKEN)) as contoso:
        tracker = Tracker({"fabrikam": azure.service, "contoso": contoso})
        assert await tracker.identity("contoso") == "ada@fabrikam.example"
        with pytest.raises(Rejected, match="different accounts"):
            await tracker.identity()


async def test_items_of_two_organisations_are_kept_apart(azure: Azure) -> None:
    made = await azure.make(title="Only in fabrikam")
    async with AzureDevOps(f"{azure.url}/contoso", SecretStr(SERVICE_TOKEN)) as contoso:
        tracker = Tracker({"fabrikam": azure.service, "contoso": contoso})
        with pytest.raises(Missing):
            await tracker.get(key(made.id, "contoso"))
        assert (await tracker.get(key(made.id))).fields["System.Title"] == "Only in fabrikam"


async def test_unknown_organisation_is_rejected_by_name(tracker: WorkTracker) -> None:
    with pytest.raises(Rejected, match="no access to organisation 'northwind'; configured: fabrikam"):
        await tracker.get(key(1, "northwind"))
