"""What the Gemini API refuses before it answers, with its own words and codes."""

import hmac
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from uuid import uuid4

from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.documents import tokens_in
from pointsman.sandbox.models.gemini_generate.lineup import INPUT_TOKENS_MAX, MODELS, Served
from pointsman.sandbox.models.gemini_generate.request import (
    Content,
    FunctionDeclaration,
    FunctionResponse,
    GenerateContent,
    Part,
    decoded,
    fault,
)

# Signatures that stand for reasoning of another model (guide to thought signatures, "FAQs").
FOREIGN_SIGNATURES = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
_SEAL = b"thoughts of the stand-in"
_FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_LABEL_KEY, _LABEL_VALUE = re.compile(r"[a-z][a-z0-9_-]{0,62}"), re.compile(r"[a-z0-9_-]{0,63}")
LABELS_MAX = 64


def check_key(headers: Mapping[str, str], config: ModelsConfig) -> None:
    """Raises 403 without a key, and 400 for a wrong one."""
    key = headers.get("x-goog-api-key", "")
    if not key:
        text = "Method doesn't allow unregistered callers (callers without established identity)."
        raise fault(403, f"{text} Please use API Key or other form of API consumer identity to call this API.")
    known = [accepted.get_secret_value().encode() for accepted in config.api_keys]
    if not any(hmac.compare_digest(key.encode(), accepted) for accepted in known):
        raise fault(400, "API key not valid. Please pass a valid API key.", "API_KEY_INVALID")


def served(model: str, method: str = "generateContent") -> Served:
    """Raises 404 unless the model exists."""
    if model not in MODELS:
        hint = "Call ListModels to see the list of available models and their supported methods."
        text = f"models/{model} is not found for API version v1, or is not supported for {method}. {hint}"
        raise fault(404, text)
    return MODELS[model]


def check_request(request: GenerateContent, model: str) -> None:
    """Raises 400 for what the service would refuse."""
    facts = served(model)
    _check_parts(request)
    _check_order(request.contents)
    _check_answers(request.contents, facts)
    _check_signatures(request.contents, facts)
    _check_functions(request)
    _check_config(request, facts)
    _check_labels(request.labels)
    size = prompt_tokens(request)
    if size > INPUT_TOKENS_MAX:
        text = f"The input token count ({size}) exceeds the maximum number of tokens allowed ({INPUT_TOKENS_MAX})."
        raise fault(400, text)


def seal(thought: str) -> str:
    """Reasoning as it is handed out: opaque, and recognised when it comes back."""
    content = json.dumps([uuid4().hex, thought]).encode()
    return b64encode(hmac.digest(_SEAL, content, sha256) + content).decode()


def prompt_tokens(request: GenerateContent) -> int:
    """Tokens of what is said, called and offered."""
    system = [request.system_instruction] if request.system_instruction else []
    said = sum(_tokens(part) for content in [*system, *request.contents] for part in content.parts)
    return said + sum(tokens_in(tool.model_dump_json(exclude_none=True)) for tool in request.tools)


def _tokens(part: Part) -> int:
    media = 258 * sum(field is not None for field in (part.inline_data, part.file_data))
    call = tokens_in(part.function_call.args) if part.function_call else 0
    return media + call + tokens_in(part.text or "") + sum(tokens_in(r.response) for r in _responses(part))


def _responses(part: Part) -> list[FunctionResponse]:
    return [part.function_response] if part.function_response else []


def _opens(signature: str) -> bool:
    data = decoded(signature)
    if signature in FOREIGN_SIGNATURES or data in [known.encode() for known in FOREIGN_SIGNATURES]:
        return True
    return hmac.compare_digest(data[:32], hmac.digest(_SEAL, data[32:], sha256))


def _check_parts(request: GenerateContent) -> None:
    if not request.contents:
        raise fault(400, "* GenerateContentRequest.contents: contents is not specified\n")
    for index, content in enumerate(request.contents):
        path = f"* GenerateContentRequest.contents[{index}]"
        if content.role not in (None, "user", "model"):
            raise fault(400, "Please use a valid role: user, model.")
        if not content.parts:
            raise fault(400, f"{path}.parts: contents.parts must not be empty.\n")
        for number, part in enumerate(content.parts):
            if part.holds() != 1:
                text = "required oneof field 'data' must have one initialized field"
                raise fault(400, f"{path}.parts[{number}].data: {text}\n")


def _check_order(contents: list[Content]) -> None:
    for index, content in enumerate(contents):
        before = contents[index - 1] if index else None
        if content.calls and (before is None or before.role == "model"):
            text = "function call turn comes immediately after a user turn or after a function response turn"
            raise fault(400, f"Please ensure that {text}.")
        if content.responses and (before is None or not before.calls):
            text = "function response turn comes immediately after a function call turn"
            raise fault(400, f"Please ensure that {text}.")


def _check_answers(contents: list[Content], facts: Served) -> None:
    """Each function call is answered in the next turn: as many answers as calls, with their ids."""
    for index, content in enumerate(contents):
        if not content.calls:
            continue
        answers = contents[index + 1].responses if index + 1 < len(contents) else []
        if len(answers) != len(content.calls):
            text = "function response parts is equal to the number of function call parts of the function call turn"
            raise fault(400, f"Please ensure that the number of {text}.")
        for number, answer in enumerate(answers):
            if not answer.name:
                path = f"contents[{index + 1}].parts[{number}].function_response.name"
                raise fault(400, f"* GenerateContentRequest.{path}: Name cannot be empty.\n")
        if facts.is_strict and sorted(call.id or "" for call in content.calls) != sorted(a.id or "" for a in answers):
            raise fault(400, "functionResponse.id does not match functionCall.id")


def _check_signatures(contents: list[Content], facts: Served) -> None:
    for content in contents:
        for part in content.parts:
            if part.thought_signature is not None and not _opens(part.thought_signature):
                raise fault(400, "Corrupted thought signature.")
    if not facts.is_strict:
        return
    turns = [index for index, content in enumerate(contents) if content.role != "model" and not content.responses]
    for index in range(turns[-1] if turns else 0, len(contents)):
        first = next((part for part in contents[index].parts if part.function_call), None)
        if first is not None and first.function_call and not first.thought_signature:
            text = "Function call is missing a thought_signature in functionCall parts. This is required for tools to"
            more = "work correctly, and missing thought_signature may lead to degraded model performance."
            where = f"function call `default_api:{first.function_call.name}`, position {index + 1}."
            raise fault(400, f"{text} {more} Additional data, {where}")


def _check_functions(request: GenerateContent) -> None:
    names: set[str] = set()
    for index, function in enumerate(request.functions):
        path = f"* GenerateContentRequest.tools[0].function_declarations[{index}]"
        if not _FUNCTION_NAME.fullmatch(function.name):
            rule = "Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_),"
            more = "dots (.), colons (:), or dashes (-), with a maximum length of 128."
            raise fault(400, f"{path}.name: Invalid function name. {rule} {more}\n")
        if function.name in names:
            raise fault(400, f"Duplicate function declaration found: {function.name}")
        names.add(function.name)
        _check_parameters(function, path)
    calling = request.calling
    if calling.allowed_function_names and calling.mode not in ("ANY", "VALIDATED"):
        raise fault(400, "Allowed function names should only be set when function calling mode is ANY or VALIDATED.")
    if unknown := [name for name in calling.allowed_function_names if name not in names]:
        raise fault(400, f"Allowed function name {unknown[0]!r} is not among the function declarations.")


def _check_parameters(function: FunctionDeclaration, path: str) -> None:
    if function.parameters is not None and function.parameters_json_schema is not None:
        raise fault(400, f"{path}: only one of parameters and parameters_json_schema may be set.\n")
    schema = function.schema_of
    if schema is not None and (not isinstance(schema, dict) or str(schema.get("type", "object")).lower() != "object"):
        raise fault(400, f"{path}.parameters: parameters schema should be of type OBJECT.\n")


def _check_config(request: GenerateContent, facts: Served) -> None:
    config = request.generation_config
    if config.response_schema is not None and config.response_json_schema is not None:
        raise fault(400, "Only one of response_schema and response_json_schema may be set.")
    wants_json = config.response_mime_type == "application/json"
    if config.answer_schema is not None and not wants_json:
        raise fault(400, "Setting a response schema requires the response_mime_type application/json.")
    if wants_json and request.functions and not facts.is_strict:
        raise fault(400, "Function calling with a response mime type: 'application/json' is unsupported")
    thinking = config.thinking_config
    if thinking is None:
        return
    if thinking.thinking_level is not None and thinking.thinking_budget is not None:
        raise fault(400, "You can only set one of thinking_budget and thinking_level.")
    if thinking.thinking_level is not None and thinking.thinking_level not in facts.levels:
        known = f"Supported levels: {', '.join(facts.levels) or 'none'}."
        raise fault(400, f"Thinking level {thinking.thinking_level} is not supported for this model. {known}")
    if thinking.thinking_budget is not None and (facts.is_strict or not -1 <= thinking.thinking_budget <= 24_576):
        raise fault(400, f"The thinking budget {thinking.thinking_budget} is invalid. Please choose another value.")


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > LABELS_MAX:
        raise fault(400, f"Invalid labels: at most {LABELS_MAX} labels are allowed, got {len(labels)}.")
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise fault(
                400, f"Invalid label {key!r}: only lowercase letters, digits, underscores and dashes, 63 at most."
            )
