"""Anthropic's Messages API: `POST /v1/messages`, under the path prefix `/anthropic`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pointsman.contracts.base import Json
from pointsman.sandbox.models.anthropic_messages.answers import marked_pieces, message, prompt_tokens
from pointsman.sandbox.models.anthropic_messages.catalogue import MODELS
from pointsman.sandbox.models.anthropic_messages.checks import check_headers, check_message, thinks
from pointsman.sandbox.models.anthropic_messages.events import events
from pointsman.sandbox.models.anthropic_messages.request import (
    CountTokens,
    CreateMessage,
    SystemTurn,
    Text,
    ToolResult,
    ToolUse,
    UserTurn,
    betas_of,
    blocks_of,
    fault,
    read_request,
)
from pointsman.sandbox.models.anthropic_messages.thoughts import BETA, dropped_thoughts
from pointsman.sandbox.models.anthropic_messages.turns import turn_blocks
from pointsman.sandbox.models.documents import Object
from pointsman.sandbox.models.formats import ApiFault, Asked, Format, Frame, Rendered, server_sent
from pointsman.sandbox.models.replies import Reply

if TYPE_CHECKING:
    from fastapi import FastAPI  # 0.1 s that who only reads requests should not pay

PREFIX = "/anthropic"


class Prompt(NamedTuple):
    """A request and the betas that it was sent under."""

    request: CreateMessage
    betas: Sequence[str]


class AnthropicMessagesFormat(Format):
    name = "anthropic-messages"
    paths: ClassVar = (f"{PREFIX}/v1/messages",)
    request_id_header = "request-id"
    headers_read: ClassVar = ("anthropic-beta",)

    def authorise(self, headers: Mapping[str, str]) -> None:
        check_headers(headers, self.config)

    def read(self, raw: bytes, path: str, parameters: Mapping[str, str]) -> Asked:
        return read_asked(Prompt(read_request(raw, CreateMessage), betas_of(parameters)))

    def check(self, asked: Asked) -> None:
        prompt = _prompt(asked)
        check_message(prompt.request, prompt.betas, asked.prompt_tokens)

    def render(self, asked: Asked, reply: Reply, cached_tokens: int) -> Rendered:
        prompt = _prompt(asked)
        whole = message(prompt.request, reply, cached_tokens)
        if BETA in prompt.betas:
            whole["input_transformations"] = [dropped.told() for dropped in dropped_thoughts(prompt.request)]
        told = events(whole, [call.text() for call in reply.calls])
        frames = [
            Frame(server_sent(event, str(event["type"])), event["type"] == "content_block_delta") for event in told
        ]
        return Rendered(str(whole["id"]), whole, frames)

    def refusal(self, status: int, message: str, code: str | None) -> ApiFault:
        return fault(status, message, code)

    def error_frame(self, message: str, code: str | None) -> bytes:
        error: Json = {"type": code or "overloaded_error", "message": message}
        return server_sent({"type": "error", "error": error}, "error")

    def broken_frame(self) -> bytes:
        return b'event: content_block_delta\ndata: {"type": "content_bl\n\n'

    def add_routes(self, app: "FastAPI") -> None:
        from pointsman.sandbox.models.anthropic_messages.listing import add_listing  # loads FastAPI, as above

        add_listing(app, PREFIX, self.config)

    def headers(self) -> Mapping[str, str]:
        return {"anthropic-organization-id": "00000000-0000-4000-8000-000000000000"}


def read_asked(prompt: Prompt) -> Asked:
    """The request as the model reads it."""
    request = prompt.request
    choice, form = request.tool_choice, request.output_config.format if request.output_config else None
    return Asked(
        model=request.model,
        stream=bool(request.stream),
        pieces=marked_pieces(request),
        system="\n".join(_system(request)),
        told=[text for turn in request.messages if isinstance(turn, UserTurn) and (text := _text(turn.content))],
        tools=[_tool(tool.name, tool.description, tool.input_schema) for tool in request.tools],
        called=[block.name for turn in request.messages for block in turn_blocks(turn) if isinstance(block, ToolUse)],
        results=_results(request),
        tool_choice=_choice(request),
        parallel=not (choice and choice.disable_parallel_tool_use),
        schema=form.schema_ if form else {},
        max_tokens=request.max_tokens,
        reasons=request.model in MODELS and thinks(request),
        metadata={"user_id": request.metadata.user_id} if request.metadata and request.metadata.user_id else {},
        prompt_tokens=prompt_tokens(request),
        document=prompt,
    )


def _system(request: CountTokens) -> list[str]:
    between = [_text(turn.content) for turn in request.messages if isinstance(turn, SystemTurn)]
    return [*(block.text for block in blocks_of(request.system)), *between]


def _text(content: object) -> str:
    """The text of a turn, without the results of tools in it."""
    if isinstance(content, str):
        return content
    assert isinstance(content, list), "content is text or blocks"
    return "\n".join(block.text for block in content if isinstance(block, Text))


def _results(request: CountTokens) -> list[str]:
    blocks = (block for turn in request.messages for block in turn_blocks(turn))
    return [_text(block.content or "") for block in blocks if isinstance(block, ToolResult)]


def _tool(name: str, description: str | None, schema: Object) -> Object:
    return {"name": name, "description": description or "", "parameters": schema}


def _choice(request: CountTokens) -> str:
    choice = request.tool_choice
    if choice is None:
        return "auto"
    return choice.name or "auto" if choice.type == "tool" else {"any": "required"}.get(choice.type, choice.type)


def _prompt(asked: Asked) -> Prompt:
    assert isinstance(asked.document, Prompt), "a request goes back to the format that read it"
    return asked.document
