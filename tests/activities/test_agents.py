"""What a turn elsewhere does outside, where the workflow tests do not look: kills, and services that forget."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.agents import RemoteTurns
from pointsman.clients.agents import RemoteAgents
from pointsman.contracts.agents import (
    CancelAtService,
    FollowedService,
    FollowService,
    RemoteMessage,
    RemoteState,
    RemoteTask,
    SayToService,
    SendToService,
    SettledElsewhere,
    SettleElsewhere,
)
from pointsman.contracts.policy import AgentPolicy, AgentService
from pointsman.contracts.turns import TurnRequest
from pointsman.contracts.work_items import Facts, WorkItemKey
from pointsman.sandbox.agents.server import AgentsConfig, AgentsStandIn
from tests.books import MemoryAttempts, MemoryContents, MemoryTranscripts

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=1)


class Killed(BaseException):
    """The process died."""


class Dying(RemoteAgents):
    """Dies around the next message: before it is sent, or before its answer is kept."""

    before = after = False
    streams: list[int]
    """How often each has told that something happened."""

    async def listen(self, service: AgentService, task: str, tell: Callable[[], None]) -> None:
        number = len(self.streams)
        self.streams.append(0)

        def told() -> None:
            self.streams[number] += 1
            tell()

        await super().listen(service, task, told)

    async def send(self, service: AgentService, message: RemoteMessage) -> RemoteTask:
        if self.before:
            self.before = False
            raise Killed
        task = await super().send(service, message)
        if self.after:
            self.after = False
            raise Killed
        return task


class Desk:
    """The activities over the real client and a real server, and one request to them."""

    def __init__(self, url: str, script: str) -> None:
        self.remote = Dying(lambda name: None)
        self.remote.streams = []
        self.transcripts, self.contents, self.attempts = MemoryTranscripts(), MemoryContents(), MemoryAttempts()
        self.room = RemoteTurns(self.remote, self.transcripts, self.contents, self.attempts)
        self.service = AgentService(url=url)
        self.script = script
        self.env = ActivityEnvironment()

    async def request(self, number: int = 1) -> TurnRequest:
        return TurnRequest(
            key=KEY,
            tenant="default",
            correlation_id="chain",
            number=number,
            transcript="talk",
            agent=AgentPolicy(name="elsewhere", service=self.service),
            facts=Facts(key=KEY, type="Bug", title=f"script: {self.script}", snapshot=await self.contents.put(b"{}")),
        )

    async def send(self, number: int = 1, *words: str) -> str:
        told = tuple([await self.contents.put(one.encode()) for one in words])
        ask = SendToService(request=await self.request(number), step=1, instructions=told)
        return (await self.env.run(self.room.send, ask)).task

    async def follow(self, task: str, number: int = 1, patience: timedelta = timedelta(minutes=1)) -> FollowedService:
        """Until it ended or waits."""
        ask = FollowService(
            request=await self.request(number), step=1, task=task, pause=timedelta(minutes=1), patience=patience
        )
        return await self.env.run(self.room.follow, ask)

    async def say(self, task: str, words: str) -> bool:
        instruction = await self.contents.put(words.encode())
        ask = SayToService(request=await self.request(), task=task, instruction=instruction)
        return await self.env.run(self.room.say, ask)

    async def settle(self) -> SettledElsewhere:
        return await self.env.run(self.room.settle, SettleElsewhere(request=await self.request()))

    @property
    def outcomes(self) -> list[str]:
        return [one.outcome for one in self.attempts.kept.values()]


@asynccontextmanager
async def desk(
    script: str, *, streaming: bool = True, stops: bool = True
) -> AsyncGenerator[tuple[Desk, AgentsStandIn]]:
    stand_in = AgentsStandIn(AgentsConfig(streaming=streaming, stops=stops))
    async with stand_in.running() as url:
        made = Desk(url, script)
        try:
            yield made, stand_in
        finally:
            await made.remote.aclose()


async def test_task_of_a_killed_worker_is_found_again() -> None:
    async with desk("works") as (at, stand_in):
        at.remote.after = True
        with pytest.raises(Killed):
            await at.send()
        assert at.outcomes == [""], "it is in doubt"
        task = await at.send()
        assert (await at.follow(task)).state is RemoteState.COMPLETED
    assert len(stand_in.heard) == 1
    assert at.outcomes == ["found"]


async def test_message_that_a_killed_worker_never_sent_is_sent() -> None:
    async with desk("works") as (at, stand_in):
        at.remote.before = True
        with pytest.raises(Killed):
            await at.send()
        assert await at.send()
    assert len(stand_in.heard) == 1
    assert at.outcomes == ["not heard", "ok"]


async def test_answer_to_a_question_is_sent_once_whoever_dies() -> None:
    async with desk("asks") as (at, stand_in):
        task = await at.send()
        assert (await at.follow(task)).question == "Which release is it for?"
        at.remote.after = True
        with pytest.raises(Killed):
            await at.send(2, "For 2.1.")
        assert await at.send(2, "For 2.1.") == task
        assert (await at.follow(task, 2)).state is RemoteState.COMPLETED
    assert [part.text for part in stand_in.heard[1].parts] == ["For 2.1."]
    assert len(stand_in.heard) == 2


async def test_repeated_step_sends_nothing() -> None:
    async with desk("works") as (at, stand_in):
        assert await at.send() == await at.send()
    assert len(stand_in.heard) == 1


async def test_task_that_the_service_has_forgotten_is_begun_anew() -> None:
    before, after = AgentsStandIn(AgentsConfig()), AgentsStandIn(AgentsConfig())
    async with before.running() as url:
        at = Desk(url, "asks")
        first = await at.send()
        await at.follow(first)
    async with after.running(port=int(url.rpartition(":")[2])):
        with pytest.raises(ApplicationError, match="Task not found") as gone:
            await at.follow(first)
        assert gone.value.non_retryable
        assert await at.send(2, "For 2.1.") != first
        await at.remote.aclose()
    assert list(after.heard[0].reference_task_ids) == [first]


async def test_what_is_said_to_a_task_at_work_is_said_once() -> None:
    async with desk("hears") as (at, stand_in):
        task = await at.send()
        assert await at.say(task, "It happens on Sundays.")
        assert await at.say(task, "It happens on Sundays.")
        assert (await at.follow(task)).state is RemoteState.COMPLETED
        assert not await at.say(task, "Too late."), "the next task is told"
    assert [message.parts[0].text for message in stand_in.heard[1:]] == ["It happens on Sundays."]


async def test_what_a_busy_service_keeps_for_later_is_not_said_twice() -> None:
    async with desk("works") as (at, stand_in):
        stand_in.may_go_on.clear()
        task = await at.send()
        stand_in.refuses["SendMessage"] = 504
        with pytest.raises(ApplicationError, match="HTTP 504"):
            await at.say(task, "It happens on Sundays.")
        stand_in.refuses.clear()
        assert not await at.say(task, "It happens on Sundays.")
        stand_in.may_go_on.set()
        assert (await at.follow(task)).state is RemoteState.COMPLETED
    assert stand_in.calls.count("SendMessage") == 2
    assert at.outcomes == ["ok", "Unavailable"]


@pytest.fixture
def only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked at a second time unless the service says that something happened."""
    monkeypatch.setattr("activities.agents.LOOK_SECONDS_MIN", 3_600.0)
    monkeypatch.setattr("activities.agents.LOOK_SECONDS_MAX", 3_600.0)
    monkeypatch.setattr("activities.agents.LISTEN_AGAIN_SECONDS", 0.0)


async def followed(at: Desk, stand_in: AgentsStandIn, until: Callable[[], bool]) -> FollowedService:
    """What a task comes to that goes on only once something holds."""
    stand_in.may_go_on.clear()
    following = asyncio.create_task(at.follow(await at.send()))
    async with asyncio.timeout(60):
        while not until():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
        stand_in.may_go_on.set()
        return await following


@pytest.mark.usefixtures("only_when_told")
@pytest.mark.parametrize("cut", [0, 2])
async def test_what_a_service_tells_is_looked_at_at_once_also_after_its_stream_was_cut(cut: int) -> None:
    async with desk("works") as (at, stand_in):
        stand_in.streams_cut = cut
        found = await followed(at, stand_in, lambda: sum(at.remote.streams[cut:]) > 0)
    assert found.state is RemoteState.COMPLETED
    assert stand_in.calls.count("SendMessage") == 1


@pytest.mark.parametrize(("streaming", "status", "asked"), [(False, 0, 0), (True, 404, 1)])
async def test_service_without_streams_is_looked_at_every_few_seconds(streaming: bool, status: int, asked: int) -> None:
    async with desk("works", streaming=streaming) as (at, stand_in):
        stand_in.refuses["SubscribeToTask"] = status
        found = await followed(at, stand_in, lambda: stand_in.calls.count("GetTask") > 1)
    assert found.state is RemoteState.COMPLETED
    assert stand_in.calls.count("SubscribeToTask") == asked


async def test_look_ends_with_patience() -> None:
    async with desk("goes-silent") as (at, _):
        task = await at.send()
        looked = await at.follow(task, patience=timedelta(milliseconds=50))
        assert (looked.state, looked.overdue) == (RemoteState.WORKING, True)
        await at.env.run(at.room.cancel, CancelAtService(request=await at.request(), step=1, task=task))
        assert (await at.follow(task)).state is RemoteState.CANCELED


@pytest.mark.parametrize("lists", [True, False])
async def test_task_that_waits_is_stopped_once_also_where_the_service_lists_nothing(lists: bool) -> None:
    async with desk("asks") as (at, stand_in):
        task = await at.send()
        await at.follow(task)
        stand_in.refuses["ListTasks"] = 0 if lists else 404
        assert await at.settle() == SettledElsewhere(stopped=(task,))
        assert await at.settle() == SettledElsewhere()
    assert stand_in.calls.count("CancelTask") == 1
    assert at.outcomes == ["ok", "stopped"]


async def test_service_that_stops_nothing_is_said_to_go_on() -> None:
    async with desk("asks", stops=False) as (at, _):
        task = await at.send()
        await at.follow(task)
        assert await at.settle() == SettledElsewhere(going_on=(task,))
    assert at.outcomes == ["ok", "is input-required"]


async def test_task_whose_id_nobody_has_learned_is_stopped_too() -> None:
    async with desk("goes-silent") as (at, stand_in):
        at.remote.after = True
        with pytest.raises(Killed):
            await at.send()
        await at.env.run(at.room.cancel, CancelAtService(request=await at.request(), step=1))
        (task,) = await at.remote.find(at.service, stand_in.heard[0].context_id)
    assert task.state is RemoteState.CANCELED


async def test_cancelled_look_ends_at_once() -> None:
    async with desk("goes-silent") as (at, _):
        looking = asyncio.create_task(at.follow(await at.send()))
        await asyncio.sleep(0)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
