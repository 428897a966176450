"""What a turn does outside, where the workflow tests do not look: open calls, repeated steps, attempts in doubt."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.turns import Turns, close_calls
from pointsman.contracts.base import Json
from pointsman.contracts.policy import AgentPolicy
from pointsman.contracts.turns import CallTool, Think, ToolCallRef, TurnRequest
from pointsman.contracts.work_items import Facts, WorkItemKey
from pointsman.llm.errors import RateLimitedError
from pointsman.llm.types import LLMResponse, Message, Role, TextPart, ToolCallPart, ToolResultPart, text_message
from pointsman.ports import Rejected
from tests.books import MemoryAttempts, MemoryContents, MemoryTranscripts
from tests.worlds import FakeModel, FakeResult, FakeToolbox, answer, calls, says, served

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=1)
CALL_IDS = st.lists(st.sampled_from("abcdef"), unique=True, max_size=6)


def asking(*call_ids: str) -> Message:
    parts = tuple(ToolCallPart(call_id=one, name="known__look", arguments={}, raw_arguments="{}") for one in call_ids)
    return Message(role=Role.ASSISTANT, parts=(TextPart(text="I look."), *parts))


def result(call_id: str) -> Message:
    return Message(role=Role.TOOL, parts=(ToolResultPart(call_id=call_id, name="known__look", text="seen"),))


@given(CALL_IDS, st.data())
def test_each_call_is_answered_once_and_nothing_else_is_touched(wanted: list[str], data: st.DataObject) -> None:
    made = [one for one in wanted if data.draw(st.booleans())]
    said = [text_message(Role.USER, "go"), asking(*wanted), *map(result, made), text_message(Role.USER, "and now?")]
    closed = close_calls(said)
    answers = [part for one in closed for part in one.parts if isinstance(part, ToolResultPart)]
    assert sorted(part.call_id for part in answers) == sorted(wanted)
    assert {part.call_id for part in answers if part.is_error} == set(wanted) - set(made)
    assert [one for one in closed if one in said] == said


def test_an_open_call_is_answered_right_after_the_reply_that_made_it() -> None:
    closed = close_calls([asking("a"), text_message(Role.USER, "stop"), asking("b")])
    assert [one.role for one in closed] == [Role.ASSISTANT, Role.TOOL, Role.USER, Role.ASSISTANT, Role.TOOL]


class Desk:
    """The turn's activities over fakes, and one request to them."""

    def __init__(self, *script: LLMResponse | Exception, toolbox: FakeToolbox | None = None) -> None:
        self.model = FakeModel(*script)
        self.toolbox = toolbox or FakeToolbox()
        self.transcripts = MemoryTranscripts()
        self.contents = MemoryContents()
        self.attempts = MemoryAttempts()
        self.turns = Turns(served(self.model), self.toolbox, self.transcripts, self.contents, self.attempts)

    async def request(self, number: int = 1) -> TurnRequest:
        prompt, snapshot = await self.contents.put(b"You triage."), await self.contents.put(b"{}")
        return TurnRequest(
            key=KEY,
            tenant="default",
            correlation_id="chain",
            number=number,
            transcript="talk",
            agent=AgentPolicy(name="triage", model="fake", prompt=prompt),
            facts=Facts(key=KEY, type="Bug", title="Login fails", snapshot=snapshot),
        )

    @property
    def outcomes(self) -> list[str]:
        return [attempt.outcome for attempt in self.attempts.kept.values()]


async def test_a_repeated_step_takes_the_reply_that_was_kept() -> None:
    desk = Desk(answer("once"), answer("twice"))
    ask = Think(request=await desk.request(), step=1)
    first = await ActivityEnvironment().run(desk.turns.think, ask)
    again = await ActivityEnvironment().run(desk.turns.think, ask)
    assert (first, len(desk.model.requests), desk.outcomes) == (again, 1, ["ok"])


async def test_a_failed_call_leaves_its_outcome_and_the_wait_that_was_asked_for() -> None:
    desk = Desk(RateLimitedError("slow down", retry_after=timedelta(seconds=9), request_id="req-1"))
    with pytest.raises(ApplicationError) as raised:
        await ActivityEnvironment().run(desk.turns.think, Think(request=await desk.request(), step=1))
    (attempt,) = desk.attempts.kept.values()
    assert (attempt.outcome, attempt.request_id) == ("RateLimitedError", "req-1")
    assert raised.value.next_retry_delay == timedelta(seconds=9)


async def test_a_cancelled_call_is_no_attempt_in_doubt() -> None:
    desk, reached = Desk(answer()), asyncio.Event()

    async def wait(request: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    desk.model.on_request = wait
    environment = ActivityEnvironment()
    thinking = asyncio.create_task(environment.run(desk.turns.think, Think(request=await desk.request(), step=1)))
    await reached.wait()
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await thinking
    assert desk.outcomes == ["cancelled"]


async def test_an_instruction_that_a_failed_call_had_told_is_not_told_again() -> None:
    desk = Desk(RateLimitedError("slow down"), answer())
    told = await desk.contents.put(b"Meanwhile ada commented")
    with pytest.raises(ApplicationError):
        await ActivityEnvironment().run(
            desk.turns.think, Think(request=await desk.request(), step=1, instructions=(told,))
        )
    await ActivityEnvironment().run(
        desk.turns.think, Think(request=await desk.request(2), step=1, instructions=(told,))
    )
    assert [one.text for one in desk.model.requests[1].messages].count("Meanwhile ada commented") == 1


async def test_the_same_words_are_told_again_once_they_were_answered() -> None:
    desk = Desk(answer(question="Which?"), answer())
    told = await desk.contents.put(b"ada answers: yes")
    for number in (1, 2):
        request = await desk.request(number)
        await ActivityEnvironment().run(desk.turns.think, Think(request=request, step=1, instructions=(told,)))
    assert [one.text for one in desk.model.requests[1].messages].count("ada answers: yes") == 2


async def test_a_reply_that_was_cut_off_is_no_answer() -> None:
    desk = Desk(says("{", finish=answer().finish_reason.LENGTH))
    thought = await ActivityEnvironment().run(desk.turns.think, Think(request=await desk.request(), step=1))
    assert "stopped with length" in thought.invalid


async def test_a_repeated_tool_call_takes_the_result_that_was_kept() -> None:
    desk = Desk(calls(("known__look", {"id": 7})))
    request = await desk.request()
    thought = await ActivityEnvironment().run(desk.turns.think, Think(request=request, step=1))
    ask = CallTool(request=request, step=1, call=thought.tool_calls[0])
    first = await ActivityEnvironment().run(desk.turns.call_tool, ask)
    again = await ActivityEnvironment().run(desk.turns.call_tool, ask)
    assert (first, len(desk.toolbox.called)) == (again, 1)
    assert first.ok


async def test_a_tool_server_that_does_not_answer_is_tried_again() -> None:
    desk = Desk(calls(("known__look", {})))
    desk.toolbox.reachable = False
    request = await desk.request()
    thought = await ActivityEnvironment().run(desk.turns.think, Think(request=request, step=1))
    with pytest.raises(ApplicationError, match="does not answer") as raised:
        await ActivityEnvironment().run(
            desk.turns.call_tool, CallTool(request=request, step=1, call=thought.tool_calls[0])
        )
    assert not raised.value.non_retryable
    assert desk.outcomes == ["ok", "Unavailable"]


class Refusing(FakeToolbox):
    """Policy names a tool that its server no longer has."""

    async def call(self, allowed: Sequence[str], name: str, arguments: Json) -> FakeResult:
        raise Rejected("tool server known has no tool look", code="UnknownTool")


class Endless(FakeToolbox):
    """Its call ends with whoever made it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def call(self, allowed: Sequence[str], name: str, arguments: Json) -> FakeResult:
        self.reached.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing ends it but its caller")


async def test_a_tool_call_that_is_refused_leaves_no_attempt_in_doubt() -> None:
    desk = Desk(calls(("known__look", {})), toolbox=Refusing())
    request = await desk.request()
    thought = await ActivityEnvironment().run(desk.turns.think, Think(request=request, step=1))
    with pytest.raises(ApplicationError, match="no tool look"):
        await ActivityEnvironment().run(
            desk.turns.call_tool, CallTool(request=request, step=1, call=thought.tool_calls[0])
        )
    assert desk.outcomes == ["ok", "Rejected"]


async def test_a_tool_call_that_is_cancelled_says_so_in_the_books() -> None:
    toolbox = Endless()
    desk = Desk(calls(("known__look", {})), toolbox=toolbox)
    request = await desk.request()
    thought = await ActivityEnvironment().run(desk.turns.think, Think(request=request, step=1))
    environment = ActivityEnvironment()
    ask = CallTool(request=request, step=1, call=thought.tool_calls[0])
    calling = asyncio.create_task(environment.run(desk.turns.call_tool, ask))
    await toolbox.reached.wait()
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert desk.outcomes == ["ok", "cancelled"]


async def test_arguments_that_are_no_json_are_told_to_the_model() -> None:
    broken = ToolCallPart(call_id="c", name="known__look", arguments={}, raw_arguments='{"id": ', invalid="cut off")
    reply = calls(("known__look", {})).model_copy(update={"message": Message(role=Role.ASSISTANT, parts=(broken,))})
    desk = Desk(reply)
    request = await desk.request()
    await ActivityEnvironment().run(desk.turns.think, Think(request=request, step=1))
    call = ToolCallRef(call_id="c", name="known__look", arguments_hash="")
    outcome = await ActivityEnvironment().run(desk.turns.call_tool, CallTool(request=request, step=1, call=call))
    assert (outcome.ok, desk.toolbox.called) == (False, [])
    assert "not a JSON object: cut off" in list(desk.transcripts.kept["talk"].values())[-1].body.decode()


async def test_calls_that_cannot_be_read_are_told_apart_by_what_the_model_wrote() -> None:
    parts = tuple(
        ToolCallPart(call_id=raw, name="known__look", raw_arguments=raw, invalid="cut off") for raw in ('{"id": ', "{7")
    )
    desk = Desk(calls().model_copy(update={"message": Message(role=Role.ASSISTANT, parts=parts)}))
    thought = await ActivityEnvironment().run(desk.turns.think, Think(request=await desk.request(), step=1))
    first, second = thought.tool_calls
    assert first.arguments_hash != second.arguments_hash
