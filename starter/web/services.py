"""What the web process is made of: ports, settings it needs, and what readiness asks. The composition root fills it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from pointsman.contracts.policy import Policy
from pointsman.contracts.records import Tally
from pointsman.domain.admission import ALL, Admission
from pointsman.domain.deliveries import Heard
from pointsman.domain.sources import Network
from pointsman.observability.metrics import Metrics
from pointsman.ports import Audit, Escalations, Inbox, Items
from starter.chains import ChainBooks
from starter.web.rpc.endpoint import RpcServices


class Unfit(Exception):
    """A dependency answers, and is not fit for work. The text is for the public: no secret in it."""


@dataclass(frozen=True)
class IntakeSettings:
    """How deliveries are checked. Any of the secrets is valid, so that one can be rotated without losing events."""

    user: str
    secrets: tuple[SecretStr, ...]
    body_bytes_max: int
    admission: Admission = ALL
    sources: tuple[Network, ...] = ()
    """Whoever is not within one of them is refused; empty: nobody is."""
    proxies: tuple[Network, ...] = ()
    """Whose word on the caller's address counts."""
    read_timeout: timedelta = timedelta(seconds=30)
    store_timeout: timedelta = timedelta(seconds=15)

    @property
    def organisation(self) -> str:
        """Counts where a delivery names none; empty when there are several."""
        known = self.admission.organisations
        return known[0] if len(known) == 1 else ""


@dataclass(frozen=True)
class Check:
    """One dependency. `probe` returns a word about it, or raises; only a required one makes us unready."""

    name: str
    probe: Callable[[], Awaitable[str]]
    required: bool = True
    timeout: timedelta = timedelta(seconds=2)


@dataclass(frozen=True)
class Services:
    """Everything that the web process needs from outside of itself."""

    inbox: Inbox
    audit: Audit
    items: Items
    escalations: Escalations
    policy: Policy
    intake: IntakeSettings
    metrics: Metrics
    standing: Callable[[], Awaitable[Tally]]
    """Raises `Unavailable` when the store cannot say."""
    checks: tuple[Check, ...] = ()
    accepted: Callable[[str, Heard | None], None] = lambda delivery_id, heard: None
    """Called after each delivery that waits for its hand-over, with what it says where that was read."""
    ui_url: str = ""
    """Temporal's UI."""
    core_metrics_port: int = 0
    """Loopback port of a worker in this process; its metrics are served beside ours. 0 for none."""
    version: str = ""
    rpc: RpcServices = field(default_factory=RpcServices)
    chains: ChainBooks | None = None
    """Without them no chain is shown."""


def now() -> datetime:
    return datetime.now(UTC)
