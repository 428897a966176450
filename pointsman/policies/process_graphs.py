"""Ways between states as the templates of the system's processes have them: for where the service does not tell."""

import tomllib
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from pointsman.contracts.process import Graph
from pointsman.domain.process.graphs import Graphs

OURS = Path(__file__).parent / "graphs"
NAMES = {"agile": "Agile", "basic": "Basic", "cmmi": "CMMI", "scrum": "Scrum"}
_STEPS = TypeAdapter(dict[str, dict[str, dict[str, tuple[str, ...]]]])


@cache
def load_graphs() -> Graphs:
    """By process and type of work item."""
    return {name: _read(OURS / f"{file}.toml") for file, name in NAMES.items()}


def _read(path: Path) -> dict[str, Graph]:
    types = _STEPS.validate_python(tomllib.loads(path.read_text("utf-8")))
    return {name: Graph(steps=steps) for name, steps in types.items()}
