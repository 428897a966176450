"""Small steps of a run, each done in the workflow task that asks for it where that goes quickly."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception

from pointsman.contracts.base import Contract

BEAT = timedelta(seconds=10)
TRACKER_TIME = timedelta(minutes=2)
QUICK = timedelta(seconds=3)
"""So long nothing else reaches the run: what people decide, cancel and say meanwhile is heard after it."""
ONCE = RetryPolicy(maximum_attempts=1)
AT_ONCE = "hear-at-once"
"""Runs that began before this judge events and check rules by activities of their own, three round trips each."""

Room = TypeVar("Room")
Asked = TypeVar("Asked", bound=Contract)
Answer = TypeVar("Answer")


async def at_once(
    activity: Callable[[Room, Asked], Awaitable[Answer]], ask: Asked, *, retry: RetryPolicy, summary: str
) -> Answer:
    """Do it as a local activity. What that does not bring in a few seconds an activity of its own does, by `retry`:
    it leaves the workflow task free and the history short, however long the outside is away.

    Raises:
        ActivityError: no attempt can succeed, or `retry` ends them.
    """
    if workflow.patched(AT_ONCE):
        try:
            return await workflow.execute_local_activity_method(
                activity, ask, start_to_close_timeout=QUICK, retry_policy=ONCE, summary=summary
            )
        except FailureError as error:  # a local activity that fails for good raises what it raised, unwrapped
            if is_cancelled_exception(error):
                raise
    return await workflow.execute_activity_method(
        activity,
        ask,
        start_to_close_timeout=TRACKER_TIME,
        heartbeat_timeout=BEAT,
        retry_policy=retry,
        summary=summary,
    )
