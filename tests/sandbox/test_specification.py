"""The stand-in against what is known of the service.

`POINTSMAN_AZURE_SPECS` names a folder with Microsoft's specifications (`specs/`) and published payloads (`payloads/`).
With it, both they and our own table judge; without it the table alone does, so a clean clone judges too.
"""

from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import httpx2
import pytest
from jsonschema import Draft7Validator
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.attachments import attach
from pointsman.clients.azure_devops.nodes import Tree
from pointsman.clients.azure_devops.patches import add_comment, add_relation, add_tags, at_rev, set_field
from pointsman.clients.azure_devops.service_hooks import Draft
from pointsman.contracts.base import Json
from pointsman.domain import artifacts
from pointsman.ports import Conflict, Missing, Rejected
from tests.microsoft import FOLDER
from tests.sandbox.azure import PERSON_TOKEN, SERVICE_TOKEN, Azure, azure_devops
from tests.sandbox.judging import FILES, Exchange, Judge, Specifications, Table, load, needless, used
from tests.sandbox.overlay import CORRECTIONS, Schema, correct, part

JUDGES = ("table", "specifications") if FOLDER else ("table",)
JSON, PATCH = "application/json", "application/json-patch+json"
ITEM = "_apis/wit/workitems/1"
SUBSCRIPTIONS = "_apis/hooks/subscriptions"


@cache
def judge_named(name: str) -> Judge:
    return Table() if name == "table" else Specifications(Path(FOLDER))


@pytest.fixture(params=JUDGES)
def judge(request: pytest.FixtureRequest) -> Judge:
    return judge_named(str(request.param))


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def everything(azure: Azure) -> list[Exchange]:
    """Each call of the client at least once, refusals among them, and what went over the wire."""
    exchanges: list[Exchange] = []

    async def record(response: httpx2.Response) -> None:
        await response.aread()
        exchanges.append(Exchange.of(response))

    async with httpx2.AsyncClient(event_hooks={"response": [record]}, timeout=60) as http:
        client = AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), http=http)
        await _work_on_items(client)
        await _work_on_hooks(client)
        await _talk_and_attach(client)
        await _look_around(client)
        await client.connection_data()
    return exchanges


async def _work_on_items(client: AzureDevOps) -> None:
    items = client.work_items
    feature = await items.create("Fabrikam", "Feature", [set_field("System.Title", "Checkout")])
    bug = await items.create(
        "Fabrikam",
        "Bug",
        [
            set_field("System.Title", "Basket is empty"),
            set_field("System.AssignedTo", "Noor Haddad"),
            add_relation("System.LinkTypes.Hierarchy-Reverse", f"{client.base_url}/_apis/wit/workItems/{feature.id}"),
        ],
    )
    change = [at_rev(1), set_field("System.State", "Resolved"), add_tags(["a"]), add_comment("<p>Done</p>")]
    await items.patch(bug.id, change, validate_only=True)
    await items.patch(bug.id, change)
    with suppress(Conflict):
        await items.patch(bug.id, change)
    with suppress(Rejected):
        await items.patch(bug.id, [set_field("System.State", "Sleeping")])
    said = await items.add_comment("Fabrikam", bug.id, "<p>And more</p>")
    await items.edit_comment("Fabrikam", bug.id, said.id, "# And more", markdown=True)
    await items.delete_comment("Fabrikam", bug.id, said.id)
    await items.get(bug.id)
    await items.batch([bug.id, feature.id, 77])
    await items.batch([bug.id], fields=["System.Title", "System.ChangedBy"])
    await items.updates(bug.id)
    await items.updates(feature.id)
    await items.comments("Fabrikam", bug.id)
    await items.query("SELECT [System.Id] FROM WorkItems ORDER BY [System.Id] DESC", "Fabrikam")
    await items.query("SELECT [System.Id] FROM WorkItems")
    assert await items.linked_to([]) == {}
    await items.linked_to([artifacts.build(7).uri])
    await items.type("Fabrikam", "User Story")
    await items.delete(bug.id)
    await items.deleted(bug.id)
    with suppress(Missing):
        await items.get(bug.id)
    await items.restore(bug.id)


async def _talk_and_attach(client: AzureDevOps) -> None:
    made = await client.work_items.create("Fabrikam", "Task", [set_field("System.Title", "Talk")])
    said = await client.work_items.add_comment("Fabrikam", made.id, "<p>First</p>")
    await client.work_items.edit_comment("Fabrikam", made.id, said.id, "<p>Second</p>")
    assert len(await client.discussions.versions("Fabrikam", made.id, said.id)) == 2
    assert await client.discussions.comments("Fabrikam", made.id)
    assert [batch async for batch in client.discussions.stream("Fabrikam")]
    kept = await client.attachments.upload("Fabrikam", "a.bin", b"\0")
    assert await client.attachments.download("Fabrikam", kept.id) == b"\0"
    await client.batches.patch({made.id: [attach(kept)], 99: [set_field("System.Title", "Nobody")]})


async def _look_around(client: AzureDevOps) -> None:
    items = client.work_items
    made = await items.create("Fabrikam", "Task", [set_field("System.Title", "Look around")])
    await client.history.revisions(made.id)
    assert [batch async for batch in client.history.revision_stream(project="Fabrikam", types=["Task"])]
    assert [batch async for batch in client.history.link_stream()]
    await client.queries.ids("[System.WorkItemType] = 'Task'", "Fabrikam")
    await client.queries.first("[System.WorkItemType] = 'Task'", "Fabrikam", 0, 5)
    await client.projects.process_name("Fabrikam")
    await client.types.all("Fabrikam")
    await client.types.states("Fabrikam", "Task")
    await client.types.fields("Fabrikam", "Task")
    await client.types.definitions("Fabrikam")
    root = await client.nodes.get("Fabrikam", Tree.AREAS)
    await client.nodes.create("Fabrikam", Tree.AREAS, "Web")
    await client.nodes.get("Fabrikam", Tree.AREAS, "Web")
    await client.nodes.rename("Fabrikam", Tree.AREAS, "Web", "Shop")
    await client.nodes.delete("Fabrikam", Tree.AREAS, "Shop", root.id)
    await client.projects.all()
    team = await client.projects.create_team("Fabrikam", "Shop")
    await client.projects.teams("Fabrikam")
    await client.projects.team("Fabrikam", team.id)
    await client.projects.members("Fabrikam", team.id)
    await client.projects.delete_team("Fabrikam", team.id)


async def _work_on_hooks(client: AzureDevOps) -> None:
    project = await client.project("Fabrikam")
    made = await client.hooks.create(
        "workitem.created",
        "http://127.0.0.1:9/hook",
        filters={"projectId": project.id, "tag": "a"},
        username="pointsman",
        password=SecretStr("hush"),
    )
    await client.hooks.list("workitem.created")
    await client.hooks.get(made.id)
    await client.hooks.replace(made.id, Draft("workitem.created", "http://127.0.0.1:9/hook", {"projectId": project.id}))
    assert (await client.hooks.test(Draft("workitem.updated", "http://127.0.0.1:9/hook"))).result == "failed"
    await client.work_items.create("Fabrikam", "Task", [set_field("System.Title", "Heard of")])
    await client.hooks.notifications(made.id, status="queued")
    await client.hooks.notification(made.id, 1)
    await client.hooks.query([made.id], since=datetime(2026, 1, 1, tzinfo=UTC), result="pending", details=True)
    await client.hooks.delete(made.id)
    with suppress(Missing):
        await client.hooks.get(made.id)


async def test_each_request_and_each_answer_is_as_known(azure: Azure, judge: Judge) -> None:
    for exchange in await everything(azure):
        if not judge.covers(exchange):
            continue
        rules = [rule for rule in judge.rules(exchange) if not rule.complaints(exchange)]
        why = {rule.name: rule.complaints(exchange) for rule in judge.rules(exchange)}
        assert rules, f"{exchange}: no operation takes this request: {why or 'no such path'}"
        faults = {rule.name: rule.faults(exchange) for rule in rules}
        assert [] in faults.values(), f"{exchange}: {faults}"


async def test_each_operation_of_the_table_is_used(azure: Azure) -> None:
    table = Table()
    assert used(await everything(azure), table) == sorted(table.names)


REFUSED: dict[str, tuple[str, str, str, Json, int]] = {
    "body of a patch is no array": ("PATCH", f"{ITEM}?api-version=7.1", PATCH, {"op": "add"}, 400),
    "operation that JSON Patch has not": (
        "PATCH",
        f"{ITEM}?api-version=7.1",
        PATCH,
        [{"op": "upsert", "path": "/fields/System.Title", "value": "x"}],
        400,
    ),
    "operation without path": ("PATCH", f"{ITEM}?api-version=7.1", PATCH, [{"op": "add", "value": "x"}], 400),
    "operation that is none": ("PATCH", f"{ITEM}?api-version=7.1", PATCH, ["add"], 400),
    "patch as plain JSON": ("PATCH", f"{ITEM}?api-version=7.1", JSON, [], 415),
    "id that is no number": ("GET", "_apis/wit/workitems/one?api-version=7.1", JSON, None, 400),
    "no version": ("GET", ITEM, JSON, None, 400),
    "no version on a write": ("PATCH", ITEM, PATCH, [], 400),
    "expansion that is none": ("GET", f"{ITEM}?$expand=everything&api-version=7.1", JSON, None, 400),
    "page size that is no number": ("GET", f"{ITEM}/updates?$top=many&api-version=7.1", JSON, None, 400),
    "ids that are no numbers": ("POST", "_apis/wit/workitemsbatch?api-version=7.1", JSON, {"ids": ["one"]}, 400),
    "query that is no text": ("POST", "_apis/wit/wiql?api-version=7.1", JSON, {"query": 5}, 400),
    "comment that is no text": (
        "POST",
        "Fabrikam/_apis/wit/workItems/1/comments?api-version=7.1-preview.4",
        JSON,
        {"text": 5},
        400,
    ),
    "subscription that is no object": ("POST", f"{SUBSCRIPTIONS}?api-version=7.1", JSON, ["x"], 400),
    "subscription with a number that is none": ("GET", f"{SUBSCRIPTIONS}/5?api-version=7.1", JSON, None, 400),
    "method that the path has not": ("POST", f"{ITEM}?api-version=7.1", JSON, {}, 405),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_request_that_cannot_be_is_refused(azure: Azure, judge: Judge, what: str) -> None:
    method, path, content_type, body, status = REFUSED[what]
    await azure.make()
    response = await azure.http.request(
        method,
        f"{azure.base_url}/{path}",
        json=body,
        headers={"Content-Type": content_type},
        auth=("", PERSON_TOKEN),
    )
    exchange = Exchange.of(response) if response.status_code != 405 else None
    assert response.status_code == status
    if exchange:
        assert judge.rules(exchange)
        assert all(rule.complaints(exchange) for rule in judge.rules(exchange)), f"the judge takes {exchange}"
        assert all(not rule.faults(exchange) for rule in judge.rules(exchange))


async def test_request_without_credentials_is_refused(azure: Azure, judge: Judge) -> None:
    response = await azure.http.get(f"{azure.base_url}/{ITEM}?api-version=7.1")
    exchange = Exchange.of(response)
    assert exchange.status == 401
    assert [rule.complaints(exchange) for rule in judge.rules(exchange)] == [["no basic authentication"]]


async def test_invented_key_in_an_answer_is_found(azure: Azure, judge: Judge) -> None:
    (exchange, *_) = await everything(azure)
    assert isinstance(exchange.answer, dict)
    forged = Exchange(**{**vars(exchange), "answer": {**exchange.answer, "fieldz": {}}})
    assert judge.rules(forged)
    assert all("fieldz" in str(rule.faults(forged)) for rule in judge.rules(forged))


async def test_number_in_place_of_an_object_is_found(azure: Azure, judge: Judge) -> None:
    (exchange, *_) = await everything(azure)
    assert isinstance(exchange.answer, dict)
    forged = Exchange(**{**vars(exchange), "answer": {**exchange.answer, "fields": 5}})
    assert judge.rules(forged)
    assert all(rule.faults(forged) for rule in judge.rules(forged))


def test_each_correction_says_why() -> None:
    assert len({correction.name for correction in CORRECTIONS}) == len(CORRECTIONS)
    assert all(len(correction.reason) > 20 for correction in CORRECTIONS)


def faulty() -> Schema:
    """A document of our own that has each of the faults once."""
    listed: Schema = {"type": "array", "items": {"$ref": "#/definitions/Thing"}}
    named: Schema = {"name": "project", "in": "path", "type": "string", "x-ms-required": False}
    removal: Schema = {"parameters": [named], "security": [{"oauth2": []}], "responses": {"200": {"schema": listed}}}
    return {
        "paths": {"/{organization}/{project}/_apis/things": {"delete": removal}},
        "x-ms-paths": {"/{organization}/_apis/things?all={all}": {"get": {"responses": {"200": {}}}}},
        "definitions": {
            "Base": {"type": "object", "properties": {"value": {"type": "object"}}},
            "Thing": {"type": "object", "allOf": [{"$ref": "#/definitions/Base"}], "properties": {}},
            "Count": {"type": "object", "properties": {"retries": {"type": "string", "format": "byte"}}},
            "Batch": {"type": "object", "properties": {"values": {"items": {"type": "string", "format": "T"}}}},
            "ReferenceLinks": {"type": "object", "properties": {"links": {"type": "object"}}},
            "JsonPatchDocument": {"type": "object", "allOf": [{"type": "array"}]},
            "JsonPatchOperation": {"type": "object", "properties": {"op": {"type": "string"}}},
        },
    }


def documents(source: str) -> list[Schema]:
    return [faulty()] if source == "table" else [load(Path(FOLDER), name) for name in FILES]


@pytest.mark.parametrize("source", JUDGES)
def test_each_correction_finds_its_fault(source: str) -> None:
    assert needless(CORRECTIONS, documents(source)) == []


def test_corrected_document_takes_what_the_faulty_one_refused() -> None:
    document = correct(faulty())
    assert sorted(part(document, "paths")) == [
        "/{organization}/_apis/things",
        "/{organization}/_apis/things?all={all}",
        "/{organization}/{project}/_apis/things",
    ]
    thing = part(document, "definitions", "Thing")
    Draft7Validator(thing).validate({"value": "text"})
    Draft7Validator(thing).validate({"value": None})
    assert not Draft7Validator(thing).is_valid({"other": 1})
    assert part(document, "definitions", "JsonPatchDocument")["type"] == ["array", "null"]
    answers = part(document, "paths", "/{organization}/_apis/things", "delete", "responses")
    assert sorted(answers) == ["200", "204", "default"]
