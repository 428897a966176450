"""The client of remote agent services against a real server of A2A on loopback."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.clients.agents import RemoteAgents
from pointsman.contracts.agents import AT_WORK, RemoteMessage, RemoteState, RemoteTask
from pointsman.contracts.policy import AgentService
from pointsman.ports import Missing, Rejected, Unavailable
from pointsman.ports_agents import NotHeard
from pointsman.sandbox.agents.scripts import answer
from pointsman.sandbox.agents.server import AgentsConfig, AgentsStandIn

TOKEN = SecretStr("a-token-of-the-remote-agent")
Standing = tuple[AgentsStandIn, AgentService, RemoteAgents]
SECRETS = {"AGENT_KEY": TOKEN, "STALE_KEY": SecretStr("something-old")}


@asynccontextmanager
async def agents() -> AsyncGenerator[RemoteAgents]:
    client = RemoteAgents(SECRETS.get)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def standing(
    config: AgentsConfig | None = None,
) -> AsyncGenerator[tuple[AgentsStandIn, AgentService, RemoteAgents]]:
    stand_in = AgentsStandIn(config or AgentsConfig())
    async with stand_in.running() as url, agents() as client:
        yield stand_in, AgentService(url=url, timeout=timedelta(seconds=60)), client


def task(script: str, number: int = 1) -> RemoteMessage:
    return RemoteMessage(id=f"message-{number}", context="context", text=f"Handle this. script: {script}")


async def ended(client: RemoteAgents, service: AgentService, begun: RemoteTask) -> RemoteTask:
    """The task once the agent rests."""
    async with asyncio.timeout(60):
        while True:
            found = await client.get(service, begun.id, whole=True)
            if found.state not in AT_WORK:
                return found
            await asyncio.sleep(0.01)


async def test_card_is_told_with_what_it_can() -> None:
    async with standing() as (_, service, client):
        card = await client.card(service.model_copy(update={"skills": ("triage",)}))
    assert (card.name, card.protocol, card.skills) == ("Sandbox agent", "1.0", ("triage",))


async def test_task_is_worked_on_and_its_data_is_the_answer() -> None:
    async with standing() as (_, service, client):
        done = await ended(client, service, await client.send(service, task("works")))
    assert done.state is RemoteState.COMPLETED
    assert done.answer == '{"comment": "Looked at by a remote agent.", "tags": ["triaged"]}'
    assert done.messages == ("message-1",)


async def test_numbers_without_a_fraction_are_whole_numbers() -> None:
    async with standing(AgentsConfig(default=(answer("x", deep=[{"n": 2, "f": 2.5}]),))) as (_, service, client):
        done = await ended(client, service, await client.send(service, task("none")))
    assert done.answer == '{"comment": "x", "deep": [{"f": 2.5, "n": 2}]}'


async def test_service_may_answer_at_once_without_a_task() -> None:
    async with standing() as (_, service, client):
        done = await client.send(service, task("answers-at-once"))
    assert (done.id, done.state) == ("", RemoteState.COMPLETED)
    assert "Looked at by a remote agent." in done.answer


async def test_question_is_answered_in_the_same_task() -> None:
    async with standing() as (stand_in, service, client):
        asking = await ended(client, service, await client.send(service, task("asks")))
        assert (asking.state, asking.note) == (RemoteState.INPUT_REQUIRED, "Which release is it for?")
        again = RemoteMessage(id="message-2", context="context", task=asking.id, text="For 2.1")
        done = await ended(client, service, await client.send(service, again))
    assert (done.id, done.state) == (asking.id, RemoteState.COMPLETED)
    assert [message.message_id for message in stand_in.heard] == ["message-1", "message-2"]


async def test_tasks_are_found_by_their_context() -> None:
    async with standing() as (_, service, client):
        first = await client.send(service, task("goes-silent"))
        await client.send(service, task("works", 2).model_copy(update={"context": "another"}))
        found = await client.find(service, "context")
        await client.cancel(service, first.id)
    assert [(one.id, one.messages) for one in found] == [(first.id, ("message-1",))]


async def test_cancelled_task_is_canceled_there_and_may_be_cancelled_again() -> None:
    async with standing() as (_, service, client):
        begun = await client.send(service, task("goes-silent"))
        await client.cancel(service, begun.id)
        await client.cancel(service, begun.id)
        await client.cancel(service, "no such task")
        assert (await client.get(service, begun.id)).state is RemoteState.CANCELED


async def test_task_that_is_not_there_is_missing() -> None:
    async with standing() as (_, service, client):
        with pytest.raises(Missing, match="GetTask"):
            await client.get(service, "no such task")


async def test_credential_is_sent_to_the_service_and_shown_nowhere() -> None:
    async with standing(AgentsConfig(token=TOKEN)) as (_, service, client):
        named = service.model_copy(update={"key": "AGENT_KEY"})
        assert (await ended(client, named, await client.send(named, task("works")))).answer
        with pytest.raises(Rejected) as refused:
            await client.send(service.model_copy(update={"key": "STALE_KEY"}), task("works"))
        assert refused.value.code == "NotLetIn"
        assert "something-old" not in str(refused.value)
        with pytest.raises(Rejected, match="NO_SUCH_KEY is not set") as unset:
            await client.send(service.model_copy(update={"key": "NO_SUCH_KEY"}), task("works"))
        assert unset.value.code == "NoKey"


async def test_card_without_a_skill_or_of_another_protocol_gets_nothing() -> None:
    async with standing(AgentsConfig(protocol="0.3")) as (stand_in, service, client):
        with pytest.raises(Rejected, match=r"JSONRPC 0\.3; A2A 1\.0 over JSONRPC is needed"):
            await client.send(service, task("works"))
        assert stand_in.calls == ["GetAgentCard"]
    async with standing() as (stand_in, service, client):
        with pytest.raises(Rejected, match="lacks deploy, which policy wants; it has triage"):
            await client.send(service.model_copy(update={"skills": ("deploy",)}), task("works"))
        assert stand_in.calls == ["GetAgentCard"]


async def test_card_leads_to_hosts_of_the_policy_only() -> None:
    async with standing() as (other, elsewhere, _):
        place = elsewhere.url.removeprefix("http://")
        async with standing(AgentsConfig(lead_to=elsewhere.url)) as (_, service, client):
            with pytest.raises(Rejected, match=f"{place} is no host of this agent's policy") as refused:
                await client.send(service, task("works"))
            assert refused.value.code == "EgressRefused"
            assert other.calls == []
            allowed = service.model_copy(update={"hosts": (place,)})
            assert (await client.send(allowed, task("works"))).id


async def test_plain_http_stays_on_this_machine() -> None:
    async with agents() as client:
        with pytest.raises(Rejected, match=r"http://agents\.example is not https: nothing was sent"):
            await client.card(AgentService(url="http://agents.example"))


async def test_service_that_leads_elsewhere_is_not_followed() -> None:
    async with standing() as (stand_in, service, client):
        await client.card(service)
        stand_in.leads_elsewhere = f"{service.url}/there"
        with pytest.raises(Rejected) as refused:
            await client.send(service, task("works"))
    assert refused.value.code == "Redirected"
    assert stand_in.calls == ["GetAgentCard"]


async def test_answer_above_the_limit_is_not_read() -> None:
    async with standing() as (_, service, client):
        small = service.model_copy(update={"answer_bytes": 100_000})
        begun = await client.send(small, task("talks-too-much"))
        with pytest.raises(Rejected, match="longer than 100000 bytes") as refused:
            await ended(client, small, begun)
    assert refused.value.code == "AnswerTooLarge"


@pytest.mark.parametrize(("status", "expected"), [(503, Unavailable), (429, NotHeard), (404, Rejected)])
async def test_status_says_whether_trying_again_can_help(status: int, expected: type[Exception]) -> None:
    async with standing() as (stand_in, service, client):
        stand_in.refuses["GetTask"] = status
        with pytest.raises(expected) as error:
            await client.get(service, "any")
    assert type(error.value) is expected


async def test_service_that_is_not_there_has_not_heard_us() -> None:
    async with standing() as (_, service, client):
        await client.card(service)
    async with agents() as client:
        with pytest.raises(NotHeard):
            await client.send(service, task("works"))


async def test_tasks_outlive_a_restart_of_their_service() -> None:
    stand_in = AgentsStandIn(AgentsConfig())
    async with agents() as client:
        async with stand_in.running() as url:
            service = AgentService(url=url)
            begun = await ended(client, service, await client.send(service, task("asks")))
        with pytest.raises(Unavailable):
            await client.get(service, begun.id)
        async with stand_in.running(port=int(url.rpartition(":")[2])):
            assert (await client.get(service, begun.id)).state is RemoteState.INPUT_REQUIRED
