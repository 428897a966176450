"""How soon a violation is in the books after the delivery that tells of it: `python -m bench.rules`.

    python -m bench.rules [--items 50] [--json FILE]

Temporal, the stand-ins and `pointsman serve` are processes of their own, with the built-in policy. Each delivery tells
of a task that serves nothing, which a rule of its process forbids; the next one follows when that is known. Measured is
from the answer 202 until the history tells that the item is read and judged, and the violation kept.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from temporalio.api.history.v1 import HistoryEvent
from temporalio.service import RPCError, RPCStatusCode

from bench.promptness import Field, playing_field
from bench.results import Figure, quantile, show
from starter.demo.outside import until

GOAL_SECONDS = 2.0
INSPECTION = "process.inspect"
LOCAL_ACTIVITY = "core_local_activity"  # name of the marker by which the SDK notes one


async def measure(count: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-rules-") as name:
        async with playing_field(Path(name)) as ground:
            _, *took = [await _one(ground, item) for item in await ground.file(1 + count)]  # the first is to warm up
    p99 = quantile(took, 0.99)
    return [
        Figure("deliveries", len(took), "", note="one after the other, each of a task that breaks a rule"),
        Figure("202 to kept violation, p50", quantile(took, 0.5), "s"),
        Figure("  p99", p99, "s", f"< {GOAL_SECONDS:g}", p99 < GOAL_SECONDS),
        Figure("  p99 / goal", p99 / GOAL_SECONDS, "ratio"),
    ]


async def _one(ground: Field, item: int) -> float:
    await ground.post(item)
    return (await inspected(ground, item) - ground.acknowledged[item]).total_seconds()


async def inspected(ground: Field, item: int) -> datetime:
    """When the item's first inspection had ended."""

    async def seen() -> datetime | None:
        try:
            history = await ground.client.get_workflow_handle(ground.workflow_id(item)).fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None  # it is not handed over yet
            raise
        return _ended(history.events)

    return await until(f"the inspection of item {item}", seen)


def _ended(events: Sequence[HistoryEvent]) -> datetime | None:
    """When the first inspection was in the history: as a local activity's marker, or as an activity's completion."""
    asked = {
        event.event_id
        for event in events
        if event.activity_task_scheduled_event_attributes.activity_type.name == INSPECTION
    }
    done = (
        event
        for event in events
        if _locally(event) == INSPECTION or event.activity_task_completed_event_attributes.scheduled_event_id in asked
    )
    first = next(done, None)
    return first.event_time.ToDatetime(UTC) if first else None


def _locally(event: HistoryEvent) -> str:
    """Name of the local activity that the SDK notes by this event; empty for any other event."""
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != LOCAL_ACTIVITY:
        return ""
    return str(json.loads(marker.details["data"].payloads[0].data)["activity_type"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how soon a violation is known.")
    parser.add_argument("--items", type=int, default=50, help="so many deliveries")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    show("Rules of a process, one event at a time", asyncio.run(measure(given.items)), given.json)


if __name__ == "__main__":
    main()
