"""The stand-in of the model providers from inside: what tests tell it, and what it saw."""

from dataclasses import dataclass

from pointsman.sandbox.models.control import Control, Fault, FaultKind, Script, Seen
from pointsman.sandbox.models.replies import Reply

KEY = "sk-test-4f1d0c7a9b2e"


@dataclass
class Provider:
    """As tests get it. `root` is its URL."""

    root: str
    control: Control

    @property
    def url(self) -> str:
        """Of OpenAI's API."""
        return f"{self.root}/v1"

    def says(self, *replies: Reply) -> None:
        self.control.scripts.append(Script(replies=list(replies)))

    def fails(self, kind: FaultKind, **details: object) -> None:
        self.control.faults.append(Fault.model_validate({"kind": kind, **details}))

    @property
    def last(self) -> Seen:
        return self.control.seen[-1]
