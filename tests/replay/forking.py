"""Replay with one set of changed workflows after another: `python -m tests.replay.forking`, a line of JSON each way.

What workflows need is loaded once. For each line, `{"folder", "histories", "pattern"}`, a fork loads the workflows of
that folder and replays, so that no two sets of workflows meet; the answer is `{"code", "out", "err"}`.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import activities.escalations
import activities.hooks
import activities.process
import activities.recovery
import activities.turns
import activities.work_items  # noqa: F401 - these are what workflows import, and are slow to load
from pointsman.contracts.base import Json
from tests.replay import corpus  # noqa: F401 - as above: it brings the replayer's library


def replay(order: dict[str, str]) -> int:
    """In the fork. Its exit code is that of `tests.replay.replaying`."""
    os.chdir(order["folder"])
    sys.path.insert(0, order["folder"])
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
                code = replay(order)
            finally:
                sys.stdout.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "out": out.read(), "err": err.read()}


def main() -> None:
    assert "workflows" not in sys.modules, "the fork is to load those of its folder"
    for line in sys.stdin:
        print(json.dumps(fork(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
