"""Models of Google's that the stand-in serves, and what of the API each of them takes.

After the model pages and the guides to thinking and to thought signatures of the Gemini API (2026-11).
"""

from collections.abc import Sequence
from typing import NamedTuple

INPUT_TOKENS_MAX, OUTPUT_TOKENS_MAX = 1_048_576, 65_536


class Served(NamedTuple):
    display_name: str
    levels: Sequence[str] = ()
    """Thinking levels. Models without take a budget of thinking tokens, and no call ids or signatures are asked of
    them; they do not answer by schema while they have functions to call."""

    @property
    def is_strict(self) -> bool:
        """Function calls carry ids, and in the current turn must come back with their thought signature."""
        return bool(self.levels)


_LOW = ("LOW", "MEDIUM", "HIGH")

MODELS = {
    "gemini-2.5-flash": Served("Gemini 2.5 Flash"),
    "gemini-3.1-pro-preview": Served("Gemini 3.1 Pro Preview", _LOW),
    "gemini-3.5-flash-lite": Served("Gemini 3.5 Flash-Lite", ("MINIMAL", *_LOW)),
    "gemini-3.8-flash": Served("Gemini 3.8 Flash", _LOW),
    "gemini-4-argon": Served("Gemini 4 Argon", _LOW),
}
