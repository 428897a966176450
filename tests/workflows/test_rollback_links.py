"""Links and comments of ours are taken back over the wire: once, beside what others linked, by their own history."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from pointsman.clients.azure_devops.answers import WorkItem
from pointsman.clients.azure_devops.patches import add_relation, remove_relation
from pointsman.contracts.base import Json
from pointsman.contracts.records import Chain, WriteIntent
from pointsman.contracts.rollback import RollbackRequest, RollbackResult
from pointsman.contracts.tracker import ItemWrite, LinkWrite
from pointsman.domain.sync.agreeing import links_of
from pointsman.domain.sync.recognising import BY, COMMENT, HISTORY, marked, values_of
from pointsman.ports import Conflict
from pointsman.store.agreements import Agreements
from pointsman.store.audit import Audit
from tests.workflows.rollback_rig import CALLER, PRIORITY, RollingBack, Unlucky, key, request, rolling_back

RELATED = "System.LinkTypes.Related"
US = "pointsman@fabrikam.example"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[RollingBack]:
    async with rolling_back(tmp_path) as made:
        yield made


async def run(rig: RollingBack, ask: RollbackRequest) -> RollbackResult:
    return await ActivityEnvironment().run(rig.rollbacks().write, ask)


def to(rig: RollingBack, item_id: int) -> LinkWrite:
    url = f"{rig.azure.service.base_url}/_apis/wit/workItems/{item_id}"
    return LinkWrite(rel=RELATED, url=url, comment="is about the same")


async def wrote(rig: RollingBack, item_id: int, operation: str, change: ItemWrite) -> None:
    """A write of ours, as the ledger knows it."""
    item = await rig.tracker.get(key(item_id))
    chain = Chain(tenant="default", correlation_id="c-1", key=key(item_id))
    await Agreements(rig.store).read(chain, item.rev, item.fields, links_of(item.relations))
    intent = WriteIntent(operation=operation, chain=chain, base_rev=item.rev, values=values_of(change))
    await rig.ledger.intend(intent, CALLER)
    written = await rig.tracker.write(key(item_id), item.rev, change)
    await rig.ledger.settle(operation, "written", written.rev, CALLER)


async def linked(rig: RollingBack, item_id: int) -> list[int]:
    relations = (await rig.tracker.get(key(item_id))).relations
    return [int(name.rpartition(" ")[2]) for name in links_of(relations)]


async def test_a_link_goes_beside_those_of_others_and_comes_back_when_that_is_taken_back(rig: RollingBack) -> None:
    made, theirs, ours = [await rig.azure.make(Common_Priority=3) for _ in range(3)]
    await rig.azure.person.work_items.patch(made.id, [add_relation(RELATED, to(rig, theirs.id).url)])
    await wrote(rig, made.id, "run-1/1.1", ItemWrite(fields={PRIORITY: 1}, links=(to(rig, ours.id),)))
    result = await run(rig, request(made.id, turn="run-1"))
    assert (result.status, [one.link for one in result.plan.links]) == ("written", [f"Related {ours.id}"])
    assert (await linked(rig, made.id), (await rig.fields(made.id))[PRIORITY]) == ([theirs.id], 3)
    agreed = await Agreements(rig.store).get(key(made.id))
    assert agreed is not None
    assert (agreed.links, "+unlinks" in agreed.fields) == ((f"{RELATED} {theirs.id}",), False)
    (event,) = await Audit(rig.store).find(action="item.rolled_back")
    assert event.data["fields"] == ["+unlinks", PRIORITY]
    (row,) = [one for one in await rig.ledger.writes(key(made.id)) if one.operation == result.operation]
    assert row.values[BY] == US, "by which the event at the other item is known for ours"
    back = await run(rig, request(made.id, write=result.operation))
    assert (back.status, sorted(await linked(rig, made.id))) == ("written", sorted([theirs.id, ours.id]))
    comments = [one.get("attributes") for one in (await rig.tracker.get(key(made.id))).relations]
    assert "is about the same" in str(comments[-1]), "as it was before"


async def test_a_link_that_somebody_made_again_since_is_refused_and_a_dry_run_says_so(rig: RollingBack) -> None:
    made, other = await rig.azure.make(), await rig.azure.make()
    await wrote(rig, made.id, "run-1/1.1", ItemWrite(links=(to(rig, other.id),)))
    would = await ActivityEnvironment().run(rig.rollbacks().plan, request(made.id, turn="run-1", dry_run=True))
    assert (would.status, [one.link for one in would.plan.links]) == ("would", [f"Related {other.id}"])
    await rig.azure.person.work_items.patch(made.id, [remove_relation(0)])
    await rig.azure.person.work_items.patch(made.id, [add_relation(RELATED, to(rig, other.id).url)])
    refused = await run(rig, request(made.id, turn="run-1"))
    (held,) = refused.plan.refused
    assert (refused.status, held.field, held.by) == ("refused", f"Related {other.id}", "ada@fabrikam.example")
    assert await linked(rig, made.id) == [other.id]
    forced = await run(rig, request(made.id, turn="run-1", force=True))
    assert (forced.status, await linked(rig, made.id)) == ("written", [])


async def test_an_answer_that_was_lost_moves_no_link_twice(rig: RollingBack) -> None:
    made, other = await rig.azure.make(), await rig.azure.make()
    await wrote(rig, made.id, "run-1/1.1", ItemWrite(links=(to(rig, other.id),)))
    ask, room = request(made.id, turn="run-1"), rig.rollbacks(Unlucky(rig, "lost"))
    with pytest.raises(ApplicationError, match="the answer was lost"):
        await ActivityEnvironment().run(room.write, ask)
    result = await ActivityEnvironment().run(room.write, ask)
    assert (result.status, await linked(rig, made.id)) == ("written", [])
    assert [row.status for row in await rig.ledger.writes(key(made.id))] == ["written", "written"]


async def test_a_link_that_went_because_the_list_moved_is_put_back(
    rig: RollingBack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links are taken away by their place, and no revision tells that somebody has just moved it."""
    made, first, ours, last = [await rig.azure.make() for _ in range(4)]
    person, service = rig.azure.person.work_items, rig.azure.service.work_items
    await person.patch(made.id, [add_relation(RELATED, to(rig, one.id).url) for one in (first, ours, last)])
    read = service.get

    async def overtaken(item_id: int) -> WorkItem:
        found = await read(item_id)
        await person.patch(made.id, [remove_relation(0)])
        return found

    monkeypatch.setattr(service, "get", overtaken)
    with pytest.raises(Conflict, match="1 others were put back"):
        await rig.tracker.write(key(made.id), 1, ItemWrite(unlinks=(to(rig, ours.id),)))
    monkeypatch.undo()
    assert sorted(await linked(rig, made.id)) == sorted([ours.id, last.id])


async def test_comments_go_only_where_that_is_asked_for_and_nobody_edited_them(rig: RollingBack) -> None:
    made = await rig.azure.make(Common_Priority=3)
    said = marked("<p>Looked at it</p>", "run-1/1.1")
    await wrote(rig, made.id, "run-1/1.1", ItemWrite(fields={PRIORITY: 1}, comment=said))
    kept = await ActivityEnvironment().run(rig.rollbacks().plan, request(made.id, turn="run-1", dry_run=True))
    assert [one.field for one in kept.plan.kept] == [HISTORY]
    comments = rig.azure.person.work_items
    (comment,) = await comments.comments("Fabrikam", made.id)
    await comments.edit_comment("Fabrikam", made.id, comment.id, f"{said}<p>Thanks</p>")
    ask = request(made.id, turn="run-1").model_copy(update={"comments": True})
    refused = await run(rig, ask)
    assert [one.reason for one in refused.plan.refused] == ["ada@fabrikam.example has edited it since"]
    forced = ask.model_copy(update={"force": True})
    done = await run(rig, forced)
    assert (done.status, [one.id for one in done.plan.comments]) == ("written", [comment.id])
    assert await comments.comments("Fabrikam", made.id) == []
    assert (await run(rig, forced)).status == "written", "a repeated attempt"
    (event,) = await Audit(rig.store).find(action="item.rolled_back")
    assert (event.data["fields"], event.data["comments"]) == ([PRIORITY], [comment.id])


async def test_a_status_comment_gets_its_earlier_text_again(rig: RollingBack) -> None:
    made = await rig.azure.make()
    service = rig.azure.service.work_items
    comment = 0
    for run_id, text in (("run-1", "Working"), ("run-2", "Waiting")):
        html = marked(f"<p>{text}</p>", f"{run_id}/status.3")
        told: dict[str, Json] = {HISTORY: html, COMMENT: comment, BY: US}
        chain = Chain(tenant="default", correlation_id="c-1", key=key(made.id))
        operation = f"{run_id}/status.3"
        await rig.ledger.intend(WriteIntent(operation=operation, chain=chain, base_rev=0, values=told), CALLER)
        if comment:
            await service.edit_comment("Fabrikam", made.id, comment, html)
        else:
            comment = (await service.add_comment("Fabrikam", made.id, html)).id
        await rig.ledger.settle(operation, "written", 0, CALLER)
    ask = request(made.id, turn="run-2").model_copy(update={"comments": True})
    assert [one.field for one in (await run(rig, request(made.id, turn="run-2"))).plan.kept] == [HISTORY]
    assert [(await run(rig, ask)).status for _ in range(2)] == ["written", "written"], "a repeated attempt"
    (left,) = await service.comments("Fabrikam", made.id)
    assert "Working" in left.text
    assert (await run(rig, request(made.id, turn="run-2").model_copy(update={"comments": True}))).status == "unchanged"
