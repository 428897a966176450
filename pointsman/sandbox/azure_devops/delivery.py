"""Deliveries over HTTP, with the service's classes of failure, its probation and the events that it loses.

410 ends a subscription. 408, 502, 503, 504, and a receiver that cannot be reached or does not answer (unconfirmed
for these two), are tried again up to 8 times. Everything else puts the subscription on probation, where events that
happen are lost, until one of 7 later attempts succeeds.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from uuid import uuid4

import httpx2

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.agenda import Agenda
from pointsman.sandbox.azure_devops.edits import Happened
from pointsman.sandbox.azure_devops.notifications import History, Notification, shown_request
from pointsman.sandbox.azure_devops.occurrences import Told
from pointsman.sandbox.azure_devops.payloads import envelope, sample
from pointsman.sandbox.azure_devops.rendering import Links
from pointsman.sandbox.azure_devops.state import World
from pointsman.sandbox.azure_devops.subscriptions import Subscription

TERMINAL = 410
TRANSIENT = {408, 502, 503, 504}
TRANSIENT_WAITS_SECONDS = (1, 2, 4, 8, 16, 32, 60, 60)
PROBATION_WAITS_SECONDS = tuple(60 * minutes for minutes in (20, 40, 80, 160, 320, 640, 900))
SHOWN_CHARS_MAX = 2_000


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
    """What the control API changes: each delivery `repeat` times more, and `delay_seconds` late by the clock.

    Of what fits an entry (event type, item or 0) of `hold`, the next is late; of `lose`, the next never comes.
    """

    repeat: int = 0
    delay_seconds: float = 0.0
    hold: list[tuple[str, int]] = field(default_factory=list)
    lose: list[tuple[str, int]] = field(default_factory=list)
    paused: bool = False


class Deliverer:
    """One queue for each subscription: first attempts go out in order, later ones do not hold up what follows."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._agenda = Agenda(world.clock, world.config.time_scale)
        self._http = httpx2.AsyncClient(verify=_tls(), timeout=world.config.delivery_timeout_seconds, trust_env=False)
        self._queues: dict[str, asyncio.Queue[Notification]] = {}
        self._running = asyncio.Event()
        self._running.set()
        self.subscriptions: dict[str, Subscription] = {}
        self.history = History(world.clock)
        self.tests = 0
        self.attempts: list[Attempt] = []
        self.lost: list[dict[str, Json]] = []
        self.held: list[Notification] = []
        self.behaviour = Behaviour()

    async def close(self) -> None:
        await self._agenda.close()
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

    async def advance(self, span: timedelta) -> None:
        """Move the clock ahead, with all attempts that become due on the way; first attempts are over before."""
        await self._idle()
        await self._agenda.advance(span)
        await self._idle()

    async def _idle(self) -> None:
        if self._running.is_set():
            await asyncio.gather(*(queue.join() for queue in self._queues.values()))

    def publish(self, happened: Iterable[Happened | Told], links: Links) -> None:
        """Tell each subscription that fits. The same event has one id in all of them."""
        for event in happened:
            event_id = str(uuid4())
            for subscription in [held for held in self.subscriptions.values() if held.fits(event)]:
                self._notify(subscription, event_id, event, links)

    def test(self, subscription: Subscription, links: Links) -> Notification:
        """Send an invented event as if the subscription stood; it counts for nothing."""
        self.tests += 1
        now, event_id = self._world.clock.now(), str(uuid4())
        own_links = Links(links.base, links.organisation, plain=subscription.plain)
        event = sample(subscription, self.tests, event_id, own_links, self._world.clock.ticks())
        notification = Notification(self.tests, event_id, subscription, 0, 0, event, now, now, test=True)
        self.history.keep(notification)
        self._agenda.start(self._tested(notification))
        return notification

    async def _tested(self, notification: Notification) -> None:
        status = await self._post(notification)
        self._conclude(notification, "succeeded" if 200 <= status < 300 else "failed")

    def _notify(self, subscription: Subscription, event_id: str, happened: Happened | Told, links: Links) -> None:
        place = _place(happened)
        if subscription.status != "enabled" or _taken(self.behaviour.lose, subscription.event_type, place[0]):
            self.lost.append(_lost(subscription, event_id, place))
            return
        subscription.last_notification += 1
        number, clock = subscription.last_notification, self._world.clock
        own_links = Links(links.base, links.organisation, plain=subscription.plain)
        event = envelope(subscription, number, event_id, happened, own_links, clock.ticks())
        now = clock.now()
        notification = Notification(number, event_id, subscription, *place, event, now, now)
        self.history.keep(notification)
        if delay := self.behaviour.delay_seconds:
            self._agenda.after(delay, lambda: self._late(notification))
        else:
            self._order(notification)

    async def _late(self, notification: Notification) -> None:
        self._order(notification)
        await self._idle()

    def _order(self, notification: Notification) -> None:
        if _taken(self.behaviour.hold, notification.subscription.event_type, notification.item_id):
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
            self._agenda.start(self._work(self._queues[subscription_id]))
        self._queues[subscription_id].put_nowait(notification)

    async def _work(self, queue: asyncio.Queue[Notification]) -> None:
        while True:
            notification = await queue.get()
            await self._running.wait()
            status = await self._attempt(notification)
            for held in notification.before:
                self._enqueue(held)
            if status in TRANSIENT or not status:
                self._retry_later(notification, 0)
            queue.task_done()

    def _retry_later(self, notification: Notification, number: int) -> None:
        self._agenda.after(TRANSIENT_WAITS_SECONDS[number], lambda: self._retry(notification, number))

    async def _retry(self, notification: Notification, number: int) -> None:
        """An attempt that follows a transient failure; the last of them counts as an enduring one."""
        status = await self._attempt(notification)
        if status and status not in TRANSIENT:
            return
        if number + 1 < len(TRANSIENT_WAITS_SECONDS):
            self._retry_later(notification, number + 1)
        else:
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
            self._probe_later(notification, 0)

    def _probe_later(self, notification: Notification, number: int) -> None:
        self._agenda.after(PROBATION_WAITS_SECONDS[number], lambda: self._probe(notification, number))

    async def _probe(self, notification: Notification, number: int) -> None:
        subscription = notification.subscription
        if subscription.status != "onProbation" or self.subscriptions.get(subscription.id) is not subscription:
            return
        subscription.probation_retries = number + 1
        subscription.last_probation_retry = self._world.clock.now()
        status = await self._post(notification)
        if 200 <= status < 300:
            subscription.status, subscription.probation_retries = "enabled", 0
            self._conclude(notification, "succeeded")
        elif number + 1 < len(PROBATION_WAITS_SECONDS):
            self._probe_later(notification, number + 1)
        else:
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
        authorised = _credentials(subscription) is not None
        notification.request = shown_request(subscription, headers, authorised=authorised)
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


def _taken(entries: list[tuple[str, int]], event_type: str, item_id: int) -> bool:
    """Whether one of the entries fits; it is used up then."""
    for entry in entries:
        if entry[0] in ("", event_type) and entry[1] in (0, item_id):
            entries.remove(entry)
            return True
    return False


def _lost(subscription: Subscription, event_id: str, place: tuple[int, int]) -> dict[str, Json]:
    return {
        "subscription": subscription.id,
        "subscription_status": subscription.status,
        "event_id": event_id,
        "event_type": subscription.event_type,
        "item_id": place[0],
        "rev": place[1],
    }
