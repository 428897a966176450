"""The command line's contract: exit codes, help, errors without traceback, start-up, the committed reference."""

import importlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from temporalio.service import RPCError, RPCStatusCode
from typer.main import get_command

from pointsman.ports import Conflict, Missing, Rejected, Unavailable
from pointsman.temporal import TemporalUnreachable
from starter.cli import reference
from starter.cli.app import app, run
from starter.cli.call import with_errors_told
from starter.cli.errors import KNOWN, MEANINGS, CliError, ExitCode, translated
from starter.cli.output import output
from tests.preloaded import Preloaded

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user's own: no settings, no state."""
    for name in [name for name in os.environ if name.startswith(("POINTSMAN_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def commands(context: typer.Context) -> Iterator[typer.Context]:
    yield context
    for name, command in getattr(context.command, "commands", {}).items():
        yield from commands(typer.Context(command, info_name=name, parent=context))


ALL = list(commands(typer.Context(get_command(app), info_name="pointsman")))
VERBS = [one for one in ALL if not hasattr(one.command, "commands")]
EXAMPLES = [line.strip() for one in ALL for line in (one.command.epilog or "").splitlines()[2:]]


def names(one: typer.Context) -> str:
    return one.command_path


@pytest.mark.parametrize("context", ALL, ids=names)
def test_every_command_explains_itself(context: typer.Context, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*context.command_path.split()[1:], "--help"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: {context.command_path}")
    assert context.command.help


@pytest.mark.parametrize("context", VERBS, ids=names)
def test_every_command_has_an_example_of_itself_and_the_common_options(context: typer.Context) -> None:
    assert context.command_path in (context.command.epilog or "")
    options = {option for parameter in context.command.get_params(context) for option in parameter.opts}
    assert {"--json", "--quiet", "--no-color", "--help"} <= options


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_has_options_that_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    for part in line.split("|"):
        words = shlex.split(part.split(">")[0])
        if words[:1] == ["pointsman"]:
            assert run([*words[1:], "--help"]) == ExitCode.OK, capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["items"], ["escalations"]])
def test_a_noun_alone_prints_its_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == ExitCode.OK
    assert "Commands:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["item"],
        ["items", "lst"],
        ["items", "list", "--nonsense"],
        ["items", "show"],
        ["items", "list", "--limit", "0"],
        ["items", "start", "fabrikam", "Web", "none"],
        ["escalations", "reject", "ESC-7"],
        ["sandbox", "moon"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_and_names_the_next_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.rstrip().endswith("--help")


def test_wrong_usage_is_json_when_json_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["items", "list", "--json", "--limit", "none"]) == ExitCode.USAGE
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["code"] == "usage"
    assert "--limit" in error["message"]
    assert error["hint"] == "See how it is used: pointsman items list --help"


def test_a_wrong_setting_exits_2_and_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POINTSMAN_TEMPORAL_ADDRESS", "nowhere")
    assert run(["items", "list"]) == ExitCode.USAGE
    printed = capsys.readouterr().err
    assert "POINTSMAN_TEMPORAL_ADDRESS: 'nowhere'" in printed
    assert printed.count("pointsman config explain") == 1


def test_options_of_the_root_stand_over_the_environment(own_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = own_folders / "elsewhere"
    assert run(["--data-dir", str(elsewhere), "config", "show", "data_dir"]) == ExitCode.OK
    assert capsys.readouterr().out == f"data_dir\t{elsewhere}\n"


@pytest.mark.parametrize("name", KNOWN)
def test_every_error_that_is_translated_exists(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(importlib.import_module(module), kind)
    assert issubclass(found, Exception)
    assert f"{found.__module__}.{found.__qualname__}" == name  # an error is looked up by where it is defined


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Missing("gone"), ExitCode.NOT_FOUND),
        (Conflict("somebody wrote"), ExitCode.CONFLICT),
        (Rejected("no"), ExitCode.FAILURE),
        (Unavailable("later"), ExitCode.FAILURE),
        (TemporalUnreachable("nobody answers"), ExitCode.FAILURE),
        (RPCError("tcp connect error", RPCStatusCode.UNAVAILABLE, b""), ExitCode.FAILURE),
        (PermissionError(13, "not allowed"), ExitCode.FAILURE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_of_other_rooms_keep_their_words(error: Exception, code: ExitCode) -> None:
    told = translated(error)
    assert told is not None
    assert told.exit_code is code
    assert str(error) in told.message
    assert "pointsman" in told.hint


def left_with(work: Callable[[], int | None]) -> int:
    with pytest.raises(typer.Exit) as left:
        with_errors_told(output(as_json=False, quiet=False, no_color=True), work)
    return left.value.exit_code


def raising(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


def test_an_error_nobody_expected_is_a_sentence_and_its_trace_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(raising(ZeroDivisionError("division by zero"))) == ExitCode.FAILURE
    printed = capsys.readouterr().err
    assert printed.startswith("error: ZeroDivisionError: division by zero\nThe trace is in ")
    assert "Traceback" not in printed
    trace = Path(printed.split("The trace is in ")[1].split("; ")[0])
    assert "Traceback" in trace.read_text()
    assert trace.stat().st_mode & 0o077 == 0


def test_ctrl_c_exits_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(raising(KeyboardInterrupt())) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_an_exit_code_of_a_command_is_the_exit_code_of_the_process() -> None:
    assert left_with(lambda: ExitCode.FINDINGS) == ExitCode.FINDINGS
    assert left_with(raising(CliError("x", "x", exit_code=ExitCode.POLICY))) == ExitCode.POLICY


def test_every_exit_code_is_explained() -> None:
    assert set(MEANINGS) == set(ExitCode)


def python(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_help_loads_none_of_the_heavy_rooms() -> None:
    told = python("-X", "importtime", "-m", "starter.cli.app", "items", "list", "--help")
    assert told.returncode == ExitCode.OK
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines() if line.startswith("import time")}
    assert "starter.cli.commands.items" in loaded
    heavy = {"temporalio", "sqlalchemy", "fastapi", "openai", "mcp", "a2a", "rich", "asyncio", "pointsman.config"}
    assert not loaded & heavy


@pytest.mark.slow
def test_the_process_leaves_with_the_exit_code_and_without_traceback() -> None:
    told = python("-m", "starter.cli.app", "items", "show", "x")
    assert told.returncode == ExitCode.USAGE
    assert told.stdout == ""
    assert "names no work item" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.slow
def test_a_reader_that_stops_early_is_no_error(preloaded: Preloaded) -> None:
    told = subprocess.run(
        [
            "bash",
            "-c",
            f"{shlex.quote(str(preloaded.pointsman))} config explain --json | head -c 1; echo ${{PIPESTATUS[0]}}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert told.stdout == "{0\n"
    assert told.stderr == ""


@pytest.mark.slow
def test_the_shell_can_complete_commands() -> None:
    told = python(
        "-c",
        "from starter.cli.app import main; main([])",
        _POINTSMAN_COMPLETE="complete_bash",
        COMP_WORDS="pointsman escalations ap",
        COMP_CWORD="2",
    )
    assert told.stdout.split() == ["approve"]


def test_the_committed_reference_is_what_the_commands_say() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    assert page == reference.markdown(), "write it again: python -m starter.cli.reference > docs/reference/cli.md"


def test_the_reference_names_every_command_and_exit_code() -> None:
    page = reference.markdown()
    for one in ALL:
        assert f"# `{one.command_path}`\n" in page
    for code in ExitCode:
        assert f"| {code.value} |" in page
