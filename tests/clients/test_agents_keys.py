"""A card that policy wants signed: by a key that it names, or nothing of an item goes there."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from a2a.types import AgentCard, AgentCardSignature
from jwt import PyJWK, PyJWS
from jwt.utils import base64url_encode

from pointsman.clients.agents import RemoteAgents
from pointsman.contracts.agents import RemoteMessage
from pointsman.contracts.policy import AgentService
from pointsman.ports import Rejected, Unavailable
from pointsman.sandbox.agents.door import KEYS
from pointsman.sandbox.agents.server import AgentsConfig, AgentsStandIn
from pointsman.sandbox.agents.signing import CardKey

MESSAGE = RemoteMessage(id="message", context="context", text="Handle this. script: answers-at-once")
OURS, THEIRS = CardKey(), CardKey()
FILE = "keys/contracts.json"


def renamed(card: AgentCard) -> None:
    card.name = "Another agent"


def led_astray(card: AgentCard) -> None:
    card.supported_interfaces[0].url = "http://127.0.0.1:9/"


def stripped(card: AgentCard) -> None:
    del card.signatures[:]


def unreadable(card: AgentCard) -> None:
    """Headers that are no JSON, of a depth that nobody reads, and of no algorithm."""
    unsigned = json.dumps({"alg": "none", "kid": OURS.kid}).encode()
    headers = (b"{", b"[" * 50_000, b"[]", unsigned)
    made = [AgentCardSignature(protected=base64url_encode(one).decode(), signature="") for one in headers]
    card.signatures[0].CopyFrom(made[0])
    card.signatures.extend(made[1:])


@asynccontextmanager
async def signed(
    key: CardKey | None = OURS, forge: Callable[[AgentCard], None] | None = None
) -> AsyncGenerator[tuple[AgentsStandIn, AgentService, RemoteAgents]]:
    """A stand-in that signs, and the policy that wants the signature of `OURS`."""
    stand_in = AgentsStandIn(AgentsConfig(card_key=key, forge=forge))
    client = RemoteAgents(lambda name: None)
    async with stand_in.running() as url:
        try:
            yield stand_in, AgentService(url=url, signed_by=FILE, card_keys=OURS.key_set()), client
        finally:
            await client.aclose()


async def refusal(service: AgentService, client: RemoteAgents) -> str:
    with pytest.raises(Rejected) as refused:
        await client.send(service, MESSAGE)
    assert refused.value.code == "CardNotSigned"
    assert f"policy wants the card signed by a key of {service.signed_by}: " in str(refused.value)
    return str(refused.value)


async def test_card_that_is_signed_by_a_key_of_the_policy_is_trusted() -> None:
    async with signed() as (_, service, client):
        assert (await client.send(service, MESSAGE)).answer


async def test_signature_is_one_of_the_card_as_it_is_served() -> None:
    """Looked at without the SDK: its signer and its verifier could be wrong in the same way."""
    async with signed() as (_, service, _), httpx.AsyncClient(trust_env=False, timeout=60) as plain:
        card = (await plain.get(f"{service.url}/.well-known/agent-card.json")).json()
    (signature,) = card.pop("signatures")
    payload = json.dumps(card, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    token = f"{signature['protected']}.{base64url_encode(payload).decode()}.{signature['signature']}"
    told = PyJWS().decode_complete(token, PyJWK(OURS.public()), ["ES256"])
    assert told["header"]["kid"] == OURS.kid


async def test_card_with_a_second_signature_that_nobody_knows_is_trusted() -> None:
    async with signed(forge=lambda card: THEIRS.sign(card, "https://elsewhere.example")) as (_, service, client):
        assert (await client.send(service, MESSAGE)).answer


@pytest.mark.parametrize(
    ("key", "forge", "why"),
    [
        (None, None, "the card carries no signature"),
        (OURS, stripped, "the card carries no signature"),
        (THEIRS, None, "is by a key of it (sandbox) and fits what the card says"),
        (CardKey("unknown"), None, "is by a key of it (sandbox) and fits what the card says"),
        (OURS, renamed, "is by a key of it (sandbox) and fits what the card says"),
        (OURS, led_astray, "is by a key of it (sandbox) and fits what the card says"),
        (OURS, unreadable, "is by a key of it (sandbox) and fits what the card says"),
    ],
)
async def test_card_with_no_signature_of_ours_gets_nothing(
    key: CardKey | None, forge: Callable[[AgentCard], None] | None, why: str
) -> None:
    async with signed(key, forge) as (stand_in, service, client):
        assert why in await refusal(service, client)
    assert stand_in.calls == ["GetAgentCard"]


async def test_unsigned_card_is_as_good_as_any_where_policy_names_no_key() -> None:
    async with signed(None) as (_, service, client):
        assert (await client.send(AgentService(url=service.url), MESSAGE)).answer


async def test_keys_are_read_where_policy_says_and_not_where_the_card_does() -> None:
    async with signed() as (stand_in, service, client), signed(THEIRS) as (other, elsewhere, _):
        there = service.model_copy(update={"signed_by": f"{service.url}{KEYS}", "card_keys": ""})
        assert (await client.send(there, MESSAGE)).answer
        forged = elsewhere.model_copy(update={"signed_by": f"{service.url}{KEYS}", "card_keys": ""})
        await refusal(forged, client)
    assert stand_in.calls == ["GetAgentCard", "GetKeys", "SendMessage", "GetKeys"]
    assert other.calls == ["GetAgentCard"]


async def test_keys_that_cannot_be_read_let_nothing_through() -> None:
    async with signed(None) as (stand_in, service, client):
        missing = service.model_copy(update={"signed_by": f"{service.url}{KEYS}", "card_keys": ""})
        with pytest.raises(
            Rejected, match=r"keys of the card of 127\.0\.0\.1, at http://127\.0\.0\.1:\d+/\S+: HTTP 404"
        ):
            await client.send(missing, MESSAGE)
        gone = missing.model_copy(update={"signed_by": "http://127.0.0.1:9/keys"})
        with pytest.raises(Unavailable, match=r"keys of the card .* ConnectError"):
            await client.send(gone, MESSAGE)
    assert "SendMessage" not in stand_in.calls


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ("<html>", "that is no JSON Web Key Set"),
        ('{"keys": 1}', "that is no JSON Web Key Set"),
        ('{"keys": [1, {"kty": "new"}]}', "no key there can check a signature"),
        # With a shared secret everybody who checks a card could have signed it.
        ('{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "sandbox"}]}', "no key there can check a signature"),
        (json.dumps({"keys": [{**OURS.public(), "use": "enc"}]}), "no key there can check a signature"),
    ],
)
async def test_what_is_no_key_set_lets_nothing_through(keys: str, why: str) -> None:
    async with signed() as (_, service, client):
        assert why in await refusal(service.model_copy(update={"card_keys": keys}), client)
