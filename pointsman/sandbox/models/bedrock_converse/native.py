"""A request of Converse as the model behind it takes it: Claude's own Messages API, which does the refusing.

So the service refuses what a model refuses: orders, calls without results, changed reasoning, sampling, effort.
"""

import json
from base64 import b64encode
from collections.abc import Sequence

from pydantic import ValidationError

from pointsman.contracts.base import Json
from pointsman.sandbox.models.anthropic_messages.request import CountTokens, CreateMessage
from pointsman.sandbox.models.bedrock_converse.catalogue import model_name
from pointsman.sandbox.models.bedrock_converse.faults import invalid
from pointsman.sandbox.models.bedrock_converse.request import (
    Content,
    Converse,
    Document,
    Image,
    Prompt,
    Reasoning,
    ResultBlock,
    SystemBlock,
    ToolConfig,
    ToolResult,
)
from pointsman.sandbox.models.documents import Object

MAX_TOKENS = 4_096
MARK: Json = {"type": "ephemeral"}


def betas(request: Prompt) -> list[str]:
    named = request.additionalModelRequestFields.get("anthropic_beta")
    return [str(name) for name in named] if isinstance(named, list) else []


def counted(model: str, request: Prompt) -> CountTokens:
    """What is to be counted."""
    return _read(_prompt(model, request), CountTokens)


def asked(model: str, request: Converse) -> CreateMessage:
    """Raises 400 as the model does of parameters that it does not know."""
    inference, output = request.inferenceConfig, request.outputConfig
    if inference.temperature is not None or inference.topP is not None:
        named = "temperature" if inference.temperature is not None else "top_p"
        raise invalid(f"The model returned the following errors: `{named}` is deprecated for this model.")
    if request.additionalModelResponseFieldPaths:
        raise invalid("additionalModelResponseFieldPaths: no such fields in the answer")
    native = _prompt(model, request)
    native["max_tokens"] = inference.maxTokens or MAX_TOKENS
    if inference.stopSequences:
        native["stop_sequences"] = list(inference.stopSequences)
    config: Object = {"effort": output.effort} if output.effort else {}
    if output.textFormat:
        config["format"] = {"type": "json_schema", "schema": _schema(output.textFormat.structure.jsonSchema.schema_)}
    if config:
        native["output_config"] = config
    return _read(native, CreateMessage)


def _read(native: Object, kind: type[CountTokens] | type[CreateMessage]) -> CreateMessage:
    try:
        return kind.model_validate_json(json.dumps(native))  # type: ignore[return-value]  # the kind that was asked for
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(step) for step in first["loc"])
        said = "Extra inputs are not permitted" if first["type"] == "extra_forbidden" else first["msg"]
        raise invalid(f"The model returned the following errors: {path}: {said}") from error


def _schema(text: str) -> Json:
    try:
        schema: Json = json.loads(text)
    except ValueError:
        schema = None
    if not isinstance(schema, dict):
        raise invalid("outputConfig.textFormat.structure.jsonSchema.schema: not a valid JSON schema")
    return schema


def _prompt(model: str, request: Prompt) -> Object:
    more = {key: value for key, value in request.additionalModelRequestFields.items() if key != "anthropic_beta"}
    turns: list[Json] = [{"role": turn.role, "content": _contents(turn.content)} for turn in request.messages]
    native: Object = {**more, "model": model_name(model), "messages": turns}
    if request.system:
        native["system"] = _system(request.system)
    if request.toolConfig:
        native |= _tools(request.toolConfig)
    elif any(block.toolUse or block.toolResult for turn in request.messages for block in turn.content):
        raise invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    return native


def _system(blocks: Sequence[SystemBlock]) -> list[Json]:
    written: list[Object] = []
    for block in blocks:
        if block.text is not None:
            written.append({"type": "text", "text": block.text})
        else:
            _mark(written)
    return list(written)


def _tools(config: ToolConfig) -> Object:
    written: list[Object] = []
    for tool in config.tools:
        spec = tool.toolSpec
        if spec is None:
            _mark(written)
            continue
        told: Object = {"description": spec.description} if spec.description else {}
        written.append({"name": spec.name, **told, "input_schema": spec.inputSchema.json_})
    native: Object = {"tools": list(written)}
    choice = config.toolChoice
    if choice is not None:
        named: Object = {"type": "tool", "name": choice.tool.name} if choice.tool else {}
        native["tool_choice"] = named or {"type": "any" if choice.any else "auto"}
    return native


def _mark(written: list[Object]) -> None:
    if not written:
        raise invalid("cachePoint cannot be the first block: there is nothing before it to cache")
    written[-1]["cache_control"] = MARK


def _contents(blocks: Sequence[Content]) -> list[Json]:
    written: list[Object] = []
    has_text = any(block.text for block in blocks)
    for block in blocks:
        if block.cachePoint is not None:
            _mark(written)
            continue
        if block.document is not None and not has_text:
            raise invalid("A text block must accompany each message with a document.")
        written.append(_content(block))
    return list(written)


def _content(block: Content) -> Object:
    if block.image is not None:
        return _image(block.image)
    if block.document is not None:
        return _document(block.document)
    if block.toolUse is not None:
        call = block.toolUse
        return {"type": "tool_use", "id": call.toolUseId, "name": call.name, "input": call.input}
    if block.toolResult is not None:
        return _result(block.toolResult)
    if block.reasoningContent is not None:
        return _reasoning(block.reasoningContent)
    return {"type": "text", "text": block.text}


def _image(image: Image) -> Object:
    data = b64encode(image.source.bytes).decode()
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": f"image/{image.format}", "data": data},
    }


def _document(document: Document) -> Object:
    source, whole = document.source, document.source.bytes or b""
    if document.format == "pdf":
        told: Json = {"type": "base64", "media_type": "application/pdf", "data": b64encode(whole).decode()}
    else:
        parts = "\n".join(part.text or "" for part in source.content or ())
        text = source.text or parts or whole.decode(errors="replace")
        told = {"type": "text", "media_type": "text/plain", "data": text}
    return {"type": "document", "source": told, "title": document.name}


def _result(result: ToolResult) -> Object:
    content: list[Json] = [_returned(block) for block in result.content]
    told: Object = {"content": content} if content else {}
    return {
        "type": "tool_result",
        "tool_use_id": result.toolUseId,
        **told,
        "is_error": result.status == "error",
    }


def _returned(block: ResultBlock) -> Object:
    if block.image is not None:
        return _image(block.image)
    if block.document is not None:
        return _document(block.document)
    if block.text is not None:
        return {"type": "text", "text": block.text}
    if not isinstance(block.json_, dict):
        raise invalid("toolResult.content.json must be a JSON object")
    return {"type": "text", "text": json.dumps(block.json_, ensure_ascii=False)}


def _reasoning(block: Reasoning) -> Object:
    if block.reasoningText is not None:
        said = block.reasoningText
        return {"type": "thinking", "thinking": said.text, "signature": said.signature or ""}
    return {"type": "redacted_thinking", "data": b64encode(block.redactedContent or b"").decode()}
