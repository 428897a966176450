"""Programs that watch over a deployment, as Debian packages them, and what tests look for in queries of PromQL."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client import CollectorRegistry

from pointsman.llm.metrics import LLMMetrics
from pointsman.llm.registry import Registry
from pointsman.observability.metrics import Metrics
from tests.deploy.compose import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "llm.rules.yml"
PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager", "prometheus-alertmanager": "", "jq": ""}
PROGRAM_SECONDS_MAX = 300
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"}
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")


def program(name: str) -> str:
    """Path of a program; where it is missing, the test is skipped and says what to install, as `.ci/run` does."""
    found = shutil.which(name)
    if found is None:
        package = PACKAGES[name] or name
        pytest.skip(
            f"no {name}: the Debian package {package} is not installed, for example with apt-get install {package}"
        )
    return found


def run(name: str, *arguments: str | Path) -> str:
    """What the program says; its complaint fails the test."""
    done = subprocess.run(
        [program(name), *map(str, arguments)], capture_output=True, text=True, timeout=PROGRAM_SECONDS_MAX, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Series(NamedTuple):
    """What a metric of ours looks like to Prometheus."""

    labels: frozenset[str]


def series() -> Mapping[str, Series]:
    """Every series that processes of ours serve, and those that our rules record, by name."""
    models = LLMMetrics(Registry.load().models, CollectorRegistry())
    found = {rule["record"]: Series(frozenset()) for rule in rules() if "record" in rule}
    for owner in (models, Metrics()):
        for one in vars(owner).values():
            if (kind := getattr(one, "_type", "")) in SUFFIXES:
                for suffix in SUFFIXES[kind]:
                    found[one._name + suffix] = Series(frozenset(one._labelnames))
    return found


def rules() -> Sequence[Mapping[str, Any]]:
    """Of all files, in the order of their names."""
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(PROMETHEUS.glob("*.rules.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def metrics_in(query: str) -> set[str]:
    """Names of metrics in a PromQL query: identifiers that are no function, no keyword, no label and no unit."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', "", query)
    bare = _GROUPING.sub(" ", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    named = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)\b(?!\s*\()", bare)
    return set(named) - _WORDS


def labels_in(query: str) -> set[str]:
    """Names of labels that a PromQL query selects or groups by."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', query)
    selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"\"", bare)
    grouped = [label.strip() for inside in _GROUPING.findall(bare) for label in inside.split(",")]
    return {label for label in (*selected, *grouped) if label}


def parsed(queries: Mapping[str, str], folder: Path) -> str:
    """Let promtool parse the queries, each as the expression of a rule."""
    recorded = [{"record": f"checked:{number}", "expr": query} for number, query in enumerate(queries.values())]
    path = folder / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "checked", "rules": recorded}]}), encoding="utf-8")
    return run("promtool", "check", "rules", path)
