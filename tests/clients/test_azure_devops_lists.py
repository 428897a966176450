"""Lists are whole whatever the service gives at once, and what is no list is none: no list is ever silently short."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.answers_policies import PolicyKind, Scope
from pointsman.clients.azure_devops.caching import Cache, MemoryLayer
from pointsman.clients.azure_devops.item_pages import ItemPages
from pointsman.clients.azure_devops.patches import add_relation, set_field
from pointsman.clients.azure_devops.policies import Wanted
from pointsman.clients.azure_devops.test_results import NewResult
from pointsman.contracts.base import Json
from pointsman.ports import Rejected
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops

PROJECT = REPOSITORY = "Fabrikam"
FIELDS = ("System.TeamProject", "System.Title")
RELATED = "System.LinkTypes.Related"
COUNT = 5
EMPTY = '{"count": 0, "value": []}'


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def _history(azure: Azure) -> None:
    await azure.make()
    others = [await azure.make(title=title) for title in ("Till", "Door")]
    for number in range(COUNT - 2):
        await azure.person.work_items.patch(1, [set_field("System.Title", f"Title {number}")])
        await azure.person.work_items.add_comment(PROJECT, 1, f"<p>{number}</p>")
    for other in others:
        await azure.person.work_items.patch(1, [add_relation(RELATED, other.url)])
    for number in range(COUNT):
        await azure.person.projects.create_team(PROJECT, f"Team {number}")


async def _code(azure: Azure) -> None:
    git, tip = azure.person.git, "0" * 40
    for number in range(COUNT):
        pushed = await git.push(PROJECT, REPOSITORY, "main", tip, f"Commit {number}", add={f"/{number}": "a"})
        tip = pushed.commits[0].commit_id
    await git.update_ref(PROJECT, REPOSITORY, "basket", "0" * 40, tip)
    await git.push(PROJECT, REPOSITORY, "basket", tip, "More", add={"/b": "b"})
    await azure.person.pull_requests.create(PROJECT, REPOSITORY, "basket", "main", "Keep")
    held = azure.world.code.pull_requests["fabrikam"]
    held |= {number: replace(held[1], id=number) for number in range(2, COUNT + 1)}
    scope = Scope((await git.repository(PROJECT, REPOSITORY)).id, "refs/heads/main")
    for kind in (PolicyKind.MIN_REVIEWERS, PolicyKind.WORK_ITEMS, PolicyKind.COMMENTS):
        await azure.person.policies.create(PROJECT, Wanted(kind, frozenset({scope})))


async def _tests(azure: Azure) -> None:
    for number in range(COUNT):
        run = await azure.person.test_results.create_run(PROJECT, f"Run {number}")
        await azure.person.test_results.add(PROJECT, run.id, [NewResult(f"T{n}", "Passed") for n in range(COUNT)])


async def _listed(client: AzureDevOps) -> dict[str, Sequence[object]]:
    """Each list by its name. Those whose pages have a token in a header are in the tests of their areas."""
    items, git, results = client.work_items, client.git, client.test_results
    project_id = (await client.project(PROJECT)).id
    until = datetime.now(UTC) + timedelta(hours=1)
    return {
        "updates": await items.updates(1),
        "later updates": await items.updates(1, skip=1),
        "revisions": await client.history.revisions(1),
        "comments": await items.comments(PROJECT, 1),
        "all comments": await client.discussions.comments(PROJECT, 1),
        "stream": [one for batch in [b async for b in client.history.revision_stream()] for one in batch.values],
        "links": [one for batch in [b async for b in client.history.link_stream()] for one in batch.values],
        "discussed": [one for batch in [b async for b in client.discussions.stream(PROJECT)] for one in batch.values],
        "teams": await client.projects.teams(PROJECT),
        "members": await client.projects.members(PROJECT, f"{PROJECT} Team"),
        "pushes": [one async for one in git.pushes(PROJECT, REPOSITORY)],
        "commits": [one async for one in git.commits(PROJECT, REPOSITORY)],
        "pull requests": [one async for one in client.pull_requests.each(PROJECT)],
        "evaluations": [one async for one in client.policies.evaluations(PROJECT, project_id, 1)],
        "runs": [one async for one in results.runs(PROJECT)],
        "results": [one async for one in results.results(PROJECT, 1)],
        "audit": await client.audit.entries(until - timedelta(days=1), until),
    }


async def test_lists_are_whole_where_pages_are_shorter_than_asked_for(azure: Azure) -> None:
    for prepare in (_history, _code, _tests):
        await prepare(azure)
    whole = await _listed(azure.service)
    for page_max in (1, 2, COUNT):
        azure.world.config = azure.world.config.model_copy(update={"page_max": page_max})
        found = await _listed(azure.service)
        assert {name: len(entries) for name, entries in found.items()} == {n: len(e) for n, e in whole.items()}
        assert found == whole
    assert all(len(entries) > 1 for entries in whole.values()), "each has several pages"


@pytest.mark.parametrize(("count", "newest", "requests"), [(3, True, 1), (3, False, 2), (100, True, 2), (0, False, 1)])
async def test_a_history_ends_at_its_newest_entry_or_at_an_empty_page(
    azure: Azure, count: int, newest: bool, requests: int
) -> None:
    over, never = "2026-11-20T00:00:00Z", "9999-01-01T00:00:00Z"
    told: list[Json] = [{"id": number, "rev": number, "revisedDate": over} for number in range(1, count)]
    told += [{"id": count, "rev": count, "revisedDate": never if newest else over}] * (count > 0)
    await azure.fail(path="/updates", status=200, body=json.dumps({"value": told}))
    await azure.fail(path="/updates", status=200, body=EMPTY)
    assert len(await azure.service.work_items.updates(1)) == count
    assert (await azure.control("POST", "faults", []))["pending"] == 2 - requests


Reading = Callable[[AzureDevOps], Awaitable[Sequence[object]]]
READINGS: dict[str, Reading] = {
    "/updates": lambda client: client.work_items.updates(1),
    "/workitemsbatch": lambda client: client.work_items.batch([1]),
    "/wiql": lambda client: client.work_items.query("SELECT [System.Id] FROM WorkItems"),
    "/comments": lambda client: client.work_items.comments(PROJECT, 1),
    "/subscriptions": lambda client: client.hooks.list("workitem.created"),
    "/projects": lambda client: client.projects.all(),
    "/fields": lambda client: client.types.definitions(),
    "/repositories": lambda client: client.git.repositories(PROJECT),
    "/memberships": lambda client: client.graph.members_of("vssgp.a"),
    "/identities": lambda client: client.identities.search("Ada"),
}


@pytest.mark.parametrize("path", READINGS)
@pytest.mark.parametrize("body", ["", "{}", '{"count": 2, "value": null}', '{"message": "Try again later"}'])
async def test_an_answer_without_a_list_is_none(azure: Azure, path: str, body: str) -> None:
    await azure.fail(path=path, status=200, body=body)
    with pytest.raises(Rejected, match=r"an answer of another shape, at .*: Field required"):
        await READINGS[path](azure.service)


async def test_a_list_that_counts_no_entries_may_leave_them_out(azure: Azure) -> None:
    await azure.fail(path="/subscriptions", status=200, body='{"count": 0, "value": null}')
    assert await azure.service.hooks.list("workitem.created") == []


async def test_a_list_in_one_piece_is_read_on_behind_a_token(azure: Azure) -> None:
    first = {"count": 1, "value": [{"id": "a", "name": "Elsewhere"}]}
    await azure.fail(path="/repositories", status=200, body=json.dumps(first), headers={"x-ms-continuationtoken": "1"})
    assert [one.name for one in await azure.service.git.repositories(PROJECT)] == ["Elsewhere", REPOSITORY]


async def test_what_is_kept_is_never_a_part(azure: Azure) -> None:
    async with AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), cache=Cache([MemoryLayer()])) as client:
        await azure.fail(path="/fields", headers={"x-ms-continuationtoken": "1"})
        with pytest.raises(Rejected, match=r"goes on behind '1', .*; nothing of it is used"):
            await client.types.definitions()
        assert await client.types.definitions()


async def test_a_list_that_goes_round_is_an_error(azure: Azure) -> None:
    for token in ("1", "2", "1"):
        await azure.fail(path="/projects", status=200, body=EMPTY, headers={"x-ms-continuationtoken": token})
    with pytest.raises(Rejected, match="does not go on behind '1'"):
        await azure.service.projects.all()


@pytest.mark.parametrize("path", ["/updates", "/revisions", "/teams"])
async def test_a_service_that_skips_nothing_is_an_error(azure: Azure, path: str) -> None:
    await azure.fail(path=path, status=200, body='{"value": [{"id": "7", "name": "A"}]}', times=3)
    readings: dict[str, Reading] = {
        "/updates": lambda client: client.work_items.updates(7),
        "/revisions": lambda client: client.history.revisions(7),
        "/teams": lambda client: client.projects.teams(PROJECT),
    }
    with pytest.raises(Rejected, match="entries 1 and on are those before; the list does not go on"):
        await readings[path](azure.service)


@pytest.mark.parametrize(
    ("link", "fault"), [("https://a.example/c?continuationToken=1", ""), ("https://a.example/c", "no token")]
)
async def test_comments_go_on_behind_the_link_to_their_next_page(azure: Azure, link: str, fault: str) -> None:
    await azure.make()
    await azure.person.work_items.add_comment(PROJECT, 1, "<p>Second</p>")
    await azure.person.work_items.add_comment(PROJECT, 1, "<p>First</p>")
    page = {"comments": [{"id": 2, "text": "<p>First</p>"}], "nextPage": link}
    await azure.fail(path="/comments", status=200, body=json.dumps(page))
    if fault:
        with pytest.raises(Rejected, match=fault):
            await azure.service.work_items.comments(PROJECT, 1)
    else:
        found = await azure.service.work_items.comments(PROJECT, 1)
        assert [one.text for one in found] == ["<p>First</p>", "<p>Second</p>"]


async def test_a_page_of_a_project_is_full_where_an_item_goes_while_it_is_read(azure: Azure) -> None:
    for title in ("Basket", "Till", "Door", "Lamp"):
        await azure.make(title=title)
    items: list[Json] = [{"id": 1, "fields": {}}, None]
    await azure.fail(path="/workitemsbatch", status=200, body=json.dumps({"count": 2, "value": items}))
    page = await ItemPages({"fabrikam": azure.service}).page("fabrikam", PROJECT, 0, 2, FIELDS)
    assert [one.id for one in page] == [1, 3]
