"""Kills Pointsman, and about every tenth time the Temporal server, at seeded random moments."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bench.faults.stage import FaultStage

SHORT_SECONDS = (0.2, 3.0)
LONG_SECONDS = (3.0, 10.0)
"""What a dead process was doing is taken up again ten seconds later, so a later kill meets other work."""
BLOCK = 10
LONG_IN_BLOCK = 3
POINTSMAN, TEMPORAL = "pointsman", "temporal"


@dataclass(frozen=True)
class Kill:
    number: int
    what: str
    after_seconds: float
    """From ready to the kill."""
    spared_seconds: float
    """How much of that was waited for a delivery that was close to being given up."""
    up_seconds: float
    """From the kill until Pointsman said again that it is ready."""


def plan(kills: int, chance: random.Random) -> list[tuple[str, float]]:
    """What is killed, and how many seconds after ready: in each block of ten the server once, and three kills late."""
    order: list[tuple[str, float]] = []
    while len(order) < kills:
        server = chance.randrange(BLOCK)
        late = chance.sample(range(BLOCK), LONG_IN_BLOCK)
        for place in range(BLOCK):
            seconds = chance.uniform(*(LONG_SECONDS if place in late else SHORT_SECONDS))
            order.append((TEMPORAL if place == server else POINTSMAN, seconds))
    return order[:kills]


async def kill_often(
    stage: FaultStage, planned: Sequence[tuple[str, float]], most: timedelta, told: Callable[[Kill], None]
) -> list[Kill]:
    """Kill and start again as planned, but begin no kill after `most`.

    Raises:
        DemoFailed, DevServerFailed: what was killed does not come up again.
    """
    done: list[Kill] = []
    began = time.monotonic()
    for number, (what, seconds) in enumerate(planned, 1):
        ready = time.monotonic()
        if ready - began > most.total_seconds():
            break
        await asyncio.sleep(seconds)
        spared = await stage.spare()
        killed = time.monotonic()
        if what == TEMPORAL:
            await asyncio.to_thread(stage.server.kill)
            await stage.server.start()
        else:
            await asyncio.to_thread(stage.pointsman.kill)
            stage.pointsman.start()
        await stage.ready()
        done.append(Kill(number, what, killed - ready, spared, time.monotonic() - killed))
        told(done[-1])
    return done
