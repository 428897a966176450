"""How a task that an agent elsewhere has begun is known again, and what is told of how it ended."""

import pytest

from pointsman.contracts.agents import RemoteState, RemoteTask
from pointsman.contracts.policy import AgentPolicy
from pointsman.contracts.turns import TurnRequest
from pointsman.domain import remote_turns
from tests.domain.samples import FACTS


def task(name: str, *messages: str) -> RemoteTask:
    return RemoteTask(id=name, state=RemoteState.WORKING, messages=messages)


def request(number: int = 1, transcript: str = "talk", agent: str = "elsewhere") -> TurnRequest:
    return TurnRequest(
        key=FACTS.key,
        tenant="default",
        correlation_id="chain",
        number=number,
        transcript=transcript,
        agent=AgentPolicy(name=agent),
        facts=FACTS,
    )


def test_task_is_known_by_the_message_that_began_it() -> None:
    tasks = [task("a", "m-1"), task("b", "m-2")]
    assert remote_turns.sent_before(tasks, "m-2", ()) == tasks[1]


def test_tasks_that_we_know_are_not_the_one_that_was_lost() -> None:
    assert remote_turns.sent_before([task("a", "m-1")], "m-2", ["a"]) is None


def test_only_task_of_a_service_that_tells_no_messages_is_ours() -> None:
    assert remote_turns.sent_before([task("a"), task("b")], "m-2", ["a"]) == task("b")


@pytest.mark.parametrize("tasks", [(task("a"), task("b")), (task("a", "m-9"),)])
def test_tasks_of_which_none_names_the_message_leave_it_in_doubt(tasks: tuple[RemoteTask, ...]) -> None:
    with pytest.raises(LookupError, match="none names the message"):
        remote_turns.sent_before(tasks, "m-2", ())


def test_context_is_one_for_a_run_of_an_item_and_ids_are_one_for_each_thing_said() -> None:
    assert remote_turns.context_of(request(1)) == remote_turns.context_of(request(2))
    contexts = {remote_turns.context_of(one) for one in (request(), request(transcript="b"), request(agent="c"))}
    ids = {remote_turns.message_id(request(number), what) for number in (1, 2) for what in ("1", "2")}
    assert (len(contexts), len(ids)) == (3, 4)
    assert remote_turns.message_id(request(), "1") == remote_turns.message_id(request(), "1")


def test_end_is_told_with_the_words_before_it() -> None:
    told = remote_turns.why_ended(RemoteState.FAILED, "out of memory", "t-1", "reads the item")
    assert told == (
        "the agent service says failed: its task failed: out of memory (task t-1); its last word before: reads the item"
    )
    assert "last word" not in remote_turns.why_ended(RemoteState.CANCELED, "", "", "")
