"""What a run found: as a document, and as a table for people."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from bench.faults.compare import Doubt, Violation, counts, doubts, violations
from bench.faults.killer import POINTSMAN, TEMPORAL, Kill
from bench.faults.run import Outcome, Wanted
from pointsman.contracts.base import Json

DOUBTS_SHOWN = 10
SHOWN = (
    "kills_of_pointsman",
    "kills_of_temporal",
    "edits",
    "comments",
    "deletions",
    "restorations",
    "decisions",
    "decisions_by_signal",
)


def document(wanted: Wanted, outcome: Outcome) -> dict[str, Json]:
    seen = outcome.evidence
    assert seen is not None, "the run came to its end"
    found: list[Violation] = violations(seen)
    doubtful: list[Doubt] = doubts(seen)
    killed = [kill.what for kill in outcome.kills]
    return {
        "schema_version": 1,
        "ok": not found,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "seed": wanted.seed,
        "kills_wanted": wanted.kills,
        "kills": len(killed),
        "kills_of_pointsman": killed.count(POINTSMAN),
        "kills_of_temporal": killed.count(TEMPORAL),
        "seconds": round(outcome.seconds, 1),
        "settled_seconds": round(outcome.settled_seconds, 1),
        "time_scale": round(outcome.time_scale, 4),
        "up_again_seconds": {what: _spread(outcome.kills, what) for what in (POINTSMAN, TEMPORAL)},
        "edits": outcome.edits,
        "comments": outcome.comments,
        "deletions": outcome.deletions,
        "restorations": outcome.restorations,
        "creations_delivered_late": outcome.late_creations,
        "decisions": outcome.decisions,
        "decisions_by_signal": outcome.decisions_by_signal,
        "decisions_refused": list(outcome.decisions_refused),
        "counts": dict(counts(seen)),
        "violations": [{"rule": one.rule, "what": one.what} for one in found],
        "in_doubt": [asdict(one) for one in doubtful],
        "kill_log": [asdict(one) for one in outcome.kills],
    }


def _machine() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, {os.cpu_count()} processors, Python {platform.python_version()}"


def _spread(kills: Sequence[Kill], what: str) -> dict[str, Json]:
    seconds = sorted(kill.up_seconds for kill in kills if kill.what == what)
    if not seconds:
        return {}
    last = seconds[min(len(seconds) - 1, round(0.99 * (len(seconds) - 1)))]
    return {"p50": round(statistics.median(seconds), 2), "p99": round(last, 2), "max": round(seconds[-1], 2)}


def show(told: dict[str, Json]) -> None:
    table = Table(title=f"{told['kills']} kills, seed {told['seed']}, {told['seconds']} s", title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    for name in SHOWN:
        table.add_row(name.replace("_", " "), str(told[name]))
    table.add_row("decisions refused", str(len(_list(told["decisions_refused"]))))
    for name, value in _object(told["counts"]).items():
        table.add_row(name.replace("_", " "), str(value))
    for what, spread in _object(told["up_again_seconds"]).items():
        for name, value in _object(spread).items():
            table.add_row(f"{what} up again, s, {name}", str(value))
    table.add_row("from the last kill to the end of all, s", str(told["settled_seconds"]))
    console = Console()
    console.print(table)
    in_doubt, broken = _objects(told["in_doubt"]), _objects(told["violations"])
    for doubt in in_doubt[:DOUBTS_SHOWN]:
        console.print(
            f"in doubt: item {doubt['item']}, {doubt['kind']} {doubt['subject']}: {doubt['evidence']}", markup=False
        )
    if len(in_doubt) > DOUBTS_SHOWN:
        console.print(f"in doubt: {len(in_doubt) - DOUBTS_SHOWN} more; see the JSON document")
    for violation in broken:
        console.print(f"VIOLATION  {violation['rule']}: {violation['what']}", style="bold red", markup=False)
    if not broken:
        console.print("nothing acknowledged is lost, nothing was written twice", style="green")


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> list[dict[str, Json]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
