"""Reasoning that was handed out: sealed, bound to its model and to what stood before it, and checked on its return."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.sandbox.models.anthropic_messages.catalogue import MODELS
from pointsman.sandbox.models.anthropic_messages.request import (
    AssistantTurn,
    CountTokens,
    RedactedThinking,
    Thinking,
    fault,
    plain,
)
from pointsman.sandbox.models.documents import Object

BETA = "thinking-binding-controls-2026-08-01"
_MOVED = (
    "Invalid `signature` in `thinking` block. The block is bound to a different conversation. Remove the block, "
    'or set `thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
)
# What was sealed must open in a service that was started again since, too.
_SEAL = b"thinking of the stand-in"


class Dropped(NamedTuple):
    """A block that the model does not get to see."""

    path: str
    reason: str

    def told(self) -> Object:
        return {"type": "thinking_dropped", "path": self.path, "reason": self.reason}


def seal(request: CountTokens, shown: str, thought: str) -> str:
    """The signature of a thought of the answer to this request, of which `shown` is told."""
    content = json.dumps([request.model, _prefix(request, len(request.messages)), shown, thought]).encode()
    return urlsafe_b64encode(hmac.digest(_SEAL, content, sha256) + content).decode()


def check_thoughts(request: CountTokens, betas: Sequence[str]) -> None:
    """Raises 400 for a changed thought, and for one whose prefix was changed unless the request says to drop it."""
    binding = request.thinking.block_binding if request.thinking else None
    if binding is not None and BETA not in betas:
        raise fault(400, "thinking.block_binding: Extra inputs are not permitted")
    drops = binding is not None and binding.prefix_mismatch_behavior == "drop_block"
    for dropped in dropped_thoughts(request):
        if dropped.reason == "prefix_binding_mismatch" and not drops:
            raise fault(400, f"{dropped.path}: {_MOVED}")


def dropped_thoughts(request: CountTokens) -> list[Dropped]:
    """Thoughts of other models, and those from the first on whose prefix was changed. Raises 400 for a broken seal."""
    found: list[Dropped] = []
    is_broken = False
    for number, index, block in _thoughts(request):
        path = f"messages.{number}.content.{index}"
        model, prefix = _opened(block, path)
        if model != request.model:
            found.append(Dropped(path, "model_binding_mismatch"))
            continue
        is_broken = is_broken or (MODELS[model].binds_thinking and prefix != _prefix(request, number))
        if is_broken:
            found.append(Dropped(path, "prefix_binding_mismatch"))
    return found


def _thoughts(request: CountTokens) -> Iterator[tuple[int, int, Thinking | RedactedThinking]]:
    for number, turn in enumerate(request.messages):
        if isinstance(turn, AssistantTurn) and not isinstance(turn.content, str):
            for index, block in enumerate(turn.content):
                if isinstance(block, Thinking | RedactedThinking):
                    yield number, index, block


def _opened(block: Thinking | RedactedThinking, path: str) -> tuple[str, str]:
    """Model and prefix of the thought."""
    sealed = block.signature if isinstance(block, Thinking) else block.data
    try:
        data = urlsafe_b64decode(sealed.encode())
    except (Base64Error, ValueError):
        data = b""
    content = data[32:]
    if hmac.compare_digest(data[:32], hmac.digest(_SEAL, content, sha256)):
        model, prefix, shown, _ = json.loads(content)
        if isinstance(block, RedactedThinking) or block.thinking == shown:
            return str(model), str(prefix)
    raise fault(400, f"{path}: Invalid `signature` in `thinking` block")


def _prefix(request: CountTokens, number: int) -> str:
    """A digest of all that stands before a message, without marks of the cache and other thoughts."""
    body = plain(request)
    messages = body.get("messages")
    assert isinstance(messages, list), "messages are a list"
    before: list[Json] = [body.get("system"), body.get("tools"), [_unthought(turn) for turn in messages[:number]]]
    return sha256(json.dumps(_unmarked(before), sort_keys=True).encode()).hexdigest()


def _unthought(turn: Json) -> Json:
    if not isinstance(turn, dict) or not isinstance(turn.get("content"), list):
        return turn
    content = turn["content"]
    assert isinstance(content, list), "seen one line above"
    kept = [block for block in content if not (isinstance(block, dict) and "thinking" in str(block.get("type")))]
    return {**turn, "content": kept}


def _unmarked(value: Json) -> Json:
    if isinstance(value, list):
        return [_unmarked(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _unmarked(entry) for key, entry in value.items() if key != "cache_control"}
    return value
