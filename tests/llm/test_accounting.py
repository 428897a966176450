"""The line that is logged of each request, where logging is set up and where it is not."""

import io
import logging

import pytest

from pointsman.llm import accounting
from pointsman.llm.accounting import CallRecord

FAILED = CallRecord("RateLimitedError", 12.5, provider="openai", model="gpt-6-luna", attempts=3, request_id="r-%s")


IN_WORDS = (
    "llm request: outcome RateLimitedError, provider openai, model gpt-6-luna, attempts 3, latency_ms 12.5, "
    "prompt_tokens 0, completion_tokens 0, cost_usd 0, request_id r-%s"
)


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
    assert capsys.readouterr().err == f"{IN_WORDS}\n"
    accounting.log(FAILED._replace(outcome="success"))
    assert capsys.readouterr().err == ""


def test_pythons_plain_formatter_gets_the_fields_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = logging.StreamHandler(io.StringIO())
    plain.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    monkeypatch.setattr(accounting.LOG, "propagate", False)
    monkeypatch.setattr(accounting.LOG, "handlers", [plain])
    accounting.log(FAILED)
    assert plain.stream.getvalue() == f"WARNING {IN_WORDS}\n"
