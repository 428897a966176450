"""Azure's front of the Responses API, driven by OpenAI's SDK as Microsoft documents it: by key, or by token."""

import httpx2
import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI

from tests.sandbox.models.scene import KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_token_is_taken_as_bearer(url: str) -> None:
    async def token() -> str:
        return KEY

    async with AsyncOpenAI(api_key=token, base_url=f"{url}/azure/openai/v1/", max_retries=0) as sdk:
        answer = await sdk.responses.create(model="gpt-6-luna", input="go")
        assert answer.status == "completed"
        assert "gpt-6-luna" in [model.id for model in (await sdk.models.list()).data]
        counted = await sdk.responses.input_tokens.count(model="gpt-6-luna", input="go")
        assert counted.input_tokens > 0


async def test_key_is_taken_from_its_own_header(url: str) -> None:
    async with AsyncAzureOpenAI(
        api_key=KEY, base_url=f"{url}/azure/openai/v1/", api_version="preview", max_retries=0
    ) as sdk:
        stream = await sdk.responses.create(model="gpt-6-luna", input="go", stream=True)
        assert [event.type async for event in stream][-1] == "response.completed"


@pytest.mark.parametrize("headers", [{}, {"api-key": "wrong"}, {"authorization": "Bearer wrong"}])
async def test_neither_is_refused_in_azures_words(url: str, headers: dict[str, str]) -> None:
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
        answer = await http.post("/azure/openai/v1/responses", json={"model": "gpt-6-luna", "input": "go"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "401"


async def test_refusals_are_openais(url: str) -> None:
    async with AsyncOpenAI(api_key=KEY, base_url=f"{url}/azure/openai/v1/", max_retries=0) as sdk:
        with pytest.raises(openai.BadRequestError, match="does not exist"):
            await sdk.responses.create(model="gpt-99", input="go")
