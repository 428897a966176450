"""Bedrock's Converse: `POST /model/{modelId}/converse` and `/converse-stream`, under the path prefix `/bedrock`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from uuid import uuid4

from pointsman.sandbox.models.anthropic_messages.checks import check_message
from pointsman.sandbox.models.anthropic_messages.format import Prompt as NativePrompt
from pointsman.sandbox.models.anthropic_messages.format import read_asked
from pointsman.sandbox.models.bedrock_converse import frames
from pointsman.sandbox.models.bedrock_converse.answers import answer, events
from pointsman.sandbox.models.bedrock_converse.faults import fault, of_model
from pointsman.sandbox.models.bedrock_converse.native import asked as native_request
from pointsman.sandbox.models.bedrock_converse.native import betas
from pointsman.sandbox.models.bedrock_converse.request import Converse, read_request
from pointsman.sandbox.models.bedrock_converse.signing import check_signature
from pointsman.sandbox.models.formats import ApiFault, Asked, Format, Frame, Rendered, Sent
from pointsman.sandbox.models.replies import Reply

if TYPE_CHECKING:
    from fastapi import FastAPI  # 0.1 s that who only reads requests should not pay

PREFIX = "/bedrock"


class Prompt(NamedTuple):
    """A request, as the service and as the model reads it."""

    request: Converse
    native: NativePrompt


class BedrockConverseFormat(Format):
    name = "bedrock-converse"
    paths: ClassVar = (f"{PREFIX}/model/{{model:path}}/converse", f"{PREFIX}/model/{{model:path}}/converse-stream")
    stream_type = frames.STREAM_TYPE
    request_id_header = "x-amzn-requestid"

    def admit(self, sent: Sent) -> None:
        check_signature(sent, self.config)

    def authorise(self, headers: Mapping[str, str]) -> None:
        """Nothing: headers alone cannot tell, and `admit` has looked at the whole."""

    def read(self, raw: bytes, path: str, parameters: Mapping[str, str]) -> Asked:
        model, request = parameters["model"], read_request(raw, Converse)
        native = native_request(model, request)
        streamed = native.model_copy(update={"stream": path.endswith("/converse-stream")})
        document = Prompt(request, NativePrompt(streamed, betas(request)))
        return replace(
            read_asked(document.native), model=model, metadata=dict(request.requestMetadata), document=document
        )

    def check(self, asked: Asked) -> None:
        native = _prompt(asked).native
        try:
            check_message(native.request, native.betas, asked.prompt_tokens)
        except ApiFault as refused:
            raise of_model(refused) from None

    def render(self, asked: Asked, reply: Reply, cached_tokens: int) -> Rendered:
        whole = answer(_prompt(asked).native.request, reply, cached_tokens)
        told = events(whole, [call.text() for call in reply.calls])
        sent = [Frame(frames.event(kind, payload), kind == "contentBlockDelta") for kind, payload in told]
        return Rendered(uuid4().hex, whole, sent)

    def refusal(self, status: int, message: str, code: str | None) -> ApiFault:
        return fault(status, message, code)

    def error_frame(self, message: str, code: str | None) -> bytes:
        return frames.exception(code or "modelStreamErrorException", message)

    def broken_frame(self) -> bytes:
        return frames.broken()

    def add_routes(self, app: "FastAPI") -> None:
        from pointsman.sandbox.models.bedrock_converse.listing import add_listing  # loads FastAPI, as above

        add_listing(app, PREFIX, self.config)


def _prompt(asked: Asked) -> Prompt:
    assert isinstance(asked.document, Prompt), "a request goes back to the format that read it"
    return asked.document
