"""`pointsman llm models` and `select`, and `pointsman models refresh` against the lists of the stand-ins."""

import json
from collections.abc import Generator
from datetime import date
from pathlib import Path

import pytest

from pointsman.llm.refresh import document
from pointsman.llm.registry import Registry
from starter.cli.errors import ExitCode
from starter.cli.sandbox import model_settings
from tests.starter import cli_rig
from tests.starter.cli_rig import Answer, Rig
from tests.starter.llm_rig import KEY, Stage


@pytest.fixture(scope="module")
def stage() -> Generator[Stage]:
    with Stage().serving() as served:
        yield served


@pytest.fixture
def rig(
    tmp_path: Path,
    migrated_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stage: Stage,
) -> Rig:
    made = cli_rig.made(tmp_path / "data", migrated_file, capsys, monkeypatch)
    monkeypatch.chdir(tmp_path)
    for name in ("ALLOWED_MODELS", "LLM_DEFAULT_MODEL", "POINTSMAN_MODELS", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in model_settings(stage.url, KEY).items():
        monkeypatch.setenv(name, value)
    return made


def rows(answer: Answer, name: str) -> list[dict[str, object]]:
    found = answer.document()[name]
    assert isinstance(found, list)
    return found


def test_models_are_listed_with_what_decides(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISTRAL_API_KEY")
    found = {str(row["model"]): row for row in rows(rig.run("llm", "models", "--json"), "models")}
    luna = found["gpt-6-luna"]
    assert (luna["provider"], luna["tier"], luna["window"], luna["allowed"], luna["key"]) == (
        "openai", "fast", 1_050_000, True, True,
    )  # fmt: skip
    assert (luna["input_usd"], luna["output_usd"]) == ("0.1", "0.5")
    assert found["gpt-6-astra"]["allowed"] is False
    assert found["mistral-large-4"]["key"] is False
    assert found["gpt-4.1"]["lifecycle"] == "until 2027-01-14, then gpt-6-luna"
    assert "gpt-4" not in found


def test_those_that_are_gone_are_listed_when_asked_for(rig: Rig) -> None:
    answer = rig.run("llm", "models", "--provider", "gemini", "--all", "--json")
    found = {str(row["model"]): row for row in rows(answer, "models")}
    assert found["gemini-1.5-pro"]["lifecycle"] == "gone since 2025-09-24, then gemini-3.8-flash"
    assert {row["provider"] for row in found.values()} == {"gemini"}


def test_a_provider_that_is_none_is_told(rig: Rig) -> None:
    answer = rig.run("llm", "models", "--provider", "nobody")
    assert answer.code == ExitCode.USAGE
    assert "There is no provider 'nobody'; there are: anthropic, azure_openai" in answer.err


@pytest.mark.parametrize(
    ("words", "model", "why"),
    [
        (("Hello",), "gpt-6-luna", "complexity low (short and plain)"),
        (("Hello", "--need", "tools"), "gpt-6.1-terra", "complexity medium (1 tools)"),
        (("--complexity", "high"), "gpt-6.1-sol", "complexity high was asked for"),
        (("--tier", "fast", "--prefer", "mistral"), "mistral-small-2603", "tier fast was asked for"),
        (("--tier", "fast", "--prefer", "price"), "gpt-6-luna", "gemini-3.5-flash-lite may cost"),
        (("--model", "claude-opus-5-5", "--need", "images", "--need", "documents"), "claude-opus-5-5", "it was named"),
    ],
)
def test_a_selection_says_which_and_why_and_sends_nothing(
    rig: Rig, stage: Stage, words: tuple[str, ...], model: str, why: str
) -> None:
    seen = len(stage.control.seen)
    selection = rig.run("llm", "select", *words, "--json").document()["selection"]
    assert isinstance(selection, dict)
    assert selection["model"] == model
    assert why in selection["why"]
    assert len(stage.control.seen) == seen


def test_a_selection_that_is_refused_is_an_error(rig: Rig) -> None:
    assert rig.run("llm", "select", "--model", "gpt-5.5").code == ExitCode.POLICY
    answer = rig.run("llm", "select", "--tier", "fast", "--max-tokens", "900000", "--json")
    assert (answer.code, answer.error()["code"]) == (ExitCode.POLICY, "no_model")


def test_lists_of_the_providers_say_nothing_else_of_models_that_the_file_knows(rig: Rig) -> None:
    answer = rig.run("models", "refresh", "--json")
    found = rows(answer, "differences")
    assert answer.code == ExitCode.FINDINGS, answer.err
    assert {row["provider"] for row in found} == {"openai", "anthropic", "gemini", "mistral", "bedrock"}
    # The stand-ins serve some of the models only, and no others; of those they tell what the file tells.
    other = [row for row in found if row["kind"] not in ("gone", "new")]
    new = [row["model"] for row in found if row["kind"] == "new"]
    assert (other, new) == ([], [])
    assert not any(row["model"] == "gpt-6-luna" for row in found)


def test_a_new_model_a_changed_window_and_a_day_of_shutdown_are_shown_and_written(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = own_file(tmp_path)
    monkeypatch.setenv("POINTSMAN_MODELS", str(own))
    answer = rig.run("models", "refresh", "--provider", "anthropic", "--write", "new.yaml", "--json")
    told = {(row["model"], row["kind"]): (row["before"], row["now"]) for row in rows(answer, "differences")}
    assert answer.code == ExitCode.FINDINGS
    assert told["claude-haiku-4-5", "window"] == ("100_000", "200_000")
    assert told["claude-sonnet-4-5", "shutdown"] == ("2027-01-01", "2026-11-30")
    assert told["claude-opus-4-6", "ability"] == ("no reasoning", "reasoning")
    assert str(told["claude-opus-5", "new"][1]).startswith("window 1_000_000, documents images reasoning schema")
    written = Registry.load(tmp_path / "new.yaml")
    assert written.models["claude-haiku-4-5"].window == 200_000
    assert written.models["claude-opus-5"].provider == "anthropic"
    assert "export POINTSMAN_MODELS=new.yaml" in answer.err

    monkeypatch.setenv("POINTSMAN_MODELS", "new.yaml")
    again = rig.run("models", "refresh", "--provider", "anthropic", "--json")
    assert (again.code, rows(again, "differences")) == (ExitCode.OK, [])


def test_a_folder_that_is_not_there_is_told_before_anybody_is_asked(rig: Rig) -> None:
    answer = rig.run("models", "refresh", "--write", "not/there.yaml")
    assert (answer.code, answer.out) == (ExitCode.NOT_FOUND, "")
    assert "mkdir -p not" in answer.err


def own_file(folder: Path) -> Path:
    """The file of models as it might have been a while ago."""
    registry = Registry.load()
    serves = ("claude-fable-5-2", "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5", "claude-opus-4-6",
              "claude-haiku-4-5", "claude-sonnet-4-5")  # fmt: skip
    models = {name: model for name, model in registry.models.items() if model.provider != "anthropic" or name in serves}
    older: dict[str, dict[str, object]] = {
        "claude-haiku-4-5": {"window": 100_000},
        "claude-sonnet-4-5": {"shutdown_on": date(2027, 1, 1)},
        "claude-opus-4-6": {"can": models["claude-opus-4-6"].can - {"reasoning"}},
    }
    models |= {name: models[name].model_copy(update=update) for name, update in older.items()}
    path = folder / "old.yaml"
    path.write_text(document(registry.model_copy(update={"models": models})))
    return path


def test_a_provider_that_does_not_answer_is_a_row_and_a_failure(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "wrong-key")
    answer = rig.run("models", "refresh", "--provider", "gemini", "--provider", "mistral", "--json")
    assert answer.code == ExitCode.FAILURE
    faults = [row for row in rows(answer, "differences") if row["kind"] == "error"]
    assert [row["provider"] for row in faults] == ["gemini"]
    assert "wrong-key" not in json.dumps(faults)


def test_without_any_key_there_is_nobody_to_ask(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISTRAL_API_KEY")
    answer = rig.run("models", "refresh", "--provider", "mistral")
    assert answer.code == ExitCode.UNAUTHORISED
    assert "There is no key for mistral" in answer.err
    assert "not asked: mistral" in rig.run("models", "refresh").err
