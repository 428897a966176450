"""JSON documents as every wire format reads and counts them."""

import json
import re
from collections.abc import Iterator, Mapping

from pointsman.contracts.base import Json

Object = dict[str, Json]

_WORDS = re.compile(r"\s*\S+(?:\s+\S+)?\s*$|\s*\S+(?:\s+\S+)?|\s+")


def as_object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def objects(value: Json) -> Iterator[Object]:
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, dict))


def text_in(content: Json) -> str:
    """The text of a message's content, which is text itself or a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text") or part.get("refusal") or "") for part in objects(content))


def tokens_in(value: Json) -> int:
    """Tokens, estimated: four characters each."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return (len(text) + 3) // 4


def chunks(text: str) -> list[str]:
    """The text in pieces of two words, as tokens come; joined they are the text."""
    return _WORDS.findall(text)
