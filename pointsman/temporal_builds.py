"""How Temporal's two servers are obtained, and the cache they are kept in.

Each is pinned to one version, obtained once per user into a folder of its own, and checked on each use against the
SHA-256 that was taken when it was obtained. `pointsman/temporal_server.py` decides which way to go.
"""

import io
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Final

import platformdirs

CLI_VERSION: Final = "1.5.1"
"""Newest CLI that `go install` can build: later ones carry a `replace` directive."""
CLI_SERVER_VERSION: Final = "1.29.1"
TEST_SERVER_VERSION: Final = "1.32.0"

DOWNLOAD_HOST: Final = "https://temporal.download"
ANSWER_SECONDS_MAX: Final = 3.0
STALL_SECONDS_MAX: Final = 20.0
PROGRESS_SECONDS: Final = 5.0
LOCK_SECONDS_MAX: Final = 20 * 60.0
CHECKSUMS: Final = "checksums.json"

Say = Callable[[str], None]
"""Takes one line of progress for people."""


class RouteFailed(Exception):
    """This way does not lead to a server. The text is the reason, and what would open the way."""


@dataclass(frozen=True)
class Artifact:
    """Something to obtain: `program` is the file to run, `version` the one it is pinned to."""

    name: str
    program: str
    version: str
    download: str
    """Name in the SDK's download service."""

    def folder(self, cache: Path) -> Path:
        return cache / f"{self.name}-{self.version}-{platform.system().lower()}-{platform.machine().lower()}"


DEV_SERVER: Final = Artifact("temporal-cli", "temporal", CLI_VERSION, "cli")
TEST_SERVER: Final = Artifact(
    "temporal-test-server", "temporal-test-server", TEST_SERVER_VERSION, "temporal-test-server"
)

Obtain = Callable[[Artifact, Path, Say], None]
"""Puts `artifact.program`, executable, and what it needs into the empty folder, or raises `RouteFailed`."""


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """`POINTSMAN_CACHE_DIR`, or the user's cache folder as the operating system has it."""
    chosen = environ.get("POINTSMAN_CACHE_DIR", "")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("pointsman")


def cached(artifact: Artifact, cache: Path) -> Path:
    """The program from the cache, its files unchanged since they were obtained.

    Raises:
        RouteFailed: it is not there, or a file of it is missing or differs.
    """
    folder = artifact.folder(cache)
    try:
        sums: dict[str, dict[str, str | int]] = json.loads((folder / CHECKSUMS).read_text())
    except (FileNotFoundError, ValueError):
        raise RouteFailed(f"{folder} holds no {artifact.name} {artifact.version}") from None
    changed = [name for name, expected in sums.items() if not _unchanged(folder / name, expected)]
    if changed:
        raise RouteFailed(f"checksum of {', '.join(changed)} in {folder} differs from when it was obtained")
    return folder / artifact.program


def obtain(artifact: Artifact, cache: Path, how: Obtain, say: Say) -> Path:
    """Obtain into a temporary folder, note the checksums, move it into the cache in one step.

    One process obtains, others wait for it and take what it left. An interrupted attempt leaves nothing that counts.

    Raises:
        RouteFailed: `how` failed, the disk did, or another process held the lock for `LOCK_SECONDS_MAX`.
    """
    try:
        with _locked(artifact, cache, say):
            try:
                return cached(artifact, cache)
            except RouteFailed:
                return _into_cache(artifact, cache, how, say)
    except OSError as error:
        raise RouteFailed(f"{artifact.name} cannot be kept in {cache}: {error}") from error


def download(artifact: Artifact, folder: Path, say: Say) -> None:
    """The build that Temporal publishes, as the SDK would fetch it. An answer is awaited for `ANSWER_SECONDS_MAX`."""
    query = {"arch": _architecture(), "platform": platform.system().lower(), "format": "tar.gz"}
    url = f"{DOWNLOAD_HOST}/{artifact.download}/v{artifact.version}?{urllib.parse.urlencode(query)}"
    try:
        info = json.loads(_within(ANSWER_SECONDS_MAX, lambda: _get(url, ANSWER_SECONDS_MAX)))
        archive, member = str(info["archiveUrl"]), str(info["fileToExtract"])
        say(f"downloading {artifact.name} {artifact.version} from {urllib.parse.urlsplit(archive).hostname}")
        _extract(_get(archive, STALL_SECONDS_MAX), member, folder / artifact.program)
    except (OSError, ValueError, KeyError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise RouteFailed(f"{DOWNLOAD_HOST} gives no {artifact.name} {artifact.version}: {error}") from error


def build_with_go(artifact: Artifact, folder: Path, say: Say) -> None:
    """Build the CLI from its source module: about 2.5 minutes on two cores, 600 MB of Go caches, 210 MB of program."""
    if not shutil.which("go"):
        raise RouteFailed("no `go` on PATH; install Go 1.25 or newer")
    command = [
        *("go", "install", "-trimpath", "-ldflags=-s -w"),
        f"github.com/temporalio/cli/cmd/temporal@v{artifact.version}",
    ]
    environ = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
    run_with_progress(command, f"building {artifact.name} {artifact.version} with Go", say, environ)


def fetch_with_maven(artifact: Artifact, folder: Path, say: Say) -> None:
    """The Java test server and what it needs as jars: about 15 s and 33 MB."""
    missing = [program for program in ("java", "mvn") if not shutil.which(program)]
    if missing:
        raise RouteFailed(f"no `{'`, no `'.join(missing)}` on PATH; install a Java runtime (11 or newer) and Maven")
    pom = folder / "pom.xml"
    pom.write_text(POM.format(version=artifact.version))
    command = [
        *("mvn", "--quiet", "--batch-mode", "--file", str(pom), "dependency:copy-dependencies"),
        *("-DincludeScope=runtime", f"-DoutputDirectory={folder / 'jars'}"),
    ]
    run_with_progress(command, f"fetching {artifact.name} {artifact.version} with Maven", say, dict(os.environ))
    program = folder / artifact.program
    program.write_text(WRAPPER)
    program.chmod(0o755)


POM: Final = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>pointsman</groupId>
  <artifactId>temporal-test-server-jars</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>{version}</version>
    </dependency>
  </dependencies>
</project>
"""

WRAPPER: Final = """#!/bin/sh
# The first argument is the port. Starting fast matters more here than running fast.
here=$(dirname "$0")
exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx512m -cp "$here/jars/*" io.temporal.testserver.TestServer "$@"
"""


def server_version(program: Path) -> str:
    """Version of the server inside a `temporal` binary; its own version may read 0.0.0-DEV.

    Raises:
        RouteFailed: it does not run, or does not say which server it carries.
    """
    try:
        # The program is one that the user named, put on PATH, or had us obtain.
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=15, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise RouteFailed(f"{program} --version fails: {error}") from error
    match = re.search(r"\bServer (\d+\.\d+\.\d+)", said)
    if not match:
        raise RouteFailed(f"{program} --version names no server: {said.strip()[:200]!r}")
    return match[1]


def run_with_progress(command: list[str], what: str, say: Say, environ: Mapping[str, str]) -> None:
    """Run to the end, with a line of progress each `PROGRESS_SECONDS`.

    Raises:
        RouteFailed: it ended with an error, whose last lines are in the text.
    """
    started = time.monotonic()
    say(what)
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environ)
        try:
            while (code := _wait(process, PROGRESS_SECONDS)) is None:
                say(f"{what}: {time.monotonic() - started:.0f} s so far")
        except BaseException:  # whatever ends us, Ctrl-C above all, must not leave a compiler running
            process.kill()
            process.wait()
            raise
        if code:
            log.seek(0)
            raise RouteFailed(f"`{command[0]}` ended with {code}: {' | '.join(log.read().strip().splitlines()[-5:])}")
    say(f"{what}: done after {time.monotonic() - started:.0f} s")


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None


def _locked(artifact: Artifact, cache: Path, say: Say) -> AbstractContextManager[object]:
    """The acquired lock of this artifact; as a context manager it is released at the end."""
    from filelock import FileLock, Timeout  # it watches every import of its process: only who obtains something pays

    cache.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{artifact.folder(cache)}.lock")
    started = time.monotonic()
    while time.monotonic() - started < LOCK_SECONDS_MAX:
        with suppress(Timeout):
            return lock.acquire(timeout=PROGRESS_SECONDS)
        say(f"another process obtains {artifact.name}: waited {time.monotonic() - started:.0f} s for it so far")
    raise RouteFailed(f"another process held {lock.lock_file} for {LOCK_SECONDS_MAX / 60:.0f} minutes; end that one")


def _into_cache(artifact: Artifact, cache: Path, how: Obtain, say: Say) -> Path:
    target = artifact.folder(cache)
    with tempfile.TemporaryDirectory(dir=cache, prefix=f"{artifact.name}-") as scratch:
        folder = Path(scratch) / "new"
        folder.mkdir()
        how(artifact, folder, say)
        _note_checksums(folder)
        if target.exists():
            target.rename(Path(scratch) / "old")  # goes with the scratch folder
        folder.rename(target)
    return target / artifact.program


def _note_checksums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {str(path.relative_to(folder)): _fingerprint(path) for path in files}
    (folder / CHECKSUMS).write_text(json.dumps(sums, indent=1))


def _fingerprint(path: Path) -> dict[str, str | int]:
    return {"sha256": _sha256(path), "size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}


def _unchanged(path: Path, expected: Mapping[str, str | int]) -> bool:
    try:
        stat = path.stat()
        if (stat.st_size, stat.st_mtime_ns) == (expected["size"], expected["mtime_ns"]):
            return True  # hashing 200 MB on each start would cost half a second
        return _sha256(path) == expected["sha256"]
    except (OSError, KeyError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _architecture() -> str:
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _get(url: str, timeout: float) -> bytes:
    if not url.startswith("https://"):
        raise RouteFailed(f"refused to fetch {url!r}: not https")
    with urllib.request.urlopen(url, timeout=timeout) as response:  # noqa: S310 - the scheme is checked above
        body: bytes = response.read()
    return body


def _within(seconds: float, get: Callable[[], bytes]) -> bytes:
    """The result. Looking a name up knows no time limit of its own, hence the thread.

    Raises:
        TimeoutError: it takes longer.
    """
    answers: list[bytes | Exception] = []

    def run() -> None:
        try:
            answers.append(get())
        except (OSError, ValueError) as error:
            answers.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]


def _extract(archive: bytes, member: str, target: Path) -> None:
    """Write one file of a tar.gz or zip archive to `target`, executable. Nothing else of it is unpacked."""
    if zipfile.is_zipfile(io.BytesIO(archive)):
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            target.write_bytes(packed.read(member))
    else:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            file = tar.extractfile(member)
            if file is None:
                raise RouteFailed(f"the archive's {member!r} is no file")
            target.write_bytes(file.read())
    target.chmod(0o755)
