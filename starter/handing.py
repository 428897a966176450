"""Hands events over to Temporal: starts the item's workflow with them, or signals the one that runs. An item that is
not worked on is only checked against the rules of its process."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.service import RPCError, RPCStatusCode

from pointsman.contracts.policy import Policy
from pointsman.contracts.violations import CheckItem, InspectItem
from pointsman.contracts.work_items import EventKind
from pointsman.temporal import TASK_QUEUE, TemporalUnreachable
from starter import process_checks, work_items
from starter.connection import Connection
from starter.judging import HandOver

HAND_OVER_TIMEOUT = timedelta(seconds=20)  # the SDK's client itself tries for about ten
# What these say is true for any row. The rest (too large, malformed) is said of the one that was handed over.
ROWS_OWN_FAULT = frozenset(
    {
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.OUT_OF_RANGE,
        RPCStatusCode.ALREADY_EXISTS,
        RPCStatusCode.DATA_LOSS,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
    }
)


class TemporalAway(Exception):
    """Temporal cannot take anything now, whatever it is."""


Deliver = Callable[[HandOver], Awaitable[str]]
"""Returns the id of the item's workflow; nothing where it is only checked. Raises `TemporalAway`, or what is wrong with
this one hand-over."""


def deliver_by(connection: Connection, policy: Policy, task_queue: str = TASK_QUEUE) -> Deliver:
    """Hand over by signal-with-start."""

    async def deliver(what: HandOver) -> str:
        try:
            async with asyncio.timeout(HAND_OVER_TIMEOUT.total_seconds()):
                client = await connection.client()
                if what.only_checked:
                    await process_checks.check_item(client, _check(what, policy), task_queue)
                    return ""
                return await work_items.hand_over(
                    client,
                    what.event,
                    policy,
                    what.tenant,
                    what.chain_id,
                    others=what.others,
                    known_workflow_id=what.known_workflow_id,
                    task_queue=task_queue,
                )
        except (TemporalUnreachable, TimeoutError) as error:
            raise TemporalAway(f"{type(error).__name__}: {error}") from error
        except RPCError as error:
            if error.status in ROWS_OWN_FAULT:
                raise
            raise TemporalAway(f"{error.status.name}: {error.message}") from error

    return deliver


def _check(what: HandOver, policy: Policy) -> CheckItem:
    item = InspectItem(
        key=what.event.key,
        tenant=what.tenant,
        correlation_id=what.chain_id,
        on_open=policy.process.on_open,
        gone=what.events[-1].kind is EventKind.DELETED,
    )
    return CheckItem(item=item, ladders=policy.ladders, breaker=policy.sync.breaker)
