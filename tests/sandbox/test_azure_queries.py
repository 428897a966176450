"""The part of WIQL that the stand-in plays, and that it refuses the rest by name."""

from datetime import UTC, datetime

import pytest

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import edits, wiql
from pointsman.sandbox.azure_devops.config import ADA, NOOR
from pointsman.sandbox.azure_devops.documents import Document, FieldEdit
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError
from pointsman.sandbox.azure_devops.process import PROCESSES
from pointsman.sandbox.azure_devops.state import Item, World
from tests.sandbox.azure import config

CONTEXT = wiql.Context("Fabrikam", ADA, datetime.now(UTC))
SELECT = "SELECT [System.Id] FROM WorkItems WHERE "
ROWS: tuple[tuple[str, str, dict[str, Json]], ...] = (
    ("Bug", "Basket is empty", {"Microsoft.VSTS.Common.Priority": 1, "System.Tags": "basket; urgent"}),
    ("Bug", "Search's slow", {"Microsoft.VSTS.Common.Priority": 3, "System.AreaPath": "Fabrikam\\Search\\Index"}),
    ("Task", "Rotate keys", {"System.AssignedTo": NOOR.unique_name, "System.Tags": "basketball"}),
    (
        "User Story",
        "Save the basket",
        {"Microsoft.VSTS.Scheduling.StoryPoints": 5, "System.AreaPath": "Fabrikam\\Searching"},
    ),
)


@pytest.fixture(scope="module")
def items() -> list[Item]:
    world = World(config())
    organisation = world.config.organisations[0]
    for names in (["Search", "Index"], ["Searching"]):
        world.forest.plant(organisation.name, "Fabrikam", "areas", names)
    for kind, title, fields in ROWS:
        wanted: dict[str, Json] = {"System.Title": title, **fields}
        document = Document(fields=tuple(FieldEdit(name, value, merge=False) for name, value in wanted.items()))
        edits.create(world, organisation, "Fabrikam", PROCESSES["Agile"].kinds[kind], document, ADA)
    return list(world.items_of(organisation).values())


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("[System.WorkItemType] = 'bug'", [1, 2]),
        ("[System.WorkItemType] <> 'Bug'", [3, 4]),
        ("[System.Id] IN (1, 4, 77)", [1, 4]),
        ("[System.WorkItemType] NOT IN ('Bug', 'Task')", [4]),
        ("[Microsoft.VSTS.Common.Priority] < 3 AND [System.WorkItemType] = 'Bug'", [1]),
        ("[Microsoft.VSTS.Common.Priority] >= 3", [2]),
        ("[Microsoft.VSTS.Scheduling.StoryPoints] > 4.5", [4]),
        ("[System.Title] CONTAINS 'BASKET'", [1, 4]),
        ("[System.Title] NOT CONTAINS 'basket'", [2, 3]),
        ("[System.Title] CONTAINS WORDS 'empty basket'", [1]),
        ("[System.Title] = 'Search''s slow'", [2]),
        ("[System.Tags] CONTAINS 'basket'", [1]),
        ("[System.Tags] = ''", [2, 4]),
        ("[System.AreaPath] UNDER 'Fabrikam\\Search'", [2]),
        ("[System.AreaPath] NOT UNDER 'Fabrikam\\Search'", [1, 3, 4]),
        ("[System.AssignedTo] = 'Noor Haddad'", [3]),
        ("[System.CreatedBy] = @me", [1, 2, 3, 4]),
        ("[System.TeamProject] = @project AND [System.State] = 'New'", [1, 2, 3, 4]),
        ("[System.CreatedDate] >= @today - 1", [1, 2, 3, 4]),
        ("[System.CreatedDate] < @today-1", []),
        ("[System.CreatedDate] > '2020-01-01T00:00:00Z' AND [System.Id] = 1", [1]),
        ("[System.Id] = 1 OR [System.Id] = 2 AND [System.Id] = 3", [1]),
        ("([System.Id] = 1 OR [System.Id] = 2) AND [System.WorkItemType] = 'Bug'", [1, 2]),
        ("[Work Item Type] = 'Task'", [3]),
    ],
)
def test_condition_finds_its_items(items: list[Item], condition: str, expected: list[int]) -> None:
    query = wiql.parse(SELECT + condition, CONTEXT)
    assert [item.id for item in query.run(items)] == expected


def test_order_counts_from_the_first_field_on(items: list[Item]) -> None:
    text = "select [System.Id] from workitems order by [System.WorkItemType] desc, [System.Title]"
    assert [item.id for item in wiql.parse(text, CONTEXT).run(items)] == [4, 3, 1, 2]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("SELECT [System.Id] FROM WorkItemLinks", "WorkItemLinks where WORKITEMS belongs"),
        ("SELECT [System.Id] FROM WorkItems WHERE [System.State] EVER 'Active'", "operator 'EVER'"),
        ("SELECT [System.Id] FROM WorkItems WHERE [System.State] WAS EVER 'Active'", "operator 'WAS'"),
        ("SELECT [System.Id] FROM WorkItems WHERE NOT [System.Id] = 1", "NOT"),
        ("SELECT [System.Id] FROM WorkItems WHERE [System.Id] = 1 ASOF '2024-01-01'", "ASOF"),
        ("SELECT [System.Id] FROM WorkItems WHERE [System.IterationPath] = @currentIteration", "@currentiteration"),
        ("SELECT [System.Id] FROM WorkItems WHERE [Custom.Whim] = 1", "TF51005"),
        ("SELECT [System.Id] FROM WorkItems WHERE [System.Id] =", "its end"),
        ("SELECT [System.Id] FROM WorkItems WHERE [System.CreatedDate] > @today - soon", "number of days"),
        ("SELECT * FROM WorkItems", r"character '\*'"),
        ("DELETE FROM WorkItems", "DELETE where SELECT belongs"),
        ("", "its end where SELECT belongs"),
    ],
)
def test_what_is_not_played_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ServiceError, match=named) as refused:
        wiql.parse(text, CONTEXT)
    assert refused.value.status == 400


@pytest.mark.parametrize("condition", ["[System.CreatedDate] > 'yesterday'", "[System.Id] = 'one'"])
def test_value_of_another_shape_is_refused_when_it_is_compared(items: list[Item], condition: str) -> None:
    query = wiql.parse(SELECT + condition, CONTEXT)
    with pytest.raises(ServiceError, match="TF51006"):
        query.run(items)
