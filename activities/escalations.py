"""The side effects of asking humans: open the question, tell people, keep what they decided."""

import json
from datetime import UTC, datetime

from temporalio import activity

from activities.outside import beating, caller, outside
from pointsman.contracts.escalations import (
    Close,
    Decision,
    Escalation,
    Notify,
    Opened,
    Refuse,
    Resolution,
    Settle,
    Verb,
)
from pointsman.contracts.records import Caller
from pointsman.contracts.work_items import Proposal
from pointsman.domain.edits import edit
from pointsman.domain.proposals import canonical, refer
from pointsman.ports import Contents, Escalations, Notifier


class Asking:
    """`worker.py` hands in the books and the notifier, tests hand in fakes."""

    def __init__(self, escalations: Escalations, contents: Contents, notifier: Notifier) -> None:
        self._escalations = escalations
        self._contents = contents
        self._notifier = notifier

    @activity.defn(name="escalations.open")
    async def open(self, escalation: Escalation) -> Opened:
        """Give the question its id, `ESC-n`. Idempotent by workflow and run."""
        with outside(f"escalation {escalation.number} of {escalation.key}"):
            row = await self._escalations.open(escalation, caller())
        return Opened(id=row.id, opened_at=row.opened_at)

    @activity.defn(name="escalations.notify")
    async def notify(self, ask: Notify) -> str:
        """Tell the people of one rung. At least once: an attempt that dies in between tells them again.

        Nobody is told of a question that the books have closed: the run of its item was reset, and asks anew.
        """
        with outside(f"notification of {ask.target} on {ask.escalation_id}"):
            async with beating():
                row = await self._escalations.get(ask.escalation_id)
                if row is not None and row.closed_at is not None:
                    return "nobody was told: it is closed"
                told = await self._notifier.notify(ask.target, ask.subject, ask.text)
                line = f"{datetime.now(UTC).isoformat(timespec='seconds')} rung {ask.rung}: {told}"
                await self._escalations.notified(ask.escalation_id, ask.rung, line, caller())
        return line

    @activity.defn(name="escalations.settle")
    async def settle(self, ask: Settle) -> Resolution:
        """Keep how it ended; an edit makes a proposal of its own. Idempotent: the first settlement stands."""
        resolution = ask.resolution
        with outside(f"settlement of {resolution.escalation_id}"):
            decision = ask.decision
            if decision is not None and decision.verb is Verb.EDIT and resolution.proposal is not None:
                resolution = await self._edited(resolution, decision)
            row = await self._escalations.settle(resolution.escalation_id, decision, resolution, caller())
        return row.resolution or resolution

    @activity.defn(name="escalations.close")
    async def close(self, ask: Close) -> Resolution:
        """Withdraw a question that was ended from outside. Idempotent: the first settlement stands, and comes back.

        One that has no row yet gets a closed one: an attempt to open it may still be under way, and finds that.
        """
        asked_by = Caller(workflow_id=ask.workflow_id, run_id=ask.run_id)
        with outside(f"closing of escalation {ask.escalation.number} of {ask.escalation.key}"):
            row = await self._escalations.open(ask.escalation, asked_by)
            resolution = Resolution(escalation_id=row.id, outcome="withdrawn", reason=ask.reason)
            row = await self._escalations.settle(row.id, None, resolution, caller())
        return row.resolution or resolution

    async def _edited(self, resolution: Resolution, decision: Decision) -> Resolution:
        assert resolution.proposal is not None
        before = Proposal.model_validate(json.loads(await self._contents.get(resolution.proposal.hash)))
        after = edit(before, decision.edits)
        await self._contents.put(canonical(after))
        return resolution.model_copy(update={"proposal": refer(after)})

    @activity.defn(name="escalations.refuse")
    async def refuse(self, ask: Refuse) -> None:
        """Keep a decision that could not be taken. Idempotent by escalation and number."""
        with outside(f"refusal on {ask.escalation_id}"):
            await self._escalations.refuse(ask.escalation_id, ask.refusal, caller())
