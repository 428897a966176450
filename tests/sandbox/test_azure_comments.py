"""What is said about items in the stand-in: Markdown, versions of comments, and the streams that tell of them."""

from collections.abc import AsyncGenerator

import pytest

from pointsman.clients.azure_devops.discussions import DiscussionsApi
from pointsman.clients.azure_devops.patches import add_relation, set_field, set_markdown
from pointsman.contracts.base import Json
from pointsman.ports import Missing, Rejected
from tests.sandbox.azure import SERVICE_TOKEN, Azure, at, azure_devops

DESCRIPTION = "System.Description"
FORMAT: dict[str, Json] = {"op": "add", "path": f"/multilineFieldsFormat/{DESCRIPTION}", "value": "Markdown"}


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def test_a_text_is_written_in_markdown_for_good(azure: Azure) -> None:
    items = azure.service.work_items
    made = await azure.make("User Story")
    assert not made.multiline_fields_format
    item = await items.patch(made.id, set_markdown(DESCRIPTION, "# Goal"))
    assert item.multiline_fields_format == {DESCRIPTION: "markdown"}
    item = await items.patch(made.id, [set_field(DESCRIPTION, "# Other goal")])
    assert (item.multiline_fields_format, item.rev) == ({DESCRIPTION: "markdown"}, 3)
    with pytest.raises(Rejected, match="cannot go back from Markdown to HTML"):
        await items.patch(made.id, [set_field(DESCRIPTION, "<p>Goal</p>"), {**FORMAT, "value": "Html"}])


async def test_a_format_does_not_change_without_its_text(azure: Azure) -> None:
    made = await azure.make("User Story")
    with pytest.raises(Rejected, match="can only change together with its text"):
        await azure.service.work_items.patch(made.id, [FORMAT])
    assert (await azure.service.work_items.get(made.id)).rev == 1


async def test_a_comment_has_a_format_and_a_version_for_each_text(azure: Azure) -> None:
    items, discussions = azure.service.work_items, azure.service.discussions
    made = await azure.make()
    said = await items.add_comment("Fabrikam", made.id, "**Hm**", markdown=True)
    assert (said.format, said.version) == ("markdown", 1)
    edited = await items.edit_comment("Fabrikam", made.id, said.id, "**Aha**")
    assert (edited.format, edited.version) == ("markdown", 2)
    await items.delete_comment("Fabrikam", made.id, said.id)
    versions = await discussions.versions("Fabrikam", made.id, said.id)
    assert [(one.version, one.text, one.is_deleted) for one in versions] == [
        (1, "**Hm**", False),
        (2, "**Aha**", False),
        (3, "", True),
    ]
    assert await items.comments("Fabrikam", made.id) == []
    assert [one.is_deleted for one in await discussions.comments("Fabrikam", made.id)] == [True]
    assert (await items.get(made.id)).fields["System.CommentCount"] == 0


async def test_a_comment_that_was_taken_back_is_edited_no_more(azure: Azure) -> None:
    items = azure.service.work_items
    made = await azure.make()
    said = await items.add_comment("Fabrikam", made.id, "<p>Hm</p>")
    await items.delete_comment("Fabrikam", made.id, said.id)
    with pytest.raises(Missing):
        await items.edit_comment("Fabrikam", made.id, said.id, "<p>Aha</p>")
    with pytest.raises(Missing):
        await items.delete_comment("Fabrikam", made.id, said.id)


async def test_the_format_of_a_comment_alone_does_not_change(azure: Azure) -> None:
    items = azure.service.work_items
    made = await azure.make()
    said = await items.add_comment("Fabrikam", made.id, "Hm")
    with pytest.raises(Rejected, match="can only change together with its text"):
        await items.edit_comment("Fabrikam", made.id, said.id, "Hm", markdown=True)


async def test_markdown_needs_the_version_that_knows_it(azure: Azure) -> None:
    made = await azure.make()
    path = f"{azure.base_url}/Fabrikam/_apis/wit/workItems/{made.id}/comments"
    query = {"format": "markdown", "api-version": "7.1-preview.4"}
    response = await azure.http.post(path, params=query, json={"text": "x"}, auth=("", SERVICE_TOKEN))
    assert response.status_code == 400
    assert "7.2-preview.4" in response.text


async def told(discussions: DiscussionsApi, token: str = "") -> tuple[list[tuple[int, Json]], str]:
    """Item and text of each version that the stream tells, and the token behind them."""
    found: list[tuple[int, Json]] = []
    async for batch in discussions.stream("Fabrikam", token, batch_max=2):
        found += [(one.id, one.fields.get("System.History", "")) for one in batch.values]
        token = batch.continuation_token
    return found, token


async def test_the_stream_of_discussions_tells_what_was_said_changed_and_taken_back(azure: Azure) -> None:
    items = azure.service.work_items
    made = await azure.make()
    said = await items.add_comment("Fabrikam", made.id, "<p>Hm</p>")
    found, token = await told(azure.service.discussions)
    assert found == [(made.id, "<p>Hm</p>")]
    await items.edit_comment("Fabrikam", made.id, said.id, "<p>Aha</p>")
    await items.delete_comment("Fabrikam", made.id, said.id)
    await items.add_comment("Fabrikam", made.id, "<p>Bye</p>")
    found, token = await told(azure.service.discussions, token)
    assert found == [(made.id, "<p>Aha</p>"), (made.id, ""), (made.id, "<p>Bye</p>")]
    assert await told(azure.service.discussions, token) == ([], token)


async def test_the_comment_of_a_link_changes_at_both_ends_and_in_the_stream(azure: Azure) -> None:
    items = azure.service.work_items
    parent, child = await azure.make("Feature"), await azure.make()
    link = add_relation("System.LinkTypes.Hierarchy-Forward", child.url, "first")
    await items.patch(parent.id, [link])
    await items.patch(parent.id, [{"op": "replace", "path": "/relations/0/attributes/comment", "value": "second"}])
    for item_id in (parent.id, child.id):
        item = await items.get(item_id)
        assert (item.rev, item.relations[0].attributes["comment"]) == (1, "second")
        assert (await items.updates(item_id))[-1].relations.updated[0].attributes["comment"] == "second"
    response = await azure.http.get(
        f"{azure.base_url}/_apis/wit/reporting/workitemlinks?api-version=7.1", auth=("", SERVICE_TOKEN)
    )
    changes = response.json()["values"]
    assert [at(one, "comment") for one in changes] == ["first", "second"]


async def test_a_comment_is_not_said_again_by_the_deletion_and_the_restoration_behind_it(azure: Azure) -> None:
    items = azure.service.work_items
    made = await azure.make()
    await items.add_comment("Fabrikam", made.id, "Hm")
    await items.delete(made.id)
    await items.restore(made.id)
    assert [one.text for one in await items.comments("Fabrikam", made.id)] == ["Hm"]
    assert ["System.History" in one.fields for one in await items.updates(made.id)] == [False, True, False, False]
