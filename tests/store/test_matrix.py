"""The matrix's graph on both databases: told twice it is the same, the last word stands, and neighbours are found."""

from datetime import UTC, datetime

from pointsman.contracts.matrix import (
    BuildTold,
    CodeKind,
    CodeLink,
    LinkKind,
    LinkTold,
    MatrixItem,
    MatrixMark,
    MatrixScope,
    OutcomeTold,
    RequestTold,
)
from pointsman.store.engine import Store
from pointsman.store.matrix import MatrixGraph

ORGANISATION = "fabrikam"
SCOPE = MatrixScope(tenant="team", organisation=ORGANISATION, project="Web")
SHA, OTHER = "ab" * 20, "cd" * 20


def item(number: int, rev: int = 1, **more: object) -> MatrixItem:
    given = {"id": number, "project": "Web", "type": "Task", "state": "Active", "title": f"Task {number}", "rev": rev}
    return MatrixItem.model_validate(given | more)


def child(source: int, target: int, active: bool = True) -> LinkTold:
    return LinkTold(kind=LinkKind.CHILD, source=source, target=target, active=active)


def request(number: int) -> CodeLink:
    return CodeLink(kind=CodeKind.PULL_REQUEST, name=str(number), place="p/r")


async def test_items_and_the_mark_behind_them_are_kept_and_the_highest_revision_stays(store: Store) -> None:
    graph = MatrixGraph(store)
    assert await graph.mark(ORGANISATION, "web") is None
    mark = MatrixMark(items_token="t-2")
    await graph.keep_items(SCOPE, [item(1, 3, title="a\x00b"), item(2), item(3, deleted=True)], mark)
    await graph.keep_items(SCOPE, [item(1, 2, title="older"), item(2)], mark)
    assert await graph.mark(ORGANISATION, "WEB") == mark
    assert [one.title for one in await graph.items(ORGANISATION, [1])] == ["a\N{REPLACEMENT CHARACTER}b"]
    assert [one.id for one in await graph.subjects(ORGANISATION, "Web", ["Task"], 0, 10)] == [1, 2]
    assert [one.id for one in await graph.subjects(ORGANISATION, "Web", ["Task"], 1, 10)] == [2]
    assert await graph.subjects(ORGANISATION, "Web", ["Bug"], 0, 10) == []
    assert await graph.subjects("contoso", "Web", ["Task"], 0, 10) == []


async def test_links_come_and_go_and_lead_both_ways(store: Store) -> None:
    graph = MatrixGraph(store)
    tests = LinkTold(kind=LinkKind.TESTED_BY, source=2, target=9)
    told = [child(1, 2), child(1, 3), child(1, 3, active=False), tests]
    for _ in range(2):
        await graph.keep_links(SCOPE, told, MatrixMark(links_token="t"))
    assert await graph.below(ORGANISATION, [1]) == await graph.above(ORGANISATION, [2, 7]) == [child(1, 2)]
    assert await graph.beside(ORGANISATION, [2]) == await graph.beside(ORGANISATION, [2, 9]) == [tests]
    assert await graph.strangers(ORGANISATION, 2) == [1, 2]
    await graph.keep_strangers(ORGANISATION, [1, 2, 9], [item(1, project="Other")])
    assert await graph.strangers(ORGANISATION, 10) == []
    assert [(one.type, one.project) for one in await graph.items(ORGANISATION, [1, 2])] == [("Task", "other"), ("", "")]
    assert (await graph.above(ORGANISATION, [])) == []


async def test_links_to_code_are_replaced_and_read_again_when_asked(store: Store) -> None:
    graph = MatrixGraph(store)
    await graph.keep_items(SCOPE, [item(1), item(2, linked_to_code=False), item(3, deleted=True)], MatrixMark())
    assert await graph.unread(ORGANISATION, 10) == [1]
    commit = CodeLink(kind=CodeKind.COMMIT, name=SHA, place="p/r")
    await graph.keep_code(ORGANISATION, [1], {1: [request(12), commit]})
    assert (await graph.unread(ORGANISATION, 10), await graph.requests_wanted(ORGANISATION)) == ([], [request(12)])
    await graph.touch(ORGANISATION, [1, 3, 99])
    assert await graph.unread(ORGANISATION, 10) == [1]
    await graph.keep_code(ORGANISATION, [1], {1: [commit]})
    assert await graph.code(ORGANISATION, [1, 2]) == [(1, commit)]
    assert await graph.holders(ORGANISATION, CodeKind.COMMIT, [SHA]) == [1]
    await graph.keep_items(SCOPE, [item(1, 2, linked_to_code=False)], MatrixMark())
    assert await graph.code(ORGANISATION, [1]) == []


async def test_what_became_of_code_is_found_by_its_commits(store: Store) -> None:
    graph = MatrixGraph(store)
    await graph.keep_items(SCOPE, [item(1)], MatrixMark())
    built = CodeLink(kind=CodeKind.BUILD, name="9")
    await graph.keep_code(ORGANISATION, [1], {1: [request(12), request(13), built]})
    told = RequestTold(number=12, status="active", commits=(SHA,))
    await graph.keep_requests(ORGANISATION, [(request(12), told), (request(13), None)])
    assert await graph.requests(ORGANISATION, ["12", "13", "14"]) == {"12": told, "13": None}
    assert await graph.requests_wanted(ORGANISATION) == [request(12), request(13)]
    merged = told.model_copy(update={"status": "completed", "commits": (OTHER.upper(),)})
    await graph.keep_requests(ORGANISATION, [(request(12), merged)])
    assert await graph.requests_wanted(ORGANISATION) == [request(13)]
    assert (await graph.bringers(ORGANISATION, OTHER), await graph.bringers(ORGANISATION, SHA)) == (["12"], [])
    assert await graph.builds_wanted(ORGANISATION, "Web") == [9]
    await graph.keep_builds(ORGANISATION, "Web", [BuildTold(id=8, status="inProgress", commit=OTHER)])
    await graph.keep_unseen_build(ORGANISATION, "Web", 9)
    assert await graph.builds_wanted(ORGANISATION, "web") == [8, 9]
    done = BuildTold(id=8, status="completed", result="succeeded", commit=OTHER)
    await graph.keep_builds(ORGANISATION, "Web", [done, done])
    assert await graph.builds_wanted(ORGANISATION, "Web") == [9]
    assert await graph.builds_of(ORGANISATION, [OTHER.upper(), SHA]) == [(OTHER, "8")]
    assert await graph.builds(ORGANISATION, ["8", "9"]) == {"8": done, "9": None}
    assert await graph.commits_like(ORGANISATION, "CDCD") == [OTHER]


async def test_the_latest_outcome_of_a_test_case_stays(store: Store) -> None:
    graph = MatrixGraph(store)
    new = OutcomeTold(case=5, outcome="passed", run=2, at=datetime(2026, 2, 1, tzinfo=UTC))
    old = OutcomeTold(case=5, outcome="failed", run=1, at=datetime(2026, 1, 1, tzinfo=UTC))
    for told in ([old], [new, old], [old]):
        await graph.keep_outcomes(ORGANISATION, "Web", told)
    assert await graph.outcomes(ORGANISATION, [5, 6]) == {5: new}


async def test_a_sweep_takes_what_only_an_earlier_reading_saw(store: Store) -> None:
    graph = MatrixGraph(store)
    for generation, items, links in ((1, [item(1), item(2)], [child(1, 2)]), (2, [item(1)], [])):
        mark = MatrixMark(generation=generation)
        await graph.keep_items(SCOPE, items, mark)
        await graph.keep_links(SCOPE, links, mark)
    await graph.keep_code(ORGANISATION, [1, 2], {1: [request(1)], 2: [request(2)]})
    assert await graph.sweep(SCOPE.model_copy(update={"project": "Other"}), 2) == 0
    assert await graph.sweep(SCOPE, 2) == 2
    assert [one.id for one in await graph.items(ORGANISATION, [1, 2])] == [1]
    assert await graph.code(ORGANISATION, [1, 2]) == [(1, request(1))]
    assert await graph.below(ORGANISATION, [1]) == []
