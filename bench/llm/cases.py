"""What is measured in processes that begin from nothing: start-up, memory, profile, ledger."""

import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.llm.environments import ROOT, environment_variables, python_of
from bench.llm.run import CONTENDERS

PATIENCE_SECONDS = 180.0


async def told_by(python: str, *arguments: str) -> str:
    """What a module prints.

    Raises:
        RuntimeError: it failed, or took too long; with the end of what it said.
    """
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(
        python, "-m", *arguments, stdout=pipe, stderr=pipe, cwd=ROOT, env=environment_variables()
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, errors = await running.communicate()
    except TimeoutError:
        running.kill()
        await running.wait()
        raise RuntimeError(f"{arguments[0]} took more than {PATIENCE_SECONDS:.0f} s") from None
    if running.returncode:
        said = errors.decode(errors="replace").strip().splitlines()[-3:]
        raise RuntimeError(f"{arguments[0]} failed: {' / '.join(said)}")
    return out.decode()


async def cold(url: str, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Each start-up, `rounds` times in turns, after one that nobody counts: it compiles what is not compiled yet."""
    cases = {
        "facade": (sys.executable, "bench.llm.cold", "facade"),
        "three providers": (sys.executable, "bench.llm.cold", "three-providers", url),
        "three SDKs": (sys.executable, "bench.llm.cold", "three-sdks"),
        **{name: (python_of(name), "bench.llm.cold", "first-call", name, url) for name in CONTENDERS},
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        print(f"start-up {number} of {rounds}" if number else "start-up, not counted", flush=True)
        for name, command in cases.items():
            measured = json.loads(await told_by(*command))
            if number:
                found[name].append(measured)
    return found


async def profile(url: str) -> dict[str, Any]:
    print("profile", flush=True)
    found: dict[str, Any] = json.loads(await told_by(sys.executable, "bench.llm.profiling", url))
    return found


async def ledger(*, quick: bool) -> list[dict[str, Any]]:
    """The figures of `bench.llm.ledger`: what books in a database add to a call."""
    print("ledger", flush=True)
    with TemporaryDirectory() as folder:
        target = Path(folder) / "ledger.json"
        await told_by(sys.executable, "bench.llm.ledger", "--json", str(target), *(("--calls", "40") if quick else ()))
        figures: list[dict[str, Any]] = json.loads(target.read_text())
    return figures
