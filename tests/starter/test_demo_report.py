"""What the demo says to people at its end."""

import shlex
from pathlib import Path
from urllib.parse import quote

import pytest

from pointsman.temporal_server import DevServer
from starter.demo import report
from starter.demo.processes import Stage
from tests.starter import test_demo_checks as played


def test_whoever_keeps_the_demo_is_told_how_to_look_and_how_to_file_an_item(tmp_path: Path) -> None:
    stage = Stage(tmp_path, live=False)
    stage.person_token = "of-this-run"
    stage.temporal = DevServer(tmp_path / "temporal-of-nobody", tmp_path / "temporal")
    told = report.kept(stage)
    looking = next(line for line in told if "export" in line)
    settings = dict(part.split("=", 1) for part in shlex.split(looking.partition("export ")[2]))
    assert settings["POINTSMAN_DATA_DIR"] == stage.pointsman.environment["POINTSMAN_DATA_DIR"]
    assert settings["POINTSMAN_WEB_PORT"] == stage.pointsman.environment["POINTSMAN_WEB_PORT"]
    assert settings["POINTSMAN_TEMPORAL_ADDRESS"] == stage.temporal.address
    command = shlex.split(next(line for line in told if "curl" in line).partition(": ")[2])
    assert command[:3] == ["curl", "--user", ":of-this-run"]
    assert command[-1] == f"{stage.azure_url}/fabrikam/Fabrikam/_apis/wit/workitems/$Bug?api-version=7.1"


def test_each_item_comes_with_its_link_whole_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(tmp_path, live=False)
    stage.temporal = DevServer(tmp_path / "temporal-of-nobody", tmp_path / "temporal")
    items = (played.bug(), played.closing(), played.story())
    report.show(items, (), report.Links(stage), ok=True, seconds=1.0)
    shown = capsys.readouterr().out.splitlines()
    for told in items:
        workflow = quote(told.row.workflow_id, safe="")
        assert f"item {told.row.key.id}: {stage.ui_url}/namespaces/default/workflows/{workflow}" in shown
