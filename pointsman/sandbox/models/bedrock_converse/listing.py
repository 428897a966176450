"""What Bedrock serves beside answers: lists of models and of inference profiles, and counts of tokens."""

from fastapi import FastAPI, Request

from pointsman.sandbox.models.anthropic_messages.answers import prompt_tokens
from pointsman.sandbox.models.anthropic_messages.checks import check_prompt
from pointsman.sandbox.models.bedrock_converse.catalogue import MODELS, listed_model, listed_profile, profiles
from pointsman.sandbox.models.bedrock_converse.faults import invalid, of_model
from pointsman.sandbox.models.bedrock_converse.native import betas, counted
from pointsman.sandbox.models.bedrock_converse.request import CountTokens, read_request
from pointsman.sandbox.models.bedrock_converse.signing import check_signature
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.documents import Object
from pointsman.sandbox.models.formats import ApiFault, sent_by

PAGE, PAGE_MAX = 1_000, 1_000


def add_listing(app: FastAPI, prefix: str, config: ModelsConfig) -> None:
    @app.get(f"{prefix}/foundation-models")
    async def _models(request: Request) -> Object:
        check_signature(sent_by(request, b""), config)
        return {"modelSummaries": [listed_model(model) for model in MODELS]}

    @app.get(f"{prefix}/inference-profiles")
    async def _profiles(request: Request) -> Object:
        check_signature(sent_by(request, b""), config)
        query, names = request.query_params, profiles()
        size, begin = query.get("maxResults", str(PAGE)), query.get("nextToken", "0")
        if not size.isdecimal() or not 1 <= int(size) <= PAGE_MAX or not begin.isdecimal():
            raise invalid("1 validation error detected: Value at 'maxResults' failed to satisfy constraint")
        end = int(begin) + int(size)
        more: Object = {"nextToken": str(end)} if end < len(names) else {}
        return {"inferenceProfileSummaries": [listed_profile(name) for name in names[int(begin) : end]], **more}

    @app.post(f"{prefix}/model/{{model:path}}/count-tokens")
    async def _count(request: Request, model: str) -> Object:
        raw = await request.body()
        check_signature(sent_by(request, raw), config)
        if model not in MODELS:
            raise invalid("The provided model doesn't support counting tokens.")
        prompt = read_request(raw, CountTokens).input.converse
        native = counted(model, prompt)
        tokens = prompt_tokens(native)
        try:
            check_prompt(native, betas(prompt), tokens)
        except ApiFault as refused:
            raise of_model(refused) from None
        return {"inputTokens": tokens}
