"""What the Gemini API serves beside answers: its models, and its count of tokens."""

from fastapi import FastAPI, Request

from pointsman.contracts.base import Json
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.documents import Object
from pointsman.sandbox.models.gemini_generate.checks import check_key, prompt_tokens, served
from pointsman.sandbox.models.gemini_generate.lineup import INPUT_TOKENS_MAX, MODELS, OUTPUT_TOKENS_MAX
from pointsman.sandbox.models.gemini_generate.request import CountTokens, GenerateContent, fault, read_body

PAGE_SIZE, PAGE_SIZE_MAX = 50, 1_000


def add_catalogue(app: FastAPI, config: ModelsConfig, root: str) -> None:
    @app.get(f"{root}/models")
    async def _models(request: Request, pageSize: int = PAGE_SIZE, pageToken: str = "") -> Object:
        check_key(request.headers, config)
        if pageToken and not pageToken.isdecimal():
            raise fault(400, f"Invalid page token: {pageToken}")
        start = int(pageToken or 0)
        end = start + min(max(1, pageSize), PAGE_SIZE_MAX)
        listed: list[Json] = [_model(name) for name in list(MODELS)[start:end]]
        more: Object = {"nextPageToken": str(end)} if end < len(MODELS) else {}
        return {"models": listed, **more}

    @app.get(f"{root}/models/{{model}}")
    async def _one(request: Request, model: str) -> Object:
        check_key(request.headers, config)
        served(model)
        return _model(model)

    @app.post(f"{root}/models/{{model}}:countTokens")
    async def _count(request: Request, model: str) -> Object:
        check_key(request.headers, config)
        served(model, "countTokens")
        body = read_body(CountTokens, await request.body())
        whole = body.generate_content_request
        if whole is not None and whole.model != f"models/{model}":
            raise fault(400, f"* CountTokensRequest.generate_content_request.model: must be models/{model}.\n")
        tokens = prompt_tokens(whole or GenerateContent(contents=body.contents))
        return {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}


def _model(name: str) -> Object:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": MODELS[name].display_name,
        "description": f"Stand-in of {MODELS[name].display_name}",
        "inputTokenLimit": INPUT_TOKENS_MAX,
        "outputTokenLimit": OUTPUT_TOKENS_MAX,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": True,
    }
