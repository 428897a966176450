"""What became of each event for each subscription: the history that the service shows for seven days."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.clock import Clock
from pointsman.sandbox.azure_devops.subscriptions import (
    MASK,
    NO_SUBSCRIPTION,
    Subscription,
    consumer_json,
    publisher_json,
)

OF_DELIVERY = ("subscriptionId", "notificationId")
"""What the event gets when it is delivered; history shows the event without, as it is specified."""
KEPT = timedelta(days=7)
HISTORY_MAX = 5_000
"""Of one subscription; the service's own limit is not documented."""


@dataclass
class Notification:
    """One event for one subscription, and what became of it. `request` and `response` are as history shows them."""

    id: int
    event_id: str
    subscription: Subscription
    item_id: int
    rev: int
    event: dict[str, Json]
    created_at: str
    modified_at: str
    status: str = "queued"
    result: str = "pending"
    attempts: int = 0
    request: str = ""
    response: str = ""
    error: str = ""
    duration_seconds: float = 0.0
    before: list["Notification"] = field(default_factory=list, repr=False)
    """Held back until this one is out: delivered after it, though they happened before."""
    test: bool = False
    """Somebody asked for it: whatever becomes of it, the subscription stays as it is."""

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.created_at)


@dataclass
class History:
    """By subscription; what is a test is under the subscription that has no number."""

    clock: Clock
    kept: dict[str, list[Notification]] = field(default_factory=dict)

    def keep(self, notification: Notification) -> None:
        of = NO_SUBSCRIPTION if notification.test else notification.subscription.id
        kept = self.kept.setdefault(of, [])
        kept.append(notification)
        del kept[:-HISTORY_MAX]

    def of(self, subscription_id: str) -> list[Notification]:
        """Oldest first, and none that is too old."""
        since = self.clock.moment() - KEPT
        return [held for held in self.kept.get(subscription_id, []) if held.moment >= since]

    def pending(self) -> int:
        return sum(held.result == "pending" for kept in self.kept.values() for held in kept)


def notification_json(held: Notification, *, details: bool = True) -> dict[str, Json]:
    body: dict[str, Json] = {
        "id": held.id,
        "subscriptionId": NO_SUBSCRIPTION if held.test else held.subscription.id,
        "subscriberId": held.subscription.created_by.id,
        "eventId": held.event_id,
        "status": held.status,
        "result": held.result,
        "createdDate": held.created_at,
        "modifiedDate": held.modified_at,
    }
    return {**body, "details": _details(held)} if details else body


def _details(held: Notification) -> dict[str, Json]:
    subscription = held.subscription
    details: dict[str, Json] = {
        "eventType": subscription.event_type,
        "event": {name: value for name, value in held.event.items() if name not in OF_DELIVERY},
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
    return details


def shown_request(subscription: Subscription, headers: Mapping[str, str], *, authorised: bool) -> str:
    """The request as history shows it: own headers in full, the password never."""
    shown = {**headers, "Authorization": f"Basic {MASK}"} if authorised else headers
    lines = "\n".join(f"{name}: {value}" for name, value in shown.items())
    return f"Method: POST\nURI: {subscription.consumer['url']}\nHTTP Version: 1.1\nHeaders:\n{{\n{lines}\n}}"
