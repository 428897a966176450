"""What the stand-in delivers of code and builds looks like what the service delivers.

Judged by a table of our own, and by Microsoft's published payloads where `POINTSMAN_AZURE_SPECS` names their folder.
"""

import json
from pathlib import Path

import pytest

from pointsman.contracts.base import Json
from tests.microsoft import FOLDER
from tests.sandbox.azure import Azure, Receiver, azure_devops, receiver
from tests.sandbox.test_azure_payloads import SOURCES

PROJECT = REPOSITORY = "Fabrikam"
PULL_REQUESTS = tuple(f"git.pullrequest.{what}" for what in ("created", "updated", "merged"))
EVENTS = ("git.push", *PULL_REQUESTS, "build.complete")
SOMETIMES = {"closedDate", "isContainer"}
"""Keys that are there only once it is closed, or for groups."""
TABLE: dict[str, dict[str, str]] = {
    "git.push": {
        "resource": "commits refUpdates repository pushedBy pushId date url _links",
        "resource.commits": "commitId author committer comment url",
        "resource.refUpdates": "name oldObjectId newObjectId",
        "resource.repository": "id name url project defaultBranch remoteUrl",
    },
    **{
        event: {
            "resource": "repository pullRequestId status createdBy creationDate title description sourceRefName url "
            "targetRefName mergeStatus mergeId lastMergeSourceCommit lastMergeTargetCommit lastMergeCommit reviewers "
            "commits",
            "resource.createdBy": "id displayName uniqueName url imageUrl",
            "resource.reviewers": "reviewerUrl vote id displayName uniqueName url imageUrl",
            "resource.commits": "commitId url",
        }
        for event in PULL_REQUESTS
    },
    "build.complete": {
        "resource": "uri id buildNumber url startTime finishTime reason status sourceGetVersion lastChangedBy "
        "definition queue requests",
        "resource.definition": "id name url",
        "resource.requests": "id url requestedFor",
    },
}


def shape(body: Json, place: str = "resource") -> dict[str, set[str]]:
    """Keys by place. Of a list those of its first entry; of links none, as they depend on what there is."""
    if isinstance(body, list):
        return shape(body[0], place) if body else {}
    if not isinstance(body, dict):
        return {}
    found = {place: set(body)}
    for name, value in body.items():
        if name != "_links":
            found |= shape(value, f"{place}.{name}")
    return found


def known_shape(source: str, event: str) -> dict[str, set[str]]:
    if source == "table":
        return {place: set(keys.split()) for place, keys in TABLE[event].items()}
    path = Path(FOLDER) / "payloads" / f"doc-{event}.json"
    return shape(json.loads(path.read_text(encoding="utf-8-sig"))["resource"])


async def each_event(azure: Azure, hook: Receiver, version: str) -> dict[str, dict[str, Json]]:
    """One delivery of each event, by its type."""
    git, requests = azure.person.git, azure.person.pull_requests
    for event in EVENTS:
        await azure.service.hooks.create(event, hook.url, resource_version=version)
    first = (await git.first_commit(PROJECT, REPOSITORY, "main", "Begin", {"/a": "a"})).commits[0].commit_id
    await git.update_ref(PROJECT, REPOSITORY, "basket", "0" * 40, first)
    await git.push(PROJECT, REPOSITORY, "basket", first, "Basket", add={"/b": "b"})
    reviewer = (await azure.service.connection_data()).authenticated_user.id
    made = await requests.create(PROJECT, REPOSITORY, "basket", "main", "Keep", "Why", reviewer_ids=[reviewer])
    await requests.edit(PROJECT, REPOSITORY, made.pull_request_id, title="Keep it")
    repository = await git.repository(PROJECT, REPOSITORY)
    pipeline = await azure.person.pipelines.create(PROJECT, "Shop", repository.id, "/azure-pipelines.yml")
    build = await azure.person.builds.queue(PROJECT, pipeline.id)
    await azure.control("POST", "builds/finish", {"organisation": "fabrikam", "build_id": build.id})
    await hook.wait(6)
    return {str(delivery["eventType"]): delivery for delivery in hook.deliveries}


@pytest.mark.parametrize("source", SOURCES)
async def test_resources_have_the_keys_that_are_documented(source: str) -> None:
    async with azure_devops() as azure, receiver() as hook:
        told = await each_event(azure, hook, "1.0")
    assert sorted(told) == sorted(EVENTS)
    for event, delivery in told.items():
        found = shape(delivery["resource"])
        for place, keys in known_shape(source, event).items():
            assert keys - SOMETIMES <= found[place], f"{event}: {place}"


async def test_build_tells_its_result_in_other_words_to_new_subscriptions() -> None:
    async with azure_devops() as azure, receiver() as hook:
        told = await each_event(azure, hook, "latest")
    build = told["build.complete"]["resource"]
    assert isinstance(build, dict)
    assert (build["status"], build["result"]) == ("completed", "succeeded")


async def test_subscription_may_ask_for_names_only() -> None:
    async with azure_devops() as azure, receiver() as hook:
        made = await azure.service.hooks.create("git.push", hook.url)
        body = {
            "publisherId": "tfs",
            "eventType": "git.push",
            "consumerId": "webHooks",
            "consumerActionId": "httpRequest",
            "publisherInputs": {},
            "consumerInputs": {"url": hook.url, "resourceDetailsToSend": "minimal", "messagesToSend": "none"},
        }
        await azure.http.put(
            f"{azure.base_url}/_apis/hooks/subscriptions/{made.id}?api-version=7.1",
            json=body,
            auth=("", "token-of-ada"),
        )
        await azure.person.git.first_commit(PROJECT, REPOSITORY, "main", "Begin", {"/a": "a"})
        (delivery,) = await hook.wait(1)
    resource = delivery["resource"]
    assert isinstance(resource, dict)
    assert (sorted(resource), delivery["message"]) == (["pushId", "url"], None)
