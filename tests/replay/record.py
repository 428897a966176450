"""Record histories of paths that have none: `python -m tests.replay.record [NAME ...] [--force NAME]`.

A path is a function in `tests/replay/paths.py`; its name and the workflow's type name the file. Write a path for what
a change of a workflow makes possible, and record it with the change. A history that stands is never recorded again:
it stands for the runs that are open somewhere, and a workflow that cannot replay it would break them. Guard the
change with `workflow.patched` instead. `--force NAME` is for a path that nobody can have open.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client, WorkflowHistory

from pointsman.temporal import connect
from pointsman.temporal_server import DevServer, find_server
from starter.cli.app import leave
from tests.replay import corpus
from tests.replay.beside import Beside
from tests.replay.both_sides import BESIDE, PATHS
from tests.replay.paths import Path as Played
from tests.replay.paths import Recording
from tests.workflows.servers import ImpatientServer, runs_of

EVERY = (*PATHS, *BESIDE)


async def play(client: Client, name: str, folder: Path) -> list[Path]:
    """Play one path, and write its histories. A run that continued as new has one for each run."""
    if name in BESIDE:
        runs = await runs_of(client, await BESIDE[name].play(client))
        return [corpus.save(file, run, folder) for file, run in _named(f"{BESIDE[name].kind}.{name}", runs)]
    path = PATHS[name]
    item = Recording(client, name, path.script, path.wanted)
    path.set_up(item)
    async with (await item.prompt()).worker():
        await path.play(item)
    files = []
    for workflow_type, suffix in path.keeps.items():
        runs = await runs_of(client, f"{item.handle.id}{suffix}")
        files += [corpus.save(file, run, folder) for file, run in _named(f"{workflow_type}.{name}", runs)]
    return files


def _named(name: str, runs: Sequence[WorkflowHistory]) -> list[tuple[str, WorkflowHistory]]:
    if len(runs) == 1:
        return [(name, runs[0])]
    return [(f"{name}-{number}", run) for number, run in enumerate(runs, 1)]


def stands(name: str, folder: Path = corpus.FOLDER) -> bool:
    """Whether all that a path keeps is recorded."""
    known = corpus.names(folder)
    kinds = [BESIDE[name].kind] if name in BESIDE else [*PATHS[name].keeps]
    return all({f"{kind}.{name}", f"{kind}.{name}-1"} & set(known) for kind in kinds)


@asynccontextmanager
async def server(kind: type[DevServer]) -> AsyncGenerator[Client]:
    with tempfile.TemporaryDirectory(prefix="pointsman-record-") as folder:
        async with kind(find_server().path, Path(folder), ui=False) as running:
            yield await running.connect()


async def record(wanted: Sequence[str], folder: Path) -> None:
    for impatient, kind in ((False, DevServer), (True, ImpatientServer)):
        here = [name for name in wanted if _path(name).impatient is impatient]
        if not here:
            continue
        async with server(kind) as client:
            for name in here:
                for file in await play(client, name, folder):
                    print(f"{file.name}: {file.stat().st_size} bytes", flush=True)


def _path(name: str) -> Played | Beside:
    return BESIDE[name] if name in BESIDE else PATHS[name]


async def record_on(address: str, name: str, folder: Path) -> None:
    await play(await connect(address), name, folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.replay.record", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *EVERY], metavar="NAME", help="paths; all by default")
    parser.add_argument("--force", action="append", default=[], choices=EVERY, metavar="NAME", help="record again")
    parser.add_argument("--into", type=Path, default=corpus.FOLDER, help="folder of the histories")
    parser.add_argument("--address", default="", help="a server that runs, instead of one of our own")
    given = parser.parse_args()
    asked = given.names or list(EVERY)
    wanted = [*given.force, *(name for name in asked if name not in given.force and not stands(name, given.into))]
    if given.address:
        for name in wanted:
            asyncio.run(record_on(given.address, name, given.into))
    else:
        asyncio.run(record(wanted, given.into))


if __name__ == "__main__":
    main()
    leave(0)
