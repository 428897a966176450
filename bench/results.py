"""How benchmarks tell what they measured: a table for people, JSON for comparison, each figure beside its goal."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured value. `goal` says what was aimed at, `held` whether it was reached."""

    name: str
    value: float
    unit: str
    goal: str = ""
    held: bool | None = None
    note: str = ""


def show(title: str, figures: Sequence[Figure], target: Path | None = None) -> None:
    table = Table(title=title, title_justify="left")
    for column in ("what", "measured", "unit", "goal", "held", "note"):
        table.add_column(column, overflow="fold")
    for figure in figures:
        held = "" if figure.held is None else "yes" if figure.held else "NO"
        table.add_row(figure.name, shown(figure.value), figure.unit, figure.goal, held, figure.note)
    Console(width=130).print(table)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")


def shown(value: float) -> str:
    """Three digits, and whole numbers from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
