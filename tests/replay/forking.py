"""Replay with one set of changed workflows after another: `python -m tests.replay.forking`, a line of JSON each way.

What workflows need is loaded once. For each line, `{"folder", "histories", "pattern"}`, a fork loads the workflows of
that folder and replays, so that no two sets of workflows meet; for `{"folder", "histories", "path", "address"}` it
records that path into the folder of histories. The answer is `{"code", "out", "err"}`.
"""

import asyncio
import gc
import json
import os
import pkgutil
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path

import activities
from pointsman import contracts, domain
from pointsman.contracts.base import Json
from tests.replay import corpus  # noqa: F401 - it brings the replayer's library, which is slow to load


def load() -> None:
    """What workflows import, so that no fork has to."""
    for package in (activities, contracts, domain):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    gc.collect()
    gc.freeze()  # else each fork's collector would touch, and so copy, all of it


def carry_out(order: dict[str, str]) -> int:
    """In the fork. Its exit code is that of `tests.replay.replaying`."""
    os.chdir(order["folder"])
    sys.path.insert(0, order["folder"])
    if "path" in order:
        from tests.replay import record

        asyncio.run(record.record_on(order["address"], order["path"], Path(order["histories"])))
        return 0
    from tests.replay import replaying

    return asyncio.run(replaying.main(Path(order["histories"]), order["pattern"]))


def fork(order: dict[str, str]) -> dict[str, Json]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            code = 70
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            try:
                code = carry_out(order)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "out": out.read(), "err": err.read()}


def main() -> None:
    load()
    assert "workflows" not in sys.modules, "the fork is to load those of its folder"
    for line in sys.stdin:
        print(json.dumps(fork(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
