"""What every contract shares: frozen, lenient when read, stored in histories for ever.

A field may be added with a default. A field may never be renamed, retyped or removed: old histories are read
again for as long as runs live. Unknown fields are ignored, so that an older worker reads a newer message.
"""

from pydantic import BaseModel, ConfigDict, JsonValue

Json = JsonValue
"""What RFC 8259 can express, as pydantic checks it."""


class Contract(BaseModel):
    """A message between rooms of the house."""

    model_config = ConfigDict(frozen=True, extra="ignore")
