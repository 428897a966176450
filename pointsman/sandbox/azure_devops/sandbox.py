"""All that one stand-in is made of, and what its control API can be told."""

from collections import Counter
from dataclasses import dataclass, field
from typing import get_args

from pydantic import BaseModel, ConfigDict, model_validator

from pointsman.sandbox.azure_devops.allowance import Meter
from pointsman.sandbox.azure_devops.delivery import Deliverer
from pointsman.sandbox.azure_devops.fault_kinds import FaultKind, words_of
from pointsman.sandbox.azure_devops.state import World


class Fault(BaseModel):
    """What the next `times` requests that fit get. All of `delay_seconds`, `headers` and the rest may be combined.

    `after` lets the request do its work first, so that only its answer is lost or replaced.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind = ""
    """A fault of the service by its name; what is given beside it counts more."""
    method: str = ""
    path: str = ""
    """Part of the path, case-insensitively; empty fits all."""
    times: int = 1
    after: bool = False
    status: int = 0
    """0: the service's own answer goes out, perhaps later or with more headers."""
    headers: dict[str, str] = {}
    body: str = ""
    content_type: str = "application/json"
    delay_seconds: float = 0.0
    drop: bool = False
    """Close the connection instead of answering."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        found: list[FaultKind] = [kind for kind in get_args(FaultKind) if kind == given.get("kind")]
        return {**words_of(found[0]), **given} if found else given

    def fits(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method.upper() in ("", method) and self.path.lower() in path.lower()


@dataclass
class Sandbox:
    world: World
    deliverer: Deliverer
    faults: list[Fault] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)
    injected: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    """By operation and status, for example `work_items.update 200`."""
    writes: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    """Patches that were carried out, by organisation, item and unique name of the writer."""

    def take_unit(self, account: str) -> Fault | None:
        """What the account's allowance has to say of its request, as a fault of one request."""
        told = self.meter.take(account, self.world.clock.moment())
        return Fault.model_validate(told) if told else None

    def take_fault(self, method: str, path: str) -> Fault | None:
        fault = next((fault for fault in self.faults if fault.fits(method, path)), None)
        if fault:
            fault.times -= 1
            self.injected += 1
        return fault

    def forget(self) -> None:
        """Forget faults, counters and evidence. Items and subscriptions stay."""
        self.faults.clear()
        self.injected = 0
        self.requests.clear()
        self.writes.clear()
        self.deliverer.forget()
