"""Our model service beside SDK and peers: `python -m bench.llm [--quick] [--rounds N] [--pin] [--write]`.

Prints a table and writes all that was measured to `bench/results/llm.json`; a whole run also writes the page and its
pictures in `docs/benchmarks`. A figure that misses its goal is shown as missed and fails nothing.
"""

import argparse
import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.llm import cases, page
from bench.llm.environments import ROOT, pin, python_of, versions
from bench.llm.figures import figures
from bench.llm.machine import clock, described
from bench.llm.run import CONTENDERS, RESPONSES, SCENARIOS, Run, fake_provider
from bench.llm.wire import DELAY_SPREAD
from bench.results import show

TARGET = ROOT / "bench" / "results" / "llm.json"
DOCS = ROOT / "docs" / "benchmarks"
TEXT = Path(__file__).with_name("text.md")


async def measured(rounds: int, *, quick: bool) -> dict[str, Any]:
    """A whole run as a document."""
    contenders = (*CONTENDERS, *RESPONSES)
    installed = {name: versions(python_of(name)) for name in contenders}
    scenarios = [scenario.small() for scenario in SCENARIOS] if quick else SCENARIOS
    run, before = Run(), clock()
    async with fake_provider() as url:
        await run.measure(scenarios, rounds, url)
        cold = await cases.cold(url, rounds)
        profile = await cases.profile(url)
    after = clock()
    return {
        "schema_version": 1,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": described(),
        "others": before.others(after) if before and after else None,
        "rounds": rounds,
        "delay_spread": DELAY_SPREAD,
        "versions": installed,
        "pieces": {scenario.name: scenario.mode.pieces for scenario in scenarios},
        "slices": run.slices,
        "histograms": run.histograms,
        "cold": cold,
        "profile": profile,
        "ledger": await cases.ledger(quick=quick),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.llm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it runs; writes no page")
    parser.add_argument("--pin", action="store_true", help="pin the newest of each peer, and do nothing else")
    parser.add_argument("--write", action="store_true", help="write the page from the last run, and do nothing else")
    given = parser.parse_args()
    if given.pin:
        pin()
        return
    if not given.write:
        begun = time.monotonic()
        document = asyncio.run(measured(1 if given.quick else given.rounds, quick=given.quick))
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_text(json.dumps(document, indent=1) + "\n")
        print(f"measured in {time.monotonic() - begun:.0f} s")
    kept = json.loads(TARGET.read_text())
    show("Model service", figures(kept))
    if not given.quick:
        page.write(kept, TEXT.read_text(), DOCS)


if __name__ == "__main__":
    main()
