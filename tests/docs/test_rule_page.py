"""The page about writing a rule: its files are written here as it has them, and its commands say what it says."""

import json
import re
from collections.abc import AsyncGenerator
from io import StringIO
from pathlib import Path

import pytest

from pointsman.clients.azure_devops.patches import set_field
from pointsman.config import load
from pointsman.policies import loading
from starter.cli import process as on_the_command_line
from starter.cli.call import Call
from starter.cli.errors import ExitCode
from starter.cli.output import Output
from starter.cli.process import Wanted
from tests.docs.blocks import ROOT, blocks
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops

PAGE = ROOT / "docs" / "write-a-rule.md"
HEREDOC = re.compile(r"cat > policy/(\S+) <<'YAML'\n(.*?)\nYAML\n", re.DOTALL)
NAME = "test_the_rule_of_the_page_is_kept_to_and_broken_as_it_says"


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


def written(folder: Path) -> Path:
    """The files of the page."""
    text = "\n".join(block.text for block in blocks(PAGE))
    for name, content in HEREDOC.findall(f"{text}\n"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def commands() -> list[str]:
    lines = [block.text for block in blocks(PAGE) if block.how == "tested by" and block.what.endswith(NAME)]
    return [line.strip().removeprefix("POINTSMAN_POLICY_DIR=policy pointsman process check ") for line in lines]


async def said(azure: Azure, folder: Path, wanted: Wanted) -> tuple[int, dict[str, str]]:
    printed = StringIO()
    settings = load(
        azure_devops_url=azure.base_url, azure_devops_token=SERVICE_TOKEN, data_dir=folder, policy_dir=folder
    )
    call = Call(Output(as_json=True, stdout=printed, stderr=StringIO()), {})
    code = await on_the_command_line.check(call, settings, wanted)
    return code, {one["check"]: one["standing"] for one in json.loads(printed.getvalue())["findings"]}


async def test_the_rule_of_the_page_is_kept_to_and_broken_as_it_says(azure: Azure, tmp_path: Path) -> None:
    folder = written(tmp_path)
    control = loading.load(folder).policy.process
    assert [(one.project, one.process) for one in control.projects] == [("Fabrikam", "web")]
    assert commands() == ["42 --process web --all", "--project Fabrikam --process web"]
    bug = await azure.make("Bug", Common_Severity="1 - Critical")
    await azure.person.work_items.patch(bug.id, [set_field("System.State", "Active")])
    one, project = Wanted((bug.id,), "", "", "web", every=True), Wanted((), "Fabrikam", "", "web", every=False)
    code, told = await said(azure, folder, one)
    assert (code, told["WEB-1"]) == (ExitCode.FINDINGS, "violated")
    assert (await said(azure, folder, project))[0] == ExitCode.FINDINGS
    await azure.person.work_items.patch(bug.id, [set_field("System.AssignedTo", "ada@fabrikam.example")])
    code, told = await said(azure, folder, one)
    assert (code, told["WEB-1"]) == (ExitCode.OK, "held")
    assert (await said(azure, folder, project))[0] == ExitCode.OK
