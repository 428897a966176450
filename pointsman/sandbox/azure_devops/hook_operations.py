"""Operations on service hooks: subscriptions, and the history of what was delivered."""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.delivery import Notification
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.item_operations import collection
from pointsman.sandbox.azure_devops.subscriptions import (
    Subscription,
    consumer_json,
    publisher_json,
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
    own = [held for held in call.sandbox.deliverer.subscriptions.values() if held.organisation == call.organisation]
    shown = [subscription_json(held, call.links) for held in own]
    return collection([body for body in shown if all(body[name] == value for name, value in wanted.items())])


def get(call: Call) -> Reply:
    return Reply(subscription_json(_subscription(call), call.links))


def replace(call: Call) -> Reply:
    """Takes the place of the one that stands. One that the system disabled stays so (reported, not documented)."""
    before = _subscription(call)
    made = read(call.body, call.organisation, call.identity, call.world.clock.now(), before)
    if before.status == "disabledBySystem":
        made.status = before.status
    call.sandbox.deliverer.add(made)
    return Reply(subscription_json(made, call.links))


def delete(call: Call) -> Reply:
    call.sandbox.deliverer.remove(_subscription(call))
    return Reply(status=204)


def notifications(call: Call) -> Reply:
    found = call.sandbox.deliverer.notifications.get(_subscription(call).id, [])
    for name in ("status", "result"):
        wanted = call.query.get(name, "").lower()
        found = [held for held in found if not wanted or str(getattr(held, name)).lower() == wanted]
    newest = list(reversed(found))[: call.count("maxResults", 100)]
    return collection([_notification(held) for held in newest])


def notification(call: Call) -> Reply:
    number = call.number("number")
    found = call.sandbox.deliverer.notifications.get(_subscription(call).id, [])
    held = next((held for held in found if held.id == number), None)
    if held is None:
        message = f"Notification {number} does not exist."
        raise ServiceError(404, message, "NotificationNotFoundException", namespace=HOOKS)
    return Reply(_notification(held))


def _subscription(call: Call) -> Subscription:
    wanted = call.place["id"].lower()
    if wanted.count("-") != 4:
        raise invalid(f"The request is invalid: {wanted!r} is not a valid value for subscriptionId.")
    found = call.sandbox.deliverer.subscriptions.get(wanted)
    if found is None or found.organisation != call.organisation:
        message = f"No subscription found with identifier {wanted}."
        raise ServiceError(404, message, "SubscriptionNotFoundException", namespace=HOOKS)
    return found


def _notification(held: Notification) -> Json:
    subscription = held.subscription
    details: dict[str, Json] = {
        "eventType": subscription.event_type,
        "event": held.event,
        "publisherId": "tfs",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "publisherInputs": publisher_json(subscription),
        "consumerInputs": consumer_json(subscription),
        "request": held.request,
        "response": held.response,
        "queuedDate": held.created_at,
        "dequeuedDate": held.created_at,
        "processedDate": held.modified_at,
        "completedDate": held.modified_at,
        "requestAttempts": held.attempts,
        "requestDuration": held.duration_seconds,
    }
    if held.error:
        details |= {"errorMessage": held.error, "errorDetail": held.error}
    return {
        "id": held.id,
        "subscriptionId": subscription.id,
        "subscriberId": subscription.created_by.id,
        "eventId": held.event_id,
        "status": held.status,
        "result": held.result,
        "createdDate": held.created_at,
        "modifiedDate": held.modified_at,
        "details": details,
    }


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
)
