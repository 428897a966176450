"""`docs/benchmarks/llm.md` and its pictures, from what a run measured."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.llm import plot
from bench.llm.figures import (
    BASE_OF,
    Document,
    cpu_ms,
    failures,
    figures,
    first_token,
    middle,
    per_second,
    piece_us,
    wall,
)
from bench.llm.run import CONTENDERS, RESPONSES, start_of
from bench.results import shown

NAMES: Mapping[str, str] = {
    "sdk": "OpenAI SDK",
    "sdk-aiohttp": "OpenAI SDK, aiohttp",
    "sdk-responses": "OpenAI SDK, Responses",
    "pointsman": "**Pointsman**",
    "pointsman-responses": "**Pointsman, Responses**",
    "litellm": "LiteLLM",
    "pydantic-ai": "pydantic-ai",
    "langchain": "LangChain",
    "any-llm": "any-llm",
}
ALL = (*CONTENDERS, *RESPONSES)
SHARES = ("p50", "p90", "p95", "p99")
LAYERS_SHOWN = 12
QUIET_SHARE_MAX = 0.05
"""Others have less of a machine that can be called quiet."""


def write(document: Document, text: str, folder: Path) -> None:
    """The page, with `text` (what people wrote about it) and the figures in it; beside it its pictures and source."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "llm.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
    for name, picture in pictures(document).items():
        (folder / name).write_text(picture)
    (folder / "llm.md").write_text(page(document, text))


def page(document: Document, text: str) -> str:
    """`text` with each mark `<<name>>` replaced by what it names."""
    parts: Mapping[str, Callable[[Document], str]] = {
        "goals": _goals,
        "calls": _calls,
        "percentiles": _percentiles,
        "streams": _streams,
        "throughput": _throughput,
        "start": _start,
        "profile": _profile,
        "memory": _memory,
        "delay": _delay,
        "machine": _machine,
        "versions": _versions,
    }
    for name, part in parts.items():
        text = text.replace(f"<<{name}>>", part(document))
    return text


def pictures(document: Document) -> Mapping[str, str]:
    """By file name."""
    base = middle(document, "calls", "sdk-aiohttp", cpu_ms)
    added = [
        plot.Bar(_plain(name), value - base, f"{value - base:+.2f} ms ({value:.2f})", name in BASE_OF)
        for name in CONTENDERS
        for value in (middle(document, "calls", name, cpu_ms),)
    ]
    rates = [
        plot.Bar(_plain(name), value, f"{value:,.0f}", name in BASE_OF)
        for name in CONTENDERS
        for value in (middle(document, "1000 in flight", name, per_second),)
    ]
    pieces = [
        plot.Bar(_plain(name), value, f"{value:.0f} us", name in BASE_OF)
        for name in ALL
        for value in (statistics.median(piece_us(document, name)),)
    ]
    seen = {
        name: {start_of(int(bucket) + 1): count for bucket, count in buckets.items()}
        for name, buckets in document["histograms"]["calls"].items()
        if name in CONTENDERS
    }
    return {
        "llm-calls.svg": plot.bars("Processor time of a call, over the SDK on the same transport", added),
        "llm-latency.svg": plot.distributions("Calls that took at most so long", seen, "milliseconds, logarithmic"),
        "llm-pieces.svg": plot.bars("Processor time of one piece of a stream", pieces),
        "llm-throughput.svg": plot.bars("Calls a second with 1,000 in flight", rates),
    }


def _plain(name: str) -> str:
    return NAMES[name].replace("*", "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _goals(document: Document) -> str:
    def row(figure: Any) -> Sequence[str]:
        held = "" if figure.held is None else "held" if figure.held else "**missed**"
        value = f"{shown(round(figure.value, 3))} {figure.unit}".strip().replace(" us", " µs").replace(" ratio", "")
        goal = figure.goal.replace("<=", "≤").replace(">=", "≥")
        return figure.name, value, goal, held, figure.note

    return table(("What", "Measured", "Goal", "", ""), [row(figure) for figure in figures(document)])


def _calls(document: Document) -> str:
    def row(name: str) -> Sequence[str]:
        values = [middle(document, "calls", name, read) for read in (cpu_ms, wall("p50"), wall("p95"))]
        base = BASE_OF["pointsman"] if name in CONTENDERS else BASE_OF["pointsman-responses"]
        over = values[0] - middle(document, "calls", base, cpu_ms)
        return NAMES[name], *(f"{value:.2f}" for value in values), f"{over:+.2f}"

    return table(("Client", "CPU, ms", "p50, ms", "p95, ms", "CPU over the SDK, ms"), [row(name) for name in ALL])


def _percentiles(document: Document) -> str:
    def row(name: str) -> Sequence[str]:
        return NAMES[name], *(f"{middle(document, 'calls', name, wall(share)):.2f}" for share in SHARES)

    return table(("Client", *(f"{share}, ms" for share in SHARES)), [row(name) for name in ALL])


def _streams(document: Document) -> str:
    def row(name: str) -> Sequence[str]:
        firsts = (middle(document, "first token", name, first_token(share)) for share in ("p50", "p95", "p99"))
        return NAMES[name], f"{statistics.median(piece_us(document, name)):.0f}", *(f"{value:.1f}" for value in firsts)

    head = ("Client", "CPU of a piece, µs", "first token p50, ms", "p95", "p99")
    return table(head, [row(name) for name in ALL])


def _throughput(document: Document) -> str:
    kinds = ("16 in flight", "100 in flight", "1000 in flight")

    def row(name: str) -> Sequence[str]:
        rates = [f"{middle(document, kind, name, per_second):,.0f}" for kind in kinds]
        p95 = f"{middle(document, kinds[-1], name, wall('p95')):,.0f}"
        return NAMES[name], *rates, p95, str(sum(failures(document, kind, name) for kind in kinds))

    head = ("Client", "16: calls/s", "100: calls/s", "1,000: calls/s", "1,000: p95, ms", "failures")
    return table(head, [row(name) for name in CONTENDERS])


def _start(document: Document) -> str:
    def row(case: str, found: Sequence[Mapping[str, float]]) -> Sequence[str]:
        keys = (("seconds", 2), ("cpu_seconds", 2), ("resident_mb", 0))
        middles = (f"{statistics.median(one[key] for one in found):.{digits}f}" for key, digits in keys)
        name = f"{NAMES[case]}, first answer" if case in NAMES else f"**Pointsman**, {case}"
        return "three SDKs, imported alone" if case == "three SDKs" else name, *middles

    rows = [row(case, found) for case, found in document["cold"].items()]
    return table(("Start", "seconds", "CPU, seconds", "memory, MB"), rows)


def _profile(document: Document) -> str:
    found: Mapping[str, float] = document["profile"]["processor"]
    ours = sum(value for layer, value in found.items() if layer.startswith("pointsman"))
    top = [(layer, value) for layer, value in found.items() if not layer.startswith(("pointsman", "bench"))]
    rows = [("**all of `pointsman`**", f"{ours:.0%}")]
    rows += [(layer, f"{value:.1%}") for layer, value in top[:6]]
    parts = [(layer, value) for layer, value in found.items() if layer.startswith("pointsman")]
    rows += [(f"`{layer}`", f"{value:.1%}") for layer, value in parts[:LAYERS_SHOWN]]
    return table(("Layer", "share of a call"), rows)


def _memory(document: Document) -> str:
    found: Mapping[str, float] = document["profile"]["memory"]
    rows = [
        (f"process after {found['calls']:,.0f} calls", f"{found['resident_mb']:.0f} MB"),
        ("  of it, grown during them", f"{found['grown_mb']:.1f} MB"),
        ("left behind by a call", f"{found['left_bytes']:.0f} bytes"),
        ("most that was in use above the start, 500 calls in turn", f"{found['peak_kb']:.0f} KB"),
    ]
    return table(("Memory", ""), rows)


def _machine(document: Document) -> str:
    told = f"Measured on {document['at'][:10]}: {document['machine']}, in {document['rounds']} rounds."
    others = document["others"]
    if others is None:
        return told
    told += f" Meanwhile other work had {others:.0%} of the processors."
    if others < QUIET_SHARE_MAX:
        return told
    return told + " **So it was no quiet machine**: ratios can be relied on more than times."


def _delay(document: Document) -> str:
    spread = document.get("delay_spread", 0)
    return f"{50 * (1 - spread):.0f} to {50 * (1 + spread):.0f} ms, at random" if spread else "50 ms"


def _versions(document: Document) -> str:
    rows = [
        (NAMES[name].replace("*", ""), ", ".join(f"{package} {version}" for package, version in found.items()))
        for name, found in document["versions"].items()
    ]
    return table(("Client", "installed"), rows)
