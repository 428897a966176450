"""The page on architecture names what there is."""

import re

from starter.serve import WORKFLOWS
from tests.docs.blocks import ROOT


def test_every_workflow_is_told_of_once() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## The workflows")[2].partition("## ")[0]
    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(told) == sorted(workflow.__name__ for workflow in WORKFLOWS)
