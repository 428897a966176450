"""What is printed: a table for a terminal, TSV for a pipe, JSON when asked, errors on stderr."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.ports import Unavailable
from starter.cli.app import run
from starter.cli.errors import CliError, ExitCode, translated
from starter.cli.output import Listing, Output, Record, Single, human, output, tsv

MOMENT = datetime(2026, 11, 21, 10, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=1)))
ROWS: list[Record] = [
    {"item": "fabrikam/42", "state": "waiting", "title": "Login\tfails", "changed_at": MOMENT, "hidden": 1},
    {"item": "fabrikam/7", "state": "done", "title": "x" * 300, "changed_at": MOMENT, "hidden": None},
]
LISTING = Listing("items", ("item", "state", "changed_at", "title"), ROWS)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def printed(what: Listing | Single, *, as_json: bool = False, terminal: bool = False, colour: bool = False) -> str:
    stdout = Terminal() if terminal else StringIO()
    Output(as_json=as_json, colour=colour, stdout=stdout, stderr=StringIO()).show(what)
    return stdout.getvalue()


def test_a_pipe_gets_one_line_a_record_and_no_header() -> None:
    lines = printed(LISTING).splitlines()
    assert lines[0] == "fabrikam/42\twaiting\t2026-11-21T09:30:00.123Z\tLogin\\tfails"
    assert lines[1].split("\t")[3] == "x" * 300
    assert len(lines) == 2


def test_a_terminal_gets_a_header_and_every_record() -> None:
    text = printed(LISTING, terminal=True)
    assert text.splitlines()[0].split() == ["ITEM", "STATE", "CHANGED", "AT", "TITLE"]
    assert "fabrikam/42" in text
    assert "\x1b" not in text


def test_a_terminal_gets_colour_unless_it_is_unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" in printed(LISTING, terminal=True, colour=True)
    assert "\x1b" not in printed(LISTING, colour=True)


def test_json_carries_a_schema_version_and_all_fields() -> None:
    document = json.loads(printed(LISTING, as_json=True))
    assert document["schema_version"] == 1
    assert document["items"][0] == {
        "item": "fabrikam/42",
        "state": "waiting",
        "title": "Login\tfails",
        "changed_at": "2026-11-21T09:30:00.123Z",
        "hidden": 1,
    }


def test_an_empty_listing_is_an_empty_list() -> None:
    empty = Listing("items", ("item",), [])
    assert json.loads(printed(empty, as_json=True))["items"] == []
    assert printed(empty) == ""
    assert printed(empty, terminal=True) == ""


def test_a_record_is_lines_of_name_and_value() -> None:
    single = Single("item", {"item": "fabrikam/42", "told": ["a", "b"], "ended": False, "cost": 0.5})
    assert printed(single) == 'item\tfabrikam/42\ntold\t["a", "b"]\nended\tfalse\ncost\t0.5\n'
    assert "ended  no" in printed(single, terminal=True)


@pytest.mark.parametrize("text", ["\x1b[2Jgone", "a\rb", "bell\x07", "\u202eevil", "\x9b31m"])
def test_text_from_outside_cannot_steer_the_terminal(text: str) -> None:
    single = Single("item", {"title": text})
    for out in (printed(single), printed(single, terminal=True)):
        assert not any(char in out for char in "\x1b\x07\r\u202e\x9b")


@given(st.text())
def test_a_field_of_a_tsv_line_never_breaks_the_line(text: str) -> None:
    assert not {"\t", "\n", "\r"} & set(tsv(text))
    assert len(f"{tsv(text)}\tend".splitlines()) == 1


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)) | st.sampled_from(["a\tb\\n", "\n\\"]))
def test_a_field_can_be_read_back(text: str) -> None:
    back = tsv(text).encode().decode("unicode_escape")
    assert back == text


def test_people_get_short_values() -> None:
    assert human(None) == ""
    assert human(12_345) == "12,345"
    assert human({"a": True}) == "a yes"
    assert human(["a", "b"]) == "a\nb"
    assert human(MOMENT.astimezone(UTC)) == MOMENT.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def test_quiet_silences_talk_and_not_errors() -> None:
    stderr = StringIO()
    out = Output(quiet=True, stdout=StringIO(), stderr=stderr)
    out.say("working")
    out.fail(CliError("not_found", "There is no such item.", "See them: pointsman items list"))
    assert stderr.getvalue() == "error: There is no such item.\nSee them: pointsman items list\n"


def test_an_error_as_json_says_whether_trying_again_can_help() -> None:
    stdout, stderr = StringIO(), StringIO()
    error = CliError(
        "busy", "It is busy.", "Try: pointsman doctor", ExitCode.CONFLICT, correlation_id="c-1", retryable=True
    )
    Output(as_json=True, stdout=stdout, stderr=stderr).fail(error)
    assert stdout.getvalue() == ""
    assert json.loads(stderr.getvalue()) == {
        "schema_version": 1,
        "error": {
            "code": "busy",
            "message": "It is busy.",
            "hint": "Try: pointsman doctor",
            "correlation_id": "c-1",
            "retryable": True,
        },
    }


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_the_environment_switches_colour_off(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output(as_json=False, quiet=False, no_color=False).colour
    monkeypatch.setenv(variable, value)
    assert not output(as_json=False, quiet=False, no_color=False).colour


def test_a_reader_that_has_seen_enough_is_no_fault_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert run(["process", "rules"]) == ExitCode.OK
        monkeypatch.undo()


def test_an_error_is_a_document_with_its_version_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify", "nowhere.zip", "--json"]) == ExitCode.NOT_FOUND
    told = json.loads(capsys.readouterr().err)
    assert (told["schema_version"], told["error"]["code"]) == (1, "not_found")


def test_a_file_in_a_folder_that_is_not_there_is_told_with_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "export", "nowhere/log.zip"]) == ExitCode.NOT_FOUND
    assert "There is no folder nowhere for log.zip. Nothing was written.\nMake it first: mkdir -p nowhere" in (
        capsys.readouterr().err
    )


def test_a_terminal_too_narrow_for_whole_words_gets_one_record_below_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    Output(colour=False, stdout=terminal).show(LISTING)
    first, second = terminal.getvalue().split("\n\n")
    assert first.splitlines()[0] == "item        fabrikam/42"
    assert "title       Login\tfails" in first
    assert second.startswith("item        fabrikam/7\n")


def test_nobody_is_sent_away_for_no_time_at_all() -> None:
    told = translated(Unavailable("no answer", retry_after=timedelta(seconds=0.25)))
    assert told is not None
    assert "It may be tried again in 1 s." in told.message
