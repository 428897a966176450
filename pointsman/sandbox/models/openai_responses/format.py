"""OpenAI's Responses API: `POST /v1/responses`."""

from collections.abc import Mapping
from typing import ClassVar

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, as_object, text_in
from pointsman.sandbox.models.formats import ApiFault, Asked, Format, Frame, Rendered, server_sent
from pointsman.sandbox.models.openai_responses.answers import answer, frame, prompt_tokens
from pointsman.sandbox.models.openai_responses.checks import check_key, check_request
from pointsman.sandbox.models.openai_responses.events import events
from pointsman.sandbox.models.openai_responses.request import CreateResponse, fault, read_request, reasons
from pointsman.sandbox.models.replies import Reply


class OpenAIResponsesFormat(Format):
    name = "openai-responses"
    paths: ClassVar = ("/v1/responses",)

    def authorise(self, headers: Mapping[str, str]) -> None:
        check_key(headers.get("authorization", ""), self.config)

    def read(self, raw: bytes, path: str, parameters: Mapping[str, str]) -> Asked:
        return read_asked(read_request(raw))

    def check(self, asked: Asked) -> None:
        check_request(_document(asked), self.config)

    def render(self, asked: Asked, reply: Reply, cached_tokens: int) -> Rendered:
        whole = answer(_document(asked), reply, cached_tokens)
        frames = [
            Frame(server_sent(event, str(event["type"])), str(event["type"]).endswith(".delta"))
            for event in events(whole)
        ]
        return Rendered(str(whole.body["id"]), whole.body, frames)

    def failed(self, asked: Asked, message: str, code: str | None) -> Rendered:
        error: Json = {"code": code or "server_error", "message": message}
        body: Object = {**frame(_document(asked)), "status": "failed", "error": error}
        begun: Object = {**body, "status": "in_progress", "error": None}
        told: list[Object] = [
            {"type": "response.created", "response": begun, "sequence_number": 0},
            {"type": "response.in_progress", "response": begun, "sequence_number": 1},
            {"type": "response.failed", "response": body, "sequence_number": 2},
        ]
        return Rendered(str(body["id"]), body, [Frame(server_sent(event, str(event["type"]))) for event in told])

    def refusal(self, status: int, message: str, code: str | None) -> ApiFault:
        return fault(status, message, code)

    def error_frame(self, message: str, code: str | None) -> bytes:
        error: Object = {"type": "error", "code": code or "server_error", "message": message, "param": None}
        return server_sent({**error, "sequence_number": 0}, "error")

    def broken_frame(self) -> bytes:
        return b'event: response.output_text.delta\ndata: {"type": "response.out\n\n'

    def headers(self) -> Mapping[str, str]:
        return {"openai-version": "2020-10-01"}


def read_asked(request: CreateResponse) -> Asked:
    """The request as the model reads it."""
    system, told, called, results = [request.instructions or ""], [], [], []
    for item in request.items():
        role, kind = item.get("role"), item.get("type")
        if role in ("system", "developer"):
            system.append(text_in(item.get("content")))
        elif role == "user":
            told.append(text_in(item.get("content")))
        elif kind == "function_call":
            called.append(str(item.get("name")))
        elif kind == "function_call_output":
            results.append(text_in(item.get("output")))
    return Asked(
        model=request.model,
        stream=bool(request.stream),
        pieces=[{"instructions": request.instructions, "tools": list(request.tools)}, *request.items()],
        system="\n".join(filter(None, system)),
        told=told,
        tools=[tool for tool in request.tools if tool.get("type") == "function"],
        called=called,
        results=results,
        tool_choice=_choice(request.tool_choice),
        parallel=request.parallel_tool_calls is not False,
        schema=as_object(request.response_format().get("schema")),
        max_tokens=request.max_output_tokens,
        reasons=reasons(request.model),
        metadata=request.metadata or {},
        prompt_tokens=prompt_tokens(request),
        document=request,
    )


def _choice(choice: str | Object | None) -> str:
    if isinstance(choice, dict):
        return str(choice.get("name") or "auto")
    return choice or "auto"


def _document(asked: Asked) -> CreateResponse:
    assert isinstance(asked.document, CreateResponse), "a request goes back to the format that read it"
    return asked.document
