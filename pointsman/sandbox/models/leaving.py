"""Clients that go away: what is done for one stops then, and the log of requests says so."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from fastapi import Request, Response

from pointsman.sandbox.models.control import Outcome, Seen
from pointsman.sandbox.models.formats import ApiFault


async def unless_gone(request: Request, seen: Seen, work: Coroutine[None, None, Response]) -> Response:
    """Do the work, and stop as soon as the client is gone."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            seen.end(Outcome.ABORTED, "the client went away before the answer")
            return Response(status_code=499)
        return await working
    finally:
        for task in (working, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, ApiFault):
                await task


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
