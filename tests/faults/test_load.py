"""The load and the stand-in of long runs bear what a slow machine makes of their pace."""

from inspect import iscoroutinefunction
from random import Random
from typing import cast

from fastapi.routing import APIRoute
from pydantic import SecretStr

from bench.faults import sandbox
from bench.faults.load import Load
from starter.demo.outside import Outside


class NoChance(Random):
    """Always does what is possible, and always the same."""

    def random(self) -> float:
        return 0.0


async def test_nobody_is_bothered_when_everything_is_thrown_away() -> None:
    load = Load(cast(Outside, None), NoChance(1), filed=[4, 5], away=[5, 4])
    await load._touch_any()
    load.away.clear()
    load.filed.clear()
    await load._clear_up()
    assert (load.edits, load.comments, load.deletions) == (0, 0, 0)


def test_what_waits_is_counted_where_nothing_changes_meanwhile() -> None:
    """A plain function would run in a thread, while the deliverer goes on with what it counts."""
    app = sandbox.create(SecretStr("person"), SecretStr("service"), 1.0)
    found = [route for route in app.routes if isinstance(route, APIRoute) and route.path == "/_faults/waiting"]
    assert [iscoroutinefunction(route.endpoint) for route in found] == [True]
