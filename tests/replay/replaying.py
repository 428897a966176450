"""Replay the corpus with the workflows that Python finds first: `python -m tests.replay.replaying FOLDER [PATTERN]`.

Prints one line of JSON a history, `{"name": ..., "fault": ...}`, and stops at the first fault with exit code 1.
A process of its own, because workflows that were changed for a test must not meet those that are imported here.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from pointsman.temporal import build_id, plugin
from tests.replay import corpus
from workflows.agent_services import DelegateTurn
from workflows.escalations import ResolveEscalation
from workflows.process import CheckProcess, CheckWorkItem, DecideViolation
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
    CheckWorkItem,
    DecideViolation,
    AskAboutViolation,
    RecoverEvents,
    ReconcileProject,
    RollBackItem,
)


async def replay(wanted: Sequence[corpus.Recorded]) -> AsyncGenerator[tuple[corpus.Recorded, Exception | None]]:
    """Each history with what replaying it came to, in that order."""
    types = {recorded.workflow_type for recorded in wanted}
    kinds = [kind for kind in WORKFLOWS if kind.__name__ in types]
    replayer = Replayer(workflows=kinds, plugins=[plugin()], build_id=build_id())

    async def histories() -> AsyncIterator[WorkflowHistory]:
        for recorded in wanted:
            yield recorded.history

    async with replayer.workflow_replay_iterator(histories()) as results:
        of = iter(wanted)
        async for result in results:
            yield next(of), result.replay_failure


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
