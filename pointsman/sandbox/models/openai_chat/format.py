"""OpenAI's Chat Completions API: `POST /v1/chat/completions`."""

from collections.abc import Mapping
from typing import ClassVar

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, as_object, text_in
from pointsman.sandbox.models.formats import ApiFault, Asked, Format, Frame, Rendered, server_sent
from pointsman.sandbox.models.openai_chat.answers import completion, prompt_tokens, streamed, usage_of
from pointsman.sandbox.models.openai_chat.checks import check_request
from pointsman.sandbox.models.openai_chat.request import CreateCompletion, calls_of, read_request, reasons
from pointsman.sandbox.models.openai_responses.checks import check_key
from pointsman.sandbox.models.openai_responses.request import fault
from pointsman.sandbox.models.replies import Reply

DONE = b"data: [DONE]\n\n"


class OpenAIChatFormat(Format):
    name = "openai-chat"
    paths: ClassVar = ("/v1/chat/completions",)

    def authorise(self, headers: Mapping[str, str]) -> None:
        check_key(headers.get("authorization", ""), self.config)

    def read(self, raw: bytes, path: str, parameters: Mapping[str, str]) -> Asked:
        request = read_request(raw, CreateCompletion)
        return read_asked(request, reasons(request))

    def check(self, asked: Asked) -> None:
        check_request(document_of(asked), self.config.models)

    def render(self, asked: Asked, reply: Reply, cached_tokens: int) -> Rendered:
        usage = usage_of(asked.prompt_tokens, reply, cached_tokens, asked.reasons)
        return rendered(document_of(asked), completion(document_of(asked), reply, usage, {}, "call_"))

    def refusal(self, status: int, message: str, code: str | None) -> ApiFault:
        return fault(status, message, code)

    def error_frame(self, message: str, code: str | None) -> bytes:
        error: Json = {"message": message, "type": "server_error", "param": None, "code": code}
        return server_sent({"error": error})

    def broken_frame(self) -> bytes:
        return b'data: {"id": "chatcmpl-\n\n'

    def headers(self) -> Mapping[str, str]:
        return {"openai-version": "2020-10-01"}


def rendered(request: CreateCompletion, whole: Object) -> Rendered:
    """The completion on the wire, with the end of its stream."""
    told = streamed(whole, request.with_usage)
    frames = [Frame(server_sent(chunk), bool(chunk["choices"])) for chunk in told]
    return Rendered(str(whole["id"]), whole, [*frames, Frame(DONE)])


def read_asked(request: CreateCompletion, reasoning: bool) -> Asked:
    """The request as the model reads it."""
    said = {role: [m for m in request.messages if m.get("role") in role] for role in _ROLES}
    system, told, results = ([text_in(message.get("content")) for message in said[role]] for role in _ROLES[:3])
    called = [as_object(call.get("function")) for message in said[_ROLES[3]] for call in calls_of(message)]
    return Asked(
        model=request.model,
        stream=bool(request.stream),
        pieces=[{"tools": [*request.functions()]}, *request.messages],
        system="\n".join(filter(None, system)),
        told=told,
        tools=request.functions(),
        called=[str(function.get("name")) for function in called],
        results=results,
        tool_choice=_choice(request.tool_choice),
        parallel=request.parallel_tool_calls is not False,
        schema=request.schema_of_answer(),
        max_tokens=request.limit,
        reasons=reasoning,
        metadata=request.metadata or {},
        prompt_tokens=prompt_tokens(request),
        document=request,
    )


_ROLES = (("system", "developer"), ("user",), ("tool",), ("assistant",))


def _choice(choice: str | Object | None) -> str:
    if isinstance(choice, dict):
        return str(as_object(choice.get("function")).get("name") or "auto")
    return choice or "auto"


def document_of(asked: Asked) -> CreateCompletion:
    assert isinstance(asked.document, CreateCompletion), "a request goes back to the format that read it"
    return asked.document
