"""Mistral's chat API: `POST /v1/chat/completions`, under the path prefix `/mistral`."""

from collections.abc import Mapping
from typing import ClassVar

from fastapi import FastAPI

from pointsman.sandbox.models.documents import Object
from pointsman.sandbox.models.formats import ApiFault, Asked, Format, Frame, Rendered, server_sent
from pointsman.sandbox.models.mistral_chat.answers import completion, prompt_tokens, reasons, streamed
from pointsman.sandbox.models.mistral_chat.catalogue import add_listing
from pointsman.sandbox.models.mistral_chat.checks import check_key, check_request
from pointsman.sandbox.models.mistral_chat.request import (
    AssistantMessage,
    CreateChat,
    Tool,
    ToolMessage,
    UserMessage,
    fault,
    read_request,
    texts_of,
)
from pointsman.sandbox.models.replies import Reply

PREFIX = "/mistral"
DONE = b"data: [DONE]\n\n"


class MistralChatFormat(Format):
    name = "mistral-chat"
    paths: ClassVar = (f"{PREFIX}/v1/chat/completions",)
    request_id_header = "mistral-correlation-id"

    def authorise(self, headers: Mapping[str, str]) -> None:
        check_key(headers, self.config)

    def read(self, raw: bytes, path: str, parameters: Mapping[str, str]) -> Asked:
        return read_asked(read_request(raw))

    def check(self, asked: Asked) -> None:
        check_request(_document(asked), asked.prompt_tokens)

    def render(self, asked: Asked, reply: Reply, cached_tokens: int) -> Rendered:
        whole = completion(_document(asked), reply, asked.prompt_tokens, cached_tokens)
        frames = [Frame(server_sent(chunk), "usage" not in chunk) for chunk in streamed(whole)]
        return Rendered(str(whole["id"]), whole, [*frames, Frame(DONE)])

    def refusal(self, status: int, message: str, code: str | None) -> ApiFault:
        return fault(status, message, code)

    def error_frame(self, message: str, code: str | None) -> bytes:
        return server_sent(fault(500, message, code).body)

    def broken_frame(self) -> bytes:
        return b'data: {"id": "\n\n'

    def add_routes(self, app: FastAPI) -> None:
        add_listing(app, PREFIX, self.authorise)


def read_asked(request: CreateChat) -> Asked:
    """The request as the model reads it."""
    said = [message for message in request.messages if isinstance(message, AssistantMessage)]
    form = request.response_format
    return Asked(
        model=request.model,
        stream=request.stream,
        pieces=[
            {"tools": [_tool(tool) for tool in request.tools or ()]},
            *(message.model_dump(mode="json") for message in request.messages),
        ],
        system="\n".join(texts_of(message.content) for message in request.messages if message.role == "system"),
        told=[texts_of(message.content) for message in request.messages if isinstance(message, UserMessage)],
        tools=[_tool(tool) for tool in request.tools or ()],
        called=[call.function.name for message in said for call in message.tool_calls or ()],
        results=[texts_of(message.content) for message in request.messages if isinstance(message, ToolMessage)],
        tool_choice=_choice(request),
        parallel=request.parallel_tool_calls,
        schema=form.json_schema.schema_ if form and form.json_schema else {},
        max_tokens=request.max_tokens,
        reasons=reasons(request),
        metadata={name: str(value) for name, value in (request.metadata or {}).items()},
        prompt_tokens=prompt_tokens(request),
        document=request,
    )


def _tool(tool: Tool) -> Object:
    function = tool.function
    return {"name": function.name, "description": function.description, "parameters": function.parameters}


def _choice(request: CreateChat) -> str:
    choice = request.tool_choice
    if not isinstance(choice, str):
        return choice.function.name
    return "required" if choice == "any" else choice


def _document(asked: Asked) -> CreateChat:
    assert isinstance(asked.document, CreateChat), "a request goes back to the format that read it"
    return asked.document
