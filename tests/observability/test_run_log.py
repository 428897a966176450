"""What people find in the log of one item's way: a line for each step, that says whose it is, and little else."""

import pytest

from pointsman.contracts.base import Json
from tests.observability.watched import Run

pytestmark = pytest.mark.slow

# The first line of each kind, in the order of an item's life. What tells it apart stands beside it.
STEPS = (
    ("delivery kept", {"outcome": "pending", "event_type": "workitem.created"}),
    ("delivery settled", {"outcome": "dispatched", "event_type": "workitem.created"}),
    ("item moved", {"state": "received"}),
    ("item moved", {"state": "analysed"}),
    ("item moved", {"state": "routed", "agent": "closer"}),
    ("item moved", {"state": "working"}),
    ("model called", {"outcome": "ProviderOverloadedError", "attempt": 1}),
    ("attempt failed", {"error": "ProviderOverloadedError", "activity": "turns.think"}),
    ("model called", {"outcome": "ok", "attempt": 2, "model": "gpt-6.1-terra"}),
    ("tool called", {"outcome": "ok"}),
    ("item moved", {"state": "waiting"}),
    ("escalation opened", {"escalation": "ESC-1", "kind": "approval", "severity": "high"}),
    ("attempt failed", {"error": "Unavailable", "activity": "escalations.notify"}),
    ("people told", {"target": "team", "how": "by webhook, HTTP 204"}),
    ("escalation settled", {"escalation": "ESC-1", "verb": "approve"}),
    ("item moved", {"state": "publishing"}),
    ("write settled", {"outcome": "written", "rev": 3}),
    ("item moved", {"state": "done"}),
)
INFO_LINES_MAX = 60


@pytest.fixture(scope="module")
def told(run: Run) -> list[dict[str, Json]]:
    """What a reader sees who did not ask for details."""
    return [line for line in run.log if line["level"] != "debug"]


def test_each_step_of_an_item_leaves_a_line_in_its_order(told: list[dict[str, Json]]) -> None:
    rest = iter(told)
    for event, values in STEPS:
        found = any(line["event"] == event and values.items() <= line.items() for line in rest)
        assert found, f"no line {event!r} with {values} after those before it"


def test_each_of_them_says_whose_it_is(run: Run, told: list[dict[str, Json]]) -> None:
    item = run.workflow_id.removeprefix("ado/")
    for line in told:
        if line["event"] not in {event for event, _ in STEPS}:
            continue
        assert (line["item"], line["tenant"], line["chain_id"]) == (item, "default", run.chain_id), line
        assert line["correlation_id"]
        assert line["event"] == "delivery kept" or str(line["workflow_id"]).startswith(run.workflow_id)


def test_lines_of_workflows_carry_the_correlation_id_of_the_first_delivery(
    run: Run, told: list[dict[str, Json]]
) -> None:
    assert {line["correlation_id"] for line in told if "activity" in line} == {run.chain_id}


def test_the_only_warnings_are_the_faults_that_happened(told: list[dict[str, Json]]) -> None:
    warned = [str(line["event"]) for line in told if line["level"] != "info"]
    assert sorted(warned) == ["attempt failed", "attempt failed", "delivery refused", "llm request"]


def test_each_request_to_a_model_is_told_once_with_all_that_it_came_to(run: Run, told: list[dict[str, Json]]) -> None:
    lines = [line for line in told if line["event"] == "llm request"]
    assert [line["outcome"] for line in lines] == ["ProviderOverloadedError", "success", "success"]
    for line in lines:
        assert (line["trace_id"], line["model"], line["provider"]) == (run.chain_id, "gpt-6.1-terra", "openai")
        assert (line["source_agent"], line["attempts"]) == ("closer", 1)
        assert float(str(line["latency_ms"])) > 0
        assert line["span_id"]
    for line in lines[1:]:
        assert int(str(line["prompt_tokens"])) > 0
        assert int(str(line["completion_tokens"])) > 0
        assert float(str(line["cost_usd"])) > 0


def test_one_item_does_not_flood_the_log(told: list[dict[str, Json]]) -> None:
    assert len(told) <= INFO_LINES_MAX
