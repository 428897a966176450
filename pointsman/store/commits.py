"""Group commit: changes that wait at the same time share a transaction, and each caller hears after the commit.

A commit costs a disk flush, whatever is in it. So a thread takes all that waits (up to a limit), runs each change
in a savepoint of its own, commits once, and only then answers. What one change gets wrong undoes that change alone.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import chain, groupby
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from pointsman.ports import Unavailable

A = TypeVar("A")
R = TypeVar("R")
Work = Callable[[Connection, Sequence[A]], Sequence[R]]
"""A change: gets the arguments of all calls that run together, returns one result for each, in their order."""

WAITING_LIMIT = 20_000
QUICK = "quick"
"""Execution option of a transaction whose commit does not wait for the disk; whoever makes the engine sees to it."""


class Job(Generic[A, R]):
    """One caller's change, and the future that tells them."""

    __slots__ = ("argument", "error", "future", "is_quick", "loop", "result", "work")

    def __init__(self, work: Work[A, R], argument: A, is_quick: bool) -> None:
        self.work = work
        self.argument = argument
        self.is_quick = is_quick
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[R] = self.loop.create_future()
        self.result: R | None = None
        self.error: Exception | None = None

    def answer(self) -> None:
        """Tell the caller; in the caller's event loop. One who no longer waits is not told."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # without error there is a result


AnyJob = Job[Any, Any]  # changes of every type wait in one queue


class Committer:
    """Threads that run changes. Where they are mixed (SQLite, with one thread) any changes share a transaction;
    else (PostgreSQL) only calls of the same work do, so that unrelated changes do not wait for each other."""

    def __init__(self, engine: Engine, threads: int, jobs_per_commit: int, *, is_mixed: bool) -> None:
        assert threads == 1 or not is_mixed, "whoever holds the gate holds up one writer"
        self._engine = engine
        self._quick_engine = engine.execution_options(**{QUICK: True})
        self._mixed = is_mixed
        self._limit = jobs_per_commit
        self._waiting: deque[AnyJob] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self.gate = threading.Lock()
        """Whoever holds it keeps a single writer between two transactions."""
        self.commits = 0
        """Transactions since the start; for whoever wants to know whether anything was written."""
        self._threads = [
            threading.Thread(target=self._serve, name=f"store-writer-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def submit(self, work: Work[A, R], argument: A, is_quick: bool = False) -> "asyncio.Future[R]":
        """Queue a change. The future is done when the change is durable, or when it failed and nothing is changed.

        One that is quick waits for no disk: it survives this process, and the machine only after about a second.

        Raises:
            Unavailable: the queue is full, or the store is closed.
        """
        job = Job(work, argument, is_quick)
        with self._wake:
            if self._closing:
                raise Unavailable("the store is closed: nothing was changed")
            if len(self._waiting) >= WAITING_LIMIT:
                raise Unavailable(f"{WAITING_LIMIT} changes wait already: nothing was changed, try again in a second")
            self._waiting.append(job)
            self._wake.notify()
        return job.future

    def close(self) -> None:
        """Finish what waits, then stop. Blocks."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while jobs := self._take():
            self._commit(jobs)
            _answer(jobs)

    def _take(self) -> list[AnyJob]:
        with self._wake:
            while not self._waiting and not self._closing:
                self._wake.wait()
            taken: list[AnyJob] = []
            while self._waiting and len(taken) < self._limit:
                if taken and not self._mixed and self._waiting[0].work is not taken[0].work:
                    break
                taken.append(self._waiting.popleft())
            return taken

    def _commit(self, jobs: list[AnyJob]) -> None:
        """Run and commit, or leave the error with every job that it concerns."""
        groups = list(_groups(jobs))
        # The usual case needs no savepoint; if it fails, the careful way finds out whose fault it is.
        if len(groups) > 1 or not self._committed_at_once(jobs):
            self._commit_with_savepoints(groups)
        self.commits += 1

    def _committed_at_once(self, jobs: list[AnyJob]) -> bool:
        try:
            with self._between(), self._engine_for(jobs).begin() as connection:
                _run(connection, jobs)
        except Exception as error:  # a change may raise anything: it belongs to its caller
            jobs[0].error = error
            return len(jobs) == 1 and not (jobs[0].is_quick and _has_lost_connection(error))
        return True

    def _commit_with_savepoints(self, groups: list[list[AnyJob]]) -> None:
        try:
            with self._between(), self._engine_for(chain.from_iterable(groups)).begin() as connection:
                for group in groups:
                    _run_apart(connection, group)
        except Exception as error:  # whatever kept the transaction from its end, every caller in it must hear
            for job in chain.from_iterable(groups):
                job.error = error

    def _engine_for(self, jobs: Iterable[AnyJob]) -> Engine:
        """A transaction waits for the disk if anything in it must."""
        return self._quick_engine if all(job.is_quick for job in jobs) else self._engine

    def _between(self) -> AbstractContextManager[object]:
        return self.gate if self._mixed else nullcontext()


def _groups(jobs: list[AnyJob]) -> Iterator[list[AnyJob]]:
    """Neighbours that do the same work. Their order is kept."""
    for _, group in groupby(jobs, key=lambda job: id(job.work)):
        yield list(group)


def _run(connection: Connection, jobs: list[AnyJob]) -> None:
    """Run calls of one work together."""
    results = jobs[0].work(connection, [job.argument for job in jobs])
    for job, result in zip(jobs, results, strict=True):
        job.result, job.error = result, None


def _run_apart(connection: Connection, jobs: list[AnyJob]) -> None:
    """Run calls of one work in a savepoint. If they fail, each runs in its own, so that only the guilty fail."""
    try:
        with connection.begin_nested():
            _run(connection, jobs)
    except Exception as error:  # a change may raise anything: it belongs to its caller
        if not _lives(connection):
            raise
        if len(jobs) == 1:
            jobs[0].error = error
            return
        for job in jobs:
            _run_apart(connection, [job])


def _lives(connection: Connection) -> bool:
    """Whether the transaction goes on. SQLite ends it by itself when the disk is full or fails; after that each
    statement would commit on its own."""
    if connection.invalidated:
        return False
    raw = connection.connection.dbapi_connection
    return bool(getattr(raw, "in_transaction", True))  # psycopg has no such attribute, and never ends one by itself


def _has_lost_connection(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _answer(jobs: list[AnyJob]) -> None:
    for loop, group in groupby(jobs, key=lambda job: job.loop):
        with suppress(RuntimeError):  # a closed loop has nobody left who waits
            loop.call_soon_threadsafe(_tell, list(group))


def _tell(jobs: list[AnyJob]) -> None:
    for job in jobs:
        job.answer()
