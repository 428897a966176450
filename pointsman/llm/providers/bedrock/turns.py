"""A conversation as Converse takes it: the order of turns is Claude's, the blocks are Bedrock's own.

Bedrock takes images and documents by their bytes or from S3, and wants documents named, each by a name of its own.
"""

import re
from base64 import b64decode
from collections.abc import Iterable

from pointsman.contracts.base import Json
from pointsman.llm.providers.anthropic.turns import Block, Turns
from pointsman.llm.types import DocumentPart, ImagePart, Message, ToolResultPart

IMAGE_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_OFFICE = "application/vnd.openxmlformats-officedocument"
DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
    f"{_OFFICE}.wordprocessingml.document": "docx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}
DOCUMENT_NAME_CHARS_MAX, TOOL_NAME_CHARS_MAX = 180, 64
CACHE_POINT: Json = {"cachePoint": {"type": "default"}}
_NOT_DOCUMENT_NAME = re.compile(r"[^a-zA-Z0-9()\[\]-]+")


class ConverseTurns(Turns):
    """Blocks that only Bedrock has are ready for it already, under `converse`."""

    def __init__(self, messages: Iterable[Message], provider: str, *, system_between: bool, caches: bool) -> None:
        self._caches = caches
        self._documents: set[str] = set()
        super().__init__(messages, provider, system_between=system_between)

    @property
    def messages(self) -> list[Json]:
        return [{"role": side, "content": self._contents(blocks)} for side, blocks in self._turns]

    @property
    def instructions(self) -> list[Json]:
        """The blocks of `system`."""
        return self._pointed(self.system)

    def _contents(self, blocks: list[Block]) -> list[Json]:
        content = self._pointed(blocks)
        kinds = {block["type"] for block in blocks}
        if "document" in kinds and "text" not in kinds:
            content.append({"text": "See the document."})
            self._note("'See the document.' added: Bedrock takes no document without a text beside it")
        return content

    def _pointed(self, blocks: list[Block]) -> list[Json]:
        content: list[Json] = []
        for block in blocks:
            content.append(_converse(block))
            if "cache_control" in block and self._caches:
                content.append(CACHE_POINT)
        return content

    def _image(self, part: ImagePart) -> Block:
        kind = IMAGE_FORMATS.get(part.media_type)
        if kind is None:
            return self._unreadable("image", part.media_type)
        source = self._source("image", part)
        if source is None:
            return {"type": "text", "text": f"[image at {part.url}: cannot be shown to you]"}
        return {"type": "image", "converse": {"image": {"format": kind, "source": source}}}

    def _document(self, part: DocumentPart) -> Block:
        kind = DOCUMENT_FORMATS.get(part.media_type) or ("txt" if _is_text(part.data) else None)
        if kind is None:
            return self._unreadable(f"document {part.name!r}" if part.name else "document", part.media_type)
        source = self._source("document", part)
        if source is None:
            return {"type": "text", "text": f"[document at {part.url}: cannot be shown to you]"}
        named: Json = {"format": kind, "name": self._document_name(part.name), "source": source}
        return {"type": "document", "converse": {"document": named}}

    def _result(self, part: ToolResultPart) -> Block:
        content: list[Json] = [{"text": part.text}] if part.text.strip() else []
        if isinstance(part.data, dict):
            content.append({"json": part.data})
        elif part.data is not None:  # Bedrock takes objects only
            content = [{"text": part.content}]
        content += [_converse(self._image(image)) for image in part.images or ()]
        # The call's id is what the base has made of it.
        told = super()._result(part.model_copy(update={"images": None}))
        result = {"toolUseId": told["tool_use_id"], "content": content or [{"json": {}}]}
        status: dict[str, Json] = {"status": "error"} if part.is_error else {}
        return {"type": "tool_result", "converse": {"toolResult": {**result, **status}}}

    def _source(self, what: str, part: ImagePart | DocumentPart) -> Json:
        if part.data:
            # boto3 encodes bytes itself; JSON has none.
            return {"bytes": part.data}  # type: ignore[dict-item]  # as above
        if part.url.startswith("s3://"):
            return {"s3Location": {"uri": part.url}}
        self._note(f"{what} left out: Bedrock takes it by its bytes or from S3, not by URL")
        return None

    def _document_name(self, name: str) -> str:
        """Of letters, digits, blanks and brackets, and no other document's."""
        plain = _NOT_DOCUMENT_NAME.sub(" ", name).strip()[:DOCUMENT_NAME_CHARS_MAX].strip() or "document"
        own, number = plain, 1
        while own in self._documents:
            number += 1
            own = f"{plain} {number}"
        self._documents.add(own)
        return own


def _converse(block: Block) -> Json:
    match block["type"]:
        case "text":
            return {"text": block["text"]}
        case "thinking":
            return {"reasoningContent": {"reasoningText": {"text": block["thinking"], "signature": block["signature"]}}}
        case "redacted_thinking":
            # boto3 encodes bytes itself; JSON has none.
            return {"reasoningContent": {"redactedContent": b64decode(str(block["data"]))}}  # type: ignore[dict-item]  # as above
        case "tool_use":
            name = str(block["name"])[:TOOL_NAME_CHARS_MAX]
            return {"toolUse": {"toolUseId": block["id"], "name": name, "input": block["input"]}}
        case _:
            return block["converse"]


def _is_text(data: bytes) -> bool:
    try:
        return bool(data.decode().strip())
    except UnicodeDecodeError:
        return False
