"""A number of places shared among those who want some: by need, the urgent first, and nobody more than an equal part
while others lack."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Demand:
    """Places that somebody wants: for what people wait for, and for the rest."""

    urgent: int = 0
    bulk: int = 0


def fair_shares(demands: Mapping[str, Demand], places: int) -> dict[str, int]:
    """Places for each, never more than wanted: max-min fair over urgent needs, then over the others with the rest."""
    urgent = _filled({name: one.urgent for name, one in demands.items()}, places)
    rest = places - sum(urgent.values())
    bulk = _filled({name: one.bulk for name, one in demands.items()}, rest)
    return {name: urgent[name] + bulk[name] for name in demands}


def _filled(wanted: Mapping[str, int], places: int) -> dict[str, int]:
    """Those who want least are served first; each gets at most an equal part of what is left."""
    given = dict.fromkeys(wanted, 0)
    order = sorted(wanted, key=lambda name: (wanted[name], name))
    for served, name in enumerate(order):
        given[name] = min(wanted[name], places // (len(order) - served))
        places -= given[name]
    return given
