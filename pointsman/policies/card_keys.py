"""Keys that cards of agent services must be signed with, where policy has them as a file: a JSON Web Key Set."""

import json
from pathlib import Path

from pointsman.contracts.base import Json
from pointsman.policies.document import read_text

KINDS = ("EC", "OKP", "RSA")
PRIVATE = ("d", "k", "p", "q", "dp", "dq", "qi", "oth")
KEYS_MAX = 16
"""They travel in the input of every run."""


def is_address(signed_by: str) -> bool:
    """Whether the keys are read from elsewhere, each time that the card is."""
    return "://" in signed_by


def read_keys(path: Path) -> str:
    """The key set as canonical JSON.

    Raises:
        ValueError: it is none, or holds what only its owner may have. The text says what, without any of it.
    """
    try:
        content: Json = json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is no JSON") from None
    listed = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= KEYS_MAX:
        raise ValueError(f'{path} must be a JSON Web Key Set: {{"keys": [...]}} with 1 to {KEYS_MAX} keys')
    for number, key in enumerate(listed):
        kind = key.get("kty") if isinstance(key, dict) else None
        if not isinstance(key, dict) or kind not in KINDS:
            raise ValueError(f"{path}: key {number} must be a public key of kty {', '.join(KINDS)}")
        if private := [name for name in PRIVATE if name in key]:
            raise ValueError(
                f"{path}: key {number} holds {', '.join(private)}, which is private: keep the public part only"
            )
    return json.dumps({"keys": listed}, sort_keys=True, separators=(",", ":"))
