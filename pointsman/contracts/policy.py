"""Policy as it travels in workflow input: what was in force when the run started, whatever changes later."""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract
from pointsman.contracts.hooks import HookPolicy
from pointsman.contracts.models import ModelPolicy
from pointsman.contracts.process_control import ProcessControl
from pointsman.contracts.sync import SyncPolicy


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Match(Contract):
    """Which work items a rule means. Every named criterion must hold; an empty one holds always."""

    organisations: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    area_paths: tuple[str, ...] = ()
    """Each matches itself and what lies below it."""
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Any of them, case-insensitively, as Azure DevOps compares tags."""
    text: tuple[str, ...] = ()
    """Any of these words or phrases in title or description, case-insensitively."""


class MatchFacts(Contract):
    """What rules look at. A delivery carries it before the item is read."""

    organisation: str
    project: str
    area_path: str = ""
    type: str = ""
    tags: tuple[str, ...] = ()
    title: str = ""
    text: str = ""


class ScopeRule(Contract):
    name: str
    match: Match = Match()


class Route(Contract):
    """First match wins: order in the file is order of precedence."""

    name: str
    match: Match = Match()
    agent: str


class Limits(Contract):
    """Where a turn must stop and ask. Reaching one is an escalation, never a silent end."""

    steps: int = Field(default=20, gt=0)
    tool_calls: int = Field(default=50, gt=0)
    tokens: int = Field(default=400_000, gt=0)
    cost_usd: Decimal = Field(default=Decimal("1.00"), gt=0)
    wall_time: timedelta = timedelta(minutes=30)
    same_call: int = Field(default=3, gt=0)
    """How often one tool may be called with equal arguments."""


class LimitReached(Contract):
    """`value` and `limit` in the limit's own unit: calls, tokens, USD, seconds."""

    name: str
    value: str
    limit: str

    def __str__(self) -> str:
        return f"{self.name} reached {self.value} of {self.limit}"


class ToolServer(Contract):
    """An MCP server: a command spoken to over stdio, or a URL."""

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    timeout: timedelta = timedelta(seconds=30)


class AgentService(Contract):
    """A remote agent that takes the turns in place of a model of ours, spoken to over A2A."""

    url: str
    """Its card is at `/.well-known/agent-card.json` below it."""
    key: str = ""
    """Name of the variable that holds its credential; never the credential itself."""
    key_header: str = "Authorization"
    """Where the credential is sent: there as a bearer token, in any other header as it is."""
    hosts: tuple[str, ...] = ()
    """Hosts beside that of `url` that its card may lead to, with a port where it is not the usual one."""
    skills: tuple[str, ...] = ()
    """Skills that its card must name."""
    signed_by: str = ""
    """Whose keys its card must be signed with: the address of a JSON Web Key Set, or the file that it came from."""
    card_keys: str = ""
    """The key set itself as JSON, where policy has it as a file."""
    timeout: timedelta = timedelta(seconds=30)
    """Of one call. How long the work may take is the turn's limit."""
    progress_every: timedelta = timedelta(seconds=10)
    """At most so often its progress is told."""
    answer_bytes: int = Field(default=1_000_000, gt=0)
    """Longer answers are not read."""


class AgentPolicy(Contract):
    """Works with a model and a prompt here, or is a service elsewhere."""

    name: str
    description: str = ""
    model: str = ""
    """A model's name, or a tier: fast, balanced, premium."""
    prompt: str = ""
    """Content hash of the prompt's text."""
    service: AgentService | None = None
    tools: tuple[str, ...] = ()
    """Allowed tools as `server/tool`; `server/*` allows all of a server."""
    may_change: tuple[str, ...] = ()
    """Field reference names that this agent may propose to change. Anything else is dropped and said so."""
    needs_approval: tuple[str, ...] = ()
    """Field reference names of which a human must approve any change."""
    may_link: tuple[str, ...] = ()
    """Kinds of links that this agent may propose, by the names that people know: `Related`, `Pull Request`."""
    approve_links: tuple[str, ...] = ("Parent", "Child")
    """Of these a human must approve any: where an item belongs is not an agent's to say, unless policy says so."""
    approval_severity: Severity = Severity.MEDIUM
    limits: Limits = Limits()
    max_output_tokens: int = Field(default=8_000, gt=0)
    temperature: float | None = Field(default=None, ge=0, le=2)
    reasoning_effort: str = ""
    """none | minimal | low | medium | high | xhigh | max; empty: as the model does by itself."""


class Rung(Contract):
    """One rung of the ladder: whom to tell, and how long to wait for a decision before climbing on."""

    notify: tuple[str, ...]
    wait: timedelta


class Ladder(Contract):
    severity: Severity
    rungs: tuple[Rung, ...] = Field(min_length=1)


class Tenant(Contract):
    name: str
    organisations: tuple[str, ...]


class Policy(Contract):
    """All policy of one version. `hash` is SHA-256 over its canonical JSON without the hash itself, hex."""

    version: str
    hash: str = ""
    tenants: tuple[Tenant, ...] = ()
    scope: tuple[ScopeRule, ...] = ()
    """An item is in scope if any rule matches; without rules none is."""
    routes: tuple[Route, ...] = ()
    agents: tuple[AgentPolicy, ...] = ()
    tool_servers: tuple[ToolServer, ...] = ()
    ladders: tuple[Ladder, ...] = ()
    models: ModelPolicy = ModelPolicy()
    hooks: HookPolicy = HookPolicy()
    process: ProcessControl = ProcessControl()
    sync: SyncPolicy = SyncPolicy()

    def agent(self, name: str) -> AgentPolicy | None:
        return next((agent for agent in self.agents if agent.name == name), None)


class RoutingDecision(Contract):
    """Which agent gets the item, and by which rule. `agent` is empty when no rule matched: a human decides."""

    agent: str = ""
    rule: str = ""
    reason: str
    confidence: float = 1.0
