"""Deliveries over HTTP, with the service's classes of failure, its probation and the events that it loses.

410 ends a subscription. 408, 502, 503, 504, and a receiver that cannot be reached or does not answer (unconfirmed
for these two), are tried again up to 8 times. Everything else puts the subscription on probation, where events that
happen are lost, until one of 7 later attempts succeeds.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from functools import cache
from uuid import uuid4

import httpx2

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.edits import Happened
from pointsman.sandbox.azure_devops.occurrences import Told
from pointsman.sandbox.azure_devops.payloads import envelope
from pointsman.sandbox.azure_devops.rendering import Links
from pointsman.sandbox.azure_devops.state import World
from pointsman.sandbox.azure_devops.subscriptions import MASK, Subscription

TERMINAL = 410
TRANSIENT = {408, 502, 503, 504}
TRANSIENT_WAITS_SECONDS = (1, 2, 4, 8, 16, 32, 60, 60)
PROBATION_WAITS_SECONDS = tuple(60 * minutes for minutes in (20, 40, 80, 160, 320, 640, 900))
HISTORY_MAX = 500
SHOWN_CHARS_MAX = 2_000


@dataclass
class Notification:
    """One event for one subscription, and what became of it. `request` and `response` are as history shows them."""

    id: int
    event_id: str
    subscription: Subscription
    item_id: int
    rev: int
    event: Json
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


@dataclass(frozen=True)
class Attempt:
    """Evidence of one request. Without `status` there was no answer, and `error` says why."""

    at: str
    subscription: str
    notification: int
    event_id: str
    event_type: str
    item_id: int
    rev: int
    attempt: int
    repeated: bool
    status: int
    error: str


@dataclass
class Behaviour:
    """What the control API changes: each delivery `repeat` times more; the next `hold` (event type, item or 0) late."""

    repeat: int = 0
    hold: list[tuple[str, int]] = field(default_factory=list)
    paused: bool = False


class Deliverer:
    """One queue for each subscription: first attempts go out in order, later ones do not hold up what follows."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scale = world.config.time_scale
        self._http = httpx2.AsyncClient(verify=_tls(), timeout=world.config.delivery_timeout_seconds, trust_env=False)
        self._queues: dict[str, asyncio.Queue[Notification]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = asyncio.Event()
        self._running.set()
        self.subscriptions: dict[str, Subscription] = {}
        self.notifications: dict[str, list[Notification]] = {}
        self.attempts: list[Attempt] = []
        self.lost: list[dict[str, Json]] = []
        self.held: list[Notification] = []
        self.behaviour = Behaviour()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    def add(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.id] = subscription

    def remove(self, subscription: Subscription) -> None:
        """Forget it. What is under way still goes out."""
        self.subscriptions.pop(subscription.id, None)

    def forget(self) -> None:
        self.attempts.clear()
        self.lost.clear()
        self.behaviour = Behaviour()
        self.pause(False)
        self.release()

    def pause(self, paused: bool) -> None:
        """Hold all first attempts back, or let them go on: deliveries pile up as if the service were behind."""
        self.behaviour.paused = paused
        if paused:
            self._running.clear()
        else:
            self._running.set()

    def release(self) -> None:
        """Let go of what waits for an event that may never come."""
        for notification in self.held:
            self._enqueue(notification)
        self.held.clear()

    def publish(self, happened: Iterable[Happened | Told], links: Links) -> None:
        """Tell each subscription that fits. The same event has one id in all of them."""
        for event in happened:
            event_id = str(uuid4())
            for subscription in [held for held in self.subscriptions.values() if held.fits(event)]:
                self._notify(subscription, event_id, event, links)

    def _notify(self, subscription: Subscription, event_id: str, happened: Happened | Told, links: Links) -> None:
        if subscription.status != "enabled":
            self.lost.append(_lost(subscription, event_id, happened))
            return
        subscription.last_notification += 1
        now = self._world.clock.now()
        own_links = Links(links.base, links.organisation, plain=subscription.plain)
        event = envelope(subscription, subscription.last_notification, event_id, happened, own_links)
        notification = Notification(
            subscription.last_notification,
            event_id,
            subscription,
            *_place(happened),
            event,
            now,
            now,
        )
        kept = self.notifications.setdefault(subscription.id, [])
        kept.append(notification)
        del kept[:-HISTORY_MAX]
        self._order(notification)

    def _order(self, notification: Notification) -> None:
        for hold in self.behaviour.hold:
            if hold[0] in ("", notification.subscription.event_type) and hold[1] in (0, notification.item_id):
                self.behaviour.hold.remove(hold)
                self.held.append(notification)
                return
        overtaken = [held for held in self.held if held.item_id == notification.item_id]
        overtaken = [held for held in overtaken if held.event_id != notification.event_id]
        self.held = [held for held in self.held if held not in overtaken]
        notification.before = overtaken
        self._enqueue(notification)

    def _enqueue(self, notification: Notification) -> None:
        subscription_id = notification.subscription.id
        if subscription_id not in self._queues:
            self._queues[subscription_id] = asyncio.Queue()
            self._start(self._work(self._queues[subscription_id]))
        self._queues[subscription_id].put_nowait(notification)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, queue: asyncio.Queue[Notification]) -> None:
        while True:
            notification = await queue.get()
            await self._running.wait()
            status = await self._attempt(notification)
            for held in notification.before:
                self._enqueue(held)
            if status in TRANSIENT or not status:
                self._start(self._again(notification))

    async def _again(self, notification: Notification) -> None:
        """The attempts that follow a transient failure; the last of them counts as an enduring one."""
        for wait in TRANSIENT_WAITS_SECONDS:
            await asyncio.sleep(wait * self._scale)
            status = await self._attempt(notification)
            if status and status not in TRANSIENT:
                return
        self._on_probation(notification)

    async def _attempt(self, notification: Notification) -> int:
        """One delivery with its repetitions, and what its answer means. Returns the status, 0 without answer."""
        subscription = notification.subscription
        status = await self._post(notification)
        if 200 <= status < 300:
            self._conclude(notification, "succeeded")
            for _ in range(self.behaviour.repeat):
                await self._post(notification, repeated=True)
        elif status == TERMINAL:
            self._conclude(notification, "failed")
            subscription.status = "disabledBySystem"
        elif status and status not in TRANSIENT:
            self._on_probation(notification)
        return status

    def _on_probation(self, notification: Notification) -> None:
        self._conclude(notification, "failed")
        if notification.subscription.status == "enabled":
            notification.subscription.status = "onProbation"
            self._start(self._probation(notification))

    async def _probation(self, notification: Notification) -> None:
        subscription = notification.subscription
        for number, wait in enumerate(PROBATION_WAITS_SECONDS, start=1):
            await asyncio.sleep(wait * self._scale)
            if subscription.status != "onProbation" or subscription.id not in self.subscriptions:
                return
            subscription.probation_retries = number
            subscription.last_probation_retry = self._world.clock.now()
            status = await self._post(notification)
            if 200 <= status < 300:
                subscription.status, subscription.probation_retries = "enabled", 0
                self._conclude(notification, "succeeded")
                return
        subscription.status = "disabledBySystem"

    def _conclude(self, notification: Notification, result: str) -> None:
        notification.status, notification.result = "completed", result
        notification.modified_at = self._world.clock.now()

    async def _post(self, notification: Notification, repeated: bool = False) -> int:
        subscription = notification.subscription
        notification.attempts += 1
        notification.status = "requestInProgress"
        headers = _headers(subscription)
        began = time.monotonic()
        status, error, said = 0, "", ""
        try:
            response = await self._http.post(
                subscription.consumer["url"],
                content=json.dumps(notification.event).encode(),
                headers=headers,
                auth=_credentials(subscription) or httpx2.USE_CLIENT_DEFAULT,
            )
            status, said = response.status_code, response.text[:SHOWN_CHARS_MAX]
        except httpx2.RequestError as failure:
            error = f"{type(failure).__name__}: {failure}"
        notification.duration_seconds = time.monotonic() - began
        notification.request = _shown_request(subscription, headers)
        notification.response = f"Status Code: {status}\n{said}" if status else ""
        notification.error = error or ("" if 200 <= status < 300 else f"The receiver answered {status}.")
        self.attempts.append(_evidence(notification, repeated, status, error, self._world.clock.now()))
        return status


@cache
def _tls() -> ssl.SSLContext:
    """Shared, because reading all certificate authorities takes a tenth of a second."""
    return httpx2.create_ssl_context()


def _headers(subscription: Subscription) -> dict[str, str]:
    lines = (line.partition(":") for line in subscription.consumer.get("httpHeaders", "").splitlines())
    own = {name.strip(): value.strip() for name, _, value in lines if name.strip()}
    return {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "VSServices/19.0 (pointsman stand-in)",
        "X-VSS-ActivityId": str(uuid4()),
        "X-VSS-SubscriptionId": subscription.id,
        **own,
    }


def _credentials(subscription: Subscription) -> httpx2.BasicAuth | None:
    name = subscription.consumer.get("basicAuthUsername", "")
    password = subscription.consumer.get("basicAuthPassword", "")
    return httpx2.BasicAuth(name, password) if name or password else None


def _shown_request(subscription: Subscription, headers: dict[str, str]) -> str:
    """The request as history shows it: own headers in full, the password never."""
    shown = dict(headers)
    if _credentials(subscription):
        shown["Authorization"] = f"Basic {MASK}"
    lines = "\n".join(f"{name}: {value}" for name, value in shown.items())
    return f"Method: POST\nURI: {subscription.consumer['url']}\nHTTP Version: 1.1\nHeaders:\n{{\n{lines}\n}}"


def _evidence(notification: Notification, repeated: bool, status: int, error: str, now: str) -> Attempt:
    return Attempt(
        at=now,
        subscription=notification.subscription.id,
        notification=notification.id,
        event_id=notification.event_id,
        event_type=notification.subscription.event_type,
        item_id=notification.item_id,
        rev=notification.rev,
        attempt=notification.attempts,
        repeated=repeated,
        status=status,
        error=error,
    )


def _place(happened: Happened | Told) -> tuple[int, int]:
    """The item and its revision; 0 where it is about no item."""
    return (0, 0) if isinstance(happened, Told) else (happened.item.id, happened.update.rev)


def _lost(subscription: Subscription, event_id: str, happened: Happened | Told) -> dict[str, Json]:
    return {
        "subscription": subscription.id,
        "subscription_status": subscription.status,
        "event_id": event_id,
        "event_type": subscription.event_type,
        "item_id": _place(happened)[0],
        "rev": _place(happened)[1],
    }
