"""What a run's slices come to: medians of rounds, each beside its goal. Pure: the same document, the same figures.

What we add is worked out within each round, against the SDK that was measured in the same minute, and then the median
of the rounds is taken.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.results import Figure

Document = Mapping[str, Any]
Slice = Mapping[str, Any]
BASE_OF: Mapping[str, str] = {"pointsman": "sdk-aiohttp", "pointsman-responses": "sdk-responses"}
API_OF: Mapping[str, str] = {"pointsman": "Chat Completions", "pointsman-responses": "Responses"}
CALL_MS_MAX, CALL_P95_MS_MAX, PIECE_US_MAX = 0.20, 5.0, 15.0
FIRST_TOKEN_MS_MAX, FIRST_TOKEN_ADDED_MS_MAX = 500.0, 2.0
FACADE_SECONDS_MAX, THREE_SECONDS_MAX, THREE_MB_MAX = 0.3, 1.6, 140.0


def per_round(document: Document, scenario: str, name: str, read: Callable[[Slice], float]) -> list[float]:
    """The value of each round: the median of its slices."""
    rounds: Sequence[Sequence[Slice]] = document["slices"][scenario][name]
    return [statistics.median(read(one) for one in slices) for slices in rounds]


def middle(document: Document, scenario: str, name: str, read: Callable[[Slice], float]) -> float:
    return statistics.median(per_round(document, scenario, name, read))


def added(document: Document, scenario: str, name: str, base: str, read: Callable[[Slice], float]) -> float:
    """What `name` takes more than `base`, median of the rounds."""
    pairs = zip(per_round(document, scenario, name, read), per_round(document, scenario, base, read), strict=True)
    return statistics.median(one - other for one, other in pairs)


def share(document: Document, scenario: str, name: str, base: str, read: Callable[[Slice], float]) -> float:
    pairs = zip(per_round(document, scenario, name, read), per_round(document, scenario, base, read), strict=True)
    return statistics.median(one / other for one, other in pairs)


def piece_us(document: Document, name: str) -> list[float]:
    """Processor time of one more piece of a stream, by round: long streams less short ones."""
    long, short = (per_round(document, kind, name, cpu_ms) for kind in ("long streams", "short streams"))
    apart = document["pieces"]["long streams"] - document["pieces"]["short streams"]
    return [(many - few) * 1000 / apart for many, few in zip(long, short, strict=True)]


def cpu_ms(one: Slice) -> float:
    return float(one["cpu_ms"])


def per_second(one: Slice) -> float:
    return float(one["per_second"])


def wall(share_of: str) -> Callable[[Slice], float]:
    return lambda one: float(one["wall_ms"][share_of])


def first_token(share_of: str) -> Callable[[Slice], float]:
    return lambda one: float(one["first_ms"][share_of])


def failures(document: Document, scenario: str, name: str) -> int:
    return sum(sum(one.get("failures", {}).values()) for slices in document["slices"][scenario][name] for one in slices)


def figures(document: Document) -> list[Figure]:
    """All that has a goal."""
    found: list[Figure] = []
    for name in BASE_OF:
        found += [*_calls(document, name), *_streams(document, name)]
    found += _throughput(document)
    found += _start(document)
    found += [Figure(**figure) for figure in document["ledger"]]
    return found


def _at_most(name: str, value: float, unit: str, most: float, note: str = "") -> Figure:
    return Figure(name, value, unit, f"<= {most:g}", value <= most, note)


def _at_least(name: str, value: float, unit: str, least: float, note: str = "") -> Figure:
    return Figure(name, value, unit, f">= {least:g}", value >= least, note)


def _calls(document: Document, name: str) -> list[Figure]:
    api, base = API_OF[name], BASE_OF[name]

    def over(read: Callable[[Slice], float]) -> float:
        return added(document, "calls", name, base, read)

    ours, sdk = (middle(document, "calls", one, cpu_ms) for one in (name, base))
    told = f"{ours:.2f}, SDK {sdk:.2f}"
    return [
        _at_most(f"{api}: processor time added to a call", over(cpu_ms), "ms", CALL_MS_MAX, told),
        _at_most(f"{api}: wall time added to a call, p50", over(wall("p50")), "ms", CALL_MS_MAX),
        _at_most(f"{api}: wall time added to a call, p95", over(wall("p95")), "ms", CALL_P95_MS_MAX),
    ]


def _streams(document: Document, name: str) -> list[Figure]:
    api, base = API_OF[name], BASE_OF[name]
    ours, sdk = piece_us(document, name), piece_us(document, base)
    extra = statistics.median(one - other for one, other in zip(ours, sdk, strict=True))
    told = f"{statistics.median(ours):.0f}, SDK {statistics.median(sdk):.0f}"
    p95 = first_token("p95")
    first = middle(document, "first token", name, p95)
    over = added(document, "first token", name, base, p95)
    return [
        _at_most(f"{api}: processor time added to a streamed piece", extra, "us", PIECE_US_MAX, told),
        _at_most(f"{api}: first token, p95", first, "ms", FIRST_TOKEN_MS_MAX, "the server takes 10 of them"),
        _at_most(f"{api}: first token added, p95", over, "ms", FIRST_TOKEN_ADDED_MS_MAX),
    ]


def _throughput(document: Document) -> list[Figure]:
    found = []
    for scenario, least in (("16 in flight", 0.95), ("100 in flight", 0.85), ("1000 in flight", 0.85)):
        rates = {name: middle(document, scenario, name, per_second) for name in ("pointsman", "sdk-aiohttp", "litellm")}
        told = f"{rates['pointsman']:,.0f} / {rates['sdk-aiohttp']:,.0f} a second"
        of_sdk = share(document, scenario, "pointsman", "sdk-aiohttp", per_second)
        found.append(_at_least(f"{scenario}: calls a second, ours / SDK", of_sdk, "ratio", least, told))
        if scenario != "16 in flight":
            told = f"{rates['pointsman']:,.0f} / {rates['litellm']:,.0f} a second"
            of_litellm = share(document, scenario, "pointsman", "litellm", per_second)
            found.append(_at_least(f"{scenario}: calls a second, ours / LiteLLM", of_litellm, "ratio", 2, told))
        found.append(
            _at_most(f"{scenario}: calls of ours that failed", failures(document, scenario, "pointsman"), "", 0)
        )
    return found


def _start(document: Document) -> list[Figure]:
    cold = document["cold"]

    def of(case: str, key: str) -> float:
        return statistics.median(float(one[key]) for one in cold[case])

    def spent(case: str) -> str:
        return f"{of(case, 'cpu_seconds'):.2f} s of processor time"

    three = "three providers"
    return [
        _at_most("import of the facade", of("facade", "seconds"), "s", FACADE_SECONDS_MAX, spent("facade")),
        _at_most("three providers used", of(three, "seconds"), "s", THREE_SECONDS_MAX, spent(three)),
        _at_most("memory after three providers", of(three, "resident_mb"), "MB", THREE_MB_MAX),
    ]
