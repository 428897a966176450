"""The client's calls against the stand-in over HTTP: what goes out comes back."""

from collections.abc import AsyncGenerator

import pytest

from pointsman.clients.azure_devops.answers import Update, WorkItem, WorkItemType
from pointsman.clients.azure_devops.patches import (
    add_comment,
    add_relation,
    add_tags,
    at_rev,
    remove_relation,
    set_field,
)
from pointsman.contracts.base import Json
from pointsman.ports import Missing, Rejected
from pointsman.sandbox.azure_devops import edits
from pointsman.sandbox.azure_devops.config import ADA
from pointsman.sandbox.azure_devops.documents import Document, FieldEdit
from tests.sandbox.azure import Azure, azure_devops

PRIORITY = "Microsoft.VSTS.Common.Priority"


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def test_created_item_reads_back(azure: Azure) -> None:
    made = await azure.make(title="Basket <is> empty & sad", Common_Priority=1)
    item = await azure.service.work_items.get(made.id)
    assert item.rev == made.rev == 1
    assert item.fields["System.Title"] == "Basket <is> empty & sad"
    assert item.fields[PRIORITY] == 1
    assert item.page.endswith(f"id={made.id}")


async def test_batch_splits_what_is_over_the_limit(azure: Azure) -> None:
    ids = [(await azure.make(title=f"Item {number}")).id for number in range(3)]
    found = await azure.service.work_items.batch([*ids, *range(1_000, 1_400), *ids])
    assert [item.id for item in found] == [*ids, *ids]
    assert (await azure.control("GET", "counters"))["requests"] == {
        "work_items.create 200": 3,
        "work_items.batch 200": 3,
    }


async def test_batch_brings_only_the_fields_asked_for(azure: Azure) -> None:
    made = await azure.make()
    (found,) = await azure.service.work_items.batch([made.id], fields=["System.Title"])
    assert found.fields == {"System.Title": "Basket is empty"}


async def test_patch_sets_clears_tags_and_comments_in_one_revision(azure: Azure) -> None:
    made = await azure.make(TCM_ReproSteps="<p>Open it</p>")
    operations = [
        at_rev(1),
        set_field(PRIORITY, 1),
        set_field("Microsoft.VSTS.TCM.ReproSteps", None),
        add_tags(["basket", "urgent"]),
        add_comment("<p>Looked at it.</p>"),
    ]
    item = await azure.service.work_items.patch(made.id, operations)
    assert (item.rev, item.fields[PRIORITY], item.fields["System.Tags"]) == (2, 1, "basket; urgent")
    assert "Microsoft.VSTS.TCM.ReproSteps" not in item.fields
    (comment,) = await azure.service.work_items.comments("Fabrikam", made.id)
    assert (comment.text, comment.version) == ("<p>Looked at it.</p>", 1)


async def test_validation_alone_writes_nothing(azure: Azure) -> None:
    made = await azure.make()
    await azure.service.work_items.patch(made.id, [set_field("System.Title", "x")], validate_only=True)
    assert (await azure.service.work_items.get(made.id)).rev == 1


@pytest.mark.parametrize("tag", ["", " ", "a;b", "a,b"])
def test_tag_that_would_become_another_is_refused(tag: str) -> None:
    with pytest.raises(Rejected, match="is no tag"):
        add_tags([tag])


async def test_links_are_added_and_removed_by_place(azure: Azure) -> None:
    parent, child = await azure.make("Feature"), await azure.make("User Story")
    link = add_relation("System.LinkTypes.Hierarchy-Reverse", f"{azure.base_url}/_apis/wit/workItems/{parent.id}", "up")
    linked = await azure.service.work_items.patch(child.id, [link])
    assert [(relation.rel, relation.attributes["name"]) for relation in linked.relations] == [
        ("System.LinkTypes.Hierarchy-Reverse", "Parent")
    ]
    assert (await azure.service.work_items.patch(child.id, [remove_relation(0)])).relations == []


async def test_updates_are_read_page_by_page(azure: Azure) -> None:
    made = await azure.make()
    item = azure.world.items["fabrikam"][made.id]
    for number in range(201):
        titled = Document(fields=(FieldEdit("System.Title", f"Title {number}", merge=False),))
        edits.patch(azure.world, item, titled, ADA)
    updates = await azure.service.work_items.updates(made.id)
    assert [update.id for update in updates] == list(range(1, 203))
    assert updates[-1].fields["System.Title"].new_value == "Title 200"
    assert [update.id for update in await azure.service.work_items.updates(made.id, skip=200)] == [201, 202]


async def test_comments_are_read_page_by_page(azure: Azure) -> None:
    made = await azure.make()
    for number in range(205):
        edits.comment(azure.world, azure.world.items["fabrikam"][made.id], f"<p>{number}</p>", ADA)
    comments = await azure.service.work_items.comments("Fabrikam", made.id)
    assert [comment.text for comment in comments] == [f"<p>{number}</p>" for number in reversed(range(205))]


async def test_edited_comment_keeps_its_id_and_has_another_version(azure: Azure) -> None:
    made = await azure.make()
    said = await azure.service.work_items.add_comment("Fabrikam", made.id, "<p>At work</p>")
    edited = await azure.service.work_items.edit_comment("Fabrikam", made.id, said.id, "<p>Done</p>")
    (read,) = await azure.service.work_items.comments("Fabrikam", made.id)
    assert (edited.id, edited.version, read.text) == (said.id, said.version + 1, "<p>Done</p>")


async def test_query_finds_ids(azure: Azure) -> None:
    urgent = await azure.make(Common_Priority=1)
    await azure.make(Common_Priority=3)
    wiql = "SELECT [Id] FROM WorkItems WHERE [System.TeamProject] = @project AND [Microsoft.VSTS.Common.Priority] = 1"
    assert await azure.service.work_items.query(wiql, "Fabrikam") == [urgent.id]


async def test_type_tells_its_states_and_ways(azure: Azure) -> None:
    bug = await azure.service.work_items.type("Fabrikam", "Bug")
    assert [state.name for state in bug.states] == ["New", "Active", "Resolved", "Closed"]
    assert [step.to for step in bug.transitions[""]] == ["New"]


async def test_deleted_item_is_missing_until_it_is_restored(azure: Azure) -> None:
    made = await azure.make()
    await azure.person.work_items.delete(made.id)
    with pytest.raises(Missing):
        await azure.service.work_items.get(made.id)
    entry = await azure.service.work_items.deleted(made.id)
    assert (entry.id, entry.name, entry.project) == (made.id, "Basket is empty", "Fabrikam")
    await azure.person.work_items.restore(made.id)
    assert (await azure.service.work_items.get(made.id)).rev == 3
    with pytest.raises(Missing):
        await azure.service.work_items.deleted(made.id)


async def test_names_with_spaces_and_signs_stay_names(azure: Azure) -> None:
    with pytest.raises(Missing, match=r"Work item type b c\?d does not exist in project Fabrikam"):
        await azure.service.work_items.create("Fabrikam", "b c?d", [set_field("System.Title", "x")])
    assert (await azure.make("User Story")).fields["System.WorkItemType"] == "User Story"


async def test_hooks_are_made_found_and_removed(azure: Azure) -> None:
    project = await azure.service.project("fabrikam")
    made = await azure.service.hooks.create(
        "workitem.updated", "http://127.0.0.1:9/hook", filters={"projectId": project.id, "workItemType": "Bug"}
    )
    assert (made.status, made.publisher_inputs["workItemType"]) == ("enabled", "Bug")
    assert [held.id for held in await azure.service.hooks.list("workitem.updated")] == [made.id]
    assert await azure.service.hooks.list("workitem.created") == []
    assert (await azure.service.hooks.get(made.id)).consumer_inputs["url"] == "http://127.0.0.1:9/hook"
    await azure.service.hooks.delete(made.id)
    with pytest.raises(Missing, match="No subscription found"):
        await azure.service.hooks.get(made.id)


@pytest.mark.parametrize(
    "answer",
    [
        {"id": 5, "rev": 2, "fields": None, "relations": None, "_links": None, "url": None},
        {"id": 5, "rev": 2},
        {"id": 5, "rev": 2, "fields": {"Custom.Whim": None}, "relations": [{"rel": "x", "attributes": None}]},
        {"id": 5, "rev": 2, "commentVersionRef": {"commentId": 1}, "somethingElse": [1]},
        {"id": 5, "rev": 2, "_links": {"html": None}, "multilineFieldsFormat": {"System.Description": None}},
    ],
)
def test_nulls_gaps_and_strangers_in_an_answer_are_tolerated(answer: dict[str, Json]) -> None:
    item = WorkItem.model_validate(answer)
    assert (item.id, item.rev, item.page) == (5, 2, "")


def test_nulls_among_what_is_named_are_tolerated() -> None:
    update = Update.model_validate({"id": 5, "fields": {"System.Rev": {"newValue": 2}, "Custom.Whim": None}})
    assert list(update.fields) == ["System.Rev"]
    kind = WorkItemType.model_validate({"name": "Bug", "transitions": {"": [{"to": "New"}], "New": None}})
    assert list(kind.transitions) == [""]
