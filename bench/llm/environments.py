"""An environment of its own for each peer, made once and kept in the user's cache.

What is installed is pinned with hashes in `peers/*.txt`; `pin()` pins the newest anew.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import platformdirs

PEERS = Path(__file__).parent / "peers"
ROOT = Path(__file__).parents[2]
WANTED: Mapping[str, str] = {
    "any-llm": "any-llm-sdk[openai]",
    "langchain": "langchain-openai",
    "litellm": "litellm",
    "openai": "openai[aiohttp]",
    "pydantic-ai": "pydantic-ai-slim[openai]",
}
OF_CONTENDER: Mapping[str, str] = {
    "sdk": "openai",
    "sdk-aiohttp": "openai",
    "sdk-responses": "openai",
    **{name: name for name in WANTED if name != "openai"},
}
TOLD = ("openai", "litellm", "pydantic-ai-slim", "langchain-openai", "any-llm-sdk", "httpx", "httpx2", "aiohttp")
_ASK_VERSIONS = """
import json, importlib.metadata as installed, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = installed.version(name)
    except installed.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def pin() -> None:
    """Pin the newest of each peer, with everything that it needs."""
    for name, wanted in WANTED.items():
        print(f"pinning {wanted}", flush=True)
        options = ("--generate-hashes", "--no-emit-index-url", "--universal", "--python-version", "3.11", "--upgrade")
        told = ("--custom-compile-command", 'make bench-llm ARGS="--pin"', "--output-file", str(PEERS / f"{name}.txt"))
        command = [_uv(), "pip", "compile", "--quiet", *options, *told, "-"]
        subprocess.run(command, check=True, input=wanted.encode())


def python_of(contender: str) -> str:
    """The interpreter that runs the contender: ours, or that of an environment, which is made if it is not there.

    Raises:
        subprocess.CalledProcessError: it cannot be made, for example without a network.
    """
    if contender not in OF_CONTENDER:
        return sys.executable
    environment = OF_CONTENDER[contender]
    lock = PEERS / f"{environment}.txt"
    folder = place(environment, lock.read_bytes())
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "ready").exists():
        print(f"installing {environment} into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([_uv(), "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        install = (_uv(), "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode", "--python")
        subprocess.run([*install, str(python), "--requirement", str(lock)], check=True)
        (folder / "ready").touch()
    return str(python)


def place(environment: str, lock: bytes) -> Path:
    """Where the environment is kept: another lock has another folder, and so has another interpreter.

    An interpreter is the same if it is the same file and says the same of how it was made: builds of one version differ
    by half in what they take, so that peers would be measured by another yardstick than we.
    """
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    key = sha256(b"\0".join((lock, str(base).encode(), sys.version.encode()))).hexdigest()[:12]
    return platformdirs.user_cache_path("pointsman") / "bench-llm" / f"{environment}-{version}-{key}"


def versions(python: str) -> dict[str, str]:
    """What is installed there of the clients and of what they speak HTTP with."""
    command = [python, "-c", _ASK_VERSIONS, *TOLD]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment_variables()).stdout
    found: dict[str, str] = json.loads(told)
    return found


def environment_variables() -> dict[str, str]:
    """For every process of a run: nothing is fetched, told to anybody, or compiled anew."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGCHAIN_TRACING_V2": "false", "DO_NOT_TRACK": "1"}
    return {**kept, **quiet, "NO_PROXY": "127.0.0.1"}


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else "uv"
