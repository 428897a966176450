"""Links that we write come back as events without a revision, and are known by what they connect and by who did it.

What an agent proposes is looked up first: nothing is sent that leads nowhere, or that is there already.
"""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.sync import Writer
from pointsman.clients.azure_devops.patches import add_relation, remove_relation
from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import Classify, Publish, Published, TakeIn
from pointsman.contracts.records import Chain
from pointsman.contracts.tracker import ItemWrite, LinkWrite, TrackedItem
from pointsman.contracts.work_items import Judgement, Proposal, ProposedLink, Verdict, WorkItemKey
from pointsman.domain.artifacts import ARTIFACT_LINK, commit, pull_request
from pointsman.domain.proposals import canonical
from pointsman.domain.sync.recognising import LINKS
from tests.activities.sync_rig import PLACE, Both, Killed, both

RELATED = "System.LinkTypes.Related"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[Both]:
    async with both(tmp_path) as made:
        yield made


async def taken_in(world: Both) -> tuple[WorkItemKey, str]:
    """An item, and the address of another."""
    key, other = await world.item(), await world.item()
    await ActivityEnvironment().run(world.room.take_in, TakeIn(key=key, tenant="default", correlation_id="c"))
    return key, f"{PLACE}/fabrikam/_apis/wit/workItems/{other.id}"


async def link(world: Both, key: WorkItemKey, url: str) -> TrackedItem:
    writer = Writer(world.tracker, world.ledger, world.sync)
    whose = Chain(tenant="default", correlation_id="c", key=key)
    change = ItemWrite(links=(LinkWrite(rel=RELATED, url=url),))
    item = await world.tracker.get(key)
    return await ActivityEnvironment().run(writer.write, whose, f"{key.id}/1.1", item, change)


async def asked(world: Both, key: WorkItemKey, *links: ProposedLink, comment: str = "", number: int = 1) -> Publish:
    """A write of what an agent proposes, over the item as it is."""
    item = await world.tracker.get(key)
    return Publish(
        key=key,
        tenant="default",
        correlation_id="c",
        operation=f"{key.id}/1.{number}",
        proposal=await world.contents.put(canonical(Proposal(comment=comment, links=links))),
        base=await world.contents.put(b"{}"),
        base_rev=item.rev,
    )


async def publish(world: Both, ask: Publish) -> Published:
    return await ActivityEnvironment().run(world.room.publish, ask)


def to(relation: str, target: object, comment: str = "") -> ProposedLink:
    return ProposedLink(relation=relation, target=str(target), comment=comment)


async def names(world: Both, key: WorkItemKey) -> list[tuple[object, object]]:
    return [(one["rel"], one["url"]) for one in (await world.tracker.get(key)).relations]


async def judged(world: Both, key: WorkItemKey, *left: str) -> list[Judgement]:
    """All that waits. With `left`, of each resource only these parts are delivered."""
    events = [await world.arrive(_cut(body, left) if left else body) for body in world.held.waiting]
    world.held.waiting.clear()
    told = tuple(event for event in events if event is not None and event.key.id == key.id)
    ask = Classify(key=key, tenant="default", correlation_id="c", known_rev=1, events=told)
    return list(await ActivityEnvironment().run(world.room.classify, ask))


def _cut(body: dict[str, Json], left: tuple[str, ...]) -> dict[str, Json]:
    resource = body["resource"]
    assert isinstance(resource, dict)
    return {**body, "resource": {name: resource[name] for name in left}}


async def test_a_link_of_ours_is_an_echo_and_agreed_on(world: Both) -> None:
    key, url = await taken_in(world)
    written = await link(world, key, url)
    assert written.rev == 1, "a link moves no revision"
    agreed = await world.agreements.get(key)
    assert agreed is not None
    assert agreed.links == (f"{RELATED} {url.rpartition('/')[2]}",)
    assert [one.verdict for one in await judged(world, key)] == [Verdict.ECHO]


async def test_a_person_who_takes_our_link_away_and_sets_it_again_is_heard_both_times(world: Both) -> None:
    key, url = await taken_in(world)
    await link(world, key, url)
    await judged(world, key)
    await world.person.work_items.patch(key.id, [remove_relation(0)])
    (removed,) = await judged(world, key)
    await world.person.work_items.patch(key.id, [add_relation(RELATED, url)])
    (added,) = await judged(world, key)
    assert (removed.verdict, added.verdict) == (Verdict.NEWS, Verdict.NEWS)
    told = [(await world.contents.get(one.instruction)).decode() for one in (removed, added)]
    assert "no longer linked" in told[0]
    assert f"- linked: {RELATED}" in told[1]


async def test_a_proposed_link_is_written_once_and_is_no_change_after_that(world: Both) -> None:
    key, url = await taken_in(world)
    ask = await asked(world, key, to("Related", url.rpartition("/")[2], "is about the same"))
    assert (await publish(world, ask)).status == "written"
    (relation,) = (await world.tracker.get(key)).relations
    assert (relation["rel"], relation["url"]) == (RELATED, url)
    assert isinstance(relation["attributes"], dict)
    assert relation["attributes"]["comment"] == "is about the same"
    again = await publish(world, ask.model_copy(update={"operation": f"{key.id}/1.2"}))
    assert (again.status, again.rev) == ("unchanged", 1)
    assert len(await world.ledger.writes(key)) == 1


async def test_the_other_end_of_a_link_of_ours_is_an_echo_there_too(world: Both) -> None:
    key, url = await taken_in(world)
    other = key.model_copy(update={"id": int(url.rpartition("/")[2])})
    await publish(world, await asked(world, key, to("Child", other.id)))
    waiting = list(world.held.waiting)
    assert [one.verdict for one in await judged(world, other)] == [Verdict.ECHO]
    world.held.waiting[:] = waiting
    await world.person.work_items.patch(other.id, [remove_relation(0)])
    world.held.waiting[:] = world.held.waiting[len(waiting) :]
    assert [one.verdict for one in await judged(world, other)] == [Verdict.NEWS]


@pytest.mark.parametrize("trouble", ["answer lost", "killed before the result", "killed before the request"])
async def test_a_link_is_written_once_whatever_is_lost_on_the_way(world: Both, trouble: str) -> None:
    key, url = await taken_in(world)
    ask = await asked(world, key, to("Related", url.rpartition("/")[2]))
    world.trouble.name = trouble
    with pytest.raises((Killed, ApplicationError)):
        await publish(world, ask)
    result = await publish(world, ask)
    assert (result.status, result.recovered) == ("written", trouble != "killed before the request")
    (row,) = await world.ledger.writes(key)
    assert (row.status, row.values[LINKS]) == ("written", [f"{RELATED} {url.rpartition('/')[2]}"])
    assert len(await names(world, key)) == 1
    agreed = await world.agreements.get(key)
    assert agreed is not None
    assert len(agreed.links) == 1


async def test_a_write_that_was_cut_off_asks_nobody_when_its_item_is_deleted_meanwhile(world: Both) -> None:
    key, _ = await taken_in(world)
    ask = await asked(world, key, comment="See there.")
    world.trouble.name = "killed before the result"
    with pytest.raises(Killed):
        await publish(world, ask)
    await world.person.work_items.delete(key.id)
    assert (await publish(world, ask)).status == "gone"
    assert [one.status for one in await world.ledger.writes(key)] == ["intended"]


async def test_a_link_that_somebody_makes_at_the_same_moment_fails_nothing(world: Both) -> None:
    key, url = await taken_in(world)
    number = url.rpartition("/")[2]

    async def faster() -> None:
        await world.person.work_items.patch(key.id, [add_relation(RELATED, url)])

    world.trouble.name, world.trouble.overtake = "overtaken", faster
    ask = await asked(world, key, to("Related", number), comment="See there.")
    with pytest.raises(ApplicationError, match="moved before it was written") as refused:
        await publish(world, ask)
    assert (refused.value.type, refused.value.non_retryable) == ("Unavailable", False)
    assert (await publish(world, ask)).status == "written"
    assert await names(world, key) == [(RELATED, url)]


@pytest.mark.parametrize("trouble", ["killed before the result", ""])
async def test_attempts_to_link_that_another_has_made_vain_stay_in_no_doubt(world: Both, trouble: str) -> None:
    (key, url), other = await taken_in(world), await world.item()
    ask = await asked(world, key, to("Related", url.rpartition("/")[2]), to("Child", other.id))
    world.trouble.name = "request lost"
    with pytest.raises(ApplicationError):
        await publish(world, ask)
    await world.person.work_items.patch(key.id, [add_relation(RELATED, url)])
    world.trouble.name = trouble
    if trouble:
        with pytest.raises(Killed):
            await publish(world, ask)
    assert (await publish(world, ask)).status == "written"
    rows = [(one.status, one.values[LINKS]) for one in await world.ledger.writes(key)]
    child = f"System.LinkTypes.Hierarchy-Forward {other.id}"
    assert rows == [("abandoned", [f"{RELATED} {url.rpartition('/')[2]}", child]), ("written", [child])]


@pytest.mark.parametrize("told_first", [False, True])
async def test_a_link_that_somebody_made_between_two_attempts_is_theirs_in_the_ledger(
    world: Both, told_first: bool
) -> None:
    key, url = await taken_in(world)
    ask = await asked(world, key, to("Related", url.rpartition("/")[2]), comment="See there.")
    world.trouble.name = "killed before the request"
    with pytest.raises(Killed):
        await publish(world, ask)
    await world.person.work_items.patch(key.id, [add_relation(RELATED, url)])
    world.trouble.name = "killed before the result"
    with pytest.raises(Killed):
        await publish(world, ask)
    if told_first:
        assert [one.verdict for one in await judged(world, key)] == [Verdict.NEWS, Verdict.ECHO, Verdict.ECHO]
    assert (await publish(world, ask)).status == "written"
    rows = await world.ledger.writes(key)
    assert [(one.status, LINKS in one.values) for one in rows] == [("abandoned", True), ("written", False)]


async def test_links_that_lead_nowhere_are_held_back_with_the_reason_and_left_out_by_decision(world: Both) -> None:
    key, url = await taken_in(world)
    other = url.rpartition("/")[2]
    await world.person.work_items.patch(key.id, [add_relation("System.LinkTypes.Hierarchy-Reverse", url)])
    third = await world.item()
    gone = await world.item()
    await world.person.work_items.delete(gone.id)
    wrong = (to("Related", 4711), to("Related", gone.id), to("Parent", third.id))
    ask = await asked(world, key, to("Related", other), *wrong)
    held = await publish(world, ask)
    assert (held.status, [one.link for one in held.impossible]) == ("held_back", [str(link) for link in wrong])
    assert "TF401232" in held.impossible[0].why
    assert held.impossible[2].why == f"{key.id} has the parent {other} already, and an item has one at most"
    assert not await world.ledger.writes(key)
    left = ask.model_copy(update={"leave_out": tuple(one.link for one in held.impossible)})
    assert (await publish(world, left)).status == "written"
    assert (RELATED, url) in await names(world, key)


async def test_pages_of_code_become_links_to_it(world: Both) -> None:
    key, _ = await taken_in(world)
    repository = await world.person.git.create_repository("Fabrikam", "web")
    assert repository.project is not None
    push = await world.person.git.first_commit("Fabrikam", repository.id, "main", "Begin", {"/a.txt": "1"})
    sha = push.commits[0].commit_id
    page = f"{PLACE}/fabrikam/Fabrikam/_git/web"
    uri = commit(repository.project.id, repository.id, sha).uri
    result = await publish(world, await asked(world, key, to("Fixed in Commit", f"{page}/commit/{sha}")))
    assert (result.status, await names(world, key)) == ("written", [(ARTIFACT_LINK, uri)])
    assert [one.verdict for one in await judged(world, key)] == [Verdict.ECHO]
    again = await publish(world, await asked(world, key, to("Fixed in Commit", uri), number=2))
    assert again.status == "unchanged"
    missing = pull_request(repository.project.id, repository.id, 9).uri
    pages = (
        to("Pull Request", f"{page}/pullrequest/9"),
        to("Pull Request", missing),
        to("Build", "vstfs:///Build/Build/9"),
    )
    held = await publish(world, await asked(world, key, *pages, number=3))
    assert [one.link for one in held.impossible] == [str(one) for one in pages]


async def test_a_web_page_is_linked_as_it_is(world: Both) -> None:
    key, _ = await taken_in(world)
    page = "https://github.com/fabrikam/web/pull/7"
    assert (await publish(world, await asked(world, key, to("Hyperlink", page)))).status == "written"
    assert await names(world, key) == [("Hyperlink", page)]
    assert [one.verdict for one in await judged(world, key)] == [Verdict.ECHO]


MINIMAL = (("id", "workItemId", "url"), ("id", "workItemId", "rev", "url"))


@pytest.mark.parametrize("left", MINIMAL, ids=["id", "id and revision"])
async def test_a_delivery_that_tells_nothing_of_a_link_is_read_from_the_history(
    world: Both, left: tuple[str, ...]
) -> None:
    key, url = await taken_in(world)
    await world.person.work_items.patch(key.id, [add_relation(RELATED, url)])
    waiting = list(world.held.waiting)
    (news,) = await judged(world, key, *left)
    assert news.verdict is Verdict.NEWS
    words = (await world.contents.get(news.instruction)).decode()
    assert words == f"Meanwhile ada@fabrikam.example changed links of the item:\n- linked: {RELATED} {url[-1:]}"
    agreed = await world.agreements.get(key)
    assert agreed is not None
    assert agreed.links == (f"{RELATED} {url.rpartition('/')[2]}",)
    world.held.waiting[:] = waiting
    assert await judged(world, key, *left) == [], "the same event is taken once"


async def test_a_delivery_that_names_neither_update_nor_revision_tells_what_moved_since(world: Both) -> None:
    key, url = await taken_in(world)
    number = url.rpartition("/")[2]
    await world.person.work_items.patch(key.id, [add_relation(RELATED, url)])
    # All that it tells is the item: its number stands where that of an update would, beside the item's address.
    (body,) = [one for one in world.held.waiting if f"workItems/{key.id}/" in str(one["resource"])][:1]
    address = f"{PLACE}/fabrikam/_apis/wit/workItems/{key.id}"
    resource: dict[str, Json] = {"id": key.id, "url": address}
    world.held.waiting[:] = [{**body, "resource": resource}]
    (news,) = await judged(world, key)
    assert news.verdict is Verdict.NEWS
    assert f"- linked: {RELATED} {number}" in (await world.contents.get(news.instruction)).decode()


async def test_a_link_of_ours_is_an_echo_also_where_its_delivery_tells_nothing(world: Both) -> None:
    key, url = await taken_in(world)
    await publish(world, await asked(world, key, to("Related", url.rpartition("/")[2])))
    assert [one.verdict for one in await judged(world, key, *MINIMAL[0])] == [Verdict.ECHO]
