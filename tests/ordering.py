"""Which process runs a test, and when: long ones start first, and those of the same server come to one process.

A long test that starts last is waited for alone, and a server that each process starts is paid for by each of them.
"Server" is here whatever a process makes once for all who ask it.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
SERVED_SECONDS = 0.3
"""What a test that asks a server takes, one with another."""


def arranged(
    items: Sequence[Item], workers: int, seconds: Callable[[Item], float], server: Callable[[Item], str]
) -> list[Item]:
    """The items so that an even cut into as many parts as there are workers gives each part long ones at its start,
    and then all that ask some of the servers.

    `seconds` is 0 for what is not long, `server` is empty for what asks none. Except for long ones, items of a server
    keep their order, and so do those of none, and with it what they share; these come last in each part, as a worker
    that has nothing left to do takes from the end of another's.
    """
    dealt: list[list[Item]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for takes, together in sorted(_blocks(items, seconds, server), key=lambda block: block[0], reverse=True):
        place = loads.index(min(loads))
        dealt[place] += together
        loads[place] += takes
    rest = [item for item in items if not seconds(item) and not server(item)]
    ordered: list[Item] = []
    for place, hand in enumerate(dealt):
        hand.sort(key=lambda item: not seconds(item))
        size = (len(items) - len(ordered)) // (workers - place)
        taken = max(0, size - len(hand))
        ordered += hand + rest[:taken]
        del rest[:taken]
    return ordered + rest


def _blocks(
    items: Sequence[Item], seconds: Callable[[Item], float], server: Callable[[Item], str]
) -> list[tuple[float, list[Item]]]:
    """What is dealt as one: each long item, and all others of a server."""
    served: dict[str, list[Item]] = {}
    for item in items:
        if not seconds(item) and (name := server(item)):
            served.setdefault(name, []).append(item)
    long = [(seconds(item), [item]) for item in items if seconds(item)]
    return long + [(SERVED_SECONDS * len(together), together) for together in served.values()]
