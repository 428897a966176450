"""`pointsman llm` against the stand-ins of all providers: answers, streams, comparisons, errors, and Ctrl-C."""

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest

from pointsman.sandbox.models.control import Fault, FaultKind, Hold, Outcome, Script
from pointsman.sandbox.models.replies import Reply
from pointsman.store.sqlite import ServiceLock
from starter.cli.errors import ExitCode
from starter.cli.sandbox import model_settings
from tests.starter import cli_rig
from tests.starter.cli_rig import Rig
from tests.starter.llm_rig import KEY, Stage

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
FASTEST = {
    "openai": "gpt-6-luna",
    "anthropic": "claude-haiku-5-5",
    "gemini": "gemini-3.5-flash-lite",
    "mistral": "mistral-small-2603",
    "bedrock": "global.anthropic.claude-haiku-5-5",
    "azure_openai": "azure/gpt-6-luna",
}


@pytest.fixture(scope="module")
def served() -> Generator[Stage]:
    with Stage().serving() as stage:
        yield stage


@pytest.fixture
def stage(served: Stage) -> Stage:
    served.control.reset()
    return served


@pytest.fixture
def rig(
    tmp_path: Path,
    migrated_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stage: Stage,
) -> Rig:
    made = cli_rig.made(tmp_path / "data", migrated_file, capsys, monkeypatch)
    monkeypatch.chdir(tmp_path)  # a `.env` of whoever runs the tests is not theirs
    for name in ("ALLOWED_MODELS", "LLM_DEFAULT_MODEL", "LLM_MAX_RETRIES", "POINTSMAN_MODELS", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in model_settings(stage.url, KEY).items():
        monkeypatch.setenv(name, value)
    return made


def says(stage: Stage, *texts: str, **more: object) -> None:
    stage.control.scripts.append(Script(replies=[Reply.model_validate({"text": text, **more}) for text in texts]))


@pytest.mark.parametrize("model", FASTEST.values())
def test_a_model_of_each_provider_answers_and_says_what_it_took(rig: Rig, stage: Stage, model: str) -> None:
    says(stage, "Blue, mostly.")
    answer = rig.run("llm", "complete", "Which colour?", "--model", model, "--max-tokens", "200")
    assert (answer.code, answer.out) == (ExitCode.OK, "Blue, mostly.\n"), answer.err
    assert "tokens in" in answer.err
    assert " USD, " in answer.err


def test_the_whole_response_is_one_document(rig: Rig, stage: Stage) -> None:
    says(stage, "Blue.")
    response = rig.run("llm", "complete", "Which colour?", "--tier", "fast", "--json").document()["response"]
    assert isinstance(response, dict)
    assert (response["text"], response["provider"], response["attempts"]) == ("Blue.", "openai", 1)
    assert response["usage"]["prompt_tokens"] > 0
    assert "tier fast was asked for" in response["rationale"]


def test_a_prompt_comes_from_a_pipe(rig: Rig, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("a question from a pipe"))
    assert rig.run("llm", "complete", "--tier", "fast").code == ExitCode.OK
    assert len(stage.control.seen) == 1


def test_schema_image_and_instructions_reach_the_model(rig: Rig, stage: Stage, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"],
              "additionalProperties": False}  # fmt: skip
    (tmp_path / "answer.json").write_text(json.dumps(schema))
    (tmp_path / "dot.png").write_bytes(PIXEL)
    says(stage, "", data={"colour": "blue"})
    words = ("--schema", "answer.json", "--image", "dot.png", "--system", "Be brief.", "--tier", "fast")
    answer = rig.run("llm", "complete", "Which colour?", *words)
    assert json.loads(answer.out) == {"colour": "blue"}, answer.err


def test_an_answer_is_printed_as_it_comes(rig: Rig, stage: Stage) -> None:
    says(stage, "It is blue, because light is scattered.", reasoning="Think of Rayleigh.")
    words = ("--tier", "fast", "--effort", "high", "--prefer", "anthropic")
    plain = rig.run("llm", "stream", "Why is the sky blue?", *words)
    assert plain.out == "It is blue, because light is scattered.\n", plain.err
    assert "Rayleigh" not in plain.err
    says(stage, "It is blue.", reasoning="Think of Rayleigh.")
    assert "Rayleigh" in rig.run("llm", "stream", "Why?", *words, "--show-reasoning").err


def test_each_event_of_a_stream_is_a_line_of_json(rig: Rig, stage: Stage) -> None:
    says(stage, "It is blue.")
    lines = [json.loads(line) for line in rig.run("llm", "stream", "Why?", "--tier", "fast", "--json").out.splitlines()]
    kinds = [line["event"]["kind"] for line in lines]
    assert (kinds[0], kinds[-1]) == ("started", "finished")
    assert "".join(line["event"]["text"] for line in lines if line["event"]["kind"] == "text_delta") == "It is blue."


def test_a_stream_that_begins_again_says_that_what_was_said_is_void(rig: Rig, stage: Stage) -> None:
    says(stage, "It is blue.", "It is blue.")
    stage.control.faults.append(Fault(kind=FaultKind.CUT, after=6))
    answer = rig.run("llm", "stream", "Why?", "--model", "gpt-6-luna")
    assert answer.code == ExitCode.OK, answer.err
    assert "what was said is void" in answer.err
    assert answer.out.endswith("It is blue.\n")


@pytest.fixture
def attended() -> Generator[None]:
    """As at a terminal: a shell that starts something in the background has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("verb", ["complete", "stream"])
def test_ctrl_c_cancels_the_call_at_the_provider(rig: Rig, stage: Stage, attended: None, verb: str) -> None:
    stage.control.add_hold(Hold())

    def interrupt() -> None:
        while not any(seen.outcome is Outcome.HELD for seen in stage.control.seen):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=interrupt)
    presser.start()
    answer = rig.run("llm", verb, "Wait.", "--tier", "fast")
    presser.join()
    assert answer.code == ExitCode.INTERRUPTED
    assert answer.err.endswith("interrupted\n")
    until = time.monotonic() + 60
    while stage.control.seen[0].outcome is not Outcome.ABORTED and time.monotonic() < until:
        time.sleep(0.01)
    assert stage.control.seen[0].outcome is Outcome.ABORTED
    assert ledger(rig) == [("cli", "gpt-6-luna", "settled", "cancelled")]


def test_models_are_compared_side_by_side_and_a_failing_one_is_a_row(rig: Rig, stage: Stage) -> None:
    models = [word for model in (*FASTEST.values(), "gpt-4.1-nano") for word in ("--model", model)]
    answer = rig.run("llm", "compare", "Which colour?", *models, "--json")
    rows = answer.document()["models"]
    assert isinstance(rows, list)
    assert [row["provider"] for row in rows[:-1]] == list(FASTEST)
    assert all(row["answer"] and row["seconds"] is not None and row["output_tokens"] > 0 for row in rows[:-1])
    assert "gone since 2026-10-23" in rows[-1]["error"]
    assert answer.code == ExitCode.OK
    assert "6 of 7 answered" in answer.err


def test_without_names_the_models_of_the_tier_are_compared(
    rig: Rig, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MISTRAL_API_KEY", "AWS_REGION", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name)
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    answer = rig.run("llm", "compare", "Which colour?", "--tier", "fast")
    assert [line.split("\t")[0] for line in answer.out.splitlines()] == list(FASTEST.values())[:3]


def test_a_comparison_that_nobody_answered_fails(rig: Rig) -> None:
    answer = rig.run("llm", "compare", "Which colour?", "--model", "gpt-4", "--model", "nonsense")
    assert answer.code == ExitCode.FAILURE
    assert [line.split("\t")[0] for line in answer.out.splitlines()] == ["gpt-4", "nonsense"]
    assert "0 of 2 answered, 0 USD" in answer.err


@pytest.mark.parametrize(
    ("words", "code", "told", "hint"),
    [
        (("--model", "gpt-7"), ExitCode.POLICY, "is not among the known models", "pointsman llm models"),
        (("--model", "gpt-5.5"), ExitCode.POLICY, "not on the list of allowed", "pointsman llm models"),
        (("--model", "claude-3-opus"), ExitCode.POLICY, "use claude-opus-5-5", "pointsman llm models"),
        (("--model", "gpt-6-luna", "--tier", "fast"), ExitCode.USAGE, "exclude each other", "one of them."),
        (("--image", "note.txt"), ExitCode.USAGE, "text/plain by its name", "pointsman llm complete --help"),
        (("--image", "none.png"), ExitCode.USAGE, "cannot be read", "pointsman llm complete --help"),
        (("--schema", "note.txt"), ExitCode.USAGE, "is no JSON", "pointsman llm complete --help"),
        (("--schema", "list.json"), ExitCode.USAGE, "holds no object", "pointsman llm complete --help"),
        (("--max-tokens", "900000", "--model", "gpt-6-luna"), ExitCode.USAGE, "writes at most", "pointsman llm models"),
        (("--prefer", "nobody"), ExitCode.OK, "", ""),
    ],
)
def test_what_cannot_be_asked_is_told_with_the_next_command(
    rig: Rig, stage: Stage, tmp_path: Path, words: tuple[str, ...], code: ExitCode, told: str, hint: str
) -> None:
    (tmp_path / "note.txt").write_text("a note")
    (tmp_path / "list.json").write_text("[1]")
    answer = rig.run("llm", "complete", "Hello", *words)
    assert answer.code == code, answer.err
    assert told in answer.err
    if hint:
        assert answer.err.endswith(f"{hint}\n")
        assert stage.control.seen == []


def test_an_empty_prompt_is_told(rig: Rig) -> None:
    answer = rig.run("llm", "complete", " ")
    assert (answer.code, "The prompt is empty" in answer.err) == (ExitCode.USAGE, True)


def test_a_provider_that_limits_us_longer_than_we_wait_says_when_to_come_back(rig: Rig, stage: Stage) -> None:
    stage.control.faults.append(
        Fault(kind=FaultKind.STATUS, status=429, code="rate_limit_exceeded", retry_after="300", count=9)
    )
    answer = rig.run("llm", "complete", "Hello", "--model", "gpt-6-luna", "--json")
    assert answer.code == ExitCode.FAILURE
    error = answer.error()
    assert (error["code"], error["retryable"]) == ("rate_limited", True)
    assert "again in 300 s" in str(error["message"])


def test_without_a_key_the_error_says_so(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "POINTSMAN_OPENAI_API_KEY"):
        monkeypatch.delenv(name)
    answer = rig.run("llm", "complete", "Hello", "--model", "gpt-6-luna")
    assert answer.code == ExitCode.UNAUTHORISED
    assert "no key for openai" in answer.err


def test_a_wrong_key_is_never_shown(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_OPENAI_API_KEY", "sk-wrong-key-5577")
    answer = rig.run("llm", "complete", "Hello", "--model", "gpt-6-luna")
    assert answer.code == ExitCode.UNAUTHORISED
    assert "sk-wrong-key-5577" not in answer.err + answer.out


def test_a_tenant_asks_with_its_own_key(
    rig: Rig, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    keys = "models:\n  keys:\n    - {provider: openai, tenant: acme, key: ACME_OPENAI_KEY}\n"
    (policy / "policy.yaml").write_text(f"version: own\n{keys}")
    monkeypatch.setenv("POINTSMAN_POLICY_DIR", str(policy))
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("POINTSMAN_OPENAI_API_KEY")
    monkeypatch.setenv("ACME_OPENAI_KEY", KEY)
    words = ("llm", "complete", "Hello", "--model", "gpt-6-luna")
    assert rig.run(*words, "--tenant", "acme").code == ExitCode.OK
    assert rig.run(*words).code == ExitCode.UNAUTHORISED


def test_a_wrong_setting_is_named(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_REQUEST_TIMEOUT", "0")
    answer = rig.run("llm", "complete", "Hello")
    assert answer.code == ExitCode.USAGE
    assert "LLM_REQUEST_TIMEOUT is '0'" in answer.err


def test_a_call_is_in_the_books(rig: Rig) -> None:
    assert rig.run("llm", "complete", "Hello", "--tier", "fast").code == ExitCode.OK
    assert ledger(rig) == [("cli", "gpt-6-luna", "settled", "success")]


def ledger(rig: Rig) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(rig.database)) as books:
        return books.execute("SELECT source_agent, model, state, outcome FROM llm_ledger").fetchall()


def test_while_a_service_holds_the_books_the_call_is_made_and_that_is_said(rig: Rig) -> None:
    lock = ServiceLock(rig.database)
    answer = rig.run("llm", "complete", "Hello", "--tier", "fast")
    lock.release()
    assert answer.code == ExitCode.OK, answer.err
    assert "a service holds the books" in answer.err
    assert "a service holds the books" not in rig.run("llm", "complete", "Hello", "--tier", "fast").err


def test_without_a_database_that_is_said_once_and_to_programs_too(rig: Rig) -> None:
    rig.database.unlink()
    words = ("Hello", "--tier", "fast")
    plain = rig.run("llm", "complete", *words)
    assert (plain.code, plain.err.count("there is no database")) == (ExitCode.OK, 1), plain.err
    told = rig.run("llm", "complete", *words, "--json")
    response = told.document()["response"]
    assert isinstance(response, dict)
    assert "accounted for in this process only" in response["notes"][-1]
    last = json.loads(rig.run("llm", "stream", *words, "--json").out.splitlines()[-1])
    assert "there is no database" in last["event"]["response"]["notes"][-1]
    rows = rig.run("llm", "compare", "Hello", "--model", "gpt-6-luna", "--json").document()["models"]
    assert isinstance(rows, list)
    assert "there is no database" in rows[0]["notes"][-1]
    assert not rig.database.exists()
