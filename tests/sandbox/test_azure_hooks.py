"""Service hooks of the stand-in: what is delivered, in which order, and what happens when the receiver fails."""

from collections.abc import AsyncGenerator

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops.answers import Subscription
from pointsman.clients.azure_devops.patches import add_comment, add_relation, set_field
from pointsman.contracts.base import Json
from pointsman.ports import Rejected
from pointsman.sandbox.azure_devops.delivery import TRANSIENT_WAITS_SECONDS
from tests.sandbox.azure import Azure, Receiver, at, azure_devops, eventually, receiver
from tests.sandbox.test_azure_items import ask

EVENTS = ("created", "updated", "commented", "deleted", "restored")
RETRIES = len(TRANSIENT_WAITS_SECONDS)


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


@pytest.fixture
async def hook() -> AsyncGenerator[Receiver]:
    async with receiver() as running:
        yield running


async def subscribe(azure: Azure, hook: Receiver, event: str, **filters: str) -> Subscription:
    return await azure.service.hooks.create(
        f"workitem.{event}",
        hook.url,
        filters=filters,
        username="pointsman",
        password=SecretStr("hush"),
    )


async def status(azure: Azure, subscription: Subscription) -> str:
    return (await azure.service.hooks.get(subscription.id)).status


async def becomes(azure: Azure, subscription: Subscription, wanted: str) -> None:
    async def holds() -> bool:
        return await status(azure, subscription) == wanted

    await eventually(holds)


async def attempts(azure: Azure) -> list[tuple[Json, Json]]:
    """(item, status) of each request that went out."""
    dump = await azure.control("GET", "deliveries")
    made = dump["attempts"]
    assert isinstance(made, list)
    return [(at(attempt, "item_id"), at(attempt, "status")) for attempt in made]


async def test_each_event_is_delivered_with_credentials(azure: Azure, hook: Receiver) -> None:
    for event in EVENTS:
        await subscribe(azure, hook, event)
    made = await azure.make()
    await azure.person.work_items.patch(made.id, [add_comment("<p>Hm</p>")])
    await azure.person.work_items.delete(made.id)
    await azure.person.work_items.restore(made.id)
    await hook.wait(5)
    assert sorted(str(kind) for kind in hook.types()) == sorted(f"workitem.{event}" for event in EVENTS)
    assert all(headers["authorization"] == "Basic cG9pbnRzbWFuOmh1c2g=" for headers in hook.headers)


async def test_secret_reads_back_masked_everywhere(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribe(azure, hook, "created")
    await azure.make()
    await hook.wait(1)
    _, notifications = await ask(
        azure, "GET", f"_apis/hooks/subscriptions/{subscription.id}/notifications?api-version=7.1"
    )
    held = await azure.service.hooks.get(subscription.id)
    assert held.consumer_inputs["basicAuthPassword"] == "********"
    seen = f"{held} {notifications} {await azure.control('GET', 'deliveries')}"
    assert "hush" not in seen
    assert "cG9pbnRzbWFuOmh1c2g=" not in seen


async def test_replaced_subscription_keeps_a_masked_secret(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribe(azure, hook, "created")
    path = f"_apis/hooks/subscriptions/{subscription.id}?api-version=7.1"
    _, body = await ask(azure, "GET", path)
    assert isinstance(body, dict)
    code, replaced = await ask(azure, "PUT", path, {**body, "publisherInputs": {"workItemType": "Task"}})
    assert (code, at(replaced, "id")) == (200, subscription.id)
    await azure.make("Bug")
    await azure.make("Task")
    await hook.wait(1)
    assert at(hook.deliveries[0], "resource", "fields", "System.WorkItemType") == "Task"
    assert hook.headers[0]["authorization"] == "Basic cG9pbnRzbWFuOmh1c2g="


async def test_same_event_has_one_id_and_two_counts(azure: Azure, hook: Receiver) -> None:
    await subscribe(azure, hook, "created")
    await azure.make()
    await hook.wait(1)
    await subscribe(azure, hook, "created")
    await azure.make()
    _, *twice = await hook.wait(3)
    assert twice[0]["id"] == twice[1]["id"]
    assert sorted(str(delivery["notificationId"]) for delivery in twice) == ["1", "2"]


@pytest.mark.parametrize(
    ("filters", "delivered"),
    [
        ({"workItemType": "Task"}, [2]),
        ({"areaPath": "Fabrikam\\Search"}, [1]),
        ({"tag": "URGENT"}, [2]),
        ({"areaPath": "", "tag": "", "workItemType": ""}, [1, 2]),
    ],
)
async def test_filter_lets_through_what_fits(
    azure: Azure, hook: Receiver, filters: dict[str, str], delivered: list[int]
) -> None:
    await subscribe(azure, hook, "created", **filters)
    title, area = {"op": "add", "path": "/fields/System.Title", "value": "x"}, "Fabrikam\\Search\\Index"
    azure.world.forest.plant("fabrikam", "Fabrikam", "areas", ["Search", "Index"])
    await azure.person.work_items.create("Fabrikam", "Bug", [{**title}, set_field("System.AreaPath", area)])
    await azure.person.work_items.create("Fabrikam", "Task", [{**title}, set_field("System.Tags", "a; Urgent")])
    await hook.wait(len(delivered))
    assert [at(delivery, "resource", "id") for delivery in hook.deliveries] == delivered


async def test_update_filters_look_at_what_changed(azure: Azure, hook: Receiver) -> None:
    await subscribe(azure, hook, "updated", changedFields="System.State")
    first, second = await azure.make(), await azure.make()
    await azure.person.work_items.patch(first.id, [set_field("System.Title", "Not this")])
    await azure.person.work_items.patch(second.id, [set_field("System.State", "Active")])
    (delivery,) = await hook.wait(1)
    assert at(delivery, "resource", "workItemId") == second.id


async def test_links_are_delivered_for_both_ends(azure: Azure, hook: Receiver) -> None:
    await subscribe(azure, hook, "updated", linksChanged="true")
    first, second = await azure.make(), await azure.make()
    await azure.person.work_items.patch(first.id, [set_field("System.Title", "Not this")])
    url = f"{azure.base_url}/_apis/wit/workItems/{second.id}"
    await azure.person.work_items.patch(first.id, [add_relation("System.LinkTypes.Related", url)])
    deliveries = await hook.wait(2)
    assert [at(delivery, "resource", "workItemId") for delivery in deliveries] == [first.id, second.id]
    assert all("fields" not in str(at(delivery, "resource", "relations")) for delivery in deliveries)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eventType": "workitem.imagined"}, "no event 'workitem.imagined'"),
        ({"consumerId": "slack"}, "must be webHooks"),
        ({"resourceVersion": "9.9"}, "resourceVersion '9.9'"),
        ({"publisherInputs": {"projectId": "Fabrikam"}}, "no id of a project"),
        ({"publisherInputs": {"colour": "red"}}, "no input colour"),
        ({"consumerInputs": {"url": "/relative"}}, "not an absolute URL"),
        ({"consumerInputs": {"url": "http://127.0.0.1:1", "basicAuthPassword": "a b"}}, "no white space"),
    ],
)
async def test_subscription_that_cannot_be_is_refused(azure: Azure, change: dict[str, Json], reason: str) -> None:
    sound: dict[str, Json] = {
        "publisherId": "tfs",
        "eventType": "workitem.created",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "consumerInputs": {"url": "http://127.0.0.1:1"},
    }
    code, body = await ask(azure, "POST", "_apis/hooks/subscriptions?api-version=7.1", {**sound, **change})
    assert (code, at(body, "typeKey")) == (400, "SubscriptionInputException")
    assert reason in str(at(body, "message"))
    assert await azure.service.hooks.list("workitem.created") == []


async def test_transient_failure_is_tried_again_with_the_same_ids(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribe(azure, hook, "created")
    hook.answers.extend([503, 502, 504, 408])
    await azure.make()
    deliveries = await hook.wait(5)
    assert {(str(sent["id"]), sent["notificationId"]) for sent in deliveries} == {(str(deliveries[0]["id"]), 1)}
    assert await status(azure, subscription) == "enabled"


async def test_transient_failure_that_stays_leads_to_probation_and_back(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribe(azure, hook, "created")
    hook.answers.extend([503] * (RETRIES + 1))
    await azure.make()
    await hook.wait(RETRIES + 2)
    await becomes(azure, subscription, "enabled")


async def test_receiver_that_is_not_there_is_tried_again(azure: Azure) -> None:
    async with receiver() as gone:
        pass
    await subscribe(azure, gone, "created")
    await azure.make()

    async def tried() -> bool:
        return len(await attempts(azure)) > 1

    await eventually(tried)
    assert (await attempts(azure))[0] == (1, 0)


@pytest.mark.parametrize("answer", [400, 401, 404, 429, 500])
async def test_enduring_failure_is_not_tried_again_and_loses_what_follows(answer: int) -> None:
    async with azure_devops(time_scale=1.0) as azure, receiver() as hook:
        subscription = await subscribe(azure, hook, "created")
        hook.answers.append(answer)
        first = await azure.make()
        await becomes(azure, subscription, "onProbation")
        second = await azure.make()
        dump = await azure.control("GET", "deliveries")
        assert await attempts(azure) == [(first.id, answer)]
        assert [at(lost, "item_id") for lost in [at(dump, "lost", 0)]] == [second.id]


async def test_success_on_probation_enables_again(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribe(azure, hook, "created")
    hook.answers.extend([500, 500, 500])
    await azure.make()
    await hook.wait(4)
    await becomes(azure, subscription, "enabled")
    later = await azure.make()
    deliveries = await hook.wait(5)
    assert at(deliveries[4], "resource", "id") == later.id


async def test_seven_failures_on_probation_disable(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribe(azure, hook, "created")
    hook.answers.extend([500] * 20)
    await azure.make()
    await becomes(azure, subscription, "disabledBySystem")
    held = await azure.service.hooks.get(subscription.id)
    assert (len(hook.deliveries), held.probation_retries) == (8, 7)


async def test_gone_disables_at_once(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribe(azure, hook, "created")
    hook.answers.append(410)
    await azure.make()
    await becomes(azure, subscription, "disabledBySystem")
    await azure.make()
    assert len(hook.deliveries) == 1


async def test_history_tells_request_answer_and_event(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribe(azure, hook, "created")
    await azure.make()

    async def done() -> bool:
        dump = await azure.control("GET", "deliveries")
        return dump["pending"] == 0 and bool(dump["attempts"])

    await eventually(done)
    path = f"_apis/hooks/subscriptions/{subscription.id}/notifications/1?api-version=7.1"
    code, body = await ask(azure, "GET", path)
    assert (code, at(body, "status"), at(body, "result")) == (200, "completed", "succeeded")
    sent = {"subscriptionId": at(body, "subscriptionId"), "notificationId": at(body, "id")}
    assert {**_object(at(body, "details", "event")), **sent} == hook.deliveries[0]
    assert "Authorization: Basic ********" in str(at(body, "details", "request"))
    assert at(body, "details", "response") == "Status Code: 202\n"
    failed = f"_apis/hooks/subscriptions/{subscription.id}/notifications?result=failed&api-version=7.1"
    assert at((await ask(azure, "GET", failed))[1], "count") == 0


def _object(value: Json) -> dict[str, Json]:
    assert isinstance(value, dict)
    return value


async def test_each_delivery_can_be_repeated(azure: Azure, hook: Receiver) -> None:
    await subscribe(azure, hook, "created")
    await azure.control("POST", "deliveries", {"repeat": 1})
    await azure.make()
    first, again = await hook.wait(2)
    assert first == again


async def test_held_event_is_delivered_after_the_one_that_follows_it(azure: Azure, hook: Receiver) -> None:
    for event in ("created", "updated"):
        await subscribe(azure, hook, event)
    await azure.control("POST", "deliveries", {"hold": [{"event_type": "workitem.created"}]})
    made = await azure.make()
    other = await azure.make(title="Bystander")
    await azure.person.work_items.patch(made.id, [set_field("System.Title", "Changed")])
    await hook.wait(3)
    numbers = {"workitem.created": "id", "workitem.updated": "workItemId"}
    order = [(sent["eventType"], at(sent, "resource", numbers[str(sent["eventType"])])) for sent in hook.deliveries]
    assert [pair for pair in order if pair[1] != other.id] == [
        ("workitem.updated", made.id),
        ("workitem.created", made.id),
    ]


async def test_held_event_can_be_let_go(azure: Azure, hook: Receiver) -> None:
    await subscribe(azure, hook, "created")
    await azure.control("POST", "deliveries", {"hold": [{}]})
    await azure.make()
    assert (await azure.control("GET", "deliveries"))["held"] == 1
    await azure.control("POST", "deliveries/release")
    await hook.wait(1)


async def test_paused_deliveries_pile_up_and_then_come_in_order(azure: Azure, hook: Receiver) -> None:
    await subscribe(azure, hook, "created")
    await azure.control("POST", "deliveries", {"paused": True})
    ids = [(await azure.make()).id for _ in range(3)]
    assert (await azure.control("GET", "deliveries"))["pending"] == 3
    assert hook.deliveries == []
    await azure.control("POST", "deliveries", {"paused": False})
    await hook.wait(3)
    assert [at(delivery, "resource", "id") for delivery in hook.deliveries] == ids


async def test_own_headers_travel_with_each_delivery(azure: Azure, hook: Receiver) -> None:
    inputs: Json = {"url": hook.url, "httpHeaders": "X-One:1\nX-Two: two: three"}
    body: Json = {
        "publisherId": "tfs",
        "eventType": "workitem.created",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "consumerInputs": inputs,
    }
    assert (await ask(azure, "POST", "_apis/hooks/subscriptions?api-version=7.1", body))[0] == 200
    await azure.make()
    await hook.wait(1)
    assert (hook.headers[0]["x-one"], hook.headers[0]["x-two"]) == ("1", "two: three")
    assert "authorization" not in hook.headers[0]


async def test_project_of_another_organisation_is_no_filter(azure: Azure, hook: Receiver) -> None:
    with pytest.raises(Rejected, match="no id of a project of fabrikam"):
        await subscribe(azure, hook, "created", projectId="7d9a3f1e-0000-4000-8000-000000000000")


async def test_subscription_outlives_a_project_that_is_made(azure: Azure, hook: Receiver) -> None:
    made = await subscribe(azure, hook, "created")
    await azure.service.projects.create("Web shop", "adcc42ab-9882-485e-a3ed-7678f01f66bc")
    assert await azure.service.hooks.get(made.id) == made
    assert await azure.service.hooks.list("workitem.created") == [made]
    await azure.make()
    await hook.wait(1)
    assert len(await azure.service.hooks.notifications(made.id)) == 1
