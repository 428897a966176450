"""Queries for links in the stand-in: one hop, trees, and what is refused by name."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import edits, wiql_links
from pointsman.sandbox.azure_devops.config import ADA
from pointsman.sandbox.azure_devops.documents import parse
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError
from pointsman.sandbox.azure_devops.state import World
from pointsman.sandbox.azure_devops.wiql import Context
from tests.sandbox.azure import config

CHILD, TESTS = "System.LinkTypes.Hierarchy-Forward", "Microsoft.VSTS.Common.TestedBy-Forward"
SELECT = "SELECT [System.Id], [System.Title] FROM WorkItemLinks"
CONTEXT = Context("Fabrikam", ADA, datetime(2026, 1, 1, tzinfo=UTC))
Row = tuple[int, int]


@pytest.fixture(scope="module")
def world() -> World:
    """Epic 1 over feature 2 and closed feature 3; 2 over story 4, 4 over task 5; test case 6 of 4; 7 alone."""
    world = World(config())
    below: Mapping[str, list[int]] = {
        "Epic": [],
        "Feature": [1],
        "Feature ": [1],
        "User Story": [2],
        "Task": [4],
        "Test Case": [4],
        "Task ": [],
    }
    for kind, parents in below.items():
        rel = "Microsoft.VSTS.Common.TestedBy-Reverse" if kind == "Test Case" else "System.LinkTypes.Hierarchy-Reverse"
        links: list[Json] = [
            {"op": "add", "path": "/relations/-", "value": {"rel": rel, "url": f"x/{parent}"}} for parent in parents
        ]
        title: Json = {"op": "add", "path": "/fields/System.Title", "value": f"{kind}"}
        organisation = world.organisations["fabrikam"]
        found = world.process_of(organisation, "Fabrikam").kinds[kind.strip()]
        edits.create(world, organisation, "Fabrikam", found, parse([title, *links]), ADA)
    closed = parse([{"op": "add", "path": "/fields/System.State", "value": "Closed"}])
    edits.patch(world, world.items["fabrikam"][3], closed, ADA)
    return world


def rows(world: World, text: str) -> Sequence[Row]:
    """Source and target of each line; an item at the top has no source."""
    return [(row.source, row.target) for row in wiql_links.parse_links(text, CONTEXT).run(world.items["fabrikam"])]


def test_a_tree_is_told_from_its_top_down(world: World) -> None:
    where = f"[Source].[System.WorkItemType] = 'Epic' AND [System.Links.LinkType] = '{CHILD}'"
    assert rows(world, f"{SELECT} WHERE {where} MODE (Recursive)") == [(0, 1), (1, 2), (2, 4), (4, 5), (1, 3)]


def test_a_tree_leaves_out_what_its_targets_may_not_be(world: World) -> None:
    text = (
        f"{SELECT} WHERE ([Source].[System.WorkItemType] = 'Epic') AND ([System.Links.LinkType] = '{CHILD}') "
        "AND ([Target].[System.State] <> 'Closed' AND [Target].[System.WorkItemType] <> 'Task') MODE (Recursive)"
    )
    assert rows(world, text) == [(0, 1), (1, 2), (2, 4)]


def test_what_hangs_below_another_top_is_no_top_of_its_own(world: World) -> None:
    assert rows(world, f"{SELECT} MODE (Recursive)") == [(0, 1), (1, 2), (2, 4), (4, 5), (1, 3), (0, 6), (0, 7)]


def test_one_hop_tells_items_that_have_such_a_link(world: World) -> None:
    where = f"[Source].[System.WorkItemType] IN ('User Story', 'Task') AND [System.Links.LinkType] IN ('{TESTS}')"
    assert rows(world, f"{SELECT} WHERE {where} MODE (MustContain)") == [(0, 4), (4, 6)]
    assert rows(world, f"{SELECT} WHERE {where} MODE (MayContain)") == [(0, 4), (4, 6), (0, 5), (0, 7)]
    assert rows(world, f"{SELECT} WHERE {where} MODE (DoesNotContain)") == [(0, 5), (0, 7)]


def test_kinds_of_links_may_be_joined_by_or(world: World) -> None:
    kinds = f"([System.Links.LinkType] = '{TESTS}' OR [System.Links.LinkType] = '{CHILD}')"
    text = f"{SELECT} WHERE [Source].[System.Id] = 4 AND {kinds}"
    assert rows(world, text) == [(0, 4), (4, 5), (4, 6)]


def test_items_come_in_the_order_that_is_asked_for(world: World) -> None:
    text = f"{SELECT} WHERE [Source].[System.WorkItemType] = 'Task' ORDER BY [System.Id] DESC MODE (DoesNotContain)"
    assert rows(world, text.replace("ORDER", "AND [Target].[System.WorkItemType] = 'Epic' ORDER")) == [(0, 7), (0, 5)]


@pytest.mark.parametrize(
    ("rest", "named"),
    [
        ("MODE (Sideways)", r"MODE \(SIDEWAYS\)"),
        ("WHERE [Source].[System.Id] = 1 OR [Target].[System.Id] = 2", "OR after the query"),
        ("WHERE ([Source].[System.Id] = 1 OR [Target].[System.Id] = 2)", "both ends in one part"),
        ("WHERE [System.Links.LinkType] <> 'x'", "operator '<>' on the kind of link"),
        ("WHERE [System.Links.LinkType] = 'Friend'", "kind of link 'Friend'"),
        (f"WHERE [System.Links.LinkType] = '{TESTS}' MODE (Recursive)", r"MODE \(Recursive\) along"),
    ],
)
def test_what_is_not_played_is_refused_by_name(world: World, rest: str, named: str) -> None:
    with pytest.raises(ServiceError, match=named) as refused:
        rows(world, f"{SELECT} {rest}")
    assert refused.value.status == 400
