"""A server is found by the first way that leads to one, and the local one survives being killed."""

import json
import os
import shutil
import socket
import stat
import subprocess
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.worker import Worker

from pointsman import temporal, temporal_builds
from pointsman.temporal_builds import DEV_SERVER, TEST_SERVER, Artifact, RouteFailed, Say, cached, obtain
from pointsman.temporal_server import (
    BINARY_VARIABLE,
    SERVER_PORTS,
    DevServer,
    DevServerFailed,
    ServerNotFound,
    find_server,
    find_test_server,
    free_port,
    install_server,
)
from tests.sample_workflows import WaitForWord


def say_nothing(line: str) -> None:
    """Progress that no test looks at."""


def put_program(path: Path, server: str) -> Path:
    """An executable that says about itself what Temporal's CLI says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'temporal version 0.0.0-DEV (Server {server}, UI 2.42.1)'\n")
    path.chmod(0o755)
    return path


def putting(server: str, calls: list[str]) -> temporal_builds.Obtain:
    def put(artifact: Artifact, folder: Path, say: Say) -> None:
        calls.append(artifact.name)
        put_program(folder / artifact.program, server)

    return put


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"PATH": str(tmp_path / "bin"), "POINTSMAN_CACHE_DIR": str(tmp_path / "cache"), **more}


def test_named_binary_wins_over_path(tmp_path: Path) -> None:
    put_program(tmp_path / "bin/temporal", "1.30.0")
    named = put_program(tmp_path / "mine/temporal", "1.29.1")
    found = find_server(environ=environ(tmp_path, POINTSMAN_TEMPORAL_BIN=str(named)))
    assert (found.path, found.source, found.server_version) == (named, "named", "1.29.1")


def test_named_binary_that_is_missing_is_an_error_and_not_passed_over(tmp_path: Path) -> None:
    put_program(tmp_path / "bin/temporal", "1.30.0")
    with pytest.raises(ServerNotFound, match=f"{BINARY_VARIABLE}: '/nowhere/temporal' is no file"):
        find_server(environ=environ(tmp_path, POINTSMAN_TEMPORAL_BIN="/nowhere/temporal"))


def test_binary_on_path_is_taken_when_its_server_is_new_enough(tmp_path: Path) -> None:
    program = put_program(tmp_path / "bin/temporal", "1.31.2")
    found = find_server(environ=environ(tmp_path))
    assert (found.path, found.source) == (program, "path")


def test_old_server_on_path_is_passed_over_and_named_with_its_version(tmp_path: Path) -> None:
    put_program(tmp_path / "bin/temporal", "1.28.9")
    with pytest.raises(ServerNotFound) as failure:
        find_server(may_obtain=False, environ=environ(tmp_path))
    assert [way for way, _ in failure.value.tried] == ["`temporal` on PATH", "cache"]
    assert "carries server 1.28.9, and 1.29 or newer is needed" in str(failure.value)


def test_error_lists_each_way_with_its_reason_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(temporal_builds, "DOWNLOAD_HOST", "https://download.invalid")
    with pytest.raises(ServerNotFound) as failure:
        find_server(environ=environ(tmp_path), say=say_nothing)
    assert [way for way, _ in failure.value.tried] == ["`temporal` on PATH", "cache", "download", "go"]
    assert "no `go` on PATH; install Go 1.25 or newer" in str(failure.value)
    assert "pointsman temporal install" in str(failure.value)


def test_error_of_the_test_server_names_java_and_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(temporal_builds, "DOWNLOAD_HOST", "https://download.invalid")
    with pytest.raises(ServerNotFound, match="no `java`, no `mvn` on PATH"):
        find_test_server(environ=environ(tmp_path), say=say_nothing)


def test_silent_download_host_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    silence = threading.Event()
    monkeypatch.setattr(temporal_builds, "ANSWER_SECONDS_MAX", 0.05)
    monkeypatch.setattr(temporal_builds, "_get", lambda url, timeout: bytes(silence.wait(30)))
    with pytest.raises(RouteFailed, match="no answer within"):
        temporal_builds.download(DEV_SERVER, tmp_path, say_nothing)
    silence.set()


def archive_of(kind: str) -> bytes:
    data, buffer = b"#!/bin/sh\n", BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as packed:
            packed.writestr("it/temporal", data)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            info = tarfile.TarInfo("it/temporal")
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_download_unpacks_the_one_program_of_the_archive(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers: dict[str, bytes] = {
        "temporal.download": json.dumps(
            {"archiveUrl": "https://files.invalid/a", "fileToExtract": "it/temporal"}
        ).encode(),
        "files.invalid": archive_of(kind),
    }
    asked: list[str] = []

    def get(url: str, timeout: float) -> bytes:
        asked.append(url)
        return answers[url.split("/")[2]]

    monkeypatch.setattr(temporal_builds, "_get", get)
    temporal_builds.download(DEV_SERVER, tmp_path, say_nothing)
    assert (tmp_path / "temporal").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "temporal").stat().st_mode & stat.S_IXUSR
    assert asked[0].startswith(f"https://temporal.download/cli/v{DEV_SERVER.version}?arch=")


def test_archive_is_fetched_over_https_only() -> None:
    with pytest.raises(RouteFailed, match="not https"):
        temporal_builds._get("http://127.0.0.1:1/archive", timeout=1)


def test_what_was_obtained_once_comes_from_the_cache(tmp_path: Path) -> None:
    calls: list[str] = []
    first = obtain(DEV_SERVER, tmp_path, putting("1.29.1", calls), say_nothing)
    assert obtain(DEV_SERVER, tmp_path, putting("1.29.1", calls), say_nothing) == first == cached(DEV_SERVER, tmp_path)
    assert calls == ["temporal-cli"]


def test_pinned_build_carries_the_server_that_we_say() -> None:
    found = install_server(say=say_nothing)
    assert temporal_builds.server_version(found.path) == found.server_version == temporal_builds.CLI_SERVER_VERSION


def test_two_at_once_obtain_once(tmp_path: Path) -> None:
    calls: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: obtain(DEV_SERVER, tmp_path, putting("1.29.1", calls), say_nothing), range(4)))
    assert len(set(paths)) == 1
    assert calls == ["temporal-cli"]


def test_changed_file_in_the_cache_is_noticed_and_obtained_anew(tmp_path: Path) -> None:
    program = obtain(DEV_SERVER, tmp_path, putting("1.29.1", []), say_nothing)
    program.write_text("#!/bin/sh\necho forged\n")
    with pytest.raises(RouteFailed, match=r"checksum of temporal in .* differs"):
        cached(DEV_SERVER, tmp_path)
    obtain(DEV_SERVER, tmp_path, putting("1.29.1", []), say_nothing)
    assert "Server 1.29.1" in cached(DEV_SERVER, tmp_path).read_text()


def test_touched_file_in_the_cache_is_hashed_and_accepted(tmp_path: Path) -> None:
    program = obtain(DEV_SERVER, tmp_path, putting("1.29.1", []), say_nothing)
    os.utime(program, (1, 1))
    assert cached(DEV_SERVER, tmp_path) == program


def test_failed_attempt_leaves_nothing_that_counts(tmp_path: Path) -> None:
    def fail(artifact: Artifact, folder: Path, say: Say) -> None:
        put_program(folder / artifact.program, "1.29.1")
        raise RouteFailed("broken off")

    with pytest.raises(RouteFailed, match="broken off"):
        obtain(DEV_SERVER, tmp_path, fail, say_nothing)
    with pytest.raises(RouteFailed, match="holds no temporal-cli"):
        cached(DEV_SERVER, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_failing_program_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(RouteFailed, match=r"`sh` ended with 3: out of disk"):
        temporal_builds.run_with_progress(
            ["sh", "-c", "echo out of disk >&2; exit 3"], "building", say_nothing, os.environ
        )


def test_long_step_says_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(temporal_builds, "PROGRESS_SECONDS", 0.05)
    temporal_builds.run_with_progress(["sleep", "0.3"], "building", said.append, os.environ)
    assert said[0] == "building"
    assert any("s so far" in line for line in said)
    assert "done after" in said[-1]


def test_wrapper_of_the_test_server_runs_its_jars_wherever_it_lies(tmp_path: Path) -> None:
    fake_java = tmp_path / "bin/java"
    fake_java.parent.mkdir()
    fake_java.write_text('#!/bin/sh\necho "$@"\n')
    fake_java.chmod(0o755)
    wrapper = tmp_path / "a b/run"
    wrapper.parent.mkdir()
    wrapper.write_text(temporal_builds.WRAPPER)
    wrapper.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    said = subprocess.run([wrapper, "7233"], capture_output=True, text=True, check=True, env={"PATH": path}).stdout
    assert f"-cp {tmp_path}/a b/jars/* io.temporal.testserver.TestServer 7233" in said


def test_pom_asks_for_the_pinned_test_server() -> None:
    pom = temporal_builds.POM.format(version=TEST_SERVER.version)
    assert f"<version>{TEST_SERVER.version}</version>" in pom


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "temporal"


async def test_killed_server_goes_on_where_it_was(folder: Path) -> None:
    async with DevServer(find_server().path, folder) as server:
        client = await server.connect()
        queue = f"test-{uuid4()}"
        async with Worker(client, task_queue=queue, workflows=[WaitForWord], **temporal.worker_options()):
            waiting = await client.start_workflow(WaitForWord.run, id=queue, task_queue=queue)
            before = server.pid
            server.kill()
            assert not server.running
            await server.start()
            assert server.pid != before
            await waiting.signal(WaitForWord.say, "hello")
            assert await waiting.result() == "hello"
    assert not server.running


async def test_server_knows_our_search_attributes_from_the_start(dev_server: DevServer) -> None:
    assert await temporal.ensure_search_attributes(await dev_server.connect()) == []


def test_server_listens_on_the_loopback_interface_and_shows_its_ui(dev_server: DevServer) -> None:
    listening = Path(f"/proc/{dev_server.pid}/net/tcp")
    assert dev_server.ui_url == f"http://127.0.0.1:{dev_server.ui_port}"
    if listening.exists():  # Linux only; a port is `0100007F:hex`, 0100007F being 127.0.0.1
        lines = [line.split()[1] for line in listening.read_text().splitlines()[1:]]
        assert f"0100007F:{dev_server.port:04X}" in lines
        assert f"00000000:{dev_server.port:04X}" not in lines


async def test_running_server_is_found_again_by_its_folder(dev_server: DevServer) -> None:
    other = DevServer.attach(dev_server.folder)
    assert other is not None
    assert (other.pid, other.address, other.ui_url) == (dev_server.pid, dev_server.address, dev_server.ui_url)
    assert other.running


async def test_second_server_on_one_folder_is_refused(dev_server: DevServer) -> None:
    with pytest.raises(DevServerFailed, match=f"Process {dev_server.pid} already serves"):
        await DevServer(dev_server.binary, dev_server.folder).start()


async def test_a_port_that_another_server_has_is_refused_and_not_taken_for_ours(
    dev_server: DevServer, folder: Path
) -> None:
    other = DevServer(dev_server.binary, folder, port=dev_server.port, ui=False)
    with pytest.raises(DevServerFailed, match=f"127.0.0.1:{dev_server.port} cannot be listened on"):
        await other.start()
    assert DevServer.attach(folder) is None


def test_record_of_a_process_that_is_somebody_elses_by_now_attaches_to_nothing(folder: Path) -> None:
    folder.mkdir()
    record = {"pid": os.getpid(), "port": 1, "ui_port": 2, "binary": "temporal"}
    (folder / "dev-server.json").write_text(json.dumps(record))
    assert DevServer.attach(folder) is None


async def test_server_that_cannot_start_is_reported_with_its_log(folder: Path) -> None:
    broken = folder.parent / "broken"
    broken.write_text("#!/bin/sh\necho port is taken >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(DevServerFailed, match=r"ended while it started\. Its log .* ends: port is taken"):
        await DevServer(broken, folder).start()


class Mute(DevServer):
    def command(self) -> list[str]:
        return [str(self.binary), "60"]


async def test_server_that_never_serves_is_stopped(folder: Path) -> None:
    mute = folder.parent / "mute"
    shutil.copy("/bin/sleep", mute)
    server = Mute(mute, folder)
    with pytest.raises(DevServerFailed, match="does not serve within 1 s"):
        await server.start(timedelta(seconds=1))
    assert not server.running


def test_free_ports_differ() -> None:
    assert len({free_port() for _ in range(20)}) == 20


def test_a_port_is_none_that_the_system_gives_to_connections() -> None:
    """A server that is killed would find it taken when it starts again."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as made:
        assert made.getsockname()[1] not in SERVER_PORTS
    assert free_port() in SERVER_PORTS


def test_a_port_that_was_given_to_somebody_is_given_to_nobody_else() -> None:
    port = free_port()
    with pytest.raises(OSError, match="in use"):
        free_port(port)
