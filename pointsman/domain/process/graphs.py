"""Ways between states: what the service tells now counts before what the template of a process says."""

from collections.abc import Mapping

from pointsman.contracts.process import Graph

Graphs = Mapping[str, Mapping[str, Graph]]
"""By process and by type of work item."""
MOVED = "Moved to state"
"""How reasons begin where somebody has customised the states of a type (inherited processes)."""


def completed(live: Graph | None, bundled: Graph | None) -> Graph | None:
    """The graph as the service tells it, with the reasons of the template for steps that both know; the template's
    where the service tells none."""
    if live is None or bundled is None or not live.steps:
        return live if live is not None and live.steps else bundled or live
    return Graph(
        steps={
            start: {end: reasons or _reasons(bundled, start, end) for end, reasons in ends.items()}
            for start, ends in live.steps.items()
        }
    )


def _reasons(graph: Graph, start: str, end: str) -> tuple[str, ...]:
    return graph.steps.get(start, {}).get(end, ())
