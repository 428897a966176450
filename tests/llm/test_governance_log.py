"""Violations on disk: one line each, a file a day, and none goes before its time."""

import json
import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.llm.errors import ModelNotAllowedError
from pointsman.llm.governance import LOG, Governance
from pointsman.llm.governance_log import DAYS_MIN, NAME, DailyFile, GovernanceLogError, keep
from pointsman.llm.registry import Registry
from pointsman.llm.settings import SettingsError, load_settings
from pointsman.llm.types import LLMRequest, Role, text_message

REGISTRY = Registry.load()
TODAY = datetime.now(UTC).date()
"""When the tests were read: when they run, it may be the next day."""


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[DailyFile]:
    handler = keep(tmp_path / "governance")
    yield handler
    LOG.removeHandler(handler)
    handler.close()


def told(day: date, text: str = "a line") -> logging.LogRecord:
    record = logging.LogRecord(LOG.name, logging.WARNING, "", 0, text, None, None)
    record.created = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
    return record


def days_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_violation_is_one_line_of_json_in_the_file_of_its_day(kept: DailyFile) -> None:
    secret = "the words\nof the conversation"
    asked = LLMRequest(messages=(text_message(Role.USER, secret),), trace_id="t-1", source_agent="triage")
    for name in ("gpt-6-luna", 'no "such"\nmodel'):
        with pytest.raises(ModelNotAllowedError):
            await Governance(REGISTRY, ()).admit(asked, name)
    assert set(days_in(kept.folder)) <= {NAME.format(TODAY), NAME.format(TODAY + timedelta(days=1))}
    files = sorted(kept.folder.iterdir())
    text = "".join(path.read_text() for path in files)
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["attempted_model"] for line in lines] == ["gpt-6-luna", 'no "such"\nmodel']
    assert {"timestamp", "trace_id", "source_agent", "session_id", "attempted_model", "reason"} <= lines[0].keys()
    assert "of the conversation" not in text
    assert [path.stat().st_mode & 0o077 for path in files] == [0] * len(files)


@given(days=st.integers(DAYS_MIN, 400), age=st.integers(0, 800))
def test_no_file_goes_before_its_time_and_none_stays_after_it(
    tmp_path_factory: pytest.TempPathFactory, days: int, age: int
) -> None:
    folder = tmp_path_factory.mktemp("governance")
    (folder / NAME.format(TODAY - timedelta(days=age))).touch()
    (folder / "governance-of-somebody-else.jsonl").touch()
    before = datetime.now(UTC).date()
    handler = DailyFile(folder, days)
    after = datetime.now(UTC).date()
    handler.close()
    stays = (folder / NAME.format(TODAY - timedelta(days=age))).exists()
    assert stays in {age + (day - TODAY).days <= days for day in (before, after)}
    assert (folder / "governance-of-somebody-else.jsonl").exists()


def test_the_first_line_of_a_day_begins_its_file(kept: DailyFile) -> None:
    tomorrow = TODAY + timedelta(days=1)
    for day in (TODAY, tomorrow, tomorrow):
        kept.handle(told(day))
    assert days_in(kept.folder) == [NAME.format(TODAY), NAME.format(tomorrow)]
    assert (kept.folder / NAME.format(tomorrow)).read_text() == "a line\na line\n"


def test_two_processes_write_into_one_folder(kept: DailyFile) -> None:
    other = DailyFile(kept.folder)
    for number in range(20):
        (kept if number % 2 else other).handle(told(TODAY, str(number)))
    other.close()
    assert (kept.folder / NAME.format(TODAY)).read_text().split() == [str(number) for number in range(20)]


def test_what_must_not_be_kept_is_scrubbed(tmp_path: Path) -> None:
    handler = DailyFile(tmp_path, scrub=lambda line: line.replace("correct-horse", "********"))
    handler.handle(told(TODAY, "asked for correct-horse"))
    handler.close()
    assert (tmp_path / NAME.format(TODAY)).read_text() == "asked for ********\n"


def test_keeping_twice_writes_once(kept: DailyFile) -> None:
    again = keep(kept.folder)
    try:
        assert [one for one in LOG.handlers if isinstance(one, DailyFile)] == [again]
    finally:
        LOG.removeHandler(again)
        again.close()


def test_less_than_90_days_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GovernanceLogError, match="kept for 89 days, the least is 90"):
        DailyFile(tmp_path, 89)
    monkeypatch.setenv("LLM_GOVERNANCE_LOG_DAYS", "30")
    with pytest.raises(SettingsError, match=r"LLM_GOVERNANCE_LOG_DAYS is '30'.* 90"):
        load_settings(None)


def test_a_line_that_cannot_be_written_is_told_and_refuses_nothing_else(
    kept: DailyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(kept.folder)
    kept.handle(told(TODAY + timedelta(days=2)))
    assert "No such file or directory" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GovernanceLogError, match=r"cannot be written to '.*file'"):
        DailyFile(tmp_path / "file")
