"""The line that is logged of each request, where logging is set up and where it is not."""

import logging

import pytest

from pointsman.llm import accounting
from pointsman.llm.accounting import CallRecord

FAILED = CallRecord("RateLimitedError", 12.5, provider="openai", model="gpt-6-luna", attempts=3, request_id="r-%s")


def test_a_line_is_the_same_for_all_and_its_fields_beside_it(caplog: pytest.LogCaptureFixture) -> None:
    accounting.log(FAILED)
    (line,) = caplog.records
    assert (line.getMessage(), line.levelno) == ("llm request", logging.WARNING)
    assert (vars(line)["outcome"], vars(line)["attempts"]) == ("RateLimitedError", 3)


def test_where_no_logging_is_set_up_a_failure_still_says_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(accounting.LOG, "propagate", False)
    monkeypatch.setattr(accounting.LOG, "handlers", [])
    accounting.log(FAILED)
    told = "outcome RateLimitedError, provider openai, model gpt-6-luna, attempts 3, latency_ms 12.5, request_id r-%s"
    assert capsys.readouterr().err == f"llm request: {told}\n"
    accounting.log(FAILED._replace(outcome="success"))
    assert capsys.readouterr().err == ""
