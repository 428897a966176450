"""Tests that take long start first, each worker with some of them: a long one that starts last is waited for alone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def long_first(items: Sequence[Item], workers: int, seconds: Callable[[Item], float]) -> list[Item]:
    """The items so that an even cut into as many parts as there are workers gives each part long ones at its start.

    `seconds` is 0 for what stays where it is: such items keep their order, and with it what they share.
    """
    rest = [item for item in items if not seconds(item)]
    dealt: list[list[Item]] = [[] for _ in range(workers)]
    for item in sorted((item for item in items if seconds(item)), key=seconds, reverse=True):
        min(dealt, key=lambda hand: sum(map(seconds, hand))).append(item)
    ordered: list[Item] = []
    for place, hand in enumerate(dealt):
        size = (len(items) - len(ordered)) // (workers - place)
        taken = max(0, size - len(hand))
        ordered += hand + rest[:taken]
        del rest[:taken]
    return ordered + rest
