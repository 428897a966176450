"""The prompt cache of a provider: beginnings of prompts that were seen before."""

import json
from hashlib import sha256

from pointsman.sandbox.models.documents import tokens_in
from pointsman.sandbox.models.formats import Asked

# A prompt's beginning is cached from 1,024 tokens on, in steps of 128.
CACHE_TOKENS_MIN, CACHE_TOKENS_STEP = 1_024, 128


class PromptCache:
    """Which beginnings of prompts were seen before."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def cached_tokens(self, asked: Asked) -> int:
        """Tokens of the longest known beginning; the prompt is known from now on."""
        digest, tokens, known = sha256(asked.model.encode()), 0, 0
        for piece in asked.pieces:
            text = json.dumps(piece, sort_keys=True)
            digest.update(text.encode())
            tokens += tokens_in(text)
            if digest.digest() in self._seen:
                known = tokens
            self._seen.add(digest.digest())
        return known - known % CACHE_TOKENS_STEP if known >= CACHE_TOKENS_MIN else 0
