"""Ways between states that we carry are those of Microsoft's templates: each way is allowed, and nothing else is."""

import json
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from pointsman.contracts.base import Json
from pointsman.contracts.process import Change, Graph, ItemFacts, Standing
from pointsman.domain.process.graphs import completed
from pointsman.domain.process.history_rules import transitions
from pointsman.policies.process_graphs import load_graphs
from pointsman.sandbox.azure_devops.process import PROCESSES
from tests.microsoft import FOLDER, needs_microsoft

GRAPHS = load_graphs()
TYPES = [(process, kind) for process, graphs in GRAPHS.items() for kind in graphs]
NOW = datetime(2026, 11, 21, tzinfo=UTC)
BUG = GRAPHS["CMMI"]["Bug"]


@cache
def templates() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(FOLDER) / "process-templates.json").read_text("utf-8-sig"))
    return found


def judged(graph: Graph | None, start: str, end: str, reason: str = "") -> Standing:
    """What the rule says of an item that was made in one state, past all rules, and went to another."""
    told: dict[str, Json] = {"System.State": end, **({"System.Reason": reason} if reason else {})}
    made = Change(update=1, at=NOW, after={"System.State": start}) if start else None
    moved = Change(update=2, at=NOW, before={"System.State": start} if start else {}, after=told)
    known = graph if made is None or graph is None else _beginning_in(graph, start)
    changes = tuple(filter(None, [made, moved]))
    (verdict,) = transitions(ItemFacts(id=1, type="T", state=end, changes=changes, graph=known))
    return verdict.standing


def _beginning_in(graph: Graph, start: str) -> Graph:
    """The way into the first state is not what is asked here."""
    return Graph(steps={**graph.steps, "": {start: ()}})


@pytest.mark.parametrize(("process", "kind"), TYPES)
def test_each_way_is_allowed_for_each_of_its_reasons_and_no_other_way_is(process: str, kind: str) -> None:
    graph = GRAPHS[process][kind]
    states = {state for ends in graph.steps.values() for state in ends}
    for start, end in product({"", *states}, states):
        reasons = graph.steps.get(start, {}).get(end)
        if start == end or (start and start not in graph.steps):
            continue
        if reasons is None:
            assert judged(graph, start, end) is Standing.VIOLATED, (start, end)
            continue
        assert {judged(graph, start, end, reason) for reason in reasons or ("",)} == {Standing.HELD}, (start, end)
        if reasons:
            assert judged(graph, start, end, "Because") is Standing.VIOLATED, (start, end)


@pytest.mark.parametrize("process", PROCESSES)
def test_they_are_those_of_the_stand_in(process: str) -> None:
    theirs = {name: set(_ways(kind.transitions)) for name, kind in PROCESSES[process].kinds.items()}
    assert {name: set(_ways(graph.steps)) for name, graph in GRAPHS[process].items()} == theirs


@needs_microsoft
@pytest.mark.parametrize("process", ["Agile", "Scrum", "CMMI"])
def test_they_are_those_of_the_published_templates(process: str) -> None:
    types = templates()[process]["workItemTypes"]
    assert set(types) == set(GRAPHS[process])
    for name, told in types.items():
        ways = {(way["from"], way["to"]): way["reasons"] for way in told["transitions"]}
        ours = GRAPHS[process][name].steps
        assert set(_ways(ours)) == set(ways)
        assert all(set(ours[start][end]) == set(reasons) for (start, end), reasons in ways.items())


def _ways(steps: Any) -> list[tuple[str, str]]:
    return [(start, end) for start, ends in steps.items() for end in ends]


def test_what_the_service_tells_counts_and_the_template_adds_its_reasons() -> None:
    live = Graph(steps={"": {"Proposed": ()}, "Proposed": {"Active": (), "Triaged": ()}, "Triaged": {"Active": ()}})
    known = completed(live, BUG)
    assert known is not None
    assert known.steps["Proposed"] == {"Active": ("Approved", "Investigate"), "Triaged": ()}
    assert judged(known, "Triaged", "Active", "Whatever") is Standing.HELD
    assert judged(known, "Proposed", "Closed") is Standing.VIOLATED, "the service does not allow it any more"
    assert judged(known, "Proposed", "Active", "Whatever") is Standing.VIOLATED
    assert judged(known, "Proposed", "Active", "Moved to state Active") is Standing.HELD


def test_the_template_counts_where_the_service_tells_nothing() -> None:
    assert completed(None, BUG) == completed(Graph(), BUG) == BUG
    assert completed(None, None) is None
    assert completed(BUG, None) == BUG
