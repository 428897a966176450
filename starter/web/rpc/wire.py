"""Documents as bytes: ASCII, without line breaks, so that they fit into an event and into any reader."""

import json

from pointsman.contracts.base import Json


def encoded(document: Json) -> bytes:
    return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
