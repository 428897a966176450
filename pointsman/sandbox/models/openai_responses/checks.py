"""What the service refuses before it answers, with its own words and codes."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from hashlib import sha256

from pointsman.contracts.base import Json
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.documents import Object, as_object, tokens_in
from pointsman.sandbox.models.openai_responses.request import CreateResponse, fault, reasons

METADATA_PAIRS_MAX, METADATA_KEY_MAX, METADATA_VALUE_MAX = 16, 64, 512
# Reasoning that was handed out must come back unchanged, also to a service that was started again since.
_SEAL = b"reasoning of the stand-in"


def check_key(header: str, config: ModelsConfig) -> None:
    """Raises 401 unless the header carries one of the keys."""
    scheme, _, key = header.partition(" ")
    if scheme.lower() != "bearer" or not key:
        text = "You didn't provide an API key. Provide it in an Authorization header using Bearer auth."
        raise fault(401, text)
    known = [accepted.get_secret_value().encode() for accepted in config.api_keys]
    if not any(hmac.compare_digest(key.encode(), accepted) for accepted in known):
        shown = f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) > 16 else key
        raise fault(401, f"Incorrect API key provided: {shown}.", "invalid_api_key")


def check_model(request: CreateResponse, config: ModelsConfig) -> None:
    """Raises 400 unless the model exists."""
    if request.model not in config.models:
        text = f"The requested model '{request.model}' does not exist."
        raise fault(400, text, "model_not_found", "model")


def check_request(request: CreateResponse, config: ModelsConfig) -> None:
    """Raises 400 for what the service would refuse."""
    check_model(request, config)
    _check_sampling(request)
    _check_metadata(request.metadata or {})
    _check_calls(request.items())
    _check_reasoning(request.items())
    _check_schemas(request)
    size, window = tokens_in(list(request.items())), config.models[request.model]
    if size > window:
        text = "Your input exceeds the context window of this model. Please adjust your input and try again."
        raise fault(400, text, "context_length_exceeded", "input")


def seal(item_id: str, thought: str) -> str:
    """Reasoning as it is handed out: opaque, and recognised when it comes back."""
    content = json.dumps([item_id, thought]).encode()
    return urlsafe_b64encode(hmac.digest(_SEAL, content, sha256) + content).decode()


def _opens(encrypted: str) -> bool:
    try:
        data = urlsafe_b64decode(encrypted.encode())
    except (Base64Error, ValueError):
        return False
    return hmac.compare_digest(data[:32], hmac.digest(_SEAL, data[32:], sha256))


def _check_sampling(request: CreateResponse) -> None:
    silent = as_object(request.reasoning).get("effort") == "none"
    if reasons(request.model) and not silent:
        for name in ("temperature", "top_p"):
            if getattr(request, name) is not None:
                text = f"Unsupported parameter: '{name}' is not supported with this model."
                raise fault(400, text, "unsupported_parameter", name)
    if not reasons(request.model):
        if "reasoning.encrypted_content" in (request.include or ()):
            raise fault(400, "Encrypted content is not supported with this model.", None, "include")
        if request.reasoning is not None:
            text = "Unsupported parameter: 'reasoning.effort' is not supported with this model."
            raise fault(400, text, "unsupported_parameter", "reasoning.effort")


def _check_metadata(pairs: Mapping[str, str]) -> None:
    if len(pairs) > METADATA_PAIRS_MAX:
        text = f"Invalid 'metadata': too many properties. Expected at most {METADATA_PAIRS_MAX}, got {len(pairs)}."
        raise fault(400, text, "object_above_max_properties", "metadata")
    for name, value in pairs.items():
        if len(name) > METADATA_KEY_MAX or len(value) > METADATA_VALUE_MAX:
            raise fault(400, f"Invalid 'metadata.{name[:64]}': string too long.", "string_above_max_length")


def _check_calls(items: list[Object]) -> None:
    """Each call has an output, each output follows its call."""
    open_calls: list[str] = []
    answered: set[str] = set()
    for item in items:
        call_id = str(item.get("call_id") or "")
        if item.get("type") == "function_call":
            open_calls.append(call_id)
        elif item.get("type") == "function_call_output":
            if call_id not in open_calls:
                raise fault(400, f"No tool call found for function call output with call_id {call_id}.")
            answered.add(call_id)
    for call_id in open_calls:
        if call_id not in answered:
            raise fault(400, f"No tool output found for function call {call_id}.", None, "input")


def _check_reasoning(items: list[Object]) -> None:
    for item, follower in zip(items, [*items[1:], Object()], strict=True):
        if item.get("type") != "reasoning":
            continue
        is_followed = follower.get("type") in ("function_call", "reasoning") or follower.get("role") == "assistant"
        if not is_followed:
            text = f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item."
            raise fault(400, text, None, "input")
        if not _opens(str(item.get("encrypted_content") or "")):
            text = f"The encrypted content for item {item.get('id')} could not be verified."
            raise fault(400, text, "invalid_encrypted_content", "input")


def _check_schemas(request: CreateResponse) -> None:
    for index, tool in enumerate(request.tools):
        if tool.get("strict") and not is_closed(tool.get("parameters")):
            text = f"Invalid schema for function '{tool.get('name')}': 'additionalProperties' must be false."
            raise fault(400, text, "invalid_function_parameters", f"tools[{index}].parameters")
    form = request.response_format()
    if form.get("type") == "json_schema" and form.get("strict") and not is_closed(form.get("schema")):
        text = f"Invalid schema for response_format '{form.get('name')}': every object must be closed."
        raise fault(400, text, "invalid_json_schema", "text.format.schema")


def is_closed(schema: Json) -> bool:
    """Strict mode: every object names all its properties as required and allows no other."""
    if isinstance(schema, list):
        return all(is_closed(entry) for entry in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object":
        properties, required = as_object(schema.get("properties")), schema.get("required")
        names = set(map(str, required)) if isinstance(required, list) else set()
        if schema.get("additionalProperties") is not False or names != set(properties):
            return False
    return all(is_closed(value) for value in schema.values())
