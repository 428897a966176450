"""The queries of the governance page answer what the page says, over violations that really happened."""

import json
import os
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from pointsman.llm import governance_log
from pointsman.llm.errors import ModelNotAllowedError, ModelRetiredError
from pointsman.llm.governance import LOG, Governance
from pointsman.llm.registry import Registry
from pointsman.llm.types import LLMRequest, Role, text_message
from tests.deploy import watchers
from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs" / "llm" / "governance.md"
OURS = "tests/docs/test_llm_governance.py::"
ASKED = (("triage", "gpt-4", "t-1"), ("triage", "gpt-4", "t-2"), ("review", "gpt-99", "t-1"))


def examples(test: str) -> list[str]:
    return [block.text for block in blocks(PAGE) if block.what == OURS + test]


@pytest.fixture
async def kept(tmp_path: Path) -> Path:
    """A folder with the lines of three refusals, and one of another day."""
    handler = governance_log.keep(tmp_path)
    governance = Governance(Registry.load(), (), today=lambda: date(2026, 11, 21))
    for agent, model, trace in ASKED:
        said = (text_message(Role.USER, "hello"),)
        with pytest.raises((ModelNotAllowedError, ModelRetiredError)):
            await governance.admit(LLMRequest(messages=said, source_agent=agent, trace_id=trace), model)
    LOG.removeHandler(handler)
    handler.close()
    _remember(tmp_path)
    return tmp_path


def _remember(folder: Path) -> None:
    """The first line once more, as of two days ago."""
    first = sorted(folder.iterdir())[0].read_text().splitlines()[0]
    before = datetime.now(UTC) - timedelta(days=2)
    line = {**json.loads(first), "timestamp": before.isoformat(timespec="seconds")}
    (folder / governance_log.NAME.format(before.date())).write_text(json.dumps(line) + "\n")


async def test_jq_examples_answer(kept: Path) -> None:
    watchers.program("jq")
    counted, lately, traced = (_answer(text, kept) for text in examples("test_jq_examples_answer"))
    assert json.loads(counted) == [
        {"source_agent": "triage", "attempted_model": "gpt-4", "times": 3},
        {"source_agent": "review", "attempted_model": "gpt-99", "times": 1},
    ]
    told = [json.loads(line) for line in lately.splitlines()]
    assert [(one["source_agent"], one["attempted_model"], one["trace_id"]) for one in told] == list(ASKED)
    assert [row.split("\t")[1:] for row in traced.splitlines()] == [
        ["triage", "gpt-4"],
        ["triage", "gpt-4"],
        ["review", "gpt-99"],
    ]


def _answer(text: str, folder: Path) -> str:
    command = ["bash", "-euo", "pipefail", "-c", text]
    environ = {**os.environ, "LLM_GOVERNANCE_LOG": str(folder)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_promql_examples_answer(tmp_path: Path) -> None:
    counted, ranked = (text.strip() for text in examples("test_promql_examples_answer"))
    series = 'llm_governance_violations_total{source_agent="triage", model="gpt-4"}'
    other = 'llm_governance_violations_total{source_agent="review", model="other"}'
    ranking = {"eval_time": "24h", "expr": f"sort_desc(round({ranked}))"}
    tried = {
        "rule_files": [str(watchers.RULES)],
        "evaluation_interval": "1h",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series, "values": "0x1409 0+1x7 7x30"},
                    {"series": other, "values": "_x1430 5x20"},
                ],
                "promql_expr_test": [
                    {"eval_time": "24h", "expr": counted, "exp_samples": [{"value": 12}]},
                    {
                        **ranking,
                        "exp_samples": [
                            {"labels": '{source_agent="triage", model="gpt-4"}', "value": 7},
                            {"labels": '{source_agent="review", model="other"}', "value": 5},
                        ],
                    },
                ],
            }
        ],
    }
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump(tried), encoding="utf-8")
    watchers.run("promtool", "test", "rules", path)


def test_the_page_names_the_fields_that_a_line_has() -> None:
    page = PAGE.read_text(encoding="utf-8")
    fields = ("timestamp", "event", "trace_id", "source_agent", "session_id", "tenant", "attempted_model", "reason")
    assert [name for name in fields if f"`{name}`" not in page] == []
