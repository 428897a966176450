"""The report on a project's process, out of the books and a matrix that was just read."""

import io
import json
import re
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from pointsman.config import load
from pointsman.contracts.process import CheckSeverity, Finding, Standing
from pointsman.contracts.violations import Inspection
from pointsman.contracts.work_items import ProjectKey, WorkItemKey
from pointsman.store.engine import Store
from pointsman.store.process_violations import ProcessViolations
from starter.cli import process_report as on_the_command_line
from starter.cli.call import Call
from starter.cli.errors import CliError
from starter.cli.matrix import Wanted
from starter.cli.output import Output
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops
from tests.sandbox.traced import PROJECT, traced_config

FABRIKAM = Wanted(project=PROJECT, format="md")
EVIL = "| `x` <script>alert(1)</script>"


@dataclass
class Reporting:
    azure: Azure
    folder: Path

    async def report(self, wanted: Wanted = FABRIKAM, since: str = "", until: str = "", *, matrix: bool = False) -> str:
        printed = io.StringIO()
        call = Call(Output(stdout=printed, stderr=io.StringIO()), {})
        settings = load(azure_devops_url=self.azure.base_url, azure_devops_token=SERVICE_TOKEN, data_dir=self.folder)
        assert await on_the_command_line.show(call, settings, wanted, since, until, matrix=matrix) == 0
        return printed.getvalue()


@pytest.fixture
async def reporting(tmp_path: Path, migrated_file: Path) -> AsyncGenerator[Reporting]:
    """Two violations: one is waived, one was resolved; and an item that serves nothing."""
    for name in ("pointsman.db", "pointsman-matrix.db"):
        shutil.copy(migrated_file, tmp_path / name)
    async with azure_devops(of=traced_config()) as azure:
        task = await azure.make("Task", "Alone")
        async with Store.open(f"sqlite:///{tmp_path}/pointsman.db") as store:
            violations = ProcessViolations(store)
            await violations.settle(_inspection(task.id, "RDM-1.task", "PQA-2"))
            await violations.settle(_inspection(task.id, "RDM-1.task"))
            await violations.settle(_of_the_whole("MPM-1.defects"))
            await violations.waive("VIO-1", "noor", EVIL, datetime.now(UTC) + timedelta(days=9))
        yield Reporting(azure, tmp_path)


def _inspection(item: int, *broken: str) -> Inspection:
    found = (Finding(check=name, standing=Standing.VIOLATED, severity=CheckSeverity.MINOR) for name in broken)
    key = WorkItemKey(organisation="fabrikam", project=PROJECT, id=item)
    return Inspection(
        tenant="default",
        process="cmmi",
        key=key,
        rev=1,
        at=datetime.now(UTC),
        checks=("RDM-1.task", "PQA-2"),
        findings=tuple(found),
    )


def _of_the_whole(check: str) -> Inspection:
    key = ProjectKey(organisation="fabrikam", project=PROJECT)
    return _inspection(1, check).model_copy(update={"key": key, "checks": (check,)})


async def test_the_report_tells_violations_the_trend_the_matrix_and_claims_no_appraisal(reporting: Reporting) -> None:
    told = await reporting.report(matrix=True)
    assert "it is no appraisal, and no rating or level follows from it" in told
    assert "| RDM bidirectional traceability | 1 | 0 | 1 | 0 |" in told
    assert re.search(r"\| work \| 1 \| 0 \| 0 \| 100\.0 \|", told)
    assert "| requirement | 0 | 1 | 0 | 0.0 |" in told
    assert r"\| \`x\` \<script\>alert(1)\</script\>" in told
    assert "| VIO-3 | MPM-1.defects | minor | open |" in told.partition("## Of the project as a whole")[2]
    for word in ("compliant", "certified", "maturity level", "passed the appraisal"):
        assert word not in told.lower()
    later = await reporting.report(since="2020-01-01", until="2020-02-01")
    assert "| RDM bidirectional traceability | 0 | 0 | 0 | 0 |" in later
    assert "No matrix of the project was read" in later


async def test_the_report_is_a_page_and_a_document_too(reporting: Reporting) -> None:
    target = reporting.folder / "report.html"
    assert await reporting.report(replace(FABRIKAM, format="html", output=str(target))) == ""
    page = target.read_text(encoding="utf-8")
    assert "<script" not in page
    body = page.partition("<body>")[2].partition("</body>")[0]
    tree = Xml.fromstring(f"<body>{body}</body>")  # noqa: S314 - it is ours
    assert next(one.text for one in tree.iter("h2")) == "Violations by practice"
    told = json.loads(await reporting.report(replace(FABRIKAM, format="json")))["report"]
    assert [(one["violation"], one["by"], one["reason"]) for one in told["waivers"]] == [("VIO-1", "noor", EVIL)]
    assert sum(one["resolved"] for one in told["practices"]) == 1


REFUSED = (
    (replace(FABRIKAM, format="pdf"), "", "There is no format 'pdf'"),
    (replace(FABRIKAM, project=""), "", "Name a project"),
    (FABRIKAM, "2999-01-01", "--since 2999-01-01 is not before --until"),
    (replace(FABRIKAM, project="Other", process="none"), "", "Nothing is reported: there is no process 'none'"),
)


async def test_what_cannot_be_reported_is_told(reporting: Reporting) -> None:
    for wanted, since, told in REFUSED:
        with pytest.raises(CliError, match=told):
            await reporting.report(wanted, since)
