"""What people are told to type is what their shell finds."""

from pathlib import Path

import pytest

from starter.program import ourselves, typed


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "a folder" / "pointsman"
    file.parent.mkdir()
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_a_program_on_the_path_is_told_by_name(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert typed(program) == "pointsman"


def test_another_program_of_that_name_does_not_count(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = program.parent.parent / "pointsman"
    other.write_bytes(program.read_bytes())
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    monkeypatch.chdir("/")
    assert typed(program) == f"'{str(program).lstrip('/')}'"


def test_a_program_elsewhere_is_told_by_its_path(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(program.parent)
    assert typed(program) == "./pointsman"
    (program.parent / "deeper").mkdir()
    monkeypatch.chdir(program.parent / "deeper")
    assert typed(program) == f"'{program}'"


def test_our_own_command_is_beside_the_interpreter() -> None:
    assert ourselves().endswith("pointsman")
