"""Rules and alerts under the real promtool: they hold for what they are meant for, and ask for metrics that exist."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import watchers
from tests.deploy.compose import ROOT

TRIED = sorted(Path(__file__).parent.glob("*_alerts.yml"))
KNOWN = watchers.series()


def test_promtool_takes_the_configuration_and_its_rules() -> None:
    config = watchers.PROMETHEUS / "prometheus.yml"
    assert "SUCCESS" in watchers.run("promtool", "check", "config", config)
    named = yaml.safe_load(config.read_text(encoding="utf-8"))["rule_files"]
    assert sorted(named) == sorted(file.name for file in watchers.PROMETHEUS.glob("*.rules.yml"))


@pytest.mark.slow
def test_alerts_come_when_they_should_and_stay_away_when_they_should() -> None:
    watchers.run("promtool", "test", "rules", *TRIED)


def test_every_alert_is_tried_with_and_without_its_reason() -> None:
    tests = [test for file in TRIED for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]]
    checks = [one for test in tests for one in test["alert_rule_test"]]
    alerts = {rule["alert"] for rule in watchers.rules() if "alert" in rule}
    assert {one["alertname"] for one in checks if one.get("exp_alerts")} == alerts
    assert alerts - {one["alertname"] for one in checks if not one.get("exp_alerts")} <= {"LLMFirstTokenSlow"}


@pytest.mark.parametrize("rule", watchers.rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_metrics_and_labels_that_exist(rule: Mapping[str, Any]) -> None:
    asked = watchers.metrics_in(rule["expr"])
    assert asked
    assert asked - KNOWN.keys() == set()
    labels = {label for name in asked for label in KNOWN[name].labels} | {"le"}
    assert watchers.labels_in(rule["expr"]) - labels == set()


def test_every_alert_leads_to_a_page_that_is_there() -> None:
    for rule in watchers.rules():
        if "alert" in rule:
            assert (ROOT / rule["annotations"]["runbook"]).is_file(), rule["alert"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ('sum by (le, model) (rate(a_bucket{model=~"b|c"}[5m])) > 0.1', {"a_bucket"}),
        ("a unless b offset 15m or vector(0)", {"a", "b"}),
        ("histogram_quantile(0.95, sum(rate(a[1h30m])) without (x)) / on (y) b:c:1h * 3600", {"a", "b:c:1h"}),
        ('absent(a{text="say \\"b\\" or {c}"})', {"a"}),
        ("1e3 * a", {"a"}),
    ],
)
def test_names_are_found_in_queries(query: str, named: set[str]) -> None:
    # Durations after `offset` look like numbers with a unit, and are none of the names.
    assert watchers.metrics_in(query) == named


def test_labels_are_found_in_queries() -> None:
    assert watchers.labels_in('sum by (le, model) (a{kind=~"b|c", d!="by (e)"})') == {"le", "model", "kind", "d"}
