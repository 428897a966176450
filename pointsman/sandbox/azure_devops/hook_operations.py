"""Operations on service hooks: subscriptions, and the history of what was delivered."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.item_operations import collection
from pointsman.sandbox.azure_devops.notifications import Notification, notification_json
from pointsman.sandbox.azure_devops.subscriptions import (
    MASK,
    NO_SUBSCRIPTION,
    Subscription,
    read,
    subscription_json,
)

HOOKS = "Microsoft.VisualStudio.Services.ServiceHooks.WebApi"


def create(call: Call) -> Reply:
    made = read(call.body, call.organisation, call.identity, call.world.clock.now())
    call.sandbox.deliverer.add(made)
    return Reply(subscription_json(made, call.links))


def listed(call: Call) -> Reply:
    """Of the whole organisation, unless filtered."""
    filters = ("publisherId", "eventType", "consumerId", "consumerActionId")
    wanted = {name: call.query[name] for name in filters if call.query.get(name)}
    own = [
        held
        for held in call.sandbox.deliverer.subscriptions.values()
        if held.organisation.name == call.organisation.name
    ]
    shown = [subscription_json(held, call.links) for held in own]
    return collection([body for body in shown if all(body[name] == value for name, value in wanted.items())])


def get(call: Call) -> Reply:
    return Reply(subscription_json(_subscription(call), call.links))


def replace(call: Call) -> Reply:
    """Takes the place of the one that stands. One that the system disabled stays so (reported, not documented)."""
    made = read(call.body, call.organisation, call.identity, call.world.clock.now(), _subscription(call))
    call.sandbox.deliverer.add(made)
    return Reply(subscription_json(made, call.links))


def delete(call: Call) -> Reply:
    call.sandbox.deliverer.remove(_subscription(call))
    return Reply(status=204)


def notifications(call: Call) -> Reply:
    """Newest first. Of a subscription that is gone, and of tests, there is a history, too."""
    found = [held for held in _history(call, call.place["id"]) if _fits(held, call.query)]
    newest = list(reversed(found))[: call.count("maxResults", 100)]
    return collection([notification_json(held) for held in newest])


def notification(call: Call) -> Reply:
    number = call.number("number")
    held = next((held for held in _history(call, call.place["id"]) if held.id == number), None)
    if held is None:
        message = f"Notification {number} does not exist."
        raise ServiceError(404, message, "NotificationNotFoundException", namespace=HOOKS)
    return Reply(notification_json(held))


def query(call: Call) -> Reply:
    """Notifications of several subscriptions, oldest first, and how many of each result there are."""
    if not isinstance(call.body, dict):
        raise invalid("A query must be an object.")
    asked = call.body
    ids = asked.get("subscriptionIds")
    if not isinstance(ids, list) or not ids:
        raise invalid("The request is invalid: subscriptionIds must name at least one subscription.")
    since, until = _moment(asked.get("minCreatedDate")), _moment(asked.get("maxCreatedDate"))
    wanted = {"status": _text(asked.get("status")), "result": _text(asked.get("resultType"))}
    per_subscription = asked.get("maxResultsPerSubscription")
    results: list[Notification] = []
    summary: list[Json] = []
    for subscription_id in map(str, ids):
        found = [held for held in _history(call, subscription_id) if _fits(held, wanted)]
        found = [held for held in found if (not since or held.moment >= since) and (not until or held.moment <= until)]
        counts = Counter(held.result for held in found)
        counted: list[Json] = [{"result": name, "notificationCount": number} for name, number in counts.items()]
        summary.append({"subscriptionId": subscription_id, "results": counted})
        results += found[-per_subscription:] if isinstance(per_subscription, int) else found
    results.sort(key=lambda held: held.created_at)
    limit = asked.get("maxResults")
    shown = results[-limit:] if isinstance(limit, int) else results
    details = asked.get("includeDetails") is True
    return Reply({**asked, "results": [notification_json(held, details=details) for held in shown], "summary": summary})


def test(call: Call) -> Reply:
    """Answers at once; what becomes of it is told by its history (unconfirmed: it may answer when it is over)."""
    if not isinstance(call.body, dict) or not isinstance(call.body.get("details"), dict):
        raise invalid("A test needs the details of a subscription.")
    now = call.world.clock.now()
    stands = call.sandbox.deliverer.subscriptions.get(_text(call.body.get("subscriptionId")).lower())
    details = call.body["details"]
    meant = read(details, call.organisation, call.identity, now, stands)
    if meant.consumer.get("basicAuthPassword") == MASK:
        raise invalid("The request is invalid: the password is masked, and no subscription is named that has it.")
    return Reply(notification_json(call.sandbox.deliverer.test(meant, call.links)))


def _history(call: Call, subscription_id: str) -> list[Notification]:
    wanted = subscription_id.lower()
    if wanted.count("-") != 4:
        raise invalid(f"The request is invalid: {wanted!r} is not a valid value for subscriptionId.")
    if wanted != NO_SUBSCRIPTION and wanted not in call.sandbox.deliverer.history.kept:
        _find(call, wanted)
    kept = call.sandbox.deliverer.history.of(wanted)
    return [held for held in kept if held.subscription.organisation.name == call.organisation.name]


def _fits(held: Notification, wanted: Mapping[str, str]) -> bool:
    names = ("status", "result")
    return all(not wanted.get(name) or str(getattr(held, name)).lower() == wanted[name].lower() for name in names)


def _subscription(call: Call) -> Subscription:
    wanted = call.place["id"].lower()
    if wanted.count("-") != 4:
        raise invalid(f"The request is invalid: {wanted!r} is not a valid value for subscriptionId.")
    return _find(call, wanted)


def _find(call: Call, wanted: str) -> Subscription:
    found = call.sandbox.deliverer.subscriptions.get(wanted)
    if found is None or found.organisation.name != call.organisation.name:
        message = f"No subscription found with identifier {wanted}."
        raise ServiceError(404, message, "SubscriptionNotFoundException", namespace=HOOKS)
    return found


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _moment(value: Json) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise invalid(f"The request is invalid: {value!r} is no date.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_PATH = "hooks/subscriptions"
OPERATIONS = (
    Operation("hooks.create", "POST", _PATH, create, scope="organisation"),
    Operation("hooks.list", "GET", _PATH, listed, scope="organisation"),
    Operation("hooks.get", "GET", f"{_PATH}/{{id}}", get, scope="organisation"),
    Operation("hooks.replace", "PUT", f"{_PATH}/{{id}}", replace, scope="organisation"),
    Operation("hooks.delete", "DELETE", f"{_PATH}/{{id}}", delete, scope="organisation"),
    Operation("hooks.notifications", "GET", f"{_PATH}/{{id}}/notifications", notifications, scope="organisation"),
    Operation(
        "hooks.notification", "GET", f"{_PATH}/{{id}}/notifications/{{number}}", notification, scope="organisation"
    ),
    Operation("hooks.query", "POST", "hooks/notificationsquery", query, scope="organisation"),
    Operation("hooks.test", "POST", "hooks/testnotifications", test, scope="organisation"),
)
