"""Google's GenerateContent: `POST /gemini/v1/models/{model}:generateContent`, and `:streamGenerateContent?alt=sse`.

Streams are served as server-sent events only; the service also knows them as one growing JSON array.
"""

import json
from collections.abc import Mapping
from typing import ClassVar

from fastapi import FastAPI

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import as_object
from pointsman.sandbox.models.formats import ApiFault, Asked, Format, Frame, Rendered, server_sent
from pointsman.sandbox.models.gemini_generate.answers import answer, blocked
from pointsman.sandbox.models.gemini_generate.catalogue import add_catalogue
from pointsman.sandbox.models.gemini_generate.checks import check_key, check_request, prompt_tokens, served
from pointsman.sandbox.models.gemini_generate.lineup import MODELS
from pointsman.sandbox.models.gemini_generate.request import GenerateContent, error_of, fault, read_body
from pointsman.sandbox.models.replies import Reply

ROOT = "/gemini/v1"
_CHOICES = {"ANY": "required", "NONE": "none"}


class GeminiGenerateFormat(Format):
    name = "gemini-generate"
    paths: ClassVar = (f"{ROOT}/models/{{model}}:generateContent", f"{ROOT}/models/{{model}}:streamGenerateContent")

    def authorise(self, headers: Mapping[str, str]) -> None:
        check_key(headers, self.config)

    def read(self, raw: bytes, path: str, parameters: Mapping[str, str]) -> Asked:
        streamed = path.endswith(":streamGenerateContent")
        served(parameters["model"], "streamGenerateContent" if streamed else "generateContent")
        if streamed and parameters.get("alt") != "sse":
            raise fault(400, "Streams of this server are server-sent events: call it with alt=sse.")
        return read_asked(read_body(GenerateContent, raw), parameters["model"], streamed)

    def check(self, asked: Asked) -> None:
        check_request(_document(asked), asked.model)

    def render(self, asked: Asked, reply: Reply, cached_tokens: int) -> Rendered:
        whole = answer(asked, _document(asked), reply, cached_tokens)
        frames = [Frame(server_sent(piece), paced=True) for piece in whole.pieces()]
        return Rendered(whole.id, whole.body(), frames)

    def failed(self, asked: Asked, message: str, code: str | None) -> Rendered:
        body = blocked(asked, code or "PROHIBITED_CONTENT")
        return Rendered(str(body["responseId"]), body, [Frame(server_sent(body))])

    def refusal(self, status: int, message: str, code: str | None) -> ApiFault:
        return fault(status, message, code)

    def error_frame(self, message: str, code: str | None) -> bytes:
        return server_sent(error_of(503, message, code))

    def broken_frame(self) -> bytes:
        return b'data: {"candidates": [{"content": {"par\n\n'

    def delay(self, refused: ApiFault, retry_after: str) -> None:
        """In the body: `google.rpc.RetryInfo`."""
        error = as_object(refused.body["error"])
        told = error.get("details")
        wait: Json = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after}s"}
        refused.body = {"error": {**error, "details": [*(told if isinstance(told, list) else ()), wait]}}

    def add_routes(self, app: FastAPI) -> None:
        add_catalogue(app, self.config, ROOT)


def read_asked(request: GenerateContent, model: str, streamed: bool) -> Asked:
    """The request as the model reads it."""
    config, system = request.generation_config, request.system_instruction
    budget = config.thinking_config.thinking_budget if config.thinking_config else None
    contents = [content.model_dump(mode="json", by_alias=True, exclude_none=True) for content in request.contents]
    tools = [{"name": f.name, "description": f.description, "parameters": f.schema_of} for f in request.functions]
    return Asked(
        model=model,
        stream=streamed,
        pieces=[{"system": system.text if system else "", "tools": [dict(tool) for tool in tools]}, *contents],
        system=system.text if system else "",
        told=[c.text for c in request.contents if c.role != "model" and c.text],
        tools=[dict(tool) for tool in tools],
        called=[call.name for content in request.contents for call in content.calls],
        results=[_told(answer.response) for content in request.contents for answer in content.responses],
        tool_choice=_choice(request),
        schema=as_object(config.answer_schema),
        max_tokens=config.max_output_tokens,
        reasons=MODELS[model].is_strict or budget != 0,
        metadata=request.labels,
        prompt_tokens=prompt_tokens(request),
        document=request,
    )


def _told(response: Mapping[str, Json]) -> str:
    """What a function returned, as a model reads it."""
    output = response.get("output", response.get("error", dict(response)))
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


def _choice(request: GenerateContent) -> str:
    calling = request.calling
    if calling.mode == "ANY" and len(calling.allowed_function_names) == 1:
        return calling.allowed_function_names[0]
    return _CHOICES.get(calling.mode, "auto")


def _document(asked: Asked) -> GenerateContent:
    assert isinstance(asked.document, GenerateContent), "a request goes back to the format that read it"
    return asked.document
