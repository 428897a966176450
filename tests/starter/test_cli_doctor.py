"""`pointsman doctor`: each thing that is missing is found, and the command that mends it is named."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from pointsman.sandbox import azure_devops
from pointsman.sandbox.azure_devops.config import demo_config
from pointsman.sandbox.models import server as models
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.store.sqlite import ServiceLock
from pointsman.temporal import SEARCH_ATTRIBUTES
from pointsman.temporal_server import DevServer
from starter.cli.call import Call
from starter.cli.doctor import PROBES, Probe, examined
from starter.cli.errors import ExitCode
from starter.cli.output import Output
from starter.cli.probes import Finding, Status
from starter.cli.probes_worker import KINDS, Poller, judged, lives
from starter.cli.sandbox import model_settings
from starter.needs import KEY_VARIABLES
from tests.starter import cli_rig
from tests.starter.cli_rig import Rig

Rows = dict[str, dict[str, str]]


@pytest.fixture
def rig(
    tmp_path: Path,
    migrated_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    free_port: int,
) -> Rig:
    monkeypatch.setenv("POINTSMAN_TEMPORAL_ADDRESS", f"127.0.0.1:{free_port}")
    monkeypatch.setenv("POINTSMAN_WEB_PORT", "0")
    for name in ("WEBHOOK_SECRETS", "AZURE_DEVOPS_URL", "AZURE_DEVOPS_TOKEN", "OPENAI_API_KEY", "POLICY_DIR"):
        monkeypatch.delenv(f"POINTSMAN_{name}", raising=False)
    return cli_rig.made(tmp_path / "data", migrated_file, capsys, monkeypatch)


def checks(rig: Rig, *words: str, code: ExitCode = ExitCode.FINDINGS) -> Rows:
    answer = rig.run("doctor", "--json", *words)
    assert answer.code == code
    rows = answer.document()["checks"]
    assert isinstance(rows, list)
    return {row["check"]: row for row in rows}


def test_every_check_says_what_is_why_it_matters_and_how_long_it_took(rig: Rig) -> None:
    rows = checks(rig)
    assert list(rows) == ["settings", *(probe.id for probe in PROBES)]
    for row in rows.values():
        assert row["what"]
        assert row["why"]
        assert int(row["ms"]) >= 0
        assert row["fix"] or row["status"] in ("ok", "skip")


def test_the_key_of_the_provider_that_policy_prefers_is_what_mends_a_missing_key(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a `.env` of whoever runs the tests is not theirs
    for name in ("OPENAI_API_KEY", *KEY_VARIABLES.values()):
        monkeypatch.delenv(name, raising=False)
    assert checks(rig)["model_key"]["fix"] == "export POINTSMAN_OPENAI_API_KEY=..."
    (tmp_path / "policy.yaml").write_text('version: "1"\nmodels: {prefer: [anthropic]}\n')
    monkeypatch.setenv("POINTSMAN_POLICY_DIR", str(tmp_path))
    row = checks(rig)["model_key"]
    assert (row["status"], row["fix"]) == ("warn", "export ANTHROPIC_API_KEY=...")
    assert "MISTRAL_API_KEY" in row["what"]


def test_what_stands_is_ok(rig: Rig) -> None:
    rows = checks(rig)
    for name in ("python", "data_dir", "disk", "database", "clock", "policy", "web_port"):
        assert rows[name]["status"] == "ok", rows[name]


@pytest.mark.parametrize(
    ("url", "status", "fix"),
    [
        ("", "warn", "export POINTSMAN_PUBLIC_URL=https://HOST"),
        ("http://hooks.example.com", "warn", "export POINTSMAN_PUBLIC_URL=https://hooks.example.com"),
        ("http://127.0.0.1:8080", "ok", ""),
        ("https://hooks.example.com", "ok", ""),
    ],
)
def test_an_organisation_needs_an_address_to_post_to(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, url: str, status: str, fix: str
) -> None:
    assert checks(rig)["public_url"]["status"] == "ok", "there is no organisation"
    monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_URL", "https://dev.azure.com/fabrikam")
    monkeypatch.setenv("POINTSMAN_PUBLIC_URL", url)
    row = checks(rig)["public_url"]
    assert (row["status"], row["fix"]) == (status, fix)


def test_what_needs_a_server_is_skipped_without_one(rig: Rig) -> None:
    rows = checks(rig)
    assert rows["temporal_server"]["status"] == "fail"
    assert rows["temporal_server"]["fix"] == "pointsman up"
    assert rows["namespace"] | {"ms": "", "why": ""} == {
        "check": "namespace",
        "status": "skip",
        "what": "needs temporal_server",
        "why": "",
        "fix": "",
        "ms": "",
    }


def test_findings_end_with_the_next_command(rig: Rig) -> None:
    told = rig.run("doctor").err
    assert "temporal_server: No Temporal server answers" in told
    assert "Next: pointsman up" in told
    assert rig.run("doctor", "--quiet").err == ""


def test_a_server_with_everything_but_a_worker(
    rig: Rig, dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_TEMPORAL_ADDRESS", dev_server.address)
    monkeypatch.setenv("POINTSMAN_TASK_QUEUE", "nobody-polls-this")
    rows = checks(rig)
    assert rows["namespace"]["status"] == "ok"
    assert rows["search_attributes"]["what"] == f"all {len(SEARCH_ATTRIBUTES)} are registered"
    assert rows["pollers"]["status"] == "warn"
    assert rows["pollers"]["fix"] == "pointsman serve"
    monkeypatch.setenv("POINTSMAN_TEMPORAL_NAMESPACE", "elsewhere")
    missing = checks(rig)
    assert missing["namespace"]["status"] == "fail"
    assert missing["namespace"]["fix"] == "temporal operator namespace create --namespace elsewhere"
    assert missing["pollers"]["status"] == "skip"


def test_a_worker_that_was_killed_is_no_poller_although_the_server_still_tells_of_it() -> None:
    now = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
    gone = 2**22 + 1  # above every process id that Linux gives, and macOS
    names = {"live": f"{os.getpid()}@{socket.gethostname()}", "killed": f"{gone}@{socket.gethostname()}"}

    def told(name: str, seconds: int = 12) -> Finding:
        found = [Poller(kind, names.get(name, name), now - timedelta(seconds=seconds)) for kind in KINDS]
        return judged("items", found, now, lives)

    assert (told("live").status, "last seen 12 seconds ago" in told("live").what) == ("ok", True)
    assert (told("7@elsewhere").status, told("7@elsewhere", 90).status, told("named").status) == ("ok", "warn", "ok")
    killed = told("killed")
    assert (killed.status, killed.fix) == ("warn", "pointsman serve")
    assert f"0 for activity tasks; gone, and last seen 12 seconds ago: {gone}@" in killed.what


def test_a_process_that_has_ended_holds_no_database_and_is_no_worker(rig: Rig) -> None:
    lock = ServiceLock(rig.database)
    assert checks(rig)["database"]["what"].endswith(f", held by process {os.getpid()}")
    lock.release()
    with subprocess.Popen([sys.executable, "-c", ""]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        Path(f"{rig.database}.lock").write_text(f"{zombie.pid}\n")
        assert checks(rig)["database"]["what"].endswith(", held by no service")
        assert lives(f"{zombie.pid}@{socket.gethostname()}") is (sys.platform == "darwin")


def test_a_wrong_setting_leaves_only_itself_to_mend(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_WEB_PORT", "many")
    rows = checks(rig)
    assert rows["settings"]["status"] == "fail"
    assert "POINTSMAN_WEB_PORT: 'many'" in rows["settings"]["what"]
    assert {row["status"] for name, row in rows.items() if name != "settings"} == {"skip"}


def test_a_misspelt_setting_is_named(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_WEB_PROT", "8080")
    assert checks(rig)["settings"]["fix"] == "unset POINTSMAN_WEB_PROT"


def test_a_missing_database_and_an_old_schema_are_told_apart(rig: Rig) -> None:
    with closing(sqlite3.connect(rig.database)) as database:
        database.execute("UPDATE alembic_version SET version_num = '0000'")
        database.commit()
    old = checks(rig)["database"]
    assert (old["status"], old["fix"]) == ("fail", "pointsman db upgrade")
    assert "schema 0000" in old["what"]
    with closing(sqlite3.connect(rig.database)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    assert checks(rig)["database"]["fix"] == "pointsman --version"
    rig.database.write_bytes(b"no database at all " * 400)
    assert checks(rig)["database"]["fix"] == "pointsman audit verify"
    rig.database.unlink()
    missing = checks(rig)["database"]
    assert (missing["status"], missing["fix"]) == ("warn", "pointsman db upgrade")
    assert not rig.database.exists()


def test_a_database_that_does_not_answer_is_told_without_its_password(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    url = f"postgresql+psycopg://ada:sesame-open@127.0.0.1:{free_port}/books"
    monkeypatch.setenv("POINTSMAN_DATABASE_URL", url)
    answer = rig.run("doctor", "--json")
    assert "does not answer" in answer.out
    assert "sesame-open" not in answer.out + answer.err


def test_a_clock_that_was_set_back_is_noticed(rig: Rig) -> None:
    rig.fill(cli_rig.item)
    tomorrow = int((time.time() + 86_400) * 1_000_000)
    with closing(sqlite3.connect(rig.database)) as database:
        database.execute("UPDATE work_item SET changed_at = ?", (tomorrow,))
        database.commit()
    assert checks(rig)["clock"]["status"] == "fail"


def test_a_broken_policy_is_told_with_file_and_line(rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text('version: "2"\nroutess: []\n')
    monkeypatch.setenv("POINTSMAN_POLICY_DIR", str(tmp_path))
    found = checks(rig)["policy"]
    assert (found["status"], found["fix"]) == ("fail", "pointsman policy check")
    assert f"{tmp_path}/policy.yaml:2" in found["what"]


def test_a_port_that_somebody_else_has_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("POINTSMAN_WEB_PORT", str(other.getsockname()[1]))
        other.settimeout(0.01)
        other.close()
        assert checks(rig)["web_port"]["status"] == "ok"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # bound, and nobody listens
        monkeypatch.setenv("POINTSMAN_WEB_PORT", str(other.getsockname()[1]))
        assert checks(rig)["web_port"]["status"] == "fail"


def test_services_outside_are_asked_only_on_request(rig: Rig, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_URL", f"http://127.0.0.1:{free_port}/fabrikam")
    monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_TOKEN", "not-a-real-token")
    monkeypatch.setenv("POINTSMAN_OPENAI_API_KEY", "not-a-real-key")
    monkeypatch.setenv("POINTSMAN_OPENAI_BASE_URL", f"http://127.0.0.1:{free_port}/v1")
    offline = checks(rig)
    assert offline["azure_devops_online"]["status"] == "skip"
    assert offline["model_online"]["fix"] == "pointsman doctor --online"
    online = checks(rig, "--online")
    assert online["azure_devops_online"]["status"] == "fail"
    assert online["model_online"]["status"] == "fail"
    assert "openai" in str(online["model_online"]["what"])


async def test_each_model_provider_with_a_key_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    async with models.running(ModelsConfig(api_keys=(SecretStr("k" * 20),))) as url:
        for name, value in model_settings(url, "k" * 20).items():
            monkeypatch.setenv(name, value)
        found = await asked(tmp_path, "policy", "model_key", "model_online")
        assert found["model_key"] == (Status.OK, "set, for anthropic, azure_openai, bedrock, gemini, mistral, openai")
        assert found["model_online"][0] is Status.OK
        assert "mistral lists 3 models" in found["model_online"][1]
        monkeypatch.setenv("MISTRAL_API_KEY", "wrong")
        refused = await asked(tmp_path, "policy", "model_key", "model_online")
        assert refused["model_online"][0] is Status.FAIL
        assert "anthropic lists" in refused["model_online"][1]


async def test_azure_devops_says_whose_token_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = demo_config(person_token=SecretStr("p" * 20), service_token=SecretStr("s" * 20))
    async with azure_devops.running(config) as url:
        monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_URL", f"{url}/fabrikam")
        monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_TOKEN", "s" * 20)
        found = await asked(tmp_path, "azure_devops", "azure_devops_online")
        assert found["azure_devops_online"][0] is Status.OK
        assert "pointsman@fabrikam.example" in found["azure_devops_online"][1]
        monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_TOKEN", "x" * 20)
        refused = await asked(tmp_path, "azure_devops", "azure_devops_online")
        assert refused["azure_devops_online"][0] is Status.FAIL
        assert refused["azure_devops_online"][1].startswith(
            f"organisation 'fabrikam' at {url}/fabrikam does not let us"
        )
        monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_URL", f"{url}/nowhere")
        monkeypatch.setenv("POINTSMAN_AZURE_DEVOPS_TOKEN", "s" * 20)
        lost = await asked(tmp_path, "azure_devops", "azure_devops_online")
        assert lost["azure_devops_online"][1].startswith(f"there is no organisation 'nowhere' at {url}/nowhere")


async def asked(folder: Path, *names: str) -> dict[str, tuple[Status, str]]:
    call = Call(Output(), {"data_dir": folder})
    chosen = [probe for probe in PROBES if probe.id in names]
    return {one.id: (one.status, one.what) for one in await examined(call, online=True, probes=chosen)}


async def test_a_probe_that_breaks_does_not_hide_the_next(tmp_path: Path) -> None:
    async def broken(settings: object) -> Finding:
        raise ZeroDivisionError("division by zero")

    async def sound(settings: object) -> Finding:
        return Finding(Status.OK, "fine")

    probes = [Probe("a", "w", broken), Probe("b", "w", sound), Probe("c", "w", sound, needs=("a",))]
    found = await examined(Call(Output(), {"data_dir": tmp_path}), online=False, probes=probes)
    assert [one.status for one in found[1:]] == [Status.FAIL, Status.OK, Status.SKIP]
    assert found[1].what == "ZeroDivisionError: division by zero"
