"""Text from outside is made ours where it comes in: what no encoder and no database takes is replaced, once.

Services send halves of surrogate pairs when they cut a text in the middle of a character (`"\\ud83d"` is valid JSON),
and NUL when somebody pastes one. Whatever is behind the edge may rely on text without them.
"""

import json
import re
from math import isfinite

from pointsman.contracts.base import Json

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
BREAK = re.compile(r"[\t\r\n]+")


def printable(text: str) -> str:
    """The text without control characters, but for tabs and ends of lines: people do not see them, terminals obey them,
    and no service takes them all. Whoever quotes an item must not fail because of what somebody pasted there."""
    return text if text.isprintable() else UNPRINTABLE.sub("", text)


def one_line(text: str) -> str:
    """The same, for a name: without tabs and ends of lines, too."""
    return printable(text if text.isprintable() else BREAK.sub(" ", text)).strip()


def clean(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD; two halves that fit together become their character."""
    if "\x00" in text:
        text = text.replace("\x00", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def cleaned(value: Json) -> Json:
    """The same JSON with every text in it clean, and null for numbers that JSON does not have."""
    match value:
        case float() if not isfinite(value):
            return None
        case str():
            return clean(value)
        case list():
            return [cleaned(entry) for entry in value]
        case dict():
            return {clean(key): cleaned(entry) for key, entry in value.items()}
        case _:
            return value


def read_json(data: bytes | str) -> Json:
    """Parse JSON from outside, clean.

    Raises:
        ValueError: it is not JSON, or nested so deep that nobody means it.
    """
    try:
        return cleaned(json.loads(data))
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None
