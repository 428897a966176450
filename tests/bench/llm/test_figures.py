"""What a run's slices come to, on the page and beside their goals."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.llm import page, plot
from bench.llm.__main__ import TEXT
from bench.llm.environments import OF_CONTENDER, PEERS, WANTED, place
from bench.llm.figures import added, cpu_ms, failures, figures, middle, per_second, piece_us, share
from bench.llm.machine import read_clock
from bench.llm.profiling import by_layer, layer_of
from bench.llm.run import CONTENDERS, RESPONSES, SCENARIOS, bucket_of, start_of
from bench.results import Figure
from tests.gates import sources

ALL = (*CONTENDERS, *RESPONSES)
SPREAD = {"p50": 1.0, "p90": 1.2, "p95": 1.5, "p99": 2.0}


def one(cpu: float = 1.0, rate: float = 100.0, failed: int = 0) -> dict[str, Any]:
    failures = {"TimeoutError": failed} if failed else {}
    return {"cpu_ms": cpu, "per_second": rate, "failures": failures, "wall_ms": SPREAD, "first_ms": SPREAD}


@pytest.fixture
def document() -> dict[str, Any]:
    """Three rounds in which all were alike."""
    slices = {scenario.name: {name: [[one()], [one()], [one()]] for name in ALL} for scenario in SCENARIOS}
    start = {"seconds": 0.2, "cpu_seconds": 0.1, "resident_mb": 50.0}
    return {
        "at": "2026-11-21T10:00:00+00:00",
        "machine": "Linux",
        "others": 0.01,
        "rounds": 3,
        "versions": {name: {"openai": "3.52.0"} for name in ALL},
        "pieces": {scenario.name: scenario.mode.pieces for scenario in SCENARIOS},
        "slices": slices,
        "histograms": {"calls": {name: {"0": 3, "20": 1} for name in ALL}},
        "cold": {name: [start] for name in ("facade", "three providers", *CONTENDERS)},
        "profile": {
            "processor": {"aiohttp": 0.6, "pointsman.llm.service": 0.4},
            "memory": {"calls": 4_000, "resident_mb": 80.0, "grown_mb": 0.0, "left_bytes": 12.0, "peak_kb": 3.0},
        },
        "ledger": [
            {"name": "ledger, p95", "value": 9.0, "unit": "ms", "goal": "< 5", "held": False, "note": ""},
        ],
    }


def named(document: dict[str, Any], name: str) -> Figure:
    return next(figure for figure in figures(document) if figure.name == name)


def test_a_round_that_was_disturbed_does_not_decide(document: dict[str, Any]) -> None:
    document["slices"]["calls"]["pointsman"] = [[one(1.1)], [one(9.0)], [one(1.1)]]
    assert added(document, "calls", "pointsman", "sdk-aiohttp", cpu_ms) == pytest.approx(0.1)


def test_what_is_added_is_worked_out_within_a_round(document: dict[str, Any]) -> None:
    document["slices"]["calls"]["sdk-aiohttp"] = [[one(1.0)], [one(5.0)], [one(2.0)]]
    document["slices"]["calls"]["pointsman"] = [[one(1.3)], [one(5.3)], [one(2.3)]]
    assert added(document, "calls", "pointsman", "sdk-aiohttp", cpu_ms) == pytest.approx(0.3)
    figure = named(document, "Chat Completions: processor time added to a call")
    assert figure.held is False
    assert figure.note == "2.30, SDK 2.00"


def test_the_slices_of_a_round_count_by_their_median(document: dict[str, Any]) -> None:
    document["slices"]["calls"]["pointsman"] = [[one(1.0), one(2.0), one(40.0)]] * 3
    assert middle(document, "calls", "pointsman", cpu_ms) == 2.0


def test_a_piece_costs_what_longer_streams_cost_more(document: dict[str, Any]) -> None:
    document["slices"]["long streams"]["pointsman"] = [[one(11.0)]] * 3
    assert piece_us(document, "pointsman") == pytest.approx([50.0] * 3)
    assert named(document, "Chat Completions: processor time added to a streamed piece").held is False


def test_throughput_is_held_against_sdk_and_litellm(document: dict[str, Any]) -> None:
    slices = document["slices"]["100 in flight"]
    slices["pointsman"], slices["litellm"] = [[one(rate=90.0)]] * 3, [[one(rate=40.0)]] * 3
    assert share(document, "100 in flight", "pointsman", "sdk-aiohttp", per_second) == pytest.approx(0.9)
    assert named(document, "100 in flight: calls a second, ours / SDK").held is True
    assert named(document, "100 in flight: calls a second, ours / LiteLLM").held is True
    assert named(document, "1000 in flight: calls a second, ours / LiteLLM").held is False


def test_one_failed_call_misses_the_goal(document: dict[str, Any]) -> None:
    document["slices"]["1000 in flight"]["pointsman"][1] = [one(failed=1)]
    assert failures(document, "1000 in flight", "pointsman") == 1
    assert named(document, "1000 in flight: calls of ours that failed").held is False


def test_every_figure_has_a_goal(document: dict[str, Any]) -> None:
    assert [figure.name for figure in figures(document) if not figure.goal or figure.held is None] == []


def test_the_page_has_every_part_and_shows_what_was_missed(document: dict[str, Any], tmp_path: Path) -> None:
    page.write(document, TEXT.read_text(), tmp_path)
    text = (tmp_path / "llm.md").read_text()
    assert "<<" not in text
    assert "| ledger, p95 | 9 ms | < 5 | **missed** |" in text
    assert "no quiet machine" not in text
    shown = set(re.findall(r"\]\((llm-[a-z]+\.svg)\)", text))
    assert shown == {path.name for path in tmp_path.glob("*.svg")}


def test_the_page_says_so_where_the_machine_was_shared(document: dict[str, Any]) -> None:
    told = page.page({**document, "others": 0.3}, "<<machine>>")
    assert "other work had 30% of the processors. **So it was no quiet machine**" in told


def test_the_page_says_nothing_of_others_where_the_system_does_not_tell(document: dict[str, Any]) -> None:
    assert page.page({**document, "others": None}, "<<machine>>").endswith("in 3 rounds.")


def test_others_had_what_was_busy_and_not_ours_and_what_the_host_took() -> None:
    before = read_clock("cpu  100 0 100 800 0 0 0 0 0 0", 100, ours=1.0)
    after = read_clock("cpu  500 0 200 1000 100 0 0 200 0 0", 100, ours=4.0)
    # 10 s in all: 3 idle or waiting, 2 stolen, 5 at work, 3 of them ours.
    assert before.others(after) == pytest.approx(0.4)


def test_pictures_draw_negative_values_to_the_left(tmp_path: Path) -> None:
    picture = plot.bars("Over & under", [plot.Bar("less", -1.0, "-1"), plot.Bar("more", 1.0, "+1")])
    assert "Over &amp; under" in picture
    lefts = [float(left) for left in re.findall(r'<rect x="([\d.]+)" y="\d+" width="[\d.]+" height="18"', picture)]
    assert lefts[0] < lefts[1]


def test_a_distribution_ends_at_its_whole() -> None:
    picture = plot.distributions("Latency", {"pointsman": {1.0: 9, 10.0: 1}}, "ms")
    points = re.findall(r'points="([^"]+)"', picture)[0].split()
    heights = [float(point.split(",")[1]) for point in points]
    assert heights[1] < heights[0]
    assert heights[1] == 52.0


@pytest.mark.parametrize("value", [0.01, 0.5, 1.0, 3.3, 250.0])
def test_a_value_lies_in_its_bucket(value: float) -> None:
    assert start_of(bucket_of(value)) <= value * 1.000001
    assert value < start_of(bucket_of(value) + 1)


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        ("/x/lib/python3.11/site-packages/aiohttp/client.py", "aiohttp"),
        ("/x/lib/python3.11/site-packages/typing_extensions.py", "typing_extensions"),
        ("/x/pointsman/llm/service.py", "pointsman.llm.service"),
        ("/usr/lib/python3.11/json/decoder.py", "Python's library"),
        ("~", ""),
    ],
)
def test_a_file_has_a_layer(file: str, layer: str) -> None:
    assert layer_of(file) == layer


def test_functions_of_c_count_for_their_callers() -> None:
    ours = ("/x/pointsman/llm/prices.py", 1, "price")
    stats = {
        ours: (1, 1, 2.0, 3.0, {}),
        ("~", 0, "<built-in method len>"): (4, 4, 1.0, 1.0, {ours: (4, 4, 1.0, 1.0)}),
    }
    assert by_layer(stats) == {"pointsman.llm.prices": 3.0}


def test_each_peer_has_an_environment_that_is_pinned_with_hashes() -> None:
    assert {path.stem for path in PEERS.glob("*.txt")} == set(WANTED) == set(OF_CONTENDER.values())
    for name, wanted in WANTED.items():
        lock = (PEERS / f"{name}.txt").read_text()
        entries = re.findall(r"^[\w.-]+==.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
        assert any(entry.startswith(f"{wanted.partition('[')[0]}==") for entry in entries)
        assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_another_lock_has_another_place() -> None:
    assert place("litellm", b"one") != place("litellm", b"two")
    assert place("litellm", b"one") == place("litellm", b"one")


def test_the_peers_are_no_dependencies_of_ours() -> None:
    ours = (sources.ROOT / "requirements/dev.txt").read_text()
    assert not re.search(r"^(litellm|pydantic-ai\S*|langchain\S*|any-llm\S*)==", ours, re.MULTILINE)


def test_make_lists_the_benchmark() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    told = subprocess.run(
        ["make", "-s", "help"], cwd=sources.ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert re.search(r"^ +make bench-llm +\S", told, re.MULTILINE)


def test_the_published_page_is_that_of_the_published_figures() -> None:
    docs = sources.ROOT / "docs/benchmarks"
    document = json.loads((docs / "llm.json").read_text())
    assert (docs / "llm.md").read_text() == page.page(document, TEXT.read_text())
    assert {name: (docs / name).read_text() for name in page.pictures(document)} == page.pictures(document)
