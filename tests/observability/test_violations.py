"""How violations stand is a gauge as the books have it now: what is gone from them is gone from it."""

from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.records import Tally, ViolationCount
from pointsman.observability.metrics import Metrics
from starter.web.health import set_gauges


def standing(check: str, count: int, state: str = "open") -> ViolationCount:
    return ViolationCount(
        organisation="fabrikam",
        project="Web",
        check=check,
        practice="VV work is verified",
        severity=CheckSeverity.CRITICAL,
        state=state,
        count=count,
    )


def told(metrics: Metrics, state: str) -> float | None:
    labels = {"target": "fabrikam", "project": "Web", "severity": "critical", "practice": "VV work is verified"}
    return metrics.registry.get_sample_value("pointsman_process_violations_open", {**labels, "state": state})


def test_checks_of_one_practice_are_counted_together_and_what_is_resolved_no_more() -> None:
    metrics = Metrics()
    set_gauges(metrics, Tally(violations=(standing("VV-1", 2), standing("VV-2", 3), standing("VV-1", 1, "waived"))))
    assert (told(metrics, "open"), told(metrics, "waived")) == (5, 1)
    set_gauges(metrics, Tally(violations=(standing("VV-1", 2),)))
    assert (told(metrics, "open"), told(metrics, "waived")) == (2, None)
