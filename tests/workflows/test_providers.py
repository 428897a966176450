"""The agent at each provider, by one line of policy: same item, same rooms, real adapters, the stand-in of its API."""

import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import pytest
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.turns import Turns
from pointsman.contracts.base import Json
from pointsman.contracts.models import PROVIDERS, ModelPolicy
from pointsman.contracts.policy import AgentPolicy
from pointsman.contracts.records import AttemptKind
from pointsman.contracts.turns import CallTool, Think, Thought, TurnRequest
from pointsman.contracts.work_items import Facts, WorkItemKey, WorkItemState
from pointsman.llm.service import LLMService
from pointsman.llm.settings import load_settings
from pointsman.llm.setup import load_adapter
from pointsman.llm.types import LLMResponse, Message, ReasoningPart, Role, ToolResultPart
from pointsman.sandbox.models.app import create_app
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.control import Control, Fault, FaultKind, Outcome, Script
from pointsman.sandbox.models.replies import Call, Reply
from pointsman.sandbox.serving import hosting
from starter.cli.sandbox import model_settings
from starter.llm import governed
from tests.books import MemoryAttempts, MemoryContents, MemoryTranscripts
from tests.workflows.rig import Rig, policy
from tests.worlds import FakeResult, FakeToolbox

KEY = "sk-test-71c3b9d0e2a4"
FIVE = PROVIDERS[:5]
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
# As much of it as has no character that differs between the two alphabets of base64.
PICTURE = base64.b64encode(PIXEL).decode()[:32]
ASKED = Reply(
    reasoning="Items 7 and 8 may say more.",
    calls=(Call(name="known__look", arguments={"id": 7}), Call(name="known__look", arguments={"id": 8})),
)
SAID: Json = {
    "comment": "The picture shows the empty page.",
    "fields": [{"name": "System.State", "value": "Resolved"}],
    "tags": ["seen"],
    "question": "",
}


@pytest.fixture(autouse=True, scope="module")
def _adapters() -> None:
    """As a worker does before it takes work: an import in the middle of it would keep it from beating."""
    for provider in FIVE:
        load_adapter(provider)


class Picture(NamedTuple):
    data: bytes = PIXEL
    media_type: str = "image/png"


class Gallery(FakeToolbox):
    """Each look comes with a picture."""

    async def call(self, allowed: Sequence[str], name: str, arguments: Json) -> FakeResult:
        result = await super().call(allowed, name, arguments)
        return FakeResult(result.ok, result.text, [Picture()])


@dataclass
class World:
    """The stand-in of all providers."""

    control: Control

    def models(self, provider: str) -> LLMService:
        """The service of our processes, with one line of policy."""
        return governed(load_settings(None), ModelPolicy(prefer=(provider,)))


@asynccontextmanager
async def outside(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    app = create_app(ModelsConfig(api_keys=(SecretStr(KEY),), first_token=timedelta(0), chunk=timedelta(0)))
    async with hosting(app) as url:
        for name, value in model_settings(url, KEY).items():
            monkeypatch.setenv(name, value)
        yield World(app.state.control)


class GovernedRig(Rig):
    """A rig whose models are outside."""

    service: LLMService

    def models(self) -> LLMService:
        return self.service


def replies_of(transcripts: MemoryTranscripts) -> list[LLMResponse]:
    return [
        LLMResponse.model_validate_json(one.body)
        for talk in transcripts.kept.values()
        for one in talk.values()
        if one.role == Role.ASSISTANT
    ]


@pytest.mark.slow
@pytest.mark.parametrize("provider", FIVE)
async def test_one_line_of_policy_takes_the_agent_to_another_provider(
    env: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    """With tools in parallel, reasoning, an image and a structured answer; and a fault that costs one more attempt."""
    async with outside(monkeypatch) as world:
        item = GovernedRig(env, (), policy(model="balanced", reasoning_effort="low", needs_approval=()))
        item.toolbox = Gallery()
        world.control.faults.append(Fault(kind=FaultKind.STATUS, status=503))
        world.control.scripts += [Script(replies=[ASKED]), Script(match=PICTURE, replies=[Reply(data=SAID)])]
        async with world.models(provider) as item.service, (await item.prompt()).worker():
            await item.deliver()
            ended = await item.result()
    assert (ended.state, item.tracker.items[1].fields["System.State"]) == (WorkItemState.DONE, "Resolved")
    assert sorted(str(arguments) for _, arguments in item.toolbox.called) == ["{'id': 7}", "{'id': 8}"]
    looked, answered = replies_of(item.transcripts)
    assert (looked.provider, answered.provider) == (provider, provider)
    assert any(isinstance(part, ReasoningPart) for part in looked.message.parts)
    assert "tier balanced was asked for" in looked.rationale
    calls = [one for one in item.attempts.kept.values() if one.kind is AttemptKind.MODEL]
    assert [one.outcome for one in calls] == ["ProviderOverloadedError", "ok", "ok"]
    assert {one.chosen.provider for one in calls} == {provider}
    assert all("tier balanced was asked for" in one.chosen.rationale for one in calls)
    # One attempt of the activity is one at the provider, and streamed.
    assert [one.outcome for one in world.control.seen] == [Outcome.FAULTED, Outcome.ANSWERED, Outcome.ANSWERED]
    assert all(one.stream for one in world.control.seen)


@pytest.mark.slow
async def test_a_conversation_moves_between_all_providers_midway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answers what another one has looked up, over thoughts and signatures of all before it."""
    async with outside(monkeypatch) as world:
        contents, transcripts = MemoryContents(), MemoryTranscripts()
        key = WorkItemKey(organisation="fabrikam", project="Web", id=1)
        prompt, snapshot = await contents.put(b"You triage."), await contents.put(b"{}")
        agent = AgentPolicy(name="triage", model="balanced", prompt=prompt, reasoning_effort="low")
        facts = Facts(key=key, type="Bug", title="Login fails", snapshot=snapshot)
        answered_by: list[str] = []
        for number, provider in enumerate((*FIVE, FIVE[0]), 1):
            request = TurnRequest(
                key=key,
                tenant="default",
                correlation_id="chain",
                number=number,
                transcript="talk",
                agent=agent,
                facts=facts,
            )
            async with world.models(provider) as service:
                turns = Turns(service, Gallery(), transcripts, contents, MemoryAttempts())
                if number > 1:
                    world.control.scripts.append(Script(match=PICTURE, replies=[Reply(data=SAID)]))
                    thought = await _think(turns, request, step=1)
                    assert (thought.provider, thought.invalid, bool(thought.proposal)) == (provider, "", True)
                    answered_by.append(thought.provider)
                world.control.scripts.append(Script(replies=[ASKED]))
                thought = await _think(turns, request, step=2, told=await contents.put(f"Look {number}".encode()))
                assert (thought.provider, len(thought.tool_calls)) == (provider, 2)
                for call in thought.tool_calls:
                    wanted = CallTool(request=request, step=2, call=call)
                    await ActivityEnvironment().run(turns.call_tool, wanted)
    assert answered_by == [*FIVE[1:], FIVE[0]]
    assert {one.outcome for one in world.control.seen} == {Outcome.ANSWERED}
    comments = [one.text for one in replies_of(transcripts) if one.text]
    assert ["The picture shows the empty page." in comment for comment in comments] == [True] * 5
    shown = [Message.from_bytes(one.body) for one in transcripts.kept["talk"].values() if one.role == Role.TOOL]
    results = [part for one in shown for part in one.parts if isinstance(part, ToolResultPart)]
    assert all(part.images for part in results)


async def _think(turns: Turns, request: TurnRequest, step: int, told: str = "") -> Thought:
    ask = Think(request=request, step=step, instructions=(told,) if told else ())
    return await ActivityEnvironment().run(turns.think, ask)
