"""The probe of workers: who asked Temporal for tasks, how long ago, and whether that can still be true.

The server tells of a poller for minutes after its last poll, and a poll that finds nothing lasts a minute. So one that
was killed is among the pollers for a while. Of a process on this machine it can be known at once that it is gone.
"""

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from pointsman.config import Settings
from pointsman.domain.words import how_many
from starter.cli.context import temporal
from starter.cli.probes import Finding, ok, warn

KINDS = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
POLL_TIME = timedelta(seconds=75)
"""A poll that finds nothing, with room for the next to begin."""
SERVE = "pointsman serve"


@dataclass(frozen=True)
class Poller:
    """`identity` is `PROCESS@MACHINE` unless somebody named the worker."""

    kind: str
    identity: str
    seen_at: datetime


async def pollers(settings: Settings, client: Client | None = None) -> Finding:
    client = client or await temporal(settings)
    found: list[Poller] = []
    for kind, number in KINDS.items():
        request = DescribeTaskQueueRequest(
            namespace=settings.temporal_namespace,
            task_queue=TaskQueue(name=settings.task_queue),
            task_queue_type=number,
        )
        told = (await client.workflow_service.describe_task_queue(request)).pollers
        found += [_poller(kind, one) for one in told]
    return judged(settings.task_queue, found, datetime.now(UTC), lives)


def _poller(kind: str, told: PollerInfo) -> Poller:
    return Poller(kind, told.identity, told.last_access_time.ToDatetime(tzinfo=UTC))


def judged(queue: str, found: Sequence[Poller], now: datetime, lives: Callable[[str], bool]) -> Finding:
    """`lives` says of an identity whether its process may still be there."""
    there = [one for one in found if now - one.seen_at <= POLL_TIME and lives(one.identity)]
    told = ", ".join(f"{sum(one.kind == kind for one in there)} for {kind} tasks" for kind in KINDS)
    gone = sorted({one.identity for one in found} - {one.identity for one in there})
    left = f"; gone, and last seen {_ago(found, gone, now)}: {', '.join(gone)}" if gone else ""
    if {one.kind for one in there} != set(KINDS):
        return warn(f"pollers on task queue {queue!r}: {told}{left}", SERVE)
    return ok(f"task queue {queue!r}: {told}, last seen {_ago(there, [one.identity for one in there], now)}{left}")


def _ago(found: Sequence[Poller], names: Sequence[str], now: datetime) -> str:
    last = max(one.seen_at for one in found if one.identity in names)
    return f"{how_many(max(0, round((now - last).total_seconds())), 'second')} ago"


def lives(identity: str) -> bool:
    """False only of a process of this machine that is known to be gone."""
    process, _, machine = identity.partition("@")
    if machine != socket.gethostname() or not process.isdecimal():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # somebody else's, so it is there
    return not _has_ended(process)


def _has_ended(process: str) -> bool:
    """A zombie: it has ended, and its parent has not asked how. Where the system has no such files, we do not know."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return told.rpartition(")")[2].split()[:1] == ["Z"]  # behind the name, which may hold anything
