"""Every query of the dashboards is PromQL, and asks for metrics and labels that exist; provisioning finds them."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import watchers
from tests.deploy.compose import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
BOARDS: Mapping[str, Mapping[str, Any]] = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FILES}
KNOWN = watchers.series()
# What Grafana fills in before it asks.
VARIABLES = {"$__rate_interval": "5m", "$__range": "6h"} | {
    f"${variable['name']}": ".*" for board in BOARDS.values() for variable in board["templating"]["list"]
}
OF_PROMETHEUS = {"ALERTS"}


def queries() -> Iterator[tuple[str, str]]:
    """Each query with what it is for, as Prometheus gets it."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield f"{name}: {panel['title']} {target['refId']}", _filled_in(target["expr"])
        for annotation in board["annotations"]["list"]:
            yield f"{name}: annotation {annotation['name']}", _filled_in(annotation["expr"])


def _filled_in(query: str) -> str:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


QUERIES = dict(queries())


@pytest.mark.parametrize("name", QUERIES)
def test_queries_ask_for_metrics_and_labels_that_exist(name: str) -> None:
    asked = watchers.metrics_in(QUERIES[name])
    assert asked
    if asked <= OF_PROMETHEUS:
        return
    assert asked - KNOWN.keys() == set()
    labels = {label for metric in asked for label in KNOWN[metric].labels} | {"le"}
    assert watchers.labels_in(QUERIES[name]) - labels == set()


def test_promtool_parses_every_query(tmp_path: Path) -> None:
    assert not [query for query in QUERIES.values() if "$" in query]
    assert f"{len(QUERIES)} rules found" in watchers.parsed(QUERIES, tmp_path)


def test_every_metric_of_models_rules_both_sides_and_azure_devops_is_shown() -> None:
    shown = {name for query in QUERIES.values() for name in watchers.metrics_in(query)}
    asked = ("llm_", "pointsman_process_", "pointsman_sync_", "pointsman_tracker_")
    wanted = {name for name in KNOWN if name.startswith(asked) and not name.endswith(("_sum", "_count"))}
    assert wanted - shown == set()


@pytest.mark.parametrize(
    "variable",
    [variable for board in BOARDS.values() for variable in board["templating"]["list"]],
    ids=lambda variable: variable["name"],
)
def test_variables_take_their_values_from_labels_that_exist(variable: Mapping[str, Any]) -> None:
    found = re.fullmatch(r"label_values\((\w+)(?:\{[^}]*\})?, (\w+)\)", variable["query"]["query"])
    assert found is not None
    assert found[2] in KNOWN[found[1]].labels


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_ids_of_their_own_and_do_not_overlap(name: str) -> None:
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_panels_ask_the_source_that_is_provisioned() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    panels = [panel for board in BOARDS.values() for panel in board["panels"]]
    asked = {panel["datasource"]["uid"] for panel in panels if "datasource" in panel}
    assert asked == {source["uid"]}
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/pointsman.yml").read_text())["providers"]
    page = (ROOT / "docs/llm/metrics.md").read_text(encoding="utf-8")
    assert provider["options"]["path"] in page, "the page says where the dashboards must lie"
