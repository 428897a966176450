"""Read a project for its matrix, step by step, and keep what was read with the mark behind it.

A step is one request or some, and what it read is kept before the next: a reading that breaks off goes on from there.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pointsman.contracts.matrix import Column, MatrixMark, MatrixPhase, MatrixProgress, MatrixScope
from pointsman.ports import Missing, Rejected
from pointsman.ports_matrix import MatrixGraph, MatrixSource

STRANGERS_AT_ONCE = 1_000
ITEMS_AT_ONCE = 200
KEPT_AT_ONCE = 500
CLOCKS_APART_MAX = timedelta(minutes=10)
"""Moments are the service's, and marks ours."""
T = TypeVar("T")


class MatrixReading:
    """Each step may be repeated: what was kept is kept again."""

    def __init__(self, source: MatrixSource, graph: MatrixGraph) -> None:
        self._source = source
        self._graph = graph

    async def advance(self, scope: MatrixScope, progress: MatrixProgress) -> MatrixProgress:
        """The next step.

        Raises:
            Missing: there is no such project, or we may not see it.
            Unavailable: the service cannot now; the same step may be taken again.
        """
        mark = await self._graph.mark(scope.organisation, scope.project) or MatrixMark()
        match progress.phase:
            case MatrixPhase.BEGIN:
                await self._graph.keep_mark(scope, begun(mark, scope.whole, datetime.now(UTC)))
                return _next(progress, MatrixPhase.ITEMS)
            case MatrixPhase.ITEMS:
                return await self._items(scope, progress, mark)
            case MatrixPhase.LINKS:
                return await self._links(scope, progress, mark)
            case MatrixPhase.STRANGERS:
                return await self._strangers(scope, progress)
            case MatrixPhase.TOUCHED:
                return await self._touched(scope, progress, mark)
            case MatrixPhase.CODE:
                return await self._code(scope, progress)
            case MatrixPhase.REQUESTS:
                return await self._requests(scope, progress)
            case MatrixPhase.BUILDS:
                return await self._builds(scope, progress, mark)
            case MatrixPhase.OUTCOMES:
                return await self._outcomes(scope, progress, mark)
            case MatrixPhase.DONE:
                return progress

    async def _items(self, scope: MatrixScope, progress: MatrixProgress, mark: MatrixMark) -> MatrixProgress:
        batch = await self._source.items(scope.organisation, scope.project, mark.items_token)
        await self._graph.keep_items(scope, batch.items, mark.model_copy(update={"items_token": batch.token}))
        return _next(progress, MatrixPhase.LINKS if batch.is_last else None, len(batch.items))

    async def _links(self, scope: MatrixScope, progress: MatrixProgress, mark: MatrixMark) -> MatrixProgress:
        batch = await self._source.links(scope.organisation, scope.project, mark.links_token)
        await self._graph.keep_links(scope, batch.links, mark.model_copy(update={"links_token": batch.token}))
        return _next(progress, MatrixPhase.STRANGERS if batch.is_last else None, len(batch.links))

    async def _strangers(self, scope: MatrixScope, progress: MatrixProgress) -> MatrixProgress:
        ids = await self._graph.strangers(scope.organisation, STRANGERS_AT_ONCE)
        if not ids:
            return _next(progress, MatrixPhase.TOUCHED)
        found = await self._source.some(scope.organisation, ids)
        await self._graph.keep_strangers(scope.organisation, ids, found)
        return _next(progress, None, len(ids))

    async def _touched(self, scope: MatrixScope, progress: MatrixProgress, mark: MatrixMark) -> MatrixProgress:
        """Links to code move no revision, so items that are named by fresh code are read again."""
        if mark.since is None:
            return _next(progress, MatrixPhase.CODE)
        try:
            since = mark.since - CLOCKS_APART_MAX
            ids = await self._source.touched(scope.organisation, scope.project, since)
        except (Missing, Rejected):
            return _next(progress, MatrixPhase.CODE)  # code that we may not see is no data in each cell
        await self._graph.touch(scope.organisation, ids)
        return _next(progress, MatrixPhase.CODE, len(ids))

    async def _code(self, scope: MatrixScope, progress: MatrixProgress) -> MatrixProgress:
        ids = await self._graph.unread(scope.organisation, ITEMS_AT_ONCE)
        if not ids:
            return _next(progress, MatrixPhase.REQUESTS)
        await self._graph.keep_code(scope.organisation, ids, await self._source.code(scope.organisation, ids))
        return _next(progress, None, len(ids))

    async def _requests(self, scope: MatrixScope, progress: MatrixProgress) -> MatrixProgress:
        organisation, count = scope.organisation, 0
        wanted = await self._graph.requests_wanted(organisation)
        async for some in _in_parts(self._source.requests(organisation, wanted)):
            await self._graph.keep_requests(organisation, some)
            count += len(some)
        return _next(progress, MatrixPhase.BUILDS, count)

    async def _builds(self, scope: MatrixScope, progress: MatrixProgress, mark: MatrixMark) -> MatrixProgress:
        organisation, project, count = scope.organisation, scope.project, 0
        try:
            async for some in _in_parts(self._source.builds(organisation, project, _since(mark))):
                await self._graph.keep_builds(organisation, project, some)
                count += len(some)
            for number in await self._graph.builds_wanted(organisation, project):
                if (one := await self._source.build(organisation, project, number)) is None:
                    await self._graph.keep_unseen_build(organisation, project, number)
                else:
                    await self._graph.keep_builds(organisation, project, [one])
                count += 1
        except (Missing, Rejected):
            await self._graph.keep_mark(scope, unknown_in(mark, Column.BUILD))
        else:
            await self._graph.keep_mark(scope, known_in(mark, Column.BUILD))
        return _next(progress, MatrixPhase.OUTCOMES, count)

    async def _outcomes(self, scope: MatrixScope, progress: MatrixProgress, mark: MatrixMark) -> MatrixProgress:
        organisation, project, count = scope.organisation, scope.project, 0
        try:
            async for some in _in_parts(self._source.outcomes(organisation, project, _since(mark))):
                await self._graph.keep_outcomes(organisation, project, some)
                count += len(some)
            mark = known_in(mark, Column.OUTCOME)
        except (Missing, Rejected):
            mark = unknown_in(mark, Column.OUTCOME)  # test plans need a licence of their own
        if mark.since is None:
            await self._graph.sweep(scope, mark.generation)
        await self._graph.keep_mark(scope, ended(mark))
        return _next(progress, MatrixPhase.DONE, count)


def begun(mark: MatrixMark, whole: bool, now: datetime) -> MatrixMark:
    """Where a reading begins. One that broke off goes on, as of when it had begun."""
    if whole:
        return MatrixMark(generation=mark.generation + 1, until=now)
    return mark.model_copy(update={"until": mark.until or now})


def ended(mark: MatrixMark) -> MatrixMark:
    return mark.model_copy(update={"since": mark.until, "until": None})


def unknown_in(mark: MatrixMark, column: Column) -> MatrixMark:
    return mark.model_copy(update={"unknown": tuple(sorted({*mark.unknown, column}))})


def known_in(mark: MatrixMark, column: Column) -> MatrixMark:
    return mark.model_copy(update={"unknown": tuple(one for one in mark.unknown if one is not column)})


def _since(mark: MatrixMark) -> datetime | None:
    return mark.since - CLOCKS_APART_MAX if mark.since else None


def _next(progress: MatrixProgress, phase: MatrixPhase | None, count: int = 0) -> MatrixProgress:
    """In this phase so many more; None: it is not over."""
    counts = {**progress.counts, progress.phase: progress.counts.get(progress.phase, 0) + count}
    return MatrixProgress(phase=phase or progress.phase, counts=counts)


async def _in_parts(told: AsyncGenerator[T]) -> AsyncGenerator[list[T]]:
    part: list[T] = []
    async with aclosing(told):
        async for one in told:
            part.append(one)
            if len(part) == KEPT_AT_ONCE:
                yield part
                part = []
    if part:
        yield part
