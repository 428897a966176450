"""What Google's models take, told by their names: the API lists no such thing.

After the guides to thinking, to thought signatures and to each model of the Gemini API (2026-11).
"""

import re
from typing import NamedTuple

_NAME = re.compile(r"(?:models/)?gemini-(?:(\d+)(?:\.(\d+))?-)?(.*)")
_SPEAKS_OR_DRAWS = re.compile(r"\b(?:tts|live|image|audio)\b")
NEWEST = (99, 0)


class Traits(NamedTuple):
    version: tuple[int, int]
    """Of the family; (0, 0) where the model is no Gemini, for example a Gemma."""
    variant: str
    """`flash`, `flash-lite`, `pro-preview`, ..."""

    @property
    def thinks(self) -> bool:
        return self.version >= (2, 5) and _SPEAKS_OR_DRAWS.search(self.variant) is None

    @property
    def is_third(self) -> bool:
        """From Gemini 3 on: thinking by level, signed function calls, images in results, schemas beside functions."""
        return self.version >= (3, 0)

    @property
    def can_stop_thinking(self) -> bool:
        return self.thinks and not self.is_third and "pro" not in self.variant

    @property
    def has_minimal_thinking(self) -> bool:
        small = "lite" in self.variant or (self.variant.startswith("flash") and self.version < (3, 7))
        return self.is_third and small

    @property
    def ignores_sampling(self) -> bool:
        """From Gemini 3.6 and 3.5 Flash-Lite on, temperature says nothing to the model."""
        return self.version >= (3, 6) or (self.version >= (3, 5) and "lite" in self.variant)


def traits_of(model: str) -> Traits:
    """A name without version, such as `gemini-flash-latest`, is taken for the newest."""
    found = _NAME.fullmatch(model)
    if found is None:
        return Traits((0, 0), "")
    return Traits((int(found[1]), int(found[2] or 0)) if found[1] else NEWEST, found[3])
