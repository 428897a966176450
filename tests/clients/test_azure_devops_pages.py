"""Items in pages and transitions of types, as a comparison and a rollback ask for them."""

from collections.abc import AsyncGenerator

import pytest

from pointsman.clients.azure_devops.item_pages import ItemPages
from pointsman.clients.azure_devops.type_graphs import TypeGraphs
from pointsman.ports import Missing, Rejected
from tests.sandbox.azure import Azure, azure_devops

FIELDS = ("System.TeamProject", "System.Title", "System.ChangedDate")


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def test_a_project_comes_in_pages_without_what_is_in_the_recycle_bin(azure: Azure) -> None:
    for title in ("Basket", "Till", "Door", "Lamp"):
        await azure.make(title=title)
    await azure.person.work_items.delete(2)
    pages = ItemPages({"Fabrikam": azure.service})
    assert await pages.projects("fabrikam") == ["Fabrikam"]
    first = await pages.page("FABRIKAM", "Fabrikam", 0, 2, FIELDS)
    assert [(one.id, one.rev, one.project, one.fields["System.Title"]) for one in first] == [
        (1, 1, "Fabrikam", "Basket"),
        (3, 1, "Fabrikam", "Door"),
    ]
    assert all(one.changed_at for one in first)
    assert [one.id for one in await pages.page("fabrikam", "Fabrikam", 3, 2, FIELDS)] == [4]
    assert await pages.page("fabrikam", "Fabrikam", 4, 2, FIELDS) == []
    assert [one.id for one in await pages.items("fabrikam", [4, 2, 1, 99], FIELDS)] == [1, 4]
    binned = await pages.in_recycle_bin("fabrikam", 2)
    assert binned is not None
    assert (binned.deleted, binned.project, binned.id) == (True, "Fabrikam", 2)
    assert await pages.in_recycle_bin("fabrikam", 99) is None


async def test_a_project_or_an_organisation_that_is_not_there_is_an_error(azure: Azure) -> None:
    pages = ItemPages({"fabrikam": azure.service})
    with pytest.raises(Missing):
        await pages.page("fabrikam", "Nowhere", 0, 2, FIELDS)
    with pytest.raises(Rejected, match="no access to organisation 'contoso'; configured: fabrikam"):
        await pages.projects("contoso")


async def test_transitions_of_a_type_are_those_that_it_has_now(azure: Azure) -> None:
    graphs = TypeGraphs({"fabrikam": azure.service})
    found = await graphs.graph("Fabrikam", "Fabrikam", "Bug")
    assert found is not None
    assert {"Active", "Resolved", "Closed"} <= found.steps["New"].keys()
    assert await graphs.graph("fabrikam", "Fabrikam", "Unicorn") is None
    assert await graphs.graph("contoso", "Fabrikam", "Bug") is None
