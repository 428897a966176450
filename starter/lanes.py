"""Which items' deliveries are under way, and which wait for company: rows of one item go in order, and together."""

import time
from collections.abc import Callable

from pointsman.contracts.records import Delivery
from pointsman.ports_inbox import ItemName

TOGETHER_MAX = 50
LATE_SECONDS = 0.025
BUSY_SHARE = 0.7
"""Of one processor: Python takes no more, and requests need the rest."""
LOOK_SECONDS = 0.5
HANDED_MIN = 4
"""In one look. Fewer are not what makes a process busy."""
REST_MIN_SECONDS, REST_MAX_SECONDS = 0.25, 10.0
LONGER, SHORTER = 1.5, 0.8

Lane = ItemName


def lane_of(delivery: Delivery) -> Lane:
    """What must go in order: rows of one item. A row of no item goes alone."""
    return (delivery.organisation, delivery.item_id) if delivery.item_id else (delivery.id, 0)


class Lanes:
    """An item that was handed something rests while the process is busy: what comes meanwhile goes together, and costs
    the item's workflow one look instead of many. How long follows the load; while there is none, nothing rests."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.process_time
    ) -> None:
        self.busy: set[Lane] = set()
        self.rest_seconds = 0.0
        self._clock, self._spent = clock, spent
        self._began, self._spent_then = clock(), spent()
        self._late_seconds, self._count = 0.0, 0
        self._handed: dict[Lane, float] = {}
        """When each was handed something last, oldest first; only those that may rest still."""

    def handed(self, lane: Lane) -> None:
        self._handed.pop(lane, None)
        self._handed[lane] = self._clock()
        self._count += 1

    def look(self, late_seconds: float) -> None:
        """Adapt to the load, now and then. The event loop, which all share, was so late just now."""
        self._late_seconds = max(self._late_seconds, late_seconds)
        now, spent = self._clock(), self._spent()
        if now - self._began < LOOK_SECONDS:
            return
        share = (spent - self._spent_then) / (now - self._began)
        busy = self._late_seconds > LATE_SECONDS or share > BUSY_SHARE
        if not busy:
            self.rest_seconds *= SHORTER
            self.rest_seconds *= self.rest_seconds >= REST_MIN_SECONDS
        elif self._count >= HANDED_MIN:
            self.rest_seconds = min(REST_MAX_SECONDS, max(REST_MIN_SECONDS, self.rest_seconds * LONGER))
        self._began, self._spent_then, self._late_seconds, self._count = now, spent, 0.0, 0

    def apart(self) -> frozenset[Lane]:
        """Items whose rows are not to be looked at now."""
        before = self._clock() - self.rest_seconds
        while self._handed and next(iter(self._handed.values())) <= before:
            del self._handed[next(iter(self._handed))]
        return frozenset(self.busy | self._handed.keys())
