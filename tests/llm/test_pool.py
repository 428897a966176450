"""One client for each provider and key, made when it is wanted, and closed when nobody needs it."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest
from pydantic import SecretStr

from pointsman.llm.client import Health, ListedModel, LLMClient
from pointsman.llm.errors import AuthenticationError
from pointsman.llm.events import StreamEvent, TextDelta
from pointsman.llm.keys import Key, OperatorKeys
from pointsman.llm.pool import ClientPool
from pointsman.llm.types import FinishReason, LLMRequest, LLMResponse, Role, text_message


class Client(LLMClient):
    """Knows whether it was closed."""

    provider = "p"

    def __init__(self, key: SecretStr) -> None:
        self.key = key.get_secret_value()
        self.is_closed = False

    async def complete(self, request: LLMRequest) -> LLMResponse:
        answer = text_message(Role.ASSISTANT, self.key)
        return LLMResponse(message=answer, finish_reason=FinishReason.STOP, model=request.model, provider="p")

    async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        yield TextDelta(text=self.key)

    async def list_models(self) -> Sequence[ListedModel]:
        return []

    async def health(self) -> Health:
        return Health(ok=True)

    async def aclose(self) -> None:
        self.is_closed = True


class OwnKeys:
    """Each user has a key of their own."""

    def __init__(self) -> None:
        self.version = 1

    async def find(self, provider: str, tenant: str, user: str) -> Key:
        return Key(f"user-{user}", SecretStr(f"key-{user}-{self.version}"))


@pytest.fixture
def made() -> list[Client]:
    return []


def pool(
    made: list[Client],
    keys: OwnKeys | None = None,
    clients_max: int = 2,
    load: Callable[[str], None] | None = None,
) -> ClientPool:
    def make(key: SecretStr) -> LLMClient:
        made.append(Client(key))
        return made[-1]

    return ClientPool(keys or OwnKeys(), {"p": make}, clients_max, load)


async def test_the_same_key_gets_the_same_client(made: list[Client]) -> None:
    clients = pool(made)
    assert made == []
    for _ in range(3):
        async with clients.lease("p", user="ada") as (name, client):
            assert name == "p/user-ada"
            assert client is made[0]
    await clients.aclose()
    assert made[0].is_closed


async def test_a_key_that_was_replaced_is_another_client(made: list[Client]) -> None:
    keys = OwnKeys()
    clients = pool(made, keys)
    async with clients.lease("p", user="ada"):
        pass
    keys.version = 2
    async with clients.lease("p", user="ada") as (name, _):
        assert name == "p/user-ada"
    assert [client.key for client in made] == ["key-ada-1", "key-ada-2"]


async def test_who_was_wanted_longest_ago_leaves(made: list[Client]) -> None:
    clients = pool(made)
    for user in ("ada", "bob", "ada", "eve"):
        async with clients.lease("p", user=user):
            pass
    assert [client.is_closed for client in made] == [False, True, False]


async def test_a_client_in_use_is_closed_after_its_use(made: list[Client]) -> None:
    clients = pool(made, clients_max=1)
    async with clients.lease("p", user="ada"):
        async with clients.lease("p", user="bob"):
            pass
        assert not made[0].is_closed
    assert made[0].is_closed


def test_a_second_event_loop_gets_a_client_of_its_own_and_each_is_closed_with_its_loop(made: list[Client]) -> None:
    clients = pool(made)

    async def use() -> None:
        async with clients.lease("p", user="ada"):
            pass

    asyncio.run(use())
    assert [client.is_closed for client in made] == [True]
    asyncio.run(use())
    assert [client.is_closed for client in made] == [True, True]


async def test_an_sdk_is_loaded_once_and_beside_the_loop(made: list[Client]) -> None:
    loaded: list[tuple[str, bool, int]] = []

    def load(provider: str) -> None:
        loaded.append((provider, threading.current_thread() is threading.main_thread(), len(made)))

    clients = pool(made, load=load)
    for user in ("ada", "grace"):
        async with clients.lease("p", user=user):
            pass
    await clients.aclose()
    assert loaded == [("p", False, 0)]
    assert len(made) == 2


async def test_a_provider_that_is_not_set_up_is_named(made: list[Client]) -> None:
    with pytest.raises(AuthenticationError, match=r"no provider 'q' is set up; there are: p\. Nothing was sent"):
        async with pool(made).lease("q"):
            pass


async def test_a_missing_key_is_named_and_no_key_is_shown() -> None:
    keys = OperatorKeys({"openai": SecretStr("sk-very-secret"), "mistral": None, "gemini": SecretStr("")})
    assert await keys.find("openai", "", "") == Key("operator", SecretStr("sk-very-secret"))
    with pytest.raises(AuthenticationError, match="mistral: set MISTRAL_API_KEY; there are keys for: openai"):
        await keys.find("mistral", "", "")
    assert repr(keys) == "OperatorKeys(['openai'])"
    assert "very" not in repr(await keys.find("openai", "", ""))
