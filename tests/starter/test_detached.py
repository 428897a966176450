"""What tells whether an `up` runs on a folder: its lock, and whether it answers."""

import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pointsman.temporal_server import free_port
from starter.cli import detached
from starter.cli.detached import UpLock, lock_of, record_of, runs


@pytest.fixture
def held(tmp_path: Path) -> Generator[UpLock]:
    """The lock, as an `up` holds it whose web process answers no more."""
    record_of(tmp_path).write_text(json.dumps({"pid": 1, "web": f"http://127.0.0.1:{free_port()}"}))
    lock = lock_of(tmp_path)
    lock.acquire(0)
    yield lock
    lock.release()


def test_nothing_runs_on_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert not runs(tmp_path / "none")


def test_one_that_was_just_killed_is_waited_for(tmp_path: Path, held: UpLock) -> None:
    threading.Timer(0.2, held.release).start()
    assert not runs(tmp_path)


def test_one_that_keeps_its_lock_runs_though_it_does_not_answer(
    tmp_path: Path, held: UpLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detached, "ENDING_SECONDS_MAX", 0.1)
    assert runs(tmp_path)


class Alive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 404)
        self.end_headers()


def test_one_that_answers_is_not_waited_for(tmp_path: Path, held: UpLock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "ENDING_SECONDS_MAX", 3_600.0)
    with HTTPServer(("127.0.0.1", 0), Alive) as server:
        threading.Thread(target=server.handle_request).start()
        record_of(tmp_path).write_text(json.dumps({"pid": 1, "web": f"http://127.0.0.1:{server.server_port}"}))
        assert runs(tmp_path)
