"""Each gate lets through what is fine, and stops what is planted."""

from pathlib import Path

import pytest

from tests.gates import licences, lock, secret_scan

HASH = "--hash=sha256:" + 64 * "0"


@pytest.mark.parametrize(
    "licence",
    [
        "MIT",
        "Apache-2.0 OR BSD-3-Clause",
        "GPL-3.0-only OR MIT",
        "MIT AND PSF-2.0",
        "Apache Software License; MIT License",
    ],
)
def test_permissive_licence_passes(licence: str) -> None:
    assert licences.refused([("some", licence)]) == []


@pytest.mark.parametrize(
    "licence",
    ["GPL-3.0-only", "AGPL-3.0", "BUSL-1.1", "SSPL-1.0", "LGPL-3.0-only", "UNKNOWN", "MIT AND GPL-2.0", "MIT; GPL"],
)
def test_binding_licence_is_refused_with_package_and_licence(licence: str) -> None:
    assert licences.refused([("some", licence)]) == [f"some: {licence!r} is no licence that this project may build on"]


def test_exception_holds_for_its_package_and_its_licence_only() -> None:
    assert licences.refused([("psycopg", "LGPL-3.0-only")]) == []
    assert licences.refused([("psycopg", "GPL-3.0-only")]) != []


def test_what_is_installed_may_be() -> None:
    assert licences.refused(licences.installed()) == []


def test_lock_is_read_with_its_markers() -> None:
    text = f"""# made by a tool
a-b==1.2 ; python_version >= '3' \\
    {HASH} \\
    {HASH}
    # via c
windows-only==1 ; sys_platform == 'nowhere' \\
    {HASH}
"""
    assert lock.read_lock(text) == {"a-b": "1.2"}


@pytest.mark.parametrize(
    ("entry", "fault"), [("a==1", "no hash"), (f"a>=1 {HASH}", "not pinned"), (f"a=={'1'},<2 {HASH}", "not pinned")]
)
def test_loose_entry_of_the_lock_is_refused(entry: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        lock.read_lock(entry)


def test_each_difference_from_the_lock_is_named() -> None:
    assert lock.differences({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "3"}) == [
        "b: locked 1, installed 2",
        "c: locked 1, installed not at all",
        "d 3: not in the lock",
    ]


def test_requirement_that_the_lock_forgot_is_named() -> None:
    assert lock.unmet(["a>=1", "b[x]>=2,<3", "c; sys_platform == 'nowhere'"], {"a": "1.5", "b": "3.0"}) == [
        "b[x]<3,>=2: the lock has 3.0"
    ]


# Each is put together here, or this file would be a finding itself.
PLANTED = {
    "AWS Access Key": "key = '" + "AKIA" + "Q3EGZ7LM2XWPVB4T" + "'",
    "Private Key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "Secret Keyword": "pass" + "word = 'tr0ub4dor-and-3-horses'",
    "Basic Auth Credentials": "postgresql://ada:" + "lovelace1815@db.invalid/x",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_secret_is_found_and_not_repeated(kind: str, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(f"# first line\n{PLANTED[kind]}\n")
    assert secret_scan.findings(tmp_path, ["settings.py"]) == [f"settings.py:2: {kind}"]


def test_line_that_says_it_is_no_secret_passes(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(f"{PLANTED['Secret Keyword']}  # {'pragma'}: allowlist secret\n")
    assert secret_scan.findings(tmp_path, ["settings.py"]) == []


def test_folder_without_a_secret_passes(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("answer = 42\n")
    assert secret_scan.findings(tmp_path, ["settings.py"]) == []


def test_tests_may_invent_a_password_but_hold_no_key(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_x.py").write_text(f"{PLANTED['Secret Keyword']}\n{PLANTED['AWS Access Key']}\n")
    assert secret_scan.findings(tmp_path, ["tests/test_x.py"]) == ["tests/test_x.py:2: AWS Access Key"]
