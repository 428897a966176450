"""Replay the corpus with the workflows that Python finds first: `python -m tests.replay.replaying FOLDER [PATTERN]`.

Prints one line of JSON a history, `{"name": ..., "fault": ...}`, and stops at the first fault with exit code 1.
A process of its own, because workflows that were changed for a test must not meet those that are imported here.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from temporalio.worker import Replayer

from pointsman.temporal import plugin
from tests.replay import corpus
from workflows.agent_services import DelegateTurn
from workflows.escalations import ResolveEscalation
from workflows.process import CheckProcess, DecideViolation
from workflows.reconciliation import ReconcileProject
from workflows.recovery import RecoverEvents
from workflows.rollback import RollBackItem
from workflows.turns import TakeTurn
from workflows.violations import AskAboutViolation
from workflows.work_items import DeliverWorkItem

WORKFLOWS = (
    DeliverWorkItem,
    TakeTurn,
    DelegateTurn,
    ResolveEscalation,
    CheckProcess,
    DecideViolation,
    AskAboutViolation,
    RecoverEvents,
    ReconcileProject,
    RollBackItem,
)


async def replay(wanted: Sequence[corpus.Recorded]) -> AsyncGenerator[tuple[corpus.Recorded, Exception | None]]:
    """Each history with what replaying it came to."""
    replayer = Replayer(workflows=WORKFLOWS, plugins=[plugin()])
    for recorded in wanted:
        result = await replayer.replay_workflow(recorded.history, raise_on_replay_failure=False)
        yield recorded, result.replay_failure


async def main(folder: Path, pattern: str) -> int:
    wanted = [corpus.load(name, folder) for name in corpus.names(folder) if fnmatch(name, pattern)]
    assert wanted, f"no history in {folder} is called {pattern}"
    async for recorded, fault in replay(wanted):
        print(json.dumps({"name": recorded.name, "fault": str(fault) if fault else ""}), flush=True)
        if fault is not None:
            return 1
    return 0


if __name__ == "__main__":
    code = asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "*"))
    os._exit(code)  # after a replay that failed, the SDK's threads now and then abort an interpreter that winds down
