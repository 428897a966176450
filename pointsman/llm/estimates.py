"""How many tokens a request has, roughly: for reservations and windows, where no provider is to be asked.

Three bytes of text count as a token, which is more than any provider's tokenizer makes of prose or code; an
image counts as 1,600 and a page of a document as 3,000 (the largest figures that providers publish), a page being
3 KiB of its bytes.
"""

import json

from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    LLMRequest,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

BYTES_PER_TOKEN = 3
MESSAGE_TOKENS = 8
IMAGE_TOKENS, PAGE_TOKENS, PAGE_BYTES = 1_600, 3_000, 3 * 1024


def estimate_tokens(request: LLMRequest) -> int:
    """Tokens of the prompt: messages, tools and schema. Rather too many than too few."""
    tokens = sum(MESSAGE_TOKENS + sum(_part(part) for part in message.parts) for message in request.messages)
    for tool in request.tools:
        tokens += MESSAGE_TOKENS + _text(tool.name + tool.description) + _text(json.dumps(tool.parameters))
    return tokens + (_text(json.dumps(request.response_schema)) if request.response_schema else 0)


def _part(part: Part) -> int:
    match part:
        case TextPart() | RefusalPart() | ReasoningPart():
            return _text(part.text)
        case ToolCallPart():
            return MESSAGE_TOKENS + _text(part.name) + _text(part.raw_arguments or json.dumps(part.arguments))
        case ToolResultPart():
            return MESSAGE_TOKENS + _text(part.content) + IMAGE_TOKENS * len(part.images or ())
        case ImagePart():
            return IMAGE_TOKENS
        case DocumentPart():
            return PAGE_TOKENS * (1 + len(part.data) // PAGE_BYTES)


def _text(text: str) -> int:
    return len(text.encode()) // BYTES_PER_TOKEN + 1
