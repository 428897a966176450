"""What the model says, in whatever format it goes out."""

import json

from pydantic import BaseModel, ConfigDict, Field

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object


class Call(BaseModel):
    """A tool call to make. `raw` goes out as it is, for arguments that are no JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    arguments: Object = Field(default_factory=dict)
    raw: str = ""

    def text(self) -> str:
        return self.raw or json.dumps(self.arguments, ensure_ascii=False, separators=(",", ":"))


class Reply(BaseModel):
    """One answer of the model: text, or JSON, or a refusal, or tool calls; `finish` cuts it short."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str = ""
    data: Json = None
    """Goes out as JSON text."""
    calls: tuple[Call, ...] = ()
    refusal: str = ""
    reasoning: str = ""
    finish: str = Field(default="", pattern="^(|length|content_filter)$")
    model: str = ""
    """Answer as another model than the one that was asked."""

    def said(self) -> str:
        return json.dumps(self.data, ensure_ascii=False) if self.data is not None else self.text
