"""What a run of an item leaves open at agents elsewhere: who waits for an answer that never comes is told so."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.agents import RemoteTurns
from activities.left_behind import LeftBehind
from pointsman.contracts.agents import SettleElsewhere, SettleLeft
from pointsman.contracts.lifecycle import Carry, DeliverRequest
from pointsman.contracts.policy import AgentPolicy
from pointsman.contracts.turns import TurnRequest
from pointsman.contracts.work_items import Facts
from pointsman.domain import remote_turns, story
from workflows.reasons import reason_of

BEAT = timedelta(seconds=10)
SETTLE_TIME = timedelta(minutes=5)
"""A service that is away so long is not waited for: the end of an item is not its to hold up."""
SETTLING = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=20))
SETTLES = "settle-elsewhere"
"""Runs that began before this leave tasks waiting at services."""


def turn_of(request: DeliverRequest, carry: Carry, agent: AgentPolicy) -> TurnRequest:
    """The turn that `carry` counted last, as one of the agent."""
    info = workflow.info()
    assert carry.facts is not None, "facts are read before a turn"
    return TurnRequest(
        key=request.key,
        tenant=request.tenant,
        correlation_id=request.correlation_id,
        number=carry.turns,
        transcript=f"{info.workflow_id}@{info.first_execution_run_id}",
        agent=agent,
        facts=carry.facts,
        instructions=carry.instructions,
        tells_status=request.policy.sync.status_comment,
    )


def left_open(request: DeliverRequest, carry: Carry) -> tuple[TurnRequest, ...]:
    """What a question has to stop if the run that asks it is ended from outside: it travels without the item's text."""
    agents = [agent for name in carry.open_elsewhere if (agent := request.policy.agent(name)) is not None]
    bare = {"facts": Facts(key=request.key, type="", title=""), "instructions": ()}
    return tuple(turn_of(request, carry, agent).model_copy(update=bare) for agent in agents)


async def stop_left(turn: TurnRequest) -> None:
    """Have the service of the turn's agent stop what the run that asks us left open, if that is over. What cannot be
    stopped now the next comparison of the project finds."""
    parent = workflow.info().parent
    assert parent is not None, "only a run of an item leaves something open"
    try:
        await workflow.execute_activity_method(
            LeftBehind.settle,
            SettleLeft(request=turn, workflow_id=parent.workflow_id, run_id=parent.run_id),
            start_to_close_timeout=SETTLE_TIME,
            schedule_to_close_timeout=SETTLE_TIME,
            heartbeat_timeout=BEAT,
            retry_policy=SETTLING,
            summary=story.summary(f"stop what {turn.agent.name} has open, if the item's run is over"),
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise


async def settle(request: DeliverRequest, carry: Carry, agents: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Have the agents' services stop all that is open there. Returns who could not be told, and what is to be said."""
    failed: list[str] = []
    said = ""
    for name in agents:
        agent = request.policy.agent(name)
        assert agent is not None, "what is open was begun by an agent of the same policy"
        told, words = await stop(turn_of(request, carry, agent))
        said += words
        if not told:
            failed.append(name)
    return tuple(failed), said


async def stop(turn: TurnRequest) -> tuple[bool, str]:
    """Have the service of the turn's agent stop all that is open there of the conversation. Whether it could be told,
    and what is to be said."""
    name = turn.agent.name
    try:
        settled = await workflow.execute_activity_method(
            RemoteTurns.settle,
            SettleElsewhere(request=turn),
            start_to_close_timeout=SETTLE_TIME,
            schedule_to_close_timeout=SETTLE_TIME,
            heartbeat_timeout=BEAT,
            retry_policy=SETTLING,
            summary=story.summary(f"stop what {name} has open"),
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        return False, f"; {name} could not be told to stop: {reason_of(error)}"
    return True, remote_turns.settled(name, settled)
