"""Limits of the stand-in, and what happens to items that are moved, changed in type, thrown away or destroyed."""

from collections.abc import Sequence

import pytest

from pointsman.clients.azure_devops.errors import TooManyResults
from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import edits, linking
from pointsman.sandbox.azure_devops.config import ADA, Organisation, Project, SandboxConfig
from pointsman.sandbox.azure_devops.documents import parse
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError
from pointsman.sandbox.azure_devops.process import PROCESSES
from pointsman.sandbox.azure_devops.state import Item, World
from tests.sandbox.azure import azure_devops

CHILD, RELATED = "System.LinkTypes.Hierarchy-Forward", "System.LinkTypes.Related"


@pytest.fixture
def world() -> World:
    projects = (Project(name="Shop"), Project(name="Plant", process="CMMI"))
    return World(
        SandboxConfig(organisations=(Organisation(name="fabrikam", projects=projects),), accounts=(), people=(ADA,))
    )


def make(world: World, kind: str = "Bug", project: str = "Shop", links: Sequence[Json] = ()) -> Item:
    document = parse([put("System.Title", "T"), *links])
    process = world.process_of(world.organisations["fabrikam"], project)
    return edits.create(world, world.organisations["fabrikam"], project, process.kinds[kind], document, ADA)[0]


def put(name: str, value: Json) -> dict[str, Json]:
    return {"op": "add", "path": f"/fields/{name}", "value": value}


def link(rel: str, url: str) -> dict[str, Json]:
    return {"op": "add", "path": "/relations/-", "value": {"rel": rel, "url": url}}


def test_an_item_takes_a_hundred_tags(world: World) -> None:
    item = make(world)
    edits.patch(world, item, parse([put("System.Tags", ";".join(f"t{n}" for n in range(100)))]), ADA)
    with pytest.raises(ServiceError, match="limit of 100 tags"):
        edits.patch(world, item, parse([put("System.Tags", "one more")]), ADA)


def test_an_item_takes_a_thousand_links_and_a_hundred_files(world: World) -> None:
    item = make(world)
    files = [link("AttachedFile", f"https://files.example/{n}") for n in range(linking.FILES_MAX)]
    pages = [link("Hyperlink", f"https://pages.example/{n}") for n in range(linking.LINKS_MAX)]
    edits.patch(world, item, parse([*files, *pages]), ADA)
    for rel, what in (("AttachedFile", "100 attachments"), ("Hyperlink", "1000 links")):
        with pytest.raises(ServiceError, match=f"limit of {what}"):
            edits.patch(world, item, parse([link(rel, "https://more.example")]), ADA)
    with pytest.raises(ServiceError, match="limit of 1000 links"):
        edits.patch(world, make(world), parse([link("System.LinkTypes.Related", f"x/{item.id}")]), ADA)


def test_a_long_text_has_at_most_a_million_characters(world: World) -> None:
    item = make(world, "User Story")
    edits.patch(world, item, parse([put("System.Description", "x" * 1_048_576)]), ADA)
    with pytest.raises(ServiceError, match="InvalidTooLong"):
        edits.patch(world, item, parse([put("System.Description", "x" * 1_048_577)]), ADA)


def test_an_item_takes_ten_thousand_revisions(world: World) -> None:
    item = make(world)
    while item.rev < 9_999:
        item.revisions.append(dict(item.fields), ())
    edits.patch(world, item, parse([put("System.Title", "The last one")]), ADA)
    with pytest.raises(ServiceError, match="limit of 10000 revisions"):
        edits.patch(world, item, parse([put("System.Title", "One too many")]), ADA)
    assert (item.rev, item.fields["System.Title"]) == (10_000, "The last one")


async def test_a_query_finds_twenty_thousand_items_and_no_more() -> None:
    async with azure_devops() as azure:
        made = await azure.make()
        held = azure.world.items["fabrikam"]
        held |= dict.fromkeys(range(2, 20_001), held[made.id])
        assert await azure.service.work_items.query("SELECT [System.Id] FROM WorkItems", top=1) == [made.id]
        held[20_001] = held[made.id]
        with pytest.raises(TooManyResults, match="exceeds the size limit of 20000"):
            await azure.service.work_items.query("SELECT [System.Id] FROM WorkItems", top=1)


def test_links_move_no_revision_at_either_end(world: World) -> None:
    one, other = make(world, "Feature"), make(world)
    edits.patch(world, one, parse([link(CHILD, f"x/{other.id}")]), ADA)
    edits.patch(world, one, parse([{"op": "remove", "path": "/relations/0"}]), ADA)
    assert [(item.rev, len(item.updates)) for item in (one, other)] == [(1, 3), (1, 3)]
    assert [update.rev for update in other.updates] == [1, 1, 1]


def test_an_item_keeps_its_id_in_another_project(world: World) -> None:
    item = make(world)
    (event,) = edits.patch(
        world, item, parse([put("System.TeamProject", "Plant"), put("System.State", "Proposed")]), ADA
    )
    assert (item.id, item.project, item.kind.process) == (1, "Plant", "CMMI")
    assert (item.fields["System.AreaPath"], item.fields["System.TeamProject"]) == ("Plant", "Plant")
    assert event.update.changed["System.TeamProject"].old == "Shop"


def test_an_area_of_the_old_project_is_refused_in_the_new_one(world: World) -> None:
    item = make(world)
    with pytest.raises(ServiceError, match="TF401347"):
        edits.patch(world, item, parse([put("System.TeamProject", "Plant"), put("System.AreaPath", "Shop\\Web")]), ADA)
    assert (item.project, item.rev) == ("Shop", 1)


def test_a_type_that_the_other_project_lacks_is_refused(world: World) -> None:
    item = make(world, "User Story")
    with pytest.raises(ServiceError, match="VS402323"):
        edits.patch(world, item, parse([put("System.TeamProject", "Plant")]), ADA)


def test_an_item_changes_its_type_and_takes_over_its_rules(world: World) -> None:
    item = make(world)
    edits.patch(world, item, parse([put("System.State", "Resolved")]), ADA)
    edits.patch(world, item, parse([put("System.WorkItemType", "Task")]), ADA)
    assert (item.kind.name, item.fields["System.State"], item.fields["System.WorkItemType"]) == ("Task", "New", "Task")


def test_what_is_destroyed_is_gone_with_its_links_and_its_id(world: World) -> None:
    one, other = make(world), make(world)
    edits.patch(world, one, parse([link(RELATED, f"x/{other.id}")]), ADA)
    edits.destroy(world, other)
    assert not one.relations
    assert make(world).id == 3


def test_a_trial_leaves_everything_as_it_is(world: World) -> None:
    item = make(world)
    edits.patch(world, item, parse([put("System.State", "Active")]), ADA, edits.Manner(keep=False))
    assert (item.rev, item.fields["System.State"]) == (1, "New")
    document = parse([put("System.Title", "T")])
    edits.create(
        world, item.organisation, "Shop", PROCESSES["Agile"].kinds["Bug"], document, ADA, edits.Manner(keep=False)
    )
    assert make(world).id == 2


def test_revisions_are_whole_whichever_is_asked_for(world: World) -> None:
    item = make(world)
    edits.patch(world, item, parse([put("System.Tags", "a")]), ADA)
    edits.patch(world, item, parse([{"op": "remove", "path": "/fields/System.Tags"}]), ADA)
    assert [fields.get("System.Tags") for fields in item.revisions] == [None, "a", None]
    assert [item.revisions[n]["System.Rev"] for n in (0, 1, 2, -1)] == [1, 2, 3, 3]
    assert [fields["System.Rev"] for fields in item.revisions[1:]] == [2, 3]
    with pytest.raises(IndexError, match="no revision 3 among 3"):
        item.revisions[3]
