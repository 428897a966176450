"""What OpenAI serves beside answers: `GET /v1/models`, and `POST /v1/responses/input_tokens`."""

import json
from collections.abc import Callable, Mapping

from fastapi import FastAPI, Request

from pointsman.contracts.base import Json
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.documents import Object
from pointsman.sandbox.models.openai_responses.answers import prompt_tokens
from pointsman.sandbox.models.openai_responses.checks import check_key, check_model
from pointsman.sandbox.models.openai_responses.request import fault, read_request

OPENED_AT = 1_786_000_000  # when the models were published, for lists
# What counting takes of a response's parameters (OpenAI API reference, "Get input token counts").
COUNTED = frozenset(
    {
        "conversation",
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    }
)


def add_catalogue(
    app: FastAPI, config: ModelsConfig, prefix: str = "", authorise: Callable[[Mapping[str, str]], None] | None = None
) -> None:
    """Under the prefix; keys are OpenAI's unless `authorise` checks them."""

    def check(request: Request) -> None:
        if authorise is None:
            check_key(request.headers.get("authorization", ""), config)
        else:
            authorise(request.headers)

    @app.get(f"{prefix}/v1/models")
    async def _models(request: Request) -> Object:
        check(request)
        data: list[Json] = [
            {"id": name, "object": "model", "created": OPENED_AT, "owned_by": "system", "shutdown_date": None}
            for name in config.models
        ]
        return {"object": "list", "data": data}

    @app.post(f"{prefix}/v1/responses/input_tokens")
    async def _count(request: Request) -> Object:
        check(request)
        raw = await request.body()
        asked = read_request(raw)
        check_model(asked, config)
        if unknown := sorted(set(json.loads(raw)) - COUNTED):
            raise fault(400, f"Unknown parameter: '{unknown[0]}'.", "unknown_parameter", unknown[0])
        return {"object": "response.input_tokens", "input_tokens": prompt_tokens(asked)}
