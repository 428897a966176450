"""How activities meet the outside: one mapping of errors, one heartbeat, one way to say who calls."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from pointsman.contracts.records import Caller, Chain
from pointsman.contracts.work_items import WorkItemKey
from pointsman.llm.errors import LLMError, ProviderError
from pointsman.ports import Rejected, Unavailable

BEAT_SECONDS = 1.0  # the heartbeat timeout is 10 s: a dead worker or a cancellation is noticed within seconds


def caller() -> Caller:
    """The workflow run and attempt that this activity runs for."""
    info = activity.info()
    return Caller(
        workflow_id=info.workflow_id or "",
        run_id=info.workflow_run_id or "",
        activity=info.activity_type,
        attempt=info.attempt,
    )


def chain(tenant: str, correlation_id: str, key: WorkItemKey) -> Chain:
    return Chain(tenant=tenant, correlation_id=correlation_id, key=key)


@contextmanager
def outside(what: str) -> Generator[None]:
    """Turn the outside's errors into Temporal's: retried with the wait that was asked for, or not at all.

    Raises:
        ApplicationError: type is the error's class name. `Rejected` and its kinds are not retryable.
    """
    try:
        yield
    except Unavailable as error:
        raise ApplicationError(
            f"{what}: {error}",
            type="Unavailable",
            next_retry_delay=error.retry_after,
            category=ApplicationErrorCategory.BENIGN,
        ) from error
    except Rejected as error:
        raise ApplicationError(f"{what}: {error}", error.code, type=type(error).__name__, non_retryable=True) from error
    except ProviderError as error:
        raise ApplicationError(
            f"{what}: {error}",
            type=type(error).__name__,
            non_retryable=not error.retryable,
            next_retry_delay=error.retry_after,
            category=ApplicationErrorCategory.BENIGN if error.retryable else ApplicationErrorCategory.UNSPECIFIED,
        ) from error
    except LLMError as error:  # of the service itself: no model can take the request
        raise ApplicationError(f"{what}: {error}", type=type(error).__name__, non_retryable=True) from error


@asynccontextmanager
async def beating() -> AsyncGenerator[None]:
    """Beat while the body runs, so that Temporal can cancel it and notices when this process dies.

    Most bodies are done before the first beat. Local activities have none: they live and die with a workflow task.
    """
    if activity.info().is_local:
        yield
        return

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            activity.heartbeat()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
