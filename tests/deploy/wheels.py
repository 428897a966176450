"""What the lock names, as files beside the virtual environment: the package index is asked once for each lock.

Choosing from the index takes pip half a minute each time. Carrying out the image's steps takes from here instead; the
hashes are those of the lock in either case.
"""

import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from tests.deploy.compose import ROOT

LOCK = ROOT / "requirements" / "run.txt"
KEPT = Path(sys.prefix) / "wheels"


def wheels() -> Path:
    """A folder with every distribution of the lock; made where there is none for this lock.

    Raises:
        RuntimeError: pip cannot get them.
    """
    folder = KEPT / sha256(LOCK.read_bytes()).hexdigest()[:16]
    KEPT.mkdir(exist_ok=True)
    with FileLock(KEPT / "lock"):
        if not folder.exists():
            _download(folder)
    return folder


def _download(folder: Path) -> None:
    for outdated in KEPT.iterdir():
        if outdated.is_dir():
            shutil.rmtree(outdated)
    partial = Path(tempfile.mkdtemp(dir=KEPT))
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--require-hashes", "--requirement", str(LOCK), "--dest", str(partial)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"what {LOCK} names could not be downloaded; nothing was kept:\n{done.stderr[-2000:]}")
    partial.rename(folder)
