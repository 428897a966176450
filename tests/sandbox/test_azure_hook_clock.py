"""Hours and days of service hooks in moments: the clock is moved, and what becomes due is done on the way."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops.answers import Subscription
from pointsman.clients.azure_devops.service_hooks import NO_SUBSCRIPTION, Draft
from pointsman.contracts.base import Json
from pointsman.ports import Missing, Rejected
from pointsman.sandbox.azure_devops.clock import Clock
from pointsman.sandbox.azure_devops.delivery import PROBATION_WAITS_SECONDS, TRANSIENT_WAITS_SECONDS
from tests.sandbox.azure import Azure, Receiver, at, azure_devops, eventually, receiver
from tests.sandbox.test_azure_items import ask

HOUR, DAY = 3_600, 86_400
START = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def azure(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Azure]:
    """Its time goes on only where it is moved: the shortest of its waits may pass while a busy machine takes a step."""
    monkeypatch.setattr(Clock, "moment", lambda clock: START + clock._ahead)
    async with azure_devops(time_scale=DAY) as running:
        yield running


@pytest.fixture
async def hook() -> AsyncGenerator[Receiver]:
    async with receiver() as running:
        yield running


async def subscribed(azure: Azure, hook: Receiver, event: str = "created") -> Subscription:
    return await azure.service.hooks.create(f"workitem.{event}", hook.url, username="p", password=SecretStr("hush"))


async def move(azure: Azure, seconds: float) -> None:
    await azure.control("POST", "clock", {"seconds": seconds})


async def state(azure: Azure, subscription: Subscription) -> tuple[str, int]:
    held = await azure.service.hooks.get(subscription.id)
    return held.status, held.probation_retries


async def test_transient_failure_is_tried_again_at_its_times(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribed(azure, hook)
    hook.answers.extend([503] * (len(TRANSIENT_WAITS_SECONDS) + 1))
    await azure.make()
    await move(azure, 0)
    for number, wait in enumerate(TRANSIENT_WAITS_SECONDS, start=1):
        assert len(hook.deliveries) == number
        await move(azure, wait - 0.5)
        assert (len(hook.deliveries), (await state(azure, subscription))[0]) == (number, "enabled")
        await move(azure, 0.5)
    assert await state(azure, subscription) == ("onProbation", 0)


async def test_probation_doubles_its_waits_and_ends_in_disabling(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribed(azure, hook)
    hook.answers.extend([500] * 20)
    await azure.make()
    await move(azure, 0)
    for number, wait in enumerate(PROBATION_WAITS_SECONDS):
        assert await state(azure, subscription) == ("onProbation", number)
        await move(azure, wait)
    assert await state(azure, subscription) == ("disabledBySystem", 7)
    assert len(hook.deliveries) == 8


async def test_all_of_probation_passes_in_one_move(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribed(azure, hook)
    hook.answers.extend([401] * 4)
    await azure.make()
    await move(azure, 2 * DAY)
    assert await state(azure, subscription) == ("enabled", 0)
    assert len(hook.deliveries) == 5


async def test_events_on_probation_are_lost_and_never_come(azure: Azure, hook: Receiver) -> None:
    await subscribed(azure, hook)
    hook.answers.append(500)
    first = await azure.make()
    await move(azure, 0)
    await azure.make(title="Lost")
    await move(azure, DAY)
    third = await azure.make()
    await move(azure, 0)
    assert [at(sent, "resource", "id") for sent in hook.deliveries] == [first.id, first.id, third.id]
    lost = (await azure.control("GET", "deliveries"))["lost"]
    assert at(lost, 0, "subscription_status") == "onProbation"


async def test_history_is_kept_for_seven_days(azure: Azure, hook: Receiver) -> None:
    hooks, subscription = azure.service.hooks, await subscribed(azure, hook)
    for days in (4, 4):
        await azure.make()
        await move(azure, days * DAY)
    (kept,) = await hooks.notifications(subscription.id)
    assert (kept.id, kept.result, kept.details.event["eventType"]) == (2, "succeeded", "workitem.created")
    with pytest.raises(Missing, match="Notification 1 does not exist"):
        await hooks.notification(subscription.id, 1)
    assert (await hooks.notification(subscription.id, 2)).details.request_attempts == 1


async def test_query_finds_over_subscriptions_by_time_and_result(azure: Azure, hook: Receiver) -> None:
    hooks = azure.service.hooks
    created, deleted = await subscribed(azure, hook), await subscribed(azure, hook, "deleted")
    hook.answers.append(400)
    made = await azure.make()
    await move(azure, HOUR)
    between = START + timedelta(hours=0.5)
    await azure.person.work_items.delete(made.id)
    await move(azure, 0)
    ids = [created.id, deleted.id]
    everything = await hooks.query(ids, details=True)
    assert [found.details.event_type for found in everything.results] == ["workitem.created", "workitem.deleted"]
    assert [(one.subscription_id, one.results[0].result) for one in everything.summary] == [
        (created.id, "succeeded"),  # on probation it was tried again
        (deleted.id, "succeeded"),
    ]
    assert [found.subscription_id for found in (await hooks.query(ids, since=between)).results] == [deleted.id]
    early = await hooks.query(ids, until=between)
    assert [(found.subscription_id, found.details.event) for found in early.results] == [(created.id, {})]
    assert (await hooks.query(ids, result="failed", status="completed")).results == []


async def test_replacing_ends_probation_but_not_what_the_system_disabled(azure: Azure, hook: Receiver) -> None:
    hooks, subscription = azure.service.hooks, await subscribed(azure, hook)
    hook.answers.append(500)
    await azure.make()
    await move(azure, 0)
    draft = Draft(
        "workitem.created", hook.url, username="p", password=SecretStr("other"), inputs={"messagesToSend": "none"}
    )
    assert (await hooks.replace(subscription.id, draft)).status == "enabled"
    for status in ("disabledBySystem", "disabledByInactiveIdentity"):
        await azure.control("POST", f"subscriptions/{subscription.id}", {"status": status})
        assert (await hooks.replace(subscription.id, draft)).status == status
    await move(azure, DAY)
    assert len(hook.deliveries) == 1


async def test_test_sends_an_invented_event_and_changes_nothing(azure: Azure, hook: Receiver) -> None:
    hooks = azure.service.hooks
    hook.answers.extend([202, 500])
    draft = Draft("workitem.updated", hook.url, username="p", password=SecretStr("hush"))
    sound, refused = await hooks.test(draft), await hooks.test(draft)
    assert (sound.result, refused.result, refused.details.error_message) == (
        *("succeeded", "failed"),
        "The receiver answered 500.",
    )
    assert hook.deliveries[0]["subscriptionId"] == NO_SUBSCRIPTION
    assert hook.headers[0]["authorization"] == "Basic cDpodXNo"
    assert await hooks.list("workitem.updated") == []


async def test_test_without_a_history_comes_back_as_it_stands(azure: Azure, hook: Receiver) -> None:
    await azure.fail(method="GET", path="/notifications/", status=404, body='{"message": "none", "typeKey": "Gone"}')
    sent = await azure.service.hooks.test(Draft("workitem.created", hook.url))
    assert (sent.over, sent.result) == (False, "pending")


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("testnotifications", {"details": None}, "needs the details"),
        ("notificationsquery", {"subscriptionIds": []}, "at least one subscription"),
        ("notificationsquery", {"subscriptionIds": [NO_SUBSCRIPTION], "minCreatedDate": "soon"}, "is no date"),
    ],
)
async def test_question_that_cannot_be_is_refused(azure: Azure, path: str, body: Json, why: str) -> None:
    code, answer = await ask(azure, "POST", f"_apis/hooks/{path}?api-version=7.1", body)
    assert (code, why in str(at(answer, "message"))) == (400, True)


async def test_masked_password_cannot_be_tested(azure: Azure, hook: Receiver) -> None:
    with pytest.raises(Rejected, match="the password is masked"):
        await azure.service.hooks.test(Draft("workitem.created", hook.url, password=SecretStr("********")))


async def test_deliveries_can_be_late_by_the_clock(azure: Azure, hook: Receiver) -> None:
    await subscribed(azure, hook)
    await azure.control("POST", "deliveries", {"delay_seconds": 2 * HOUR})
    await azure.make()
    await move(azure, HOUR)
    assert hook.deliveries == []
    await move(azure, HOUR)
    assert len(hook.deliveries) == 1


async def test_event_can_get_lost_without_a_trace(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribed(azure, hook)
    await azure.control("POST", "deliveries", {"lose": [{"event_type": "workitem.created"}]})
    await azure.make()
    second = await azure.make()
    await move(azure, 0)
    assert [at(sent, "resource", "id") for sent in hook.deliveries] == [second.id]
    assert len(await azure.service.hooks.notifications(subscription.id)) == 1
    assert await state(azure, subscription) == ("enabled", 0)


async def test_subscription_that_is_gone_is_probed_no_more(azure: Azure, hook: Receiver) -> None:
    subscription = await subscribed(azure, hook)
    hook.answers.extend([500] * 3)
    await azure.make()
    await move(azure, 0)
    await azure.service.hooks.delete(subscription.id)
    await move(azure, DAY)
    assert len(hook.deliveries) == 1
    assert len(await azure.service.hooks.notifications(subscription.id)) == 1


async def test_dates_of_items_follow_the_clock(azure: Azure) -> None:
    first = await azure.make()
    await move(azure, 30 * DAY)
    second = await azure.make()
    dates = [datetime.fromisoformat(str(item.fields["System.CreatedDate"])) for item in (first, second)]
    assert dates[1] - dates[0] >= timedelta(days=30)


async def test_what_is_due_later_comes_by_itself_too() -> None:
    async with azure_devops() as azure, receiver() as hook:
        await subscribed(azure, hook)
        hook.answers.append(503)
        await azure.make()

        async def twice() -> bool:
            return len(hook.deliveries) == 2

        await eventually(twice)


async def test_today_is_the_clocks(azure: Azure) -> None:
    made = await azure.make()
    today = "SELECT [System.Id] FROM WorkItems WHERE [System.CreatedDate] >= @today - 1"
    assert await azure.service.work_items.query(today) == [made.id]
    await azure.control("POST", "clock", {"seconds": 3 * 24 * 3600})
    assert await azure.service.work_items.query(today) == []
