"""What the stand-in delivers looks like what the service delivers, and has its traps.

Judged by a table of our own, and by Microsoft's published payloads where `POINTSMAN_AZURE_SPECS` names their folder.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from pointsman.clients.azure_devops.patches import add_comment, add_relation, set_field
from pointsman.contracts.base import Json
from tests.microsoft import FOLDER
from tests.sandbox.azure import Azure, Receiver, at, azure_devops, receiver
from tests.sandbox.test_azure_items import ask

SOURCES = ("table", "published") if FOLDER else ("table",)
EVENTS = ("created", "updated", "commented", "deleted", "restored")
PLAIN, OBJECTS = "1.0", "5.1-preview.3"
SHAPES = Path(__file__).with_name("payload_shapes.json")
_OBJECT = TypeAdapter(dict[str, Json])
DATA = ("fields", "revisedBy")
"""Places whose keys depend on the item or the person."""


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


@pytest.fixture
async def hook() -> AsyncGenerator[Receiver]:
    async with receiver() as running:
        yield running


async def subscribe(azure: Azure, hook: Receiver, version: str, *events: str) -> None:
    for event in events:
        await azure.service.hooks.create(f"workitem.{event}", hook.url, resource_version=version)


async def each_event(azure: Azure, hook: Receiver, version: str) -> dict[str, dict[str, Json]]:
    """One delivery of each event, by its type; the update changes a state."""
    await subscribe(azure, hook, version, *EVENTS)
    made = await azure.make()
    await azure.person.work_items.patch(made.id, [set_field("System.State", "Active")])
    await hook.wait(2)
    await azure.person.work_items.patch(made.id, [add_comment("<p>Hm &amp; so</p>")])
    await azure.person.work_items.delete(made.id)
    await azure.person.work_items.restore(made.id)
    await hook.wait(6)
    first: dict[str, dict[str, Json]] = {}
    for delivery in hook.deliveries:
        first.setdefault(str(delivery["eventType"]), delivery)
    return first


def shape(body: Json, place: str = "") -> dict[str, set[str]]:
    """Keys by place, for example `resource._links`, without what depends on the item."""
    if not isinstance(body, dict):
        return {}
    found = {place: set(body)}
    for name, value in body.items():
        if name not in DATA and not (place.endswith("_links") or name == "relations"):
            found |= shape(value, f"{place}.{name}".lstrip("."))
    return found


def known_shape(source: str, event: str) -> Mapping[str, set[str]]:
    if source == "published":
        path = Path(FOLDER) / "payloads" / f"doc-{event}.json"
        return shape(_OBJECT.validate_json(path.read_text(encoding="utf-8-sig")))
    table = _OBJECT.validate_json(SHAPES.read_text())
    places = {**_OBJECT.validate_python(table["common"]), **_OBJECT.validate_python(at(table, "events", event))}
    return {place: {str(key) for key in keys} for place, keys in places.items() if isinstance(keys, list)}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("version", [PLAIN, OBJECTS])
async def test_each_event_has_the_keys_of_the_service(azure: Azure, hook: Receiver, version: str, source: str) -> None:
    for event, delivery in (await each_event(azure, hook, version)).items():
        ours = shape(delivery) | {"resource.revisedBy": set(part_of(delivery, "revisedBy"))}
        for place, keys in known_shape(source, event).items():
            missing = keys - ours.get(place, set())
            assert not missing, f"{event}: {sorted(missing)} missing at {place!r}"


def part_of(delivery: dict[str, Json], name: str) -> dict[str, Json]:
    resource = delivery["resource"]
    value = resource.get(name) if isinstance(resource, dict) else None
    return value if isinstance(value, dict) else {}


async def test_resource_of_an_update_is_the_update_not_the_item(azure: Azure, hook: Receiver) -> None:
    await azure.make(title="Another")
    delivery = (await each_event(azure, hook, OBJECTS))["workitem.updated"]
    assert at(delivery, "resource", "workItemId") == at(delivery, "resource", "revision", "id") == 2
    assert at(delivery, "resource", "id") == 2  # the second entry of the history
    assert at(delivery, "resource", "fields", "System.State") == {"oldValue": "New", "newValue": "Active"}
    assert at(delivery, "resource", "fields", "System.Rev") == {"oldValue": 1, "newValue": 2}
    assert at(delivery, "resource", "revisedDate") == "9999-01-01T00:00:00Z"
    assert str(at(delivery, "resource", "url")).endswith("/_apis/wit/workItems/2/updates/2")
    assert at(delivery, "resource", "revision", "fields", "System.State") == "Active"


async def test_comment_is_in_the_history_field_and_has_its_number(azure: Azure, hook: Receiver) -> None:
    delivery = (await each_event(azure, hook, OBJECTS))["workitem.commented"]
    assert at(delivery, "resource", "fields", "System.History") == "<p>Hm &amp; so</p>"
    assert at(delivery, "resource", "commentVersionRef", "version") == 1
    assert "Hm &amp; so" in str(at(delivery, "detailedMessage", "text"))


async def test_edited_comment_arrives_as_an_update(azure: Azure, hook: Receiver) -> None:
    made = await azure.make()
    comment = await azure.person.work_items.add_comment("Fabrikam", made.id, "<p>Frist</p>")
    await subscribe(azure, hook, OBJECTS, "updated", "commented")
    path = f"Fabrikam/_apis/wit/workItems/{made.id}/comments/{comment.id}?api-version=7.1-preview.4"
    await ask(azure, "PATCH", path, {"text": "<p>First</p>"})
    (delivery,) = await hook.wait(1)
    assert delivery["eventType"] == "workitem.updated"
    history: Json = {"oldValue": "<p>Frist</p>", "newValue": "<p>First</p>"}
    assert at(delivery, "resource", "fields", "System.History") == history
    assert at(delivery, "resource", "commentVersionRef", "version") == 2


async def test_update_of_links_alone_has_no_fields(azure: Azure, hook: Receiver) -> None:
    first, second = await azure.make(), await azure.make()
    await subscribe(azure, hook, OBJECTS, "updated")
    url = f"{azure.base_url}/_apis/wit/workItems/{second.id}"
    await azure.person.work_items.patch(first.id, [add_relation("System.LinkTypes.Hierarchy-Forward", url)])
    deliveries = await hook.wait(2)
    assert all("fields" not in _OBJECT.validate_python(sent["resource"]) for sent in deliveries)
    assert [at(sent, "resource", "rev") for sent in deliveries] == [1, 1]
    assert at(deliveries[1], "resource", "relations", "added", 0, "rel") == "System.LinkTypes.Hierarchy-Reverse"


async def test_deleted_item_is_found_in_the_recycle_bin(azure: Azure, hook: Receiver) -> None:
    delivery = (await each_event(azure, hook, OBJECTS))["workitem.deleted"]
    assert sorted(_OBJECT.validate_python(at(delivery, "resource", "_links"))) == ["fields", "self", "workItemType"]
    assert at(delivery, "resource", "url") == f"{azure.base_url}/_apis/wit/recyclebin/1"
    assert at(delivery, "resource", "_links", "self", "href") == at(delivery, "resource", "url")


async def test_version_decides_how_identities_look(azure: Azure, hook: Receiver) -> None:
    await subscribe(azure, hook, PLAIN, "created", "updated")
    await azure.make()
    await azure.service.work_items.patch(1, [set_field("System.AssignedTo", "Noor Haddad")])
    created, updated = await hook.wait(2)
    assert at(created, "resource", "fields", "System.CreatedBy") == "Ada Byron <ada@fabrikam.example>"
    assigned: Json = {"newValue": "Noor Haddad <noor@fabrikam.example>"}
    assert at(updated, "resource", "fields", "System.AssignedTo") == assigned
    assert at(updated, "resource", "revisedBy", "uniqueName") == "pointsman@fabrikam.example"
    await subscribe(azure, hook, OBJECTS, "restored")
    await azure.person.work_items.delete(1)
    await azure.person.work_items.restore(1)
    restored = (await hook.wait(3))[2]
    assert at(restored, "resource", "fields", "System.CreatedBy", "uniqueName") == "ada@fabrikam.example"


async def test_envelope_has_seven_digits_and_the_address_of_the_organisation(azure: Azure, hook: Receiver) -> None:
    delivery = (await each_event(azure, hook, OBJECTS))["workitem.created"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", str(delivery["createdDate"]))
    project = await azure.service.project("Fabrikam")
    containers: Json = {"id": project.id, "baseUrl": f"{azure.base_url}/"}
    assert at(delivery, "resourceContainers", "project") == containers


@pytest.mark.parametrize(
    ("inputs", "resource", "message"),
    [
        ({"resourceDetailsToSend": "minimal", "messagesToSend": "text"}, ["id", "url"], ["text"]),
        ({"resourceDetailsToSend": "none", "messagesToSend": "none"}, None, None),
        ({"resourceDetailsToSend": "all", "messagesToSend": "all"}, None, ["html", "markdown", "text"]),
    ],
)
async def test_receiver_gets_as_much_as_it_asked_for(
    azure: Azure, hook: Receiver, inputs: dict[str, Json], resource: list[str] | None, message: list[str] | None
) -> None:
    body: Json = {
        "publisherId": "tfs",
        "eventType": "workitem.created",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "consumerInputs": {"url": hook.url, **inputs},
    }
    await ask(azure, "POST", "_apis/hooks/subscriptions?api-version=7.1", body)
    await azure.make()
    (delivery,) = await hook.wait(1)
    said, told = delivery["message"], delivery["resource"]
    assert (sorted(said) if isinstance(said, dict) else None) == message
    if inputs["resourceDetailsToSend"] == "all":
        assert isinstance(told, dict)
        assert "fields" in told
    else:
        assert (sorted(told) if isinstance(told, dict) else None) == resource
