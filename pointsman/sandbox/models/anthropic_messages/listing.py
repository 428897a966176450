"""What Anthropic serves beside answers: `GET /v1/models`, and `POST /v1/messages/count_tokens`."""

from fastapi import FastAPI, Request

from pointsman.sandbox.models.anthropic_messages.answers import prompt_tokens
from pointsman.sandbox.models.anthropic_messages.catalogue import MODELS, listed
from pointsman.sandbox.models.anthropic_messages.checks import check_headers, check_prompt, model_of
from pointsman.sandbox.models.anthropic_messages.request import CountTokens, betas_of, fault, read_request
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.documents import Object

PAGE, PAGE_MAX = 20, 1_000


def add_listing(app: FastAPI, prefix: str, config: ModelsConfig) -> None:
    @app.get(f"{prefix}/v1/models")
    async def _models(request: Request) -> Object:
        check_headers(request.headers, config)
        query = request.query_params
        limit = query.get("limit", str(PAGE))
        if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_MAX:
            raise fault(400, f"limit: Input should be between 1 and {PAGE_MAX}")
        names = list(MODELS)
        start = names.index(query["after_id"]) + 1 if query.get("after_id") in names else 0
        page = names[start : start + int(limit)]
        return {
            "data": [listed(name) for name in page],
            "has_more": start + len(page) < len(names),
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
        }

    @app.get(f"{prefix}/v1/models/{{name}}")
    async def _model(request: Request, name: str) -> Object:
        check_headers(request.headers, config)
        model_of(name)
        return listed(name)

    @app.post(f"{prefix}/v1/messages/count_tokens")
    async def _count(request: Request) -> Object:
        check_headers(request.headers, config)
        asked = read_request(await request.body(), CountTokens)
        tokens = prompt_tokens(asked)
        check_prompt(asked, betas_of(request.headers), tokens)
        return {"input_tokens": tokens}
