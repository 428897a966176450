"""Items that our books have open although their run is over: somebody ended it in Temporal, and it could not say so."""

from collections.abc import Sequence
from datetime import datetime

from pointsman.contracts.policy import AgentPolicy, Policy
from pointsman.contracts.reconciliation import (
    Compared,
    Conversation,
    EndedRun,
    OpenItem,
    ReconcileTally,
    RunEnd,
    RunStatus,
    SyncStanding,
)
from pointsman.contracts.turns import TurnRequest
from pointsman.contracts.work_items import ENDED, Facts, WorkItemState
from pointsman.domain.reconciliation_tally import counted
from pointsman.domain.texts import clean

REASON_CHARS_MAX = 500
SAID = {
    RunStatus.COMPLETED: "completed in Temporal",
    RunStatus.FAILED: "its run failed in Temporal",
    RunStatus.CANCELED: "cancelled in Temporal",
    RunStatus.TERMINATED: "terminated in Temporal",
    RunStatus.TIMED_OUT: "its run timed out in Temporal",
    RunStatus.UNKNOWN: "Temporal has no run of it: deleted there, or ended longer ago than it keeps",
}


def ended_run(policy: Policy, item: OpenItem, end: RunEnd, told: Sequence[Conversation], now: datetime) -> EndedRun:
    """What the books are to say of the item, and which agents elsewhere are to be told."""
    turns = [(name, _turn(policy.agent(name), item, one)) for one in told if (name := _agent(one))]
    strange = sorted({name for name, turn in turns if turn is None})
    left = f"; policy has no service {', '.join(strange)} any more: what it has open stays so" if strange else ""
    return EndedRun(
        item=item,
        end=end,
        state=_state(end),
        reason=f"{_reason(end)}{left}",
        at=max(end.at or now, item.changed_at),
        turns=tuple(turn for _, turn in turns if turn is not None),
    )


def also(ended: EndedRun, said: str) -> EndedRun:
    """With what came of telling agents elsewhere."""
    return ended.model_copy(update={"reason": f"{ended.reason}{said}"})


def counted_ended(tally: ReconcileTally, ended: Sequence[EndedRun], *, closed: bool) -> ReconcileTally:
    """The tally with these. They are no further items: each has its standing beside."""
    items = tally.items
    for one in ended:
        compared = Compared(standing=SyncStanding.ENDED_OUTSIDE, reason=one.reason)
        tally = counted(tally, one.item.key.id, compared, repaired=closed)
    return tally.model_copy(update={"items": items})


def _state(end: RunEnd) -> WorkItemState:
    if end.status is RunStatus.COMPLETED and end.state in ENDED:
        return end.state
    return WorkItemState.WITHDRAWN if end.status is RunStatus.CANCELED else WorkItemState.FAILED


def _reason(end: RunEnd) -> str:
    if end.status is RunStatus.COMPLETED and end.state in ENDED:
        return clean(end.reason)[:REASON_CHARS_MAX]
    by = f" by {end.by}" if end.by else ""
    why = f": {end.reason}" if end.reason else ""
    return clean(f"{SAID[end.status]}{by}{why}")[:REASON_CHARS_MAX]


def _agent(one: Conversation) -> str:
    """`triage` of `ado/fabrikam/Web/42@RUN/triage`, see `remote_turns.transcript_of`."""
    return one.transcript.rpartition("@")[2].partition("/")[2]


def _turn(agent: AgentPolicy | None, item: OpenItem, one: Conversation) -> TurnRequest | None:
    if agent is None or agent.service is None:
        return None
    return TurnRequest(
        key=item.key,
        tenant=item.tenant,
        correlation_id=item.correlation_id,
        number=one.turn,
        transcript=one.transcript.removesuffix(f"/{agent.name}"),
        agent=agent,
        facts=item.facts or Facts(key=item.key, type="", title=""),
    )
