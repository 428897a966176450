"""What the service refuses before it answers: keys, versions, and parameters that do not fit the model."""

import hmac
from collections.abc import Mapping, Sequence

from pointsman.contracts.base import Json
from pointsman.sandbox.models.anthropic_messages.catalogue import MODELS, Claude
from pointsman.sandbox.models.anthropic_messages.request import (
    AssistantTurn,
    CountTokens,
    CreateMessage,
    RedactedThinking,
    Thinking,
    ThinkingConfig,
    ToolResult,
    ToolUse,
    fault,
)
from pointsman.sandbox.models.anthropic_messages.thoughts import check_thoughts
from pointsman.sandbox.models.anthropic_messages.turns import check_turns, turn_blocks
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.documents import as_object, objects

VERSION = "2026-10-21"
_HINT = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
# JSON Schema keywords that the format of an answer may use ("Structured outputs", supported schemas).
_SAYABLE = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "minItems",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    }
)


def check_headers(headers: Mapping[str, str], config: ModelsConfig) -> None:
    """Raises 401 without one of the keys, 400 without the version that is spoken here."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    key = token if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    known = [accepted.get_secret_value().encode() for accepted in config.api_keys]
    if not any(hmac.compare_digest(key.encode(), accepted) for accepted in known):
        raise fault(401, "invalid x-api-key" if key else "x-api-key header is required")
    version = headers.get("anthropic-version")
    if version is None:
        raise fault(400, "anthropic-version: header is required")
    if version != VERSION:
        raise fault(400, f'anthropic-version: "{version}" is not a valid version')


def model_of(name: str) -> Claude:
    """Raises 404 unless the model exists."""
    model = MODELS.get(name)
    if model is None:
        raise fault(404, f"model: {name}")
    return model


def check_prompt(request: CountTokens, betas: Sequence[str], tokens: int) -> None:
    """What is refused of a prompt of so many tokens, whether it is answered or counted."""
    model = model_of(request.model)
    if tokens > model.window:
        raise fault(400, f"prompt is too long: {tokens} tokens > {model.window} maximum")
    _check_thinking(request, model)
    _check_effort(request, model)
    _check_tools(request, model)
    _check_format(request)
    check_turns(request, model)
    check_thoughts(request, betas)


def check_message(request: CreateMessage, betas: Sequence[str], tokens: int) -> None:
    """What is refused of a request for an answer."""
    check_prompt(request, betas, tokens)
    most, limit = model_of(request.model).output_max, request.max_tokens
    if limit > most:
        text = f"max_tokens: {limit} > {most}, which is the maximum allowed number of output tokens for {request.model}"
        raise fault(400, text)
    if any(not text.strip() for text in request.stop_sequences or ()):
        raise fault(400, "stop_sequences: each stop sequence must contain non-whitespace")
    thinking = request.thinking
    if thinking and thinking.budget_tokens and thinking.budget_tokens >= limit:
        raise fault(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")


def thinks(request: CountTokens) -> bool:
    """Whether the model reasons on this request."""
    model = MODELS[request.model]
    if is_forced(request):
        return False
    return model.thinks_unasked if request.thinking is None else request.thinking.type in ("adaptive", "enabled")


def is_forced(request: CountTokens) -> bool:
    return request.tool_choice is not None and request.tool_choice.type in ("any", "tool")


def _check_thinking(request: CountTokens, model: Claude) -> None:
    thinking = request.thinking
    if thinking is None:
        return
    if thinking.type not in model.thinking:
        raise fault(400, f'"thinking.type.{thinking.type}" is not supported for this model. {_HINT}')
    if thinking.type in ("disabled", "between_tools") and thinking.display is not None:
        raise fault(400, f'"thinking.display" is not supported when "thinking.type" is "{thinking.type}"')
    if thinking.type == "enabled":
        _check_manual(request, thinking)
    elif thinking.budget_tokens is not None:
        raise fault(400, "thinking.budget_tokens: Extra inputs are not permitted")


def _check_manual(request: CountTokens, thinking: ThinkingConfig) -> None:
    if thinking.budget_tokens is None:
        raise fault(400, "thinking.budget_tokens: Field required")
    for number in range(len(request.messages) - 1, -1, -1):
        turn = request.messages[number]
        blocks = turn_blocks(turn)
        if isinstance(turn, AssistantTurn) and any(isinstance(block, ToolUse) for block in blocks):
            if not isinstance(blocks[0], Thinking | RedactedThinking):
                text = f"Expected `thinking` or `redacted_thinking`, but found `{blocks[0].type}`."
                raise fault(400, f"messages.{number}.content.0.type: {text}")
            return
        if not isinstance(turn, AssistantTurn) and not any(isinstance(block, ToolResult) for block in blocks):
            return


def _check_effort(request: CountTokens, model: Claude) -> None:
    effort = request.output_config.effort if request.output_config else None
    if effort is None:
        return
    if effort not in model.efforts:
        raise fault(400, f'"output_config.effort" value "{effort}" is not supported for this model')
    if request.thinking and request.thinking.type == "disabled" and model.thinks_unasked and effort in ("xhigh", "max"):
        raise fault(
            400, f'"thinking.type" value "disabled" is not supported with "output_config.effort" value "{effort}"'
        )


def _check_tools(request: CountTokens, model: Claude) -> None:
    names = [tool.name for tool in request.tools]
    if len(set(names)) < len(names):
        raise fault(400, "tools: Tool names must be unique.")
    for index, tool in enumerate(request.tools):
        schema = tool.input_schema
        if schema.get("type") != "object":
            raise fault(400, f"tools.{index}.custom.input_schema.type: Field required")
        if {"anyOf", "oneOf", "allOf"} & schema.keys():
            text = "input_schema does not support oneOf, allOf, or anyOf at the top level"
            raise fault(400, f"tools.{index}.custom.input_schema: {text}")
    choice = request.tool_choice
    if choice is None:
        return
    if not names:
        raise fault(400, "tool_choice: tool_choice may only be specified while providing tools.")
    if choice.type == "tool" and choice.name not in names:
        raise fault(400, f"tool_choice.name: Tool '{choice.name}' not found in provided tools")
    if is_forced(request):
        _check_forced(request, model)


def _check_forced(request: CountTokens, model: Claude) -> None:
    if not model.forced_tools:
        raise fault(400, 'tool_choice: type "tool" and "any" are not supported for this model.')
    thinking = request.thinking.type if request.thinking else "adaptive" if model.thinks_unasked else "disabled"
    if thinking in ("adaptive", "enabled") and not model.forced_while_thinking:
        raise fault(400, "Thinking may not be enabled when tool_choice forces tool use.")


def _check_format(request: CountTokens) -> None:
    form = request.output_config.format if request.output_config else None
    if form is not None:
        _check_schema(form.schema_, "output_config.format.schema")


def _check_schema(schema: Json, path: str) -> None:
    """Objects are closed, and no keyword is used that the service cannot hold the model to."""
    told = as_object(schema)
    if unknown := sorted(set(told) - _SAYABLE):
        raise fault(400, f"{path}: For '{told.get('type')}' type, property '{unknown[0]}' is not supported")
    if told.get("type") == "object" and told.get("additionalProperties") is not False:
        raise fault(400, f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    for key in ("properties", "$defs"):
        for name, part in as_object(told.get(key)).items():
            _check_schema(part, f"{path}.{key}.{name}")
    for key in ("anyOf", "allOf"):
        for index, part in enumerate(objects(told.get(key))):
            _check_schema(part, f"{path}.{key}.{index}")
    if "items" in told:
        _check_schema(told["items"], f"{path}.items")
