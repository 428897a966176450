"""How the outside's errors become Temporal's, and how a long activity stays in touch."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

import activities.outside
from activities.outside import beating, caller, outside
from pointsman.llm.errors import (
    AuthenticationError,
    BooksUnavailableError,
    BudgetExceededError,
    CircuitOpenError,
    ContentRefusedError,
    ContextWindowExceededError,
    InvalidRequestError,
    InvalidResponseError,
    ModelNotAllowedError,
    ModelRetiredError,
    ProviderConnectionError,
    ProviderError,
    ProviderOverloadedError,
    ProviderTimeoutError,
    QueueFullError,
    RateLimitedError,
    TruncatedStreamError,
)
from pointsman.ports import Conflict, Missing, Rejected, Unavailable
from workflows import hearing

WAIT = timedelta(seconds=17)
PASSING = [
    RateLimitedError("slow down", retry_after=WAIT),
    ProviderOverloadedError("overloaded", retry_after=WAIT),
    ProviderTimeoutError("no answer"),
    ProviderConnectionError("reset"),
    TruncatedStreamError("cut", received="half"),
    InvalidResponseError("no choices"),
    CircuitOpenError("left alone", retry_after=WAIT),
    BooksUnavailableError("the store is locked"),
]
LASTING = [
    AuthenticationError("key refused"),
    ContentRefusedError("not this"),
    ContextWindowExceededError("too long"),
    InvalidRequestError("bad schema"),
    ModelNotAllowedError("not on the list"),
    ModelRetiredError("gone", replacement="newer"),
    BudgetExceededError("too dear"),
    QueueFullError("too many wait", retry_after=WAIT),
]


def mapped(error: Exception) -> ApplicationError:
    with pytest.raises(ApplicationError) as raised, outside("write 7"):
        raise error
    assert raised.value.__cause__ is error
    return raised.value


def name(error: Exception) -> str:
    return type(error).__name__


@pytest.mark.parametrize("error", PASSING, ids=name)
def test_a_provider_that_may_answer_later_is_asked_again_when_it_says(error: ProviderError) -> None:
    told = mapped(error)
    assert (told.type, told.non_retryable, told.next_retry_delay) == (name(error), False, error.retry_after)
    assert told.category is ApplicationErrorCategory.BENIGN


@pytest.mark.parametrize("error", LASTING, ids=name)
def test_a_provider_that_refuses_is_not_asked_again(error: ProviderError) -> None:
    told = mapped(error)
    assert (told.type, told.non_retryable) == (name(error), True)
    assert told.category is ApplicationErrorCategory.UNSPECIFIED


def test_every_error_of_a_provider_is_one_of_these() -> None:
    assert {type(error) for error in PASSING + LASTING} == set(ProviderError.__subclasses__())


@pytest.mark.parametrize("wait", [None, WAIT])
def test_what_is_unavailable_is_tried_again_after_the_wait_that_it_asked_for(wait: timedelta | None) -> None:
    told = mapped(Unavailable("gateway timeout", wait))
    assert (told.type, told.non_retryable, told.next_retry_delay) == ("Unavailable", False, wait)
    assert told.message == "write 7: gateway timeout"


@pytest.mark.parametrize("kind", [Rejected, Missing, Conflict])
def test_what_is_rejected_is_not_tried_again_and_keeps_its_code(kind: type[Rejected]) -> None:
    told = mapped(kind("no such item", code="TF401232"))
    assert (told.type, told.non_retryable, told.details) == (kind.__name__, True, ("TF401232",))


def test_a_fault_of_our_own_stays_what_it_is() -> None:
    with pytest.raises(KeyError), outside("write 7"):
        raise KeyError("ours")


async def test_a_long_activity_beats_several_times_before_it_counts_as_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 3 * timedelta(seconds=activities.outside.BEAT_SECONDS) < hearing.BEAT
    monkeypatch.setattr(activities.outside, "BEAT_SECONDS", 0.01)
    environment, beats = ActivityEnvironment(), asyncio.Queue[None]()
    environment.on_heartbeat = lambda *details: beats.put_nowait(None)

    async def long() -> str:
        async with beating():
            for _ in range(3):
                await beats.get()
        return "done"

    assert await environment.run(long) == "done"


async def test_a_cancelled_activity_stops_and_its_beat_with_it() -> None:
    environment, started, cleaned = ActivityEnvironment(), asyncio.Event(), []

    async def endless() -> None:
        async with beating():
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append("closed")

    before = asyncio.all_tasks()
    running = asyncio.create_task(environment.run(endless))
    await started.wait()
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cleaned == ["closed"]
    assert asyncio.all_tasks() - {running} == before


async def test_the_beat_ends_with_an_activity_that_fails() -> None:
    async def failing() -> None:
        async with beating():
            raise Unavailable("gone")

    before = asyncio.all_tasks()
    with pytest.raises(Unavailable):
        await ActivityEnvironment().run(failing)
    assert asyncio.all_tasks() == before


async def test_a_caller_is_the_run_and_the_attempt() -> None:
    environment = ActivityEnvironment()

    async def who() -> tuple[str, str, int]:
        one = caller()
        return one.workflow_id, one.run_id, one.attempt

    info = environment.info
    assert await environment.run(who) == (info.workflow_id, info.workflow_run_id, info.attempt)
