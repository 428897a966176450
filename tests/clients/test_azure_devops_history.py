"""Revisions and the two streams tell everything that happened, from any watermark on, and never half of it."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest

from pointsman.clients.azure_devops.history import LinkChange, Revision
from pointsman.clients.azure_devops.patches import add_comment, add_relation, remove_relation, set_field
from pointsman.ports import Rejected, Unavailable
from tests.sandbox.azure import Azure, azure_devops

CHILD = "System.LinkTypes.Hierarchy-Forward"
REPRO = "Microsoft.VSTS.TCM.ReproSteps"


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def revisions(azure: Azure, token: str = "", batch_max: int = 1_000) -> tuple[list[Revision], str]:
    found: list[Revision] = []
    async for batch in azure.service.history.revision_stream(token, batch_max=batch_max):
        found += batch.values
        token = batch.continuation_token
    return found, token


async def links(azure: Azure, token: str = "") -> tuple[list[LinkChange], str]:
    found: list[LinkChange] = []
    async for batch in azure.service.history.link_stream(token):
        found += batch.values
        token = batch.continuation_token
    return found, token


async def test_each_revision_is_whole_and_has_the_links_of_its_time(azure: Azure) -> None:
    parent, child = await azure.make("Feature", "Up"), await azure.make("Bug", "Down")
    await azure.person.work_items.patch(parent.id, [add_relation(CHILD, child.url)])
    await azure.person.work_items.patch(parent.id, [set_field("System.Title", "Above")])
    first, second = await azure.service.history.revisions(parent.id)
    assert [first.fields["System.Title"], second.fields["System.Title"]] == ["Up", "Above"]
    assert [relation.rel for relation in second.relations] == [CHILD]
    assert [revision.rev for revision in await azure.service.history.revisions(parent.id, skip=1)] == [2]


async def test_stream_tells_revisions_of_all_items_in_order_batch_by_batch(azure: Azure) -> None:
    made = [await azure.make(title=f"Item {number}") for number in range(3)]
    await azure.person.work_items.patch(made[0].id, [set_field("System.Title", "Again")])
    found, token = await revisions(azure, batch_max=1)
    assert [(one.id, one.rev) for one in found] == [(made[0].id, 1), (made[1].id, 1), (made[2].id, 1), (made[0].id, 2)]
    assert found[-1].fields["System.Title"] == "Again"
    await azure.person.work_items.delete(made[1].id)
    (deleted,), later = await revisions(azure, token)
    assert (deleted.id, deleted.deleted) == (made[1].id, True)
    assert await revisions(azure, later) == ([], later)


async def test_long_texts_come_when_asked_for(azure: Azure) -> None:
    await azure.make(TCM_ReproSteps="<p>Open it</p>")
    for long_texts in (False, True):
        async for batch in azure.service.history.revision_stream(long_texts=long_texts):
            assert (REPRO in batch.values[0].fields) is long_texts


async def test_stream_may_begin_at_a_moment_and_keep_to_types(azure: Azure) -> None:
    await azure.make()
    await azure.make("Task")
    history = azure.service.history
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert [batch.values async for batch in history.revision_stream(since=tomorrow)] == [[]]
    dates = [one.fields["System.ChangedDate"] async for batch in history.revision_stream() for one in batch.values]
    newest = max(datetime.fromisoformat(str(date)) for date in dates)
    assert [bool(batch.values) async for batch in history.revision_stream(since=newest)] == [True]
    assert [batch.values async for batch in history.revision_stream(since=newest + timedelta(milliseconds=1))] == [[]]
    tasks = [one async for batch in history.revision_stream(project="Fabrikam", types=["Task"]) for one in batch.values]
    assert [task.fields["System.WorkItemType"] for task in tasks] == ["Task"]


async def test_links_that_no_revision_shows_are_in_their_stream(azure: Azure) -> None:
    parent, child = await azure.make("Feature"), await azure.make()
    _, token = await revisions(azure)
    await azure.person.work_items.patch(parent.id, [add_relation(CHILD, child.url)])
    found, place = await links(azure)
    await azure.person.work_items.patch(parent.id, [remove_relation(0)])
    (gone,), _ = await links(azure, place)
    assert await revisions(azure, token) == ([], token)
    assert [(one.rel, one.source_id, one.target_id, one.is_active) for one in (*found, gone)] == [
        ("System.LinkTypes.Hierarchy", parent.id, child.id, True),
        ("System.LinkTypes.Hierarchy", parent.id, child.id, False),
    ]


async def test_token_is_found_in_the_next_link_where_it_is_nowhere_else(azure: Azure) -> None:
    body = '{"values": [], "isLastBatch": true, "nextLink": "https://x/_apis?continuationToken=6281123"}'
    await azure.fail(status=200, body=body)
    assert await links(azure) == ([], "6281123")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"values": [], "isLastBatch": false, "continuationToken": "5"}', "StuckList"),
        ('{"values": [], "isLastBatch": false}', "LostPlace"),
    ],
)
async def test_stream_that_does_not_go_on_is_refused(azure: Azure, body: str, code: str) -> None:
    await azure.fail(status=200, body=body)
    with pytest.raises(Rejected) as refused:
        await revisions(azure, "5")
    assert refused.value.code == code


async def test_batch_that_fails_ends_the_stream_with_its_error(azure: Azure) -> None:
    for _ in range(2):
        await azure.make()
    stream = azure.service.history.revision_stream(batch_max=1)
    assert [one.id for one in (await anext(stream)).values] == [1]
    await azure.fail(status=503)
    with pytest.raises(Unavailable):
        await anext(stream)


async def test_comment_is_a_revision_of_the_stream(azure: Azure) -> None:
    made = await azure.make()
    await azure.person.work_items.patch(made.id, [add_comment("<p>Seen</p>")])
    found, _ = await revisions(azure)
    assert [one.rev for one in found] == [1, 2]
    assert found[1].fields["System.CommentCount"] == 1
