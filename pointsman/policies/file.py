"""The shape of `policy.yaml`: contracts of policy with the durations and names that people write."""

import re
from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.json_schema import SkipJsonSchema

from pointsman.contracts.hooks import HookDetails, HookMessages
from pointsman.contracts.models import BudgetPeriod, BudgetScope
from pointsman.contracts.policy import Severity
from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.sync import FieldKind, FieldStrategy, SyncPolicy
from pointsman.domain.links import KINDS
from pointsman.policies.cron import checked_cron

DURATION = re.compile(r"^([1-9][0-9]{0,4})(s|m|h|d)$")
NEVER: Final = "never"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> object:
    found = DURATION.match(value) if isinstance(value, str) else None
    return timedelta(**{UNITS[found[2]]: int(found[1])}) if found else value


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION.pattern, "description": "for example 30s, 5m, 4h or 2d"}),
]
Name = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="at most 63 lower-case letters, digits and hyphens"),
]
Money = Annotated[
    str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$", description='US dollars in quotation marks, for example "1.50"')
]
Words = Annotated[str, Field(pattern=r"\S", description="text that is not blank")]
LinkName = Annotated[
    str, Field(pattern=rf"^({'|'.join(KINDS)})$", description=f"the name of a kind of links: {', '.join(KINDS)}")
]
FieldName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+$",
        description="a reference name such as Microsoft.VSTS.Common.Priority",
    ),
]
Tool = Annotated[
    str,
    Field(pattern=r"^[a-z0-9-]+/(\*|[A-Za-z0-9_.-]+)$", description="`server/tool`, or `server/*` for all of a server"),
]


ProviderName = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="a provider such as openai, or one of `models.servers`"),
]
KEY_NAMES = "the name of a variable that holds the key, such as OPENAI_KEY_OF_ALPHA; never the key itself"
KeyName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", description=KEY_NAMES)]


class Strict(BaseModel):
    """An unknown key is a mistake of the writer: it gets an error, not silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileMatch(Strict):
    organisations: list[Words] = []
    projects: list[Words] = []
    area_paths: list[Words] = []
    types: list[Words] = []
    tags: list[Words] = []
    text: list[Words] = []


class FileTenant(Strict):
    name: Name
    organisations: list[Words] = Field(min_length=1)


class FileScope(Strict):
    name: str = Field(min_length=1)
    match: FileMatch = FileMatch()


class FileRoute(Strict):
    name: str = Field(min_length=1)
    match: FileMatch = FileMatch()
    agent: Name


class FileLimits(Strict):
    steps: int = Field(default=20, ge=1, le=500)
    tool_calls: int = Field(default=50, ge=1, le=2_000)
    tokens: int = Field(default=400_000, ge=1)
    cost_usd: Money = "1.00"
    wall_time: Duration = timedelta(minutes=30)
    same_call: int = Field(default=3, ge=1)


class FileAgentService(Strict):
    url: str = Field(
        pattern=r"^https?://[^\s@/?#]+(/[^\s@?#]*)?$",
        description="https://HOST/PATH without user, password or question mark; http:// on this machine only",
    )
    key: str = Field(default="", pattern=r"^([A-Z][A-Z0-9_]*)?$", description=KEY_NAMES)
    key_header: str = Field(default="Authorization", pattern=r"^[A-Za-z][A-Za-z0-9-]*$", description="a header's name")
    hosts: list[Annotated[str, Field(pattern=r"^[^\s/@?#]+$", description="a host, or host:port")]] = []
    skills: list[Words] = []
    signed_by: str = Field(
        default="",
        pattern=r"^(https?://[^\s@/?#]+/[^\s@?#]*|(\w[\w.-]*/)*\w[\w.-]*)?$",
        description="https://HOST/PATH of a JSON Web Key Set, or its file beside policy.yaml",
    )
    timeout: Duration = timedelta(seconds=30)
    progress_every: Duration = timedelta(seconds=10)
    answer_bytes: int = Field(default=1_000_000, ge=1_000, le=50_000_000)


class FileAgent(Strict):
    """With model and prompt, or a service elsewhere."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["model", "prompt"]}, {"required": ["service"]}]}
    )

    name: Name
    description: str = ""
    model: str = Field(default="", min_length=1)
    prompt: Name = ""
    service: FileAgentService | SkipJsonSchema[None] = None
    tools: list[Tool] = []
    may_change: list[FieldName] = []
    needs_approval: list[FieldName] = []
    may_link: list[LinkName] = []
    approve_links: list[LinkName] = ["Parent", "Child"]
    approval_severity: Severity = Severity.MEDIUM
    limits: FileLimits = FileLimits()
    max_output_tokens: int = Field(default=8_000, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    reasoning_effort: Literal["", "none", "minimal", "low", "medium", "high", "xhigh", "max"] = ""


class FileToolServer(Strict):
    name: Name
    command: list[str] = []
    url: str = Field(default="", pattern=r"^(https?://\S+)?$", description="http:// or https://")
    timeout: Duration = timedelta(seconds=30)


class FileRung(Strict):
    notify: list[Name] = Field(min_length=1)
    wait: Duration


class FileLadder(Strict):
    severity: Severity
    rungs: list[FileRung] = Field(min_length=1, max_length=20)


class FileBudget(Strict):
    scope: BudgetScope
    account: str = ""
    tokens: int | None = Field(default=None, ge=0)
    cost_usd: Money | None = None
    hard: bool = True
    period: BudgetPeriod = BudgetPeriod.EVER
    tenant: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$", description="the name of a tenant")

    @model_validator(mode="after")
    def _names_a_tenant_once(self) -> Self:
        if self.tenant and self.scope is BudgetScope.TENANT:
            raise ValueError(f"tenant {self.tenant!r} of scope `tenant`: name it as `account`")
        return self


class FileRate(Strict):
    provider: ProviderName
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)


class FileKey(Strict):
    provider: ProviderName
    tenant: Name
    user: str = ""
    key: KeyName


class FileQuota(Strict):
    tenant: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$", description="the name of a tenant")
    user: str = ""
    tokens: int | None = Field(default=None, ge=0)
    cost_usd: Money | None = None
    period: BudgetPeriod = BudgetPeriod.EVER


class FileServedModel(Strict):
    name: Words
    window: int = Field(ge=1)
    output_max: int = Field(ge=1)
    can: list[Literal["tools", "images", "documents", "reasoning", "schema", "cache"]] = []
    tier: Literal["", "fast", "balanced", "premium"] = ""


class FileServer(Strict):
    name: ProviderName
    base_url: str = Field(pattern=r"^https?://\S+$", description="http:// or https://")
    key: str = Field(default="", pattern=r"^([A-Z][A-Z0-9_]*)?$", description=KEY_NAMES)
    models: list[FileServedModel] = Field(min_length=1)


class FileModels(Strict):
    prefer: list[ProviderName] = []
    fallbacks: dict[str, list[Words]] = {}
    budgets: list[FileBudget] = []
    rates: list[FileRate] = []
    keys: list[FileKey] = []
    hosted: list[FileQuota] = []
    servers: list[FileServer] = []
    deployments: dict[str, Words] = {}


class FileHookRule(Strict):
    name: str = Field(min_length=1)
    events: list[Words] = Field(min_length=1)
    organisations: list[Words] = []
    projects: list[Words] = []
    filters: dict[str, Words] = {}


class FileHooks(Strict):
    subscriptions: list[FileHookRule] = []
    resource_version: Literal["1.0", "5.1-preview.3"] = "5.1-preview.3"
    details: HookDetails = HookDetails.ALL
    messages: HookMessages = HookMessages.ALL
    reread: bool = False


class FileBreaker(Strict):
    writes: int = Field(default=20, ge=1, le=1_000)
    within: Duration = timedelta(minutes=10)


class FileRepair(Strict):
    lost_events: bool = True
    lost_writes: bool = True


class FileSync(Strict):
    kinds: dict[FieldKind, FieldStrategy] = SyncPolicy().kinds
    fields: dict[FieldName, FieldStrategy] = {}
    default: FieldStrategy = FieldStrategy.ESCALATE
    breaker: FileBreaker = FileBreaker()
    attempts: int = Field(default=5, ge=1, le=50)
    status_comment: bool = False
    repair: FileRepair = FileRepair()
    grace: Duration = timedelta(days=30)


class FileOnOpen(Strict):
    severity: CheckSeverity = CheckSeverity.CRITICAL
    notify: list[Name] = []
    comment: bool = False
    escalate: bool = False


class FileCheckedProject(Strict):
    organisation: Words
    project: Words
    process: Words


class FileProcess(Strict):
    enforce_from: CheckSeverity | None = None
    rewrites: int = Field(default=2, ge=0, le=20)
    on_events: bool = False
    every: Duration | Literal["never"] = NEVER
    cron: Annotated[str, AfterValidator(checked_cron)] = Field(
        default="",
        description="five fields as cron has them, for example 0 3 * * 1-5",
        json_schema_extra={"pattern": r"^(\S+( \S+){4})?$"},
    )
    projects: list[FileCheckedProject] = []
    on_open: list[FileOnOpen] = []


class PolicyFile(Strict):
    """All of `policy.yaml`."""

    version: str = Field(min_length=1)
    tenants: list[FileTenant] = []
    scope: list[FileScope] = []
    routes: list[FileRoute] = []
    agents: list[FileAgent] = Field(min_length=1)
    tool_servers: list[FileToolServer] = []
    ladders: list[FileLadder] = []
    models: FileModels = FileModels()
    hooks: FileHooks = FileHooks()
    sync: FileSync = FileSync()
    process: FileProcess = FileProcess()
