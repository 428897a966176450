"""What Chat Completions refuses before it answers, with its own words and codes."""

from collections.abc import Mapping

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, objects, tokens_in
from pointsman.sandbox.models.openai_chat.request import (
    CreateCompletion,
    calls_of,
    needs_silence_for_tools,
    reasons,
)
from pointsman.sandbox.models.openai_responses.checks import is_closed
from pointsman.sandbox.models.openai_responses.request import fault

CALL_ID_CHARS_MAX = 40
STOPS_MAX = 4
# What each role may say (API reference, "Create chat completion", `messages`).
CONTENTS: Mapping[str, frozenset[str]] = {
    "system": frozenset({"text"}),
    "developer": frozenset({"text"}),
    "user": frozenset({"text", "image_url", "input_audio", "file"}),
    "assistant": frozenset({"text", "refusal"}),
    "tool": frozenset({"text"}),
}
FIELDS: Mapping[str, frozenset[str]] = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset({"role", "content", "name", "refusal", "tool_calls", "audio", "function_call"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}


def check_request(request: CreateCompletion, models: Mapping[str, int]) -> None:
    """Raises 400 or 404 for what the service would refuse."""
    if request.model not in models:
        text = f"The model `{request.model}` does not exist or you do not have access to it."
        raise fault(404, text, "model_not_found")
    _check_sampling(request)
    _check_company(request)
    for index, message in enumerate(request.messages):
        _check_message(index, message)
    check_calls(request.messages)
    _check_schemas(request)
    size, window = tokens_in(list(request.messages)), models[request.model]
    if size > window:
        text = f"This model's maximum context length is {window} tokens. However, your messages resulted in {size}."
        raise fault(400, text, "context_length_exceeded", "messages")


def check_calls(messages: list[Object]) -> None:
    """Each call is answered by the messages right after it, and each answer has its call."""
    waiting: list[str] = []
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            call_id = str(message.get("tool_call_id") or "")
            if call_id not in waiting:
                text = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                raise fault(400, f"Invalid parameter: {text}", None, f"messages.[{index}].role")
            waiting.remove(call_id)
            continue
        _check_answered(waiting)
        waiting = [str(call.get("id")) for call in calls_of(message)]
    _check_answered(waiting)


def _check_answered(waiting: list[str]) -> None:
    if waiting:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}"
        )
        raise fault(400, text, None, "messages")


def _check_sampling(request: CreateCompletion) -> None:
    named = request.model.startswith(("gpt-5", "gpt-6", "o1", "o3", "o4"))
    if named and request.max_tokens is not None:
        text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
        raise fault(400, text, "unsupported_parameter", "max_tokens")
    if named and request.stop is not None:
        raise fault(
            400, "Unsupported parameter: 'stop' is not supported with this model.", "unsupported_parameter", "stop"
        )
    if reasons(request) and request.temperature not in (None, 1):
        text = "Unsupported value: 'temperature' does not support this value with this model."
        raise fault(400, text, "unsupported_value", "temperature")
    if not named and request.reasoning_effort is not None:
        text = "Unrecognized request argument supplied: reasoning_effort"
        raise fault(400, text, None)
    if isinstance(request.stop, list) and len(request.stop) > STOPS_MAX:
        raise fault(400, "Invalid 'stop': array too long.", "array_above_max_length", "stop")
    if request.tools and reasons(request) and needs_silence_for_tools(request.model):
        text = (
            f"Function tools with reasoning_effort are not supported for {request.model} in /v1/chat/completions. "
            "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        )
        raise fault(400, text, None, "reasoning_effort")


def _check_company(request: CreateCompletion) -> None:
    """Parameters that are allowed beside others only."""
    alone = (
        ("metadata", request.metadata is not None, "store", request.store is True),
        ("stream_options", request.stream_options is not None, "stream", request.stream is True),
        ("tool_choice", request.tool_choice not in (None, "none"), "tools", bool(request.tools)),
        ("parallel_tool_calls", request.parallel_tool_calls is not None, "tools", bool(request.tools)),
    )
    for name, given, company, there in alone:
        if given and not there:
            raise fault(400, f"The '{name}' parameter is only allowed when '{company}' is enabled.", None, name)


def _check_message(index: int, message: Object) -> None:
    role, place = str(message.get("role")), f"messages[{index}]"
    if role not in CONTENTS:
        text = f"Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'tool' and 'developer'."
        raise fault(400, text, "invalid_value", f"{place}.role")
    if unknown := sorted(set(message) - FIELDS[role]):
        raise fault(400, f"Unknown parameter: '{place}.{unknown[0]}'.", "unknown_parameter", f"{place}.{unknown[0]}")
    content = message.get("content")
    if content is None and not (role == "assistant" and (message.get("tool_calls") or message.get("refusal"))):
        text = f"Invalid value for 'content': expected a string, got null. ({place}.content)"
        raise fault(400, text, None, f"{place}.content")
    for part in objects(content):
        if part.get("type") not in CONTENTS[role]:
            text = f"Invalid value: '{part.get('type')}'. Supported values are: {sorted(CONTENTS[role])}."
            raise fault(400, text, "invalid_value", f"{place}.content")
    for call in calls_of(message):
        if len(str(call.get("id"))) > CALL_ID_CHARS_MAX:
            text = f"Invalid '{place}.tool_calls[0].id': string too long. Expected at most {CALL_ID_CHARS_MAX}."
            raise fault(400, text, "string_above_max_length", f"{place}.tool_calls[0].id")


def _check_schemas(request: CreateCompletion) -> None:
    for index, function in enumerate(request.functions()):
        if function.get("strict") and not is_closed(function.get("parameters")):
            text = f"Invalid schema for function '{function.get('name')}': 'additionalProperties' must be false."
            raise fault(400, text, "invalid_function_parameters", f"tools[{index}].function.parameters")
    form = (request.response_format or {}).get("json_schema")
    strict: Json = form.get("strict") if isinstance(form, dict) else None
    if strict and not is_closed(dict(request.schema_of_answer())):
        raise fault(400, "Invalid schema for response_format: every object must be closed.", None, "response_format")
