"""vLLM's server, as operators run it: Chat Completions with fields and faults of its own, under `/vllm`.

After the documentation of vLLM ("OpenAI-Compatible Server", "Reasoning Outputs"): parameters that it does not know are
passed over, reasoning is shown in `reasoning`, errors carry their HTTP status as a number.
"""

from collections.abc import Mapping
from typing import ClassVar

from fastapi import FastAPI, Request
from pydantic import ConfigDict, Field

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, tokens_in
from pointsman.sandbox.models.formats import ApiFault, Asked, Rendered, server_sent
from pointsman.sandbox.models.openai_chat.answers import completion, usage_of
from pointsman.sandbox.models.openai_chat.format import OpenAIChatFormat, document_of, read_asked, rendered
from pointsman.sandbox.models.openai_chat.request import CreateCompletion, read_request
from pointsman.sandbox.models.openai_responses.catalogue import OPENED_AT
from pointsman.sandbox.models.openai_responses.checks import check_key
from pointsman.sandbox.models.replies import Reply

PREFIX = "/vllm"
# Name to context window in tokens; the one that is served reasons.
MODELS = {"openai/gpt-oss-120b": 131_072}
TYPES = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError"}


class CreateOwnCompletion(CreateCompletion):
    model_config = ConfigDict(extra="ignore", strict=False)
    tools: list[Object] | None = Field(default=None, min_length=1)


class VllmChatFormat(OpenAIChatFormat):
    name = "vllm-chat"
    paths: ClassVar = (f"{PREFIX}/v1/chat/completions",)

    def authorise(self, headers: Mapping[str, str]) -> None:
        try:
            check_key(headers.get("authorization", ""), self.config)
        except ApiFault:
            raise ApiFault(401, "Unauthorized", {"error": "Unauthorized"}) from None

    def read(self, raw: bytes, path: str, parameters: Mapping[str, str]) -> Asked:
        try:
            request = read_request(raw, CreateOwnCompletion)
        except ApiFault as error:
            raise own_fault(400, str(error)) from None
        return read_asked(request, request.reasoning_effort != "none")

    def check(self, asked: Asked) -> None:
        request = document_of(asked)
        if request.model not in MODELS:
            raise own_fault(404, f"The model `{request.model}` does not exist.")
        size, window = tokens_in(list(request.messages)), MODELS[request.model]
        if size > window:
            text = f"This model's maximum context length is {window} tokens. However, your request has {size} tokens."
            raise own_fault(400, text)

    def render(self, asked: Asked, reply: Reply, cached_tokens: int) -> Rendered:
        request = document_of(asked)
        usage = usage_of(asked.prompt_tokens, reply, cached_tokens, asked.reasons)
        del usage["completion_tokens_details"]
        thought: Object = {"reasoning": reply.reasoning or None} if asked.reasons else {}
        whole = completion(request, reply, usage, thought, "chatcmpl-tool-")
        return rendered(request, {**whole, "prompt_logprobs": None, "kv_transfer_params": None})

    def refusal(self, status: int, message: str, code: str | None) -> ApiFault:
        return own_fault(status, message)

    def error_frame(self, message: str, code: str | None) -> bytes:
        return server_sent(own_fault(500, message).body)

    def headers(self) -> Mapping[str, str]:
        return {}

    def add_routes(self, app: FastAPI) -> None:
        @app.get(f"{PREFIX}/v1/models")
        async def _models(request: Request) -> Object:
            self.authorise(request.headers)
            data: list[Json] = [
                {"id": name, "object": "model", "created": OPENED_AT, "owned_by": "vllm", "max_model_len": window}
                for name, window in MODELS.items()
            ]
            return {"object": "list", "data": data}


def own_fault(status: int, message: str) -> ApiFault:
    """An error in the envelope of vLLM: its `code` is the status."""
    kind = TYPES.get(status, "InternalServerError")
    return ApiFault(status, message, {"error": {"message": message, "type": kind, "param": None, "code": status}})
