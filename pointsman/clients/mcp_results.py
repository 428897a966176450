"""What a tool's result comes to for a model: text, and the images that it can be shown."""

import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field

from mcp.types import (
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

IMAGES_MAX = 4
IMAGE_BYTES_MAX = 3_500_000
"""Base64 makes a third more of it; the least that a provider takes is 5 MB (Anthropic, Messages API)."""
# All providers take these. Their first bytes are checked: what is none would have the whole conversation refused.
SIGNATURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n", b""),
    "image/jpeg": (b"\xff\xd8\xff", b""),
    "image/gif": (b"GIF8", b""),
    "image/webp": (b"RIFF", b"WEBP"),
}


@dataclass(frozen=True)
class Image:
    data: bytes = field(repr=False)
    media_type: str


def images_of(result: CallToolResult) -> tuple[Image, ...]:
    """Those that a model can be shown, the first few."""
    found = (_image(block) for block in result.content if isinstance(block, ImageContent))
    return tuple(image for image in found if image is not None)[:IMAGES_MAX]


def text_of(result: CallToolResult, shown: Sequence[Image]) -> str:
    """All that a result says, as text. Structured content is told only where there is no text: it is the same."""
    parts = [part for block in result.content if (part := _told(block, shown))]
    if parts:
        return "\n".join(parts)
    if result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False, separators=(",", ":"))
    return "(no result)"


def _told(block: ContentBlock, shown: Sequence[Image]) -> str:
    match block:
        case TextContent():
            return block.text
        case ResourceLink():
            return f"[{block.name}: {block.uri}]"
        case EmbeddedResource():
            resource = block.resource
            return resource.text if isinstance(resource, TextResourceContents) else f"[binary: {resource.uri}]"
        case ImageContent() if _image(block) in shown:
            return f"[{block.type}, {block.mime_type}, {len(block.data) * 3 // 4} bytes]"
        case _:
            return f"[{block.type}, {block.mime_type}, {len(block.data) * 3 // 4} bytes: not shown]"


def _image(block: ImageContent) -> Image | None:
    """The image; none where it is no image, of a kind that not all providers take, or too large."""
    if block.mime_type not in SIGNATURES or len(block.data) * 3 // 4 > IMAGE_BYTES_MAX:
        return None
    try:
        data = b64decode(block.data, validate=True)
    except ValueError:
        return None
    begins, then = SIGNATURES[block.mime_type]
    if not data.startswith(begins) or (data[8:12] != then and then):
        return None
    return Image(data, block.mime_type)
