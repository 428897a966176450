"""What the demo says to people at its end."""

import shlex
import subprocess
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
    looking = next(line for line in told if "set -a" in line).partition(": ")[2]
    shown = subprocess.check_output(["/bin/sh", "-c", f"{looking}; exec env"], env={}, text=True)
    settings = dict(line.split("=", 1) for line in shown.splitlines() if line.startswith("POINTSMAN_"))
    given = dict(stage.pointsman.environment)
    assert given.pop("POINTSMAN_METRICS_PORT") != ""
    assert settings == {name: value for name, value in given.items() if name.startswith("POINTSMAN_")}
    assert settings["POINTSMAN_PUBLIC_URL"] == stage.web_url
    assert settings["POINTSMAN_WEBHOOK_SECRETS"] == stage.hook_secret
    assert (tmp_path / "settings.env").stat().st_mode & 0o077 == 0
    command = shlex.split(next(line for line in told if "curl" in line).partition(": ")[2])
    assert command[:3] == ["curl", "--user", ":of-this-run"]
    assert command[-1] == f"{stage.azure_url}/fabrikam/Fabrikam/_apis/wit/workitems/$Bug?api-version=7.1"


def test_the_key_of_a_real_provider_is_not_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-real-key")
    written = Stage(tmp_path, live=True).write_settings().read_text()
    assert "POINTSMAN_WEBHOOK_SECRETS=" in written
    assert "a-real-key" not in written


def test_each_item_comes_with_its_link_whole_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(tmp_path, live=False)
    stage.temporal = DevServer(tmp_path / "temporal-of-nobody", tmp_path / "temporal")
    items = (played.bug(), played.closing(), played.story())
    report.show(items, (), report.Links(stage), ok=True, seconds=1.0)
    shown = capsys.readouterr().out.splitlines()
    for told in items:
        workflow = quote(told.row.workflow_id, safe="")
        assert f"item {told.row.key.id}: {stage.ui_url}/namespaces/default/workflows/{workflow}" in shown
