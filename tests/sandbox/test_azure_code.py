"""What repositories and groups of the stand-in take beyond what our client sends: forks, renames, Entra's groups."""

from collections.abc import AsyncGenerator

import pytest

from pointsman.contracts.base import Json
from tests.sandbox.azure import SERVICE_TOKEN, Azure, at, azure_devops

ENTRA = "7dee3381-2ec2-41c2-869a-7afe9b574095"


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def post(azure: Azure, path: str, body: Json, query: str = "", status: int = 201) -> Json:
    url = f"{azure.base_url}/_apis/{path}?{query}api-version=7.1-preview.1"
    response = await azure.http.post(url, json=body, auth=("", SERVICE_TOKEN))
    assert response.status_code == status, response.text
    answer: Json = response.json()
    return answer


async def test_a_fork_has_the_branches_of_its_parent_or_one_of_them(azure: Azure) -> None:
    git = azure.service.git
    parent = await git.repository("Fabrikam", "Fabrikam")
    first = (await git.first_commit("Fabrikam", parent.id, "main", "Begin", {"/a": "a"})).commits[0].commit_id
    await git.push("Fabrikam", parent.id, "main", first, "More", add={"/b": "b"})
    project: Json = {"id": (await azure.service.project("Fabrikam")).id}
    body: Json = {"name": "Fork", "project": project, "parentRepository": {"id": parent.id, "project": project}}
    fork = await post(azure, "git/repositories", body)
    assert (at(fork, "isFork"), at(fork, "parentRepository", "id")) == (True, parent.id)
    assert [ref.name async for ref in git.refs("Fabrikam", "Fork")] == ["refs/heads/main"]
    assert len([commit async for commit in git.commits("Fabrikam", "Fork", branch="main")]) == 2
    await post(azure, "git/repositories", {**_object(body), "name": "Empty"}, "sourceRef=refs/heads/none&")
    assert [ref async for ref in git.refs("Fabrikam", "Empty")] == []


async def test_a_file_is_renamed_once(azure: Azure) -> None:
    git = azure.service.git
    repository = await git.repository("Fabrikam", "Fabrikam")
    first = (await git.first_commit("Fabrikam", repository.id, "main", "Begin", {"/a": "a"})).commits[0].commit_id
    change: Json = {"changeType": "rename", "sourceServerItem": "/a", "item": {"path": "/b"}}
    path = f"git/repositories/{repository.id}/pushes"

    def push(old: str) -> Json:
        update: Json = {"name": "refs/heads/main", "oldObjectId": old}
        return {"refUpdates": [update], "commits": [{"comment": "Rename", "changes": [change]}]}

    pushed = await post(azure, path, push(first))
    tip = str(at(pushed, "refUpdates", 0, "newObjectId"))
    again = await post(azure, path, push(tip), status=400)
    assert str(at(again, "message")).startswith("TF401174: The item '/b' already exists")


async def test_a_group_of_entra_is_brought_in_below_another(azure: Azure) -> None:
    team = await azure.service.graph.create_group("Team")
    brought = await post(azure, "graph/groups", {"originId": ENTRA}, f"groupDescriptors={team.descriptor}&")
    assert (at(brought, "origin"), at(brought, "originId")) == ("aad", ENTRA)
    assert str(at(brought, "descriptor")).startswith("aadgp.")
    assert await azure.service.graph.is_member(str(at(brought, "descriptor")), team.descriptor)


def _object(body: Json) -> dict[str, Json]:
    assert isinstance(body, dict)
    return body
