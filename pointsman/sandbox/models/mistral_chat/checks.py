"""What the service refuses before it answers: keys, orders of messages, and parameters that do not fit the model."""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256

from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.mistral_chat.catalogue import MODELS
from pointsman.sandbox.models.mistral_chat.request import (
    AssistantMessage,
    CreateChat,
    Message,
    Thinking,
    ToolMessage,
    chunks_of,
    fault,
)

# Who may speak after whom (mistral-common, order of messages).
FOLLOWERS: Mapping[str, frozenset[str]] = {
    "system": frozenset({"system", "user", "assistant"}),
    "user": frozenset({"system", "user", "assistant"}),
    "assistant": frozenset({"user", "assistant", "tool"}),
    "tool": frozenset({"assistant", "tool"}),
}
_CALL_ID = re.compile(r"^[a-zA-Z0-9]{9}$")
_ORDER = "invalid_request_message_order"
# Reasoning that was handed out must come back unchanged, also to a service that was started again since.
_SEAL = b"thinking of the stand-in"


def check_key(headers: Mapping[str, str], config: ModelsConfig) -> None:
    """Raises 401 unless the headers carry one of the keys."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    known = [accepted.get_secret_value().encode() for accepted in config.api_keys]
    if scheme.lower() != "bearer" or not any(hmac.compare_digest(key.encode(), accepted) for accepted in known):
        raise fault(401, "Unauthorized")


def check_request(request: CreateChat, prompt_tokens: int) -> None:
    """Raises 400 for what the service would refuse."""
    model = MODELS.get(request.model)
    if model is None:
        raise fault(400, f"Invalid model: {request.model}", "invalid_model")
    if request.reasoning_effort is not None and request.reasoning_effort not in model.efforts:
        raise fault(400, f"reasoning_effort {request.reasoning_effort!r} is not supported for {request.model}")
    if request.tool_choice not in ("auto", "none") and not request.tools:
        raise fault(400, "tool_choice is set, but there are no tools", "invalid_request_error")
    form = request.response_format
    if form is not None and (form.type == "json_schema") is (form.json_schema is None):
        raise fault(400, "response_format: json_schema goes with the type json_schema")
    check_order(request)
    for message in request.messages:
        _check_message(message)
    if prompt_tokens > model.window:
        text = f"Prompt contains {prompt_tokens} tokens and 0 draft tokens, too large for model with {model.window}"
        raise fault(400, f"{text} maximum context length", "invalid_request_prompt")


def check_order(request: CreateChat) -> None:
    waiting: list[str] = []
    for before, message in zip([None, *request.messages], request.messages, strict=False):
        if before is None and message.role == "tool":
            raise fault(400, "Unexpected role 'tool' as the first message", _ORDER)
        if before is not None and message.role not in FOLLOWERS[before.role]:
            raise fault(400, f"Unexpected role '{message.role}' after role '{before.role}'", _ORDER)
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                raise fault(400, f"Unexpected tool call id {message.tool_call_id} in tool results", _ORDER)
            waiting.remove(message.tool_call_id)
            continue
        _check_answered(waiting)
        waiting = [call.id for call in message.tool_calls or ()] if isinstance(message, AssistantMessage) else []
    _check_answered(waiting)
    last = request.messages[-1]
    if not (last.role in ("user", "tool") or (isinstance(last, AssistantMessage) and last.prefix)):
        text = "Expected last role User or Tool (or Assistant with prefix True) for serving but got"
        raise fault(400, f"{text} {last.role}", _ORDER)


def _check_answered(waiting: list[str]) -> None:
    if waiting:
        raise fault(400, "Not the same number of function calls and responses", _ORDER)


def _check_message(message: Message) -> None:
    if not isinstance(message, AssistantMessage):
        return
    if not message.content and not message.tool_calls:
        raise fault(400, "Assistant message must have either content or tool_calls, but not none.", _ORDER)
    for call in message.tool_calls or ():
        if not _CALL_ID.match(call.id):
            text = f"Tool call id was {call.id} but must be a-z, A-Z, 0-9, with a length of 9."
            raise fault(400, text, "invalid_function_call")
    for chunk in chunks_of(message.content):
        if isinstance(chunk, Thinking) and chunk.signature is not None:
            thought = "".join(text.text for text in chunk.thinking)
            if not hmac.compare_digest(chunk.signature, seal(thought)):
                raise fault(400, "The signature of a thinking chunk could not be verified.")


def seal(thought: str) -> str:
    """The signature of a thought, as it is handed out."""
    return urlsafe_b64encode(hmac.digest(_SEAL, thought.encode(), sha256)).decode()
