"""The stand-in's work items behave as the service's do, its traps included."""

from collections.abc import AsyncGenerator
from datetime import datetime

import pytest

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
from tests.sandbox.azure import PERSON_TOKEN, Azure, at, azure_devops

STATE, PRIORITY = "System.State", "Microsoft.VSTS.Common.Priority"


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def ask(azure: Azure, method: str, path: str, body: Json = None, patch: bool = False) -> tuple[int, Json]:
    """A bare request of the person, where the client would hide what the wire shows."""
    kind = "application/json-patch+json" if patch else "application/json"
    response = await azure.http.request(
        method,
        f"{azure.base_url}/{path}",
        json=body,
        headers={"Content-Type": kind},
        auth=("", PERSON_TOKEN),
    )
    return response.status_code, response.json() if response.content else None


async def test_conflict_has_the_envelope_of_the_service(azure: Azure) -> None:
    await azure.make()
    test: Json = {"op": "test", "path": "/rev", "value": 4}
    status, body = await ask(azure, "PATCH", "_apis/wit/workitems/1?api-version=7.1", [test], patch=True)
    assert status == 412
    assert body == {
        "$id": "1",
        "innerException": None,
        "message": "VS403351: Test Operation for path /rev failed, value 1 was not equal to test value 4.",
        "typeName": "Microsoft.VisualStudio.Services.WebApi.Patch.TestPatchOperationFailedException, "
        "Microsoft.VisualStudio.Services.WebApi.Patch",
        "typeKey": "TestPatchOperationFailedException",
        "errorCode": 0,
        "eventId": 3000,
    }


async def test_new_item_begins_with_the_defaults_of_its_type(azure: Azure) -> None:
    bug = await azure.make("Bug")
    assert [bug.fields[name] for name in (STATE, PRIORITY, "Microsoft.VSTS.Common.Severity")] == [
        "New",
        2,
        "3 - Medium",
    ]
    assert (await azure.make("Issue")).fields[STATE] == "Active"
    assert "Microsoft.VSTS.Common.Severity" not in (await azure.make("Task")).fields


async def test_maintained_fields_follow_each_revision(azure: Azure) -> None:
    made = await azure.make()
    item = await azure.service.work_items.patch(made.id, [set_field(STATE, "Active"), add_comment("<p>Mine</p>")])
    assert item.fields["System.Rev"] == item.rev == 2
    assert item.fields["System.CommentCount"] == 1
    assert at(item.fields, "System.CreatedBy", "uniqueName") == "ada@fabrikam.example"
    assert at(item.fields, "System.ChangedBy", "uniqueName") == "pointsman@fabrikam.example"
    assert at(item.fields, "Microsoft.VSTS.Common.ActivatedBy", "displayName") == "Pointsman"
    assert item.fields["System.Reason"] == "Approved"
    assert item.fields["System.BoardColumn"] == "Active"
    changed, created = (str(item.fields[f"System.{name}Date"]) for name in ("Changed", "Created"))
    assert datetime.fromisoformat(changed) > datetime.fromisoformat(created)
    assert item.fields["Microsoft.VSTS.Common.StateChangeDate"] == item.fields["System.ChangedDate"]


async def test_history_shows_only_at_the_revision_that_it_was_said_in(azure: Azure) -> None:
    made = await azure.make()
    said = await azure.person.work_items.patch(made.id, [add_comment("<p>Hello</p>")])
    assert said.fields["System.History"] == "<p>Hello</p>"
    later = await azure.person.work_items.patch(made.id, [set_field("System.Title", "Later")])
    assert "System.History" not in later.fields
    updates = await azure.person.work_items.updates(made.id)
    assert ["System.History" in update.fields for update in updates] == [False, True, False]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (STATE, "Sleeping", "TF401320: Rule Error for field State"),
        (STATE, "", "TF401320: Rule Error for field State"),
        ("System.Title", "", "TF401320: Rule Error for field Title. Error code: Required"),
        ("System.Title", "x" * 256, "InvalidTooLong"),
        (PRIORITY, 5, "TF401320: Rule Error for field Priority"),
        (PRIORITY, "high", "InvalidType"),
        (PRIORITY, True, "InvalidType"),
        ("Microsoft.VSTS.Common.Severity", "Terrible", "TF401320: Rule Error for field Severity"),
        ("Microsoft.VSTS.Common.Risk", "1 - High", "'InvalidField' for field 'Microsoft.VSTS.Common.Risk'"),
        ("System.CreatedDate", "2024-01-01T00:00:00Z", "'ReadOnly' for field 'System.CreatedDate'"),
        ("System.AssignedTo", "nobody@fabrikam.example", "unknown identity"),
        ("System.AreaPath", "Elsewhere\\Shop", "TF401347"),
        ("System.AreaPath", "Fabrikam\\Nobody made it", "TF401347"),
        ("System.AreaPath", "", "TF401347"),
        ("System.IterationPath", "Fabrikam\\Sprint 1", "TF401347"),
        ("Custom.Whim", "x", "TF51535: Cannot find field Custom.Whim"),
        ("System.Description", {"html": "x"}, "InvalidType"),
    ],
)
async def test_value_that_a_field_does_not_take_is_refused_and_changes_nothing(
    azure: Azure, field: str, value: Json, reason: str
) -> None:
    made = await azure.make()
    with pytest.raises(Rejected, match=reason):
        await azure.person.work_items.patch(
            made.id,
            [set_field("System.Tags", "kept-out"), {"op": "add", "path": f"/fields/{field}", "value": value}],
        )
    item = await azure.person.work_items.get(made.id)
    assert (item.rev, item.fields.get("System.Tags")) == (1, None)


@pytest.mark.parametrize("name", ["noor@fabrikam.example", "Noor Haddad", "Noor Haddad <noor@fabrikam.example>"])
async def test_person_is_assigned_by_any_of_their_names(azure: Azure, name: str) -> None:
    made = await azure.make()
    item = await azure.person.work_items.patch(made.id, [set_field("System.AssignedTo", name)])
    assert at(item.fields, "System.AssignedTo", "uniqueName") == "noor@fabrikam.example"
    cleared = await azure.person.work_items.patch(made.id, [set_field("System.AssignedTo", None)])
    assert "System.AssignedTo" not in cleared.fields


async def test_number_as_text_becomes_a_number(azure: Azure) -> None:
    made = await azure.make(Common_Priority="1", Scheduling_StoryPoints="2.5")
    assert (made.fields[PRIORITY], made.fields["Microsoft.VSTS.Scheduling.StoryPoints"]) == (1, 2.5)


async def test_adding_tags_merges_and_replacing_sets(azure: Azure) -> None:
    made = await azure.make()
    await azure.person.work_items.patch(made.id, [add_tags(["zebra", "Apple"])])
    merged = await azure.person.work_items.patch(made.id, [add_tags(["apple", "mango"])])
    assert merged.fields["System.Tags"] == "Apple; mango; zebra"
    replaced = await azure.person.work_items.patch(
        made.id, [{"op": "replace", "path": "/fields/System.Tags", "value": "only"}]
    )
    assert replaced.fields["System.Tags"] == "only"


async def test_change_of_nothing_makes_no_revision(azure: Azure) -> None:
    made = await azure.make()
    item = await azure.person.work_items.patch(made.id, [at_rev(1), set_field("System.Title", "Basket is empty")])
    assert item.rev == 1
    assert len(await azure.person.work_items.updates(made.id)) == 1


async def test_link_is_seen_at_both_ends_and_moves_neither_revision(azure: Azure) -> None:
    feature, story = await azure.make("Feature"), await azure.make("User Story")
    down = add_relation("System.LinkTypes.Hierarchy-Forward", f"{azure.base_url}/_apis/wit/workItems/{story.id}")
    before = (await azure.person.work_items.get(feature.id)).fields["System.ChangedDate"]
    await azure.person.work_items.patch(feature.id, [down])
    for item_id, rel in ((feature.id, "Forward"), (story.id, "Reverse")):
        item = await azure.person.work_items.get(item_id)
        assert (item.rev, [relation.rel for relation in item.relations]) == (1, [f"System.LinkTypes.Hierarchy-{rel}"])
        update = (await azure.person.work_items.updates(item_id))[-1]
        assert (update.id, update.rev, update.fields) == (2, 1, {})
        assert [relation.rel for relation in update.relations.added] == [f"System.LinkTypes.Hierarchy-{rel}"]
    assert (await azure.person.work_items.get(feature.id)).fields["System.ChangedDate"] == before
    await azure.person.work_items.patch(story.id, [remove_relation(0)])
    assert (await azure.person.work_items.get(feature.id)).relations == []
    assert (await azure.person.work_items.updates(feature.id))[-1].relations.removed[0].rel.endswith("Forward")


async def test_link_to_anything_but_an_item_makes_a_revision(azure: Azure) -> None:
    made = await azure.make()
    item = await azure.person.work_items.patch(made.id, [add_relation("Hyperlink", "https://fabrikam.example/run/5")])
    assert (item.rev, item.relations[0].url) == (2, "https://fabrikam.example/run/5")


@pytest.mark.parametrize(
    ("rel", "target", "reason"),
    [
        ("System.LinkTypes.Related", 99, "TF401232: Work item 99"),
        ("System.LinkTypes.Imagined", 1, "relation type System.LinkTypes.Imagined does not exist"),
        ("System.LinkTypes.Hierarchy-Reverse", 2, "Relation already exists"),
        ("System.LinkTypes.Hierarchy-Reverse", 3, "TF201036"),
        ("System.LinkTypes.Hierarchy-Forward", 4, "TF201036"),
        ("System.LinkTypes.Hierarchy-Forward", 3, "TF201035"),
        ("System.LinkTypes.Related", 1, "cannot be linked to itself"),
    ],
)
async def test_link_that_cannot_be_is_refused(azure: Azure, rel: str, target: int, reason: str) -> None:
    """Of item 1, which is below 2, and that below 3; 4 is below 3, too."""
    for _ in range(4):
        await azure.make()
    root = f"{azure.base_url}/_apis/wit/workItems"
    for below, above in ((1, 2), (2, 3), (4, 3)):
        await azure.person.work_items.patch(
            below, [add_relation("System.LinkTypes.Hierarchy-Reverse", f"{root}/{above}")]
        )
    with pytest.raises(Rejected, match=reason):
        await azure.person.work_items.patch(1, [add_relation(rel, f"{root}/{target}")])


async def test_removing_a_link_that_is_not_there_is_refused(azure: Azure) -> None:
    made = await azure.make()
    with pytest.raises(Rejected, match="no relation 0"):
        await azure.person.work_items.patch(made.id, [remove_relation(0)])


@pytest.mark.parametrize(
    "operation", [{"op": "copy", "path": "/fields/System.Title", "from": "/id"}, {"op": "add", "path": "/id"}]
)
async def test_operation_that_is_not_played_is_refused_by_name(azure: Azure, operation: dict[str, Json]) -> None:
    made = await azure.make()
    with pytest.raises(Rejected, match="does not play this operation"):
        await azure.person.work_items.patch(made.id, [operation])


async def test_more_than_two_hundred_items_are_refused(azure: Azure) -> None:
    status, body = await ask(
        azure, "POST", "_apis/wit/workitemsbatch?api-version=7.1", {"ids": list(range(1, 202)), "errorPolicy": "omit"}
    )
    assert status == 400
    assert at(body, "message") == "VS403474: You requested 201 work items which exceeds the limit of 200"


async def test_an_item_is_told_as_it_stood_at_a_moment(azure: Azure) -> None:
    first, other = await azure.make(title="First"), await azure.make()
    related = add_relation("System.LinkTypes.Related", other.url)
    linked = await azure.person.work_items.patch(first.id, [set_field("System.Title", "Second"), related])
    await azure.person.work_items.patch(first.id, [set_field("System.Title", "Third"), remove_relation(0)])
    for told, title, links in ((first, "First", 0), (linked, "Second", 1)):
        moment = told.fields["System.ChangedDate"]
        path = f"_apis/wit/workitems/{first.id}?asOf={moment}&$expand=relations&api-version=7.1"
        _, then = await ask(azure, "GET", path)
        assert (at(then, "rev"), at(then, "fields", "System.Title")) == (told.rev, title)
        assert isinstance(then, dict)
        relations = then.get("relations", [])
        assert isinstance(relations, list)
        assert len(relations) == links
    before = "_apis/wit/workitems?ids=1&asOf=2020-01-01T00:00:00Z&api-version=7.1"
    assert (await ask(azure, "GET", before))[0] == 404
    assert (await ask(azure, "GET", before.replace("2020-01-01T00:00:00Z", "yesterday")))[0] == 400


async def test_batch_refuses_fields_together_with_expand(azure: Azure) -> None:
    await azure.make()
    body: Json = {"ids": [1], "fields": ["System.Title"], "$expand": "all"}
    status, answer = await ask(azure, "POST", "_apis/wit/workitemsbatch?api-version=7.1", body)
    assert (status, at(answer, "typeKey")) == (400, "ConflictingParametersException")
    for path in ("workitems/1?", "workitems?ids=1&"):
        status, told = await ask(azure, "GET", f"_apis/wit/{path}fields=System.Title&$expand=all&api-version=7.1")
        assert (status, at(told, "typeKey")) == (400, "ConflictingParametersException")


@pytest.mark.parametrize("path", ["_apis/wit/nothing?api-version=7.1", "_apis/wit/fields/x/y/z?api-version=7.1"])
async def test_a_route_that_there_is_not_is_answered_with_a_text(azure: Azure, path: str) -> None:
    answer = await azure.http.get(f"{azure.base_url}/{path}", auth=("", PERSON_TOKEN))
    kind = answer.headers["content-type"].partition(";")[0]
    assert (answer.status_code, kind, bool(answer.headers["x-tfs-serviceerror"])) == (404, "text/plain", True)


async def test_batch_fails_on_an_unknown_item_unless_told_to_omit_it(azure: Azure) -> None:
    await azure.make()
    status, _ = await ask(azure, "POST", "_apis/wit/workitemsbatch?api-version=7.1", {"ids": [1, 2]})
    assert status == 404
    status, body = await ask(azure, "GET", "_apis/wit/workitems?ids=1,2&errorPolicy=omit&api-version=7.1")
    assert (status, at(body, "count"), at(body, "value", 1)) == (200, 2, None)


async def test_routes_do_not_care_for_case(azure: Azure) -> None:
    await azure.make()
    status, body = await ask(azure, "GET", "fabrikam/_APIS/Wit/WorkItems/1?api-version=7.1")
    assert (status, at(body, "id")) == (200, 1)


async def test_comment_can_be_edited_and_keeps_its_number(azure: Azure) -> None:
    made = await azure.make()
    comment = await azure.person.work_items.add_comment("Fabrikam", made.id, "<p>Frist</p>")
    path = f"Fabrikam/_apis/wit/workItems/{made.id}/comments/{comment.id}?api-version=7.1-preview.4"
    status, body = await ask(azure, "PATCH", path, {"text": "<p>First</p>"})
    assert (status, at(body, "version"), at(body, "text")) == (200, 2, "<p>First</p>")
    item = await azure.person.work_items.get(made.id)
    assert (item.rev, item.fields["System.CommentCount"]) == (3, 1)


async def test_preview_must_be_asked_for_as_one(azure: Azure) -> None:
    await azure.make()
    status, body = await ask(azure, "GET", "Fabrikam/_apis/wit/workItems/1/comments?api-version=7.1")
    assert (status, at(body, "typeKey")) == (400, "VssInvalidPreviewVersionException")


async def test_version_of_tomorrow_is_refused(azure: Azure) -> None:
    status, body = await ask(azure, "GET", "_apis/wit/workitems/1?api-version=9.0")
    assert (status, at(body, "typeKey")) == (400, "VssVersionOutOfRangeException")


async def test_no_credentials_is_answered_with_the_way_to_give_them(azure: Azure) -> None:
    response = await azure.http.get(f"{azure.base_url}/_apis/wit/workitems/1?api-version=7.1")
    assert (response.status_code, response.headers["www-authenticate"][:12]) == (401, "Basic realm=")


async def test_item_of_the_recycle_bin_is_gone_for_queries_and_links(azure: Azure) -> None:
    first, second = await azure.make(), await azure.make()
    await azure.person.work_items.delete(first.id)
    assert await azure.person.work_items.query("SELECT [System.Id] FROM WorkItems") == [second.id]
    url = f"{azure.base_url}/_apis/wit/workItems/{first.id}"
    with pytest.raises(Missing):
        await azure.person.work_items.patch(second.id, [add_relation("System.LinkTypes.Related", url)])
    with pytest.raises(Missing):
        await azure.person.work_items.delete(first.id)


async def test_demo_has_a_past_that_can_be_searched() -> None:
    async with azure_devops(seeded=True) as azure:
        wiql = (
            "SELECT [System.Id] FROM WorkItems WHERE [System.WorkItemType] = 'Bug' AND [System.State] IN ('Closed', "
            "'Resolved') AND ([System.Title] CONTAINS 'checkout' OR [System.Tags] CONTAINS 'payments')"
        )
        found = await azure.service.work_items.query(wiql, "Fabrikam")
        assert len(found) == 2
        comments = [await azure.service.work_items.comments("Fabrikam", item_id) for item_id in found]
    assert all("Cause" in said[0].text or "timeout" in said[0].text for said in comments)


async def test_dump_tells_items_with_their_history(azure: Azure) -> None:
    made = await azure.make()
    await azure.service.work_items.patch(made.id, [at_rev(1), set_field(PRIORITY, 1), add_comment("<p>Up</p>")])
    dump = await azure.control("GET", "items")
    assert at(dump, "fabrikam", 0, "item", "rev") == 2
    assert at(dump, "fabrikam", 0, "updates", 1, "fields", PRIORITY) == {"oldValue": 2, "newValue": 1}
    assert at(dump, "fabrikam", 0, "comments", 0, "text") == "<p>Up</p>"


async def test_cleared_stand_in_counts_from_zero_and_keeps_its_items(azure: Azure) -> None:
    made = await azure.make()
    await azure.person.work_items.patch(made.id, [set_field(PRIORITY, 1)])
    await azure.fail(status=500)
    assert await azure.control("POST", "clear") == {
        "requests": {},
        "writes": [],
        "faults_injected": 0,
        "faults_pending": 0,
    }
    assert (await azure.person.work_items.get(made.id)).rev == 2
