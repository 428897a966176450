"""Hands what was acknowledged over to Temporal: at least once, in order for each item, several items at once.

A row that fails by its own fault is tried again with growing pauses and in the end is dead, so that later rows of its
item go on. A fault of Temporal or of the store is nobody's row: all rest, and nothing counts towards death.

Nearly all rows cause nothing. These are judged and settled many at a time; the rest has a task for each item, and what
of one item waits goes together. A row that cannot go with others goes alone, so that its fault stays its own.
Requests share the event loop and go first: between two looks there is a pause, and a longer one while the loop is late.
"""

import asyncio
import random
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog
from opentelemetry.trace import Span, SpanKind

from pointsman.contracts.policy import Policy
from pointsman.contracts.records import Caller, Delivery, DeliveryState
from pointsman.domain.admission import ALL, Admission
from pointsman.domain.deliveries import Heard, read_bytes
from pointsman.observability import names, traces
from pointsman.observability.logs import bound
from pointsman.observability.metrics import Metrics
from pointsman.ports import Inbox, Ledger, Unavailable
from pointsman.ports_inbox import UNKNOWN, Ended
from starter.handing import Deliver, TemporalAway
from starter.judging import Decision, Judge, together
from starter.lanes import LATE_SECONDS, TOGETHER_MAX, Lane, Lanes, lane_of
from starter.lease import Alone, Lease

LOG = structlog.get_logger(__name__)
POLL = timedelta(milliseconds=500)
STANDBY = timedelta(seconds=2)
LOOKED_AT_ONCE = 256
PACE_SECONDS = 0.05
GIVE_WAY_SECONDS = 0.2
HEARD_AT_ONCE = 8
HEARD_MAX = 500
"""Of some 15 KB each; what is not among them is read again."""
REST_MAX = timedelta(seconds=30)
POSTPONED_MAX = timedelta(minutes=5)
ERROR_CHARS_MAX = 300
_chance = random.SystemRandom()


class Done(NamedTuple):
    """What became of a row."""

    state: DeliveryState
    reason: str = ""
    workflow_id: str = ""


@dataclass
class _Trouble:
    """A fault that is nobody's row: how often in a row, until when we rest, and what it said."""

    times: int = 0
    until: float = 0.0
    reason: str = ""

    def rest(self) -> timedelta:
        return timedelta(seconds=max(0.0, self.until - time.monotonic()))


class Dispatcher:
    """Run `run()` as a task; `wake()` or `came()` after each accepted delivery."""

    def __init__(
        self,
        inbox: Inbox,
        ledger: Ledger,
        policy: Policy,
        deliver: Deliver,
        metrics: Metrics,
        *,
        lease: Lease | None = None,
        attempts_max: int = 10,
        at_once: int = 32,
        backoff: timedelta = timedelta(seconds=1),
        admission: Admission = ALL,
    ) -> None:
        self._inbox = inbox
        self._judge = Judge(inbox, ledger, policy, admission)
        self._ledger = ledger
        self._deliver = deliver
        self._metrics = metrics
        self._lease = lease or Alone()
        self._attempts_max = attempts_max
        self._ahead = max(at_once, LOOKED_AT_ONCE)
        self._slots = asyncio.Semaphore(at_once)
        self._backoff = backoff
        self._lanes = Lanes()
        self._heard: dict[str, Heard] = {}
        """By delivery: what the receiver has read already, oldest first."""
        self._woken = asyncio.Event()
        self._trouble = _Trouble()
        self._runs = False

    def wake(self) -> None:
        """There is something to do. For callers in the same event loop; without it rows are found by polling."""
        self._woken.set()

    def came(self, delivery_id: str, heard: Heard | None) -> None:
        """`wake`, with what the delivery says where that was read: it need not be read a second time."""
        if heard is not None and len(self._heard) < HEARD_MAX:
            self._heard[delivery_id] = heard
        self._woken.set()

    def trouble(self) -> str:
        """Why nothing is handed over, for people; empty when all is well."""
        return self._trouble.reason if self._runs else "does not run"

    async def run(self) -> None:
        """Hand over until cancelled. What is under way then stays pending, and is handed over again."""
        self._runs = True
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    rest = await self._look(tasks)
                    paced = time.monotonic() + PACE_SECONDS
                    await self._sleep(rest)
                    self._lanes.look(await _give_way(paced))
        finally:
            self._runs = False
            self._metrics.dispatcher_leads.set(0)
            await self._lease.release()

    async def _look(self, tasks: asyncio.TaskGroup) -> timedelta:
        """Start what can be started; returns how long to sleep unless woken."""
        self._woken.clear()
        leads = await self._lease.held()
        self._metrics.dispatcher_leads.set(int(leads))
        if not leads:
            self._heard.clear()
            return STANDBY
        if rest := self._trouble.rest():
            return rest
        # What ends while we read may still be pending in what we get: only what was free before is free.
        apart = self._lanes.apart()
        room = self._ahead - len(self._lanes.busy)
        if room < self._ahead // 2:
            return POLL  # those under way are enough to do
        try:
            due = await self._inbox.due(datetime.now(UTC), self._ahead, apart, TOGETHER_MAX)
            free = [one for one in due if lane_of(one) not in apart][:room]
            left = await self._settle_what_causes_nothing(free)
        except Exception as error:  # whatever the store has, the loop outlives it
            self._rest(error)
            return self._trouble.rest()
        lanes: dict[Lane, list[Delivery]] = {}
        for delivery in left:
            lanes.setdefault(lane_of(delivery), []).append(delivery)
        self._lanes.busy |= lanes.keys()
        for lane, rows in lanes.items():
            tasks.create_task(self._serve(lane, rows))
        if len(left) < len(free):
            self._woken.set()  # behind what is settled more may be due
        return POLL

    async def _settle_what_causes_nothing(self, due: Sequence[Delivery]) -> Sequence[Delivery]:
        """Returns the others."""
        decided = await self._decided(due)
        if not decided:
            return due
        done = [(one, Done(decided[one.id].state, decided[one.id].reason)) for one in due if one.id in decided]
        try:
            await self._inbox.settle_all([Ended(one.id, became.state, became.reason) for one, became in done])
        except Unavailable:
            raise
        except Exception as error:  # each alone will tell whose fault it is
            LOG.warning("deliveries not settled together", deliveries=len(done), exc_info=error)
            return due
        for delivery, became in done:
            self._heard.pop(delivery.id, None)
            with _about(delivery):
                self._tell(delivery, became)
        return [one for one in due if one.id not in decided]

    async def _decided(self, due: Sequence[Delivery]) -> dict[str, Decision]:
        """By delivery, where it takes no more than a look at the item's row, and none of the item waits before it."""
        heard: dict[str, Heard] = {}
        for number, delivery in enumerate(due):
            if number % HEARD_AT_ONCE == HEARD_AT_ONCE - 1:
                await asyncio.sleep(0)
            heard[delivery.id] = self._heard.get(delivery.id) or read_bytes(delivery.body, delivery.organisation)
        known = await self._judge.known(heard.values())
        decided: dict[str, Decision] = {}
        undecided: set[Lane] = set()
        for delivery in due:
            said = heard[delivery.id]
            if lane_of(delivery) in undecided:
                continue
            with suppress(Exception):  # it comes again where the row is served alone, and is that row's fault there
                decision = self._judge.at_once(delivery, said, known.get((said.organisation, said.item_id), UNKNOWN))
                if decision is not None:
                    decided[delivery.id] = decision
            if delivery.id not in decided:
                undecided.add(lane_of(delivery))
        return decided

    async def _sleep(self, most: timedelta) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(most.total_seconds()):
                await self._woken.wait()

    async def _serve(self, lane: Lane, rows: Sequence[Delivery]) -> None:
        """Rows of an item to their end, or to their next attempt. Never raises: the loop outlives every row."""
        try:
            async with self._slots:
                if not self._trouble.rest():
                    await self._attempt(lane, rows)
        except (TemporalAway, Unavailable) as error:
            self._rest(error, rows[0])
        except Exception as error:  # the store failed while it should keep what became of the row
            self._rest(error)
        finally:
            for delivery in rows:
                self._heard.pop(delivery.id, None)
            self._lanes.busy.discard(lane)
            self._woken.set()

    async def _attempt(self, lane: Lane, rows: Sequence[Delivery]) -> None:
        """All at once, else one after the other up to the first that fails."""
        if not await self._together(lane, rows):
            for delivery in rows:
                with _about(delivery):
                    if not await self._alone(lane, delivery):
                        return
        if self._trouble.times:
            LOG.info("handing over again", after_failures=self._trouble.times)
            self._trouble = _Trouble()

    async def _together(self, lane: Lane, rows: Sequence[Delivery]) -> bool:
        """Whether they went. What is replayed goes alone: whether it has had its effect, those before it may tell."""
        if len(rows) == 1 or any(one.replayed_by for one in rows):
            return False
        try:
            with _about(rows[0]) as first:
                decisions = await self._judge.decide_all(rows, self._heard)
                handed = together(decisions)
                done = [await self._settled_by(*pair) for pair in zip(rows, decisions, strict=True)]
                if handed is not None:
                    await self._deliver(handed)
                    self._lanes.handed(lane)
                ended = zip(rows, done, strict=True)
                await self._inbox.settle_all([Ended(row.id, *became) for row, became in ended])
                self._tell(rows[0], done[0])
        except (TemporalAway, Unavailable):
            raise
        except Exception as error:  # each alone will tell whose fault it is
            LOG.warning("deliveries not handed over together", deliveries=len(rows), exc_info=error)
            return False
        for row, became in zip(rows[1:], done[1:], strict=True):
            with _about(row) as own:
                own.add_link(first.get_span_context())  # the call of Temporal belongs to that one
                self._tell(row, became)
        return True

    async def _alone(self, lane: Lane, delivery: Delivery) -> bool:
        """Whether it is done, if only with its life."""
        try:
            decision = await self._judge.decide(delivery, heard=self._heard.get(delivery.id))
            done = await self._settled_by(delivery, decision)
            if decision.hand_over is not None:
                done = done._replace(workflow_id=await self._deliver(decision.hand_over))
                self._lanes.handed(lane)
            await self._settle(delivery, done)
        except (TemporalAway, Unavailable):
            raise
        except Exception as error:  # whatever it is, it is this row's, and must not hold the others up
            await self._failed(delivery, error)
            return False
        return True

    async def _settled_by(self, delivery: Delivery, decision: Decision) -> Done:
        """What becomes of the row, with the write that it proves settled."""
        if decision.proven is not None:
            caller = Caller(workflow_id="dispatcher", run_id=delivery.id)
            evidence = f"delivery {delivery.id}"
            await self._ledger.settle(decision.proven.operation, "written", decision.rev, caller, evidence)
        return Done(decision.state, decision.reason, decision.workflow_id)

    async def _settle(self, delivery: Delivery, done: Done) -> None:
        await self._inbox.settle(delivery.id, done.state, done.reason, done.workflow_id)
        self._tell(delivery, done)

    def _tell(self, delivery: Delivery, done: Done) -> None:
        waited = (datetime.now(UTC) - delivery.received_at).total_seconds()
        kind = delivery.event_type if delivery.item_id else "none"
        self._metrics.dispatches.labels(delivery.tenant, kind.removeprefix("workitem."), done.state).inc()
        if done.state is DeliveryState.DISPATCHED:
            self._metrics.dispatch_seconds.observe(max(0.0, waited))
        became = {names.OUTCOME: str(done.state), names.WORKFLOW_ID: done.workflow_id}
        traces.tell(**became)
        LOG.info("delivery settled", **became, reason=done.reason)

    async def _failed(self, delivery: Delivery, error: Exception) -> None:
        """The row's own fault: later, or never."""
        self._metrics.dispatch_failures.labels(delivery.tenant, type(error).__name__).inc()
        told = f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX]
        attempts = delivery.attempts + 1
        LOG.warning("delivery not handed over", attempts=attempts, most=self._attempts_max, exc_info=error)
        if attempts >= self._attempts_max:
            await self._settle(delivery, Done(DeliveryState.DEAD, f"{attempts} attempts, the last: {told}"))
            return
        until = datetime.now(UTC) + _pause(self._backoff, attempts, POSTPONED_MAX)
        await self._inbox.postpone(delivery.id, told, until)

    def _rest(self, error: Exception, delivery: Delivery | None = None) -> None:
        """Nobody's row: all wait, longer each time."""
        tenant = delivery.tenant if delivery else ""
        self._metrics.dispatch_failures.labels(tenant, type(error).__name__).inc()
        if self._trouble.rest():
            return  # those that were under way together fail together, and count once
        times = self._trouble.times + 1
        pause = _pause(self._backoff / 2, times, REST_MAX)
        reason = f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX]
        LOG.warning("nothing can be handed over now", reason=reason, rest_seconds=round(pause.total_seconds(), 2))
        self._trouble = _Trouble(times, time.monotonic() + pause.total_seconds(), reason)


@contextmanager
def _about(delivery: Delivery) -> Generator[Span]:
    """Log lines, spans and calls of Temporal within the block say which delivery they are about."""
    item = f"{delivery.organisation}/{delivery.project}/{delivery.item_id}" if delivery.item_id else ""
    whose = {names.CHAIN_ID: delivery.chain_id, names.TENANT: delivery.tenant, names.ITEM: item}
    own = {names.CORRELATION_ID: delivery.id, names.EVENT_TYPE: delivery.event_type}
    with (
        bound(**own, **whose),
        traces.span(
            names.SPAN_DISPATCH, traceparent=delivery.traceparent, kind=SpanKind.CONSUMER, **own, **whose
        ) as span,
        # What the workflow does belongs to the item's chain, whichever delivery led to it.
        traces.carrying(**whose, **{names.CORRELATION_ID: delivery.chain_id}),
    ):
        yield span


async def _give_way(until: float) -> float:
    """Let requests have the event loop until then, and for longer where it is late: then they wait for each other.
    Returns the seconds that it was late."""
    pause = until - time.monotonic()
    if pause <= 0:
        return 0.0
    await asyncio.sleep(pause)
    late = time.monotonic() - until
    if late > LATE_SECONDS:
        await asyncio.sleep(GIVE_WAY_SECONDS)
    return late


def _pause(first: timedelta, times: int, most: timedelta) -> timedelta:
    """Doubles each time up to `most`, then jitter: of many that fail together not all come back together."""
    return min(most, first * (1 << min(times - 1, 20))) * _chance.uniform(0.5, 1.0)
