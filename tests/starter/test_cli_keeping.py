"""Commands on what is kept: replay, audit, schema, backup, settings, policy."""

import base64
import io
import json
import os
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pointsman import config
from pointsman.contracts.records import DeliveryState
from pointsman.store import schema
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from pointsman.store.sqlite import ServiceLock
from starter.cli.call import Call
from starter.cli.detached import made_folder, warn_of_no_intake
from starter.cli.errors import CliError, ExitCode
from starter.cli.output import Output
from tests.preloaded import Preloaded
from tests.starter import cli_rig
from tests.starter.cli_rig import Rig

ROOT = Path(__file__).parents[2]
SECRET = "correct-horse-battery"


@pytest.fixture
def rig(
    tmp_path: Path,
    migrated_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    free_port: int,
) -> Rig:
    monkeypatch.setenv("POINTSMAN_WEB_PORT", str(free_port))
    monkeypatch.setenv("POINTSMAN_WEBHOOK_SECRETS", SECRET)
    monkeypatch.setenv("USER", "ada")
    monkeypatch.delenv("POINTSMAN_POLICY_DIR", raising=False)
    return cli_rig.made(tmp_path / "data", migrated_file, capsys, monkeypatch)


async def dead(store: Store) -> None:
    inbox = Inbox(store)
    await inbox.accept(cli_rig.delivery("d-1"))
    await inbox.settle("d-1", DeliveryState.DEAD, "gave up")


@contextmanager
def service(rig: Rig, status: int, body: dict[str, object], port: int) -> Generator[list[tuple[str, str, bytes]]]:
    """A web process as `inbox replay` sees it: it holds the database, and answers."""
    asked: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["Authorization"], sent))
            answer = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    lock = ServiceLock(rig.database)
    server = HTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        lock.release()


def test_without_a_service_a_replay_goes_straight_into_the_store(rig: Rig) -> None:
    rig.fill(dead)
    answer = rig.run("inbox", "replay", "d-1", "--json")
    assert answer.code == ExitCode.OK
    replayed = answer.document()["replayed"]
    assert isinstance(replayed, dict)
    pending = rig.run("inbox", "list", "--state", "pending", "--json").document()["deliveries"]
    assert isinstance(pending, list)
    assert [(one["delivery"], one["replayed_by"]) for one in pending] == [(replayed["delivery"], "ada")]


def test_a_running_service_is_asked_to_replay(rig: Rig, free_port: int) -> None:
    rig.fill(dead)
    with service(rig, 202, {"id": "d-2", "chain_id": "d-1"}, free_port) as asked:
        answer = rig.run("inbox", "replay", "d-1", "--by", "bob")
    assert answer.code == ExitCode.OK
    assert answer.out.startswith("delivery\td-2\nof\td-1\nby\tbob\n")
    path, authorization, sent = asked[0]
    assert path == "/api/inbox/d-1/replay"
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == f"pointsman:{SECRET}"
    assert json.loads(sent) == {"by": "bob"}


@pytest.mark.parametrize(
    ("status", "code"), [(401, ExitCode.UNAUTHORISED), (404, ExitCode.NOT_FOUND), (503, ExitCode.FAILURE)]
)
def test_a_service_that_refuses_is_told(rig: Rig, free_port: int, status: int, code: ExitCode) -> None:
    rig.fill(dead)
    with service(rig, status, {"error": {"message": "not now"}}, free_port):
        answer = rig.run("inbox", "replay", "d-1", "--json")
    assert answer.code == code
    assert " not now. Nothing was put into the queue." in str(answer.error()["message"])
    assert answer.error()["retryable"] is (status == 503)
    assert SECRET not in answer.out + answer.err


def test_a_service_that_holds_the_store_and_does_not_answer_is_named(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.fill(dead)
    lock = ServiceLock(rig.database)
    answer = rig.run("inbox", "replay", "d-1")
    monkeypatch.delenv("POINTSMAN_WEBHOOK_SECRETS", raising=False)
    stranger = rig.run("inbox", "replay", "d-1")
    lock.release()
    assert answer.code == ExitCode.CONFLICT
    assert "in use by process" in answer.err
    assert stranger.code == ExitCode.UNAUTHORISED
    assert "POINTSMAN_WEBHOOK_SECRETS is not set here. Nothing was put into the queue." in stranger.err


def test_a_second_service_is_refused_before_it_says_where_it_is(
    rig: Rig, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "AZURE_DEVOPS_TOKEN"):
        monkeypatch.setenv(f"POINTSMAN_{name}", "nobody-asks-for-it")
    rig.fill(dead)
    lock = ServiceLock(rig.database)
    answer = rig.run("serve", "--port", str(free_port))
    lock.release()
    assert (answer.code, answer.out) == (ExitCode.CONFLICT, "")
    assert f"in use by process {os.getpid()}" in answer.err


def test_whoever_runs_it_without_a_secret_is_told_that_nothing_comes_in(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = io.StringIO()
    warn_of_no_intake(Call(Output(stderr=told), {}), config.load())
    assert told.getvalue() == ""
    monkeypatch.delenv("POINTSMAN_WEBHOOK_SECRETS")
    warn_of_no_intake(Call(Output(stderr=told), {}), config.load())
    assert "POINTSMAN_WEBHOOK_SECRETS is not set, so no delivery is taken" in told.getvalue()


@pytest.mark.slow
def test_a_body_comes_out_as_it_came_in(rig: Rig, preloaded: Preloaded) -> None:
    body = b'{"eventType": "\xff\x00"}\r\n'

    async def garbled(store: Store) -> None:
        await Inbox(store).accept(cli_rig.delivery("d-1", body=body))

    rig.fill(garbled)
    command = [str(preloaded.pointsman), "inbox", "show", "d-1", "--body"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True).stdout == body


def signed(rig: Rig) -> None:
    async def sequence(store: Store) -> None:
        await Sequencer(store, Signer.open(rig.folder / "keys")).drain()

    (rig.folder / "keys").mkdir(exist_ok=True)
    rig.fill(cli_rig.story)
    rig.fill(sequence)


def test_a_sound_log_verifies_and_a_changed_event_is_named(rig: Rig) -> None:
    signed(rig)
    sound = rig.run("audit", "verify", "--json")
    assert sound.code == ExitCode.OK
    assert sound.document()["findings"] == []
    with closing(sqlite3.connect(rig.database)) as database:
        database.execute("DROP TRIGGER audit_event_no_update")  # as a forger with the file would
        database.execute(
            "UPDATE audit_event SET body = CAST(replace(body, '\"bytes\"', '\"bites\"') AS BLOB) WHERE sequence = 1"
        )
        database.commit()
    forged = rig.run("audit", "verify")
    assert forged.code == ExitCode.FINDINGS
    assert forged.out.startswith("default\t")
    assert "findings: 0" not in forged.err


def test_an_export_verifies_and_one_changed_byte_in_it_is_found(rig: Rig, tmp_path: Path) -> None:
    signed(rig)
    file = tmp_path / "evidence.zip"
    made = rig.run("audit", "export", str(file), "--json").document()["export"]
    assert isinstance(made, dict)
    assert made["bytes"] == file.stat().st_size
    assert rig.run("audit", "verify", str(file)).code == ExitCode.OK
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    changed = rig.run("audit", "verify", str(file))
    assert changed.code == ExitCode.FINDINGS
    assert changed.out.strip()
    assert rig.run("audit", "export", str(file)).code == ExitCode.CONFLICT
    assert rig.run("audit", "verify", str(tmp_path / "none.zip")).code == ExitCode.NOT_FOUND


def test_a_log_that_was_begun_again_does_not_go_on_from_a_kept_checkpoint(rig: Rig, tmp_path: Path) -> None:
    signed(rig)
    logs = rig.run("audit", "verify", "--json").document()["logs"]
    assert isinstance(logs, list)
    kept = tmp_path / "kept.txt"
    kept.write_text(logs[0]["checkpoint"], encoding="utf-8")
    assert rig.run("audit", "verify", "--kept", str(kept)).code == ExitCode.OK
    kept.write_text(logs[0]["checkpoint"].replace("\n", "\n9", 1), encoding="utf-8")
    assert rig.run("audit", "verify", "--kept", str(kept)).code == ExitCode.FINDINGS
    assert rig.run("audit", "verify", "--kept", str(tmp_path / "none")).code == ExitCode.USAGE


def test_the_schema_goes_up_and_down_and_only_with_consent(rig: Rig) -> None:
    assert "up_to_date\ttrue\n" in rig.run("db", "current").out
    assert rig.run("db", "downgrade", "base").code == ExitCode.USAGE
    assert rig.run("db", "downgrade", "base", "--dry-run").code == ExitCode.OK
    assert schema.current(rig.url) == schema.head()
    assert rig.run("db", "downgrade", "base", "--yes").code == ExitCode.OK
    assert schema.current(rig.url) == ""
    listed = rig.run("items", "list")
    assert listed.code == ExitCode.FAILURE
    assert "pointsman db upgrade" in listed.err
    assert rig.run("db", "upgrade").code == ExitCode.OK
    assert rig.run("items", "list").code == ExitCode.OK


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("upgrade", "nonsense"), "no schema revision 'nonsense'"),
        (("upgrade", "0001"), "pointsman db downgrade 0001"),
        (("downgrade", "9999", "--yes"), "no schema revision '9999'"),
        (("downgrade", "-1", "--dry-run"), "pointsman db"),
    ],
)
def test_a_revision_that_cannot_be_reached_is_refused(rig: Rig, words: tuple[str, ...], said: str) -> None:
    refused = rig.run("db", *words)
    assert refused.code == ExitCode.USAGE
    assert said in refused.err
    assert schema.current(rig.url) == schema.head()


def test_a_schema_that_this_version_does_not_know_is_left_alone(rig: Rig) -> None:
    with closing(sqlite3.connect(rig.database)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    for words in (("upgrade",), ("downgrade", "previous", "--yes")):
        refused = rig.run("db", *words)
        assert (refused.code, "which this version does not know" in refused.err) == (ExitCode.FAILURE, True)
    assert schema.current(rig.url) == "9999"


def test_a_file_that_is_damaged_is_told_and_not_taken_for_a_fault_of_ours(rig: Rig) -> None:
    signed(rig)
    rig.database.write_bytes(b"no database at all " * 400)
    for words in (("items", "list"), ("db", "current"), ("db", "upgrade"), ("audit", "show")):
        told = rig.run(*words)
        assert (told.code, "the database is damaged: file is not a database" in told.err) == (ExitCode.FAILURE, True)
        assert told.err.rstrip().endswith("pointsman audit verify")
    verified = rig.run("audit", "verify")
    assert (verified.code, verified.out.split("\t")[1]) == (ExitCode.FINDINGS, "database file")


def test_a_backup_is_a_database_of_its_own(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.fill(cli_rig.item)
    copy = tmp_path / "copy.db"
    lock = ServiceLock(rig.database)  # a service may run meanwhile
    assert rig.run("db", "backup", str(copy)).code == ExitCode.OK
    lock.release()
    assert rig.run("db", "backup", str(copy)).code == ExitCode.CONFLICT
    assert "mkdir -p" in rig.run("db", "backup", str(tmp_path / "none" / "copy.db")).err
    monkeypatch.setenv("POINTSMAN_DATABASE_URL", f"sqlite:///{copy}")
    assert rig.run("items", "list").out.startswith("fabrikam/42\t")


def test_a_data_folder_that_cannot_be_made_is_told_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CliError, match="cannot be made: File exists") as told:
        made_folder(config.load(data_dir=tmp_path / "file"))
    assert "POINTSMAN_DATA_DIR" in told.value.hint


def test_a_port_that_is_taken_is_told_by_the_mcp_server_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_URL", "https://dev.azure.com/fabrikam")
    monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_TOKEN", SECRET)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = rig.run("mcp", "work-items", "--http", str(taken.getsockname()[1]))
    assert told.code == ExitCode.CONFLICT
    assert "cannot be listened on" in told.err


def test_settings_say_who_set_them_and_hide_secrets(rig: Rig) -> None:
    port = rig.run("config", "explain", "POINTSMAN_WEB_PORT").out.split("\t")
    assert (port[0], port[2]) == ("web_port", "environment POINTSMAN_WEB_PORT")
    everything = rig.run("config", "explain", "--json")
    assert SECRET not in everything.out + everything.err
    assert rig.run("config", "show", "nothing").code == ExitCode.NOT_FOUND


def test_of_two_names_for_one_key_the_one_in_force_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://theirs.example.com/v1")
    monkeypatch.setenv("POINTSMAN_OPENAI_BASE_URL", "")
    alone = rig.run("config", "explain", "OPENAI_BASE_URL", "--json").document()["settings"]
    monkeypatch.setenv("POINTSMAN_OPENAI_BASE_URL", "https://ours.example.com/v1")
    both = rig.run("config", "explain", "OPENAI_BASE_URL", "--json").document()["settings"]
    assert isinstance(alone, list)
    assert isinstance(both, list)
    assert alone[-1]["value"] == "https://theirs.example.com/v1"
    assert {(row["value"], row["origin"]) for row in both} == {
        ("https://ours.example.com/v1", "environment POINTSMAN_OPENAI_BASE_URL")
    }


def test_settings_of_the_model_service_are_explained_beside_the_others(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLM_MAX_RETRIES", raising=False)
    (tmp_path / ".env").write_text("LLM_MAX_RETRIES=7\n")
    monkeypatch.setenv("MISTRAL_API_KEY", "sk-planted-3141")
    assert rig.run("config", "explain", "LLM_MAX_RETRIES").out.split("\t")[:3] == ["LLM_MAX_RETRIES", "7", "file .env"]
    key = rig.run("config", "explain", "mistral_api_key").out.split("\t")
    assert key[:3] == ["MISTRAL_API_KEY", "********", "environment MISTRAL_API_KEY"]
    assert rig.run("config", "show", "POINTSMAN_MODELS").out.startswith("POINTSMAN_MODELS\t")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "aws").write_text("[profile work]\nregion = eu-west-3\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    region = rig.run("config", "explain", "AWS_REGION").out.split("\t")
    assert region[:3] == ["AWS_REGION", "eu-west-3", "profile of AWS_PROFILE"]
    monkeypatch.setenv("LLM_MAX_RETRIES", "-7")
    assert "LLM_MAX_RETRIES is '-7'" in rig.run("config", "explain").err


def test_a_misspelt_variable_is_warned_of(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_WEB_PROT", "1")
    assert "POINTSMAN_WEB_PROT" in rig.run("config", "explain").err


def test_a_policy_is_checked_line_by_line(rig: Rig, tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    file = folder / "policy.yaml"
    file.write_text('version: "2"\nscope: everything\nroutess: []\n')
    wrong = rig.run("policy", "check", "--dir", str(folder))
    assert wrong.code == ExitCode.FINDINGS
    assert f"{file}:2" in wrong.out
    assert f"{file}:3" in wrong.out
    assert rig.run("policy", "show", "--dir", str(folder)).code == ExitCode.USAGE
    file.write_text('version: "2"\n')
    assert rig.run("policy", "check", "--dir", str(folder)).code == ExitCode.OK


def test_the_policy_in_force_is_shown(rig: Rig) -> None:
    rows = [line.split("\t") for line in rig.run("policy", "show").out.splitlines()]
    assert [row[0] for row in rows if row[0] == "ladder"] == ["ladder"] * 4
    assert ["route", "bugs", "types: Bug -> triage"] in rows
    assert "then team and lead for 2d" in next(row[2] for row in rows if row[:2] == ["ladder", "medium"])
