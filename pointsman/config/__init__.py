"""Settings of every process: from the environment, from files that hold secrets, from one TOML file, or the default.

Precedence: argument, `POINTSMAN_<NAME>`, `POINTSMAN_<NAME>_FILE`, the TOML file, default. An empty variable counts as
unset. Only `worker.py` and `starter/` import this module: everything else is handed what it needs.
"""

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from platformdirs import user_config_path, user_data_path
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from pointsman.config.organisations import Organisation, organisations
from pointsman.config.values import (
    Address,
    AuthKind,
    DatabaseUrl,
    EntraId,
    HookSecret,
    NetworkText,
    NotifyUrl,
    OrganisationUrl,
    OwnPath,
    RpcToken,
    ServerRelease,
    SubscriptionId,
    WebUrl,
    entries,
    sqlite_in,
)

PREFIX = "POINTSMAN_"
CONFIG_FILE_VARIABLE = f"{PREFIX}CONFIG_FILE"
# Read by other modules straight from the environment, because they are needed before or without settings.
OTHER_VARIABLES = frozenset(
    {
        CONFIG_FILE_VARIABLE,
        *(PREFIX + name for name in ("TEMPORAL_BIN", "CACHE_DIR", "AZURE_SPECS", "COMPLETE", "MODELS")),
    }
)
MASK = "********"
KIB = 1024


class Misconfigured(Exception):
    """One or more settings are wrong. The text names variable, value (never a secret's) and what is allowed."""


@dataclass(frozen=True)
class Explained:
    """One setting for people: `value` is masked where it is secret, `origin` says who set it."""

    name: str
    variable: str
    value: str
    origin: str
    description: str
    secret: bool


class Settings(BaseSettings):
    """What a process is told from outside. `explain()` says where each value came from."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", validate_default=True)

    data_dir: OwnPath = Field(
        default_factory=lambda: user_data_path("pointsman"),
        description="Folder of everything that Pointsman keeps on disk: database, keys, local Temporal state.",
    )
    database_url: DatabaseUrl = Field(
        default_factory=lambda known: sqlite_in(known.get("data_dir", "")),
        description="SQLAlchemy URL of the store: SQLite for one process, PostgreSQL (psycopg) for more.",
    )
    temporal_address: Address = Field(
        default="127.0.0.1:7233", description="Host and port of Temporal's gRPC frontend."
    )
    temporal_namespace: str = Field(default="default", min_length=1, description="Temporal namespace.")
    task_queue: str = Field(
        default="pointsman", min_length=1, description="Task queue of our workflows and activities."
    )
    web_host: str = Field(default="127.0.0.1", min_length=1, description="Address that the web process listens on.")
    web_port: int = Field(default=8080, ge=0, le=65_535, description="Port of the web process; 0 takes a free one.")
    public_url: WebUrl = Field(default="", description="URL under which Azure DevOps reaches the web process.")
    ui_url: WebUrl = Field(default="http://127.0.0.1:8233", description="URL of Temporal's UI, for links.")
    webhook_user: str = Field(
        default="pointsman", min_length=1, pattern=r"^[^:]+$", description="User name that deliveries come with."
    )
    webhook_secrets: Annotated[tuple[HookSecret, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(),
        description="Passwords that deliveries may come with, comma separated; two while a secret is being rotated.",
    )
    webhook_subscriptions: Annotated[tuple[SubscriptionId, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(),
        description="Ids of subscriptions whose deliveries have an effect; those of others are only kept. Empty: all.",
    )
    webhook_sources: Annotated[tuple[NetworkText, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(),
        description="Addresses or networks that deliveries may come from; any other is refused, which puts its "
        "subscription on probation. Empty: from anywhere.",
    )
    webhook_trusted_proxies: Annotated[tuple[NetworkText, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(),
        description="Addresses or networks of reverse proxies whose `X-Forwarded-For` is believed. Empty: of none.",
    )
    azure_devops_url: Annotated[tuple[OrganisationUrl, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(),
        description="URLs of the organisations, comma separated, for example https://dev.azure.com/fabrikam.",
    )
    azure_devops_auth: Annotated[tuple[AuthKind, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(),
        description="How Pointsman proves who it is: `token`, or an account of Entra by `default` (whatever is there), "
        "`managed_identity`, `client_secret` or `workload_identity`. As the settings after it, one value for all "
        "organisations, or `ORGANISATION:VALUE`, comma separated. Empty: `token`.",
    )
    azure_devops_token: SecretStr | None = Field(
        default=None, description="Personal access token of the account that Pointsman reads and writes as."
    )
    azure_devops_tenant_id: Annotated[tuple[EntraId, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(), description="Entra tenant of the service principal or workload identity."
    )
    azure_devops_client_id: Annotated[tuple[EntraId, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(), description="Client id of the service principal, or of an identity that a user assigned."
    )
    azure_devops_client_secret: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(), description="Client secret of the service principal."
    )
    azure_devops_server: Annotated[tuple[ServerRelease, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(),
        description="Release of Azure DevOps Server (`2019`, `2020`, `2022`, `2022.1`) where a URL is a collection of "
        "one; calls then ask for the API that it knows.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None, description="Key of the OpenAI API; comes before `OPENAI_API_KEY`, which serves as well."
    )
    openai_base_url: WebUrl = Field(
        default="",
        description="Other base URL of the OpenAI API; comes before `OPENAI_BASE_URL`. Empty for OpenAI's own.",
    )
    policy_dir: OwnPath | None = Field(default=None, description="Folder with your own policy, over the built-in one.")
    key_dir: OwnPath = Field(
        default_factory=lambda known: Path(known.get("data_dir", "")) / "keys",
        description="Folder of the keys that sign checkpoints of the audit log.",
    )
    notify_webhook: NotifyUrl | None = Field(
        default=None, description="URL that escalations are announced to by POST; often holds a token."
    )
    webhook_max_bytes: int = Field(
        default=2_304 * KIB,
        ge=KIB,
        le=64 * KIB * KIB,
        description="Largest delivery in bytes: 2 MiB, the limit of Azure DevOps, and 256 KiB for the envelope.",
    )
    rpc_tokens: Annotated[tuple[RpcToken, ...], NoDecode, BeforeValidator(entries)] = Field(
        default=(),
        description="Bearer tokens of those who may call models over JSON-RPC, comma separated, each `TOKEN`, "
        "`TENANT:TOKEN` or `TENANT/USER:TOKEN`; two of the same name while one is being replaced. None: it is off.",
    )
    rpc_max_bytes: int = Field(
        default=8_192 * KIB, ge=KIB, le=64 * KIB * KIB, description="Largest body of a JSON-RPC request in bytes."
    )
    dispatch_max_attempts: int = Field(
        default=10, ge=1, le=1_000, description="Attempts to hand a delivery over before it counts as dead."
    )
    recover_every_minutes: int = Field(
        default=15, ge=0, le=1_440, description="How often lost events are looked for; 0 leaves it to the command."
    )
    recover_after_minutes: int = Field(
        default=5, ge=1, le=1_440, description="Lost events are looked for at once after being away for so long."
    )
    reconcile_every_minutes: int = Field(
        default=360, ge=0, le=10_080, description="How often projects are compared with our books; 0: by command only."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    log_format: Literal["json", "console"] = Field(default="json", description="One JSON object a line, or for people.")
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Loopback port of the worker's own metrics. 0: a free one where `/metrics` of the web process has "
        "them, and none where a worker runs alone.",
    )
    origins: dict[str, str] = Field(default_factory=dict, exclude=True, repr=False)
    """Who set what, by name of the setting; those not in here have their default."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # One source instead of three, because it also has to say which of them each value came from.
        return (init_settings, _Surroundings(settings_cls))

    def organisations(self) -> tuple[Organisation, ...]:
        """The organisations with their credentials.

        Raises:
            ValueError: settings contradict each other; `load` has told that already.
        """
        plain = {name: getattr(self, name) for name in _ORGANISATIONS_PLAIN}
        tokens = entries(self.azure_devops_token.get_secret_value()) if self.azure_devops_token else ()
        assert isinstance(tokens, tuple)
        secret = {
            "azure_devops_token": tuple(SecretStr(token) for token in tokens),
            "azure_devops_client_secret": self.azure_devops_client_secret,
        }
        variables = {name: variable(name) for name in ("azure_devops_url", *plain, *secret)}
        return organisations(self.azure_devops_url, plain, secret, variables)

    def explain(self) -> tuple[Explained, ...]:
        """Every setting with its value (secrets masked) and who set it."""
        return tuple(
            Explained(
                name=name,
                variable=variable(name),
                value=_shown(name, getattr(self, name)),
                origin=self.origins.get(name, "default"),
                description=field.description or "",
                secret=name in SECRETS,
            )
            for name, field in _fields()
        )


SECRETS = frozenset(
    {
        *("database_url", "webhook_secrets", "azure_devops_token", "azure_devops_client_secret"),
        *("openai_api_key", "notify_webhook", "rpc_tokens"),
    }
)
_ORGANISATIONS_PLAIN = (
    *("azure_devops_auth", "azure_devops_tenant_id", "azure_devops_client_id", "azure_devops_server"),
)


def load(**given: object) -> Settings:
    """Settings from arguments (None counts as not given), environment and files.

    Raises:
        Misconfigured: every wrong setting, one a line.
    """
    told = {name: value for name, value in given.items() if value is not None}
    if unknown := sorted(told.keys() - dict(_fields()).keys()):
        raise Misconfigured(f"no such setting: {', '.join(unknown)}")
    try:
        settings = Settings.model_validate({**told, "origins": dict.fromkeys(told, "argument")})
    except ValidationError as error:
        raise Misconfigured(_complaint(error)) from None  # the cause would show the values of secrets
    try:
        settings.organisations()
    except ValueError as error:
        raise Misconfigured(f"{error}\nnext: pointsman config explain") from None
    return settings


def variable(name: str) -> str:
    """Environment variable of a setting."""
    return PREFIX + name.upper()


def config_file() -> Path:
    """The TOML file: named by POINTSMAN_CONFIG_FILE, or the user's own."""
    named = os.environ.get(CONFIG_FILE_VARIABLE, "")
    return Path(named).expanduser() if named else user_config_path("pointsman") / "config.toml"


def unknown_variables() -> list[str]:
    """Variables that look like ours and mean nothing, most likely misspelt."""
    known = OTHER_VARIABLES | {variable(name) for name, _ in _fields()} | {_file_variable(name) for name in SECRETS}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def reference_markdown() -> str:
    """Every setting as a Markdown table: the configuration reference."""
    lines = ["| Variable | Default | What it is |", "| --- | --- | --- |"]
    for name, field in _fields():
        secret = f" Secret: `{_file_variable(name)}` may name a file that holds it." if name in SECRETS else ""
        lines.append(f"| `{variable(name)}` | {_default(name, field)} | {field.description}{secret} |")
    return "\n".join(lines) + "\n"


class _Surroundings(PydanticBaseSettingsSource):
    """Environment, files of secrets and the TOML file, in this precedence, with who said what."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:
        return _told(field_name, {})[0], field_name, False

    def __call__(self) -> dict[str, object]:
        file = _read_config_file()
        values: dict[str, object] = {}
        origins: dict[str, str] = {}
        for name, _ in _fields():
            value, origin = _told(name, file)
            if value is not None:
                values[name], origins[name] = value, origin
        return {**values, "origins": origins}


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    return ((name, field) for name, field in Settings.model_fields.items() if name != "origins")


def _told(name: str, file: dict[str, object]) -> tuple[object, str]:
    if value := os.environ.get(variable(name), ""):
        return value, f"environment {variable(name)}"
    if name in SECRETS:
        if path := os.environ.get(_file_variable(name), ""):
            return _secret_in(Path(path), _file_variable(name)), f"file {path} ({_file_variable(name)})"
        if path := str(file.get(f"{name}_file", "")):
            return _secret_in(Path(path), f"{name}_file in {config_file()}"), f"file {path} ({config_file()})"
    if name in file:
        return file[name], f"file {config_file()}"
    return None, ""


def _file_variable(name: str) -> str:
    return f"{variable(name)}_FILE"


def _secret_in(path: Path, told_by: str) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{told_by}: cannot read {str(path)!r}: {error}; allowed: a readable text file") from error


def _read_config_file() -> dict[str, object]:
    path = config_file()
    if not path.is_file():
        if os.environ.get(CONFIG_FILE_VARIABLE, ""):
            raise Misconfigured(f"{CONFIG_FILE_VARIABLE}: there is no file {str(path)!r}")
        return {}
    try:
        found: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path}: cannot be read as TOML: {error}") from error
    _check_config_file(path, found)
    return found


def _check_config_file(path: Path, found: dict[str, object]) -> None:
    names = {name for name, _ in _fields()}
    allowed = names - SECRETS | {f"{name}_file" for name in SECRETS}
    for key in sorted(found.keys() - allowed):
        if key in SECRETS:
            raise Misconfigured(
                f"{path}: {key} may hold a secret and does not belong into this file; "
                f"allowed: {key}_file with a path, or {variable(key)}"
            )
        raise Misconfigured(f"{path}: unknown key {key!r}; allowed: {', '.join(sorted(allowed))}")


def _complaint(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False):
        if fault["type"] == "default_factory_not_called":
            continue  # only says that another setting is wrong
        name = str(fault["loc"][0]) if fault["loc"] else ""
        shown = MASK if name in SECRETS or "password" in fault["msg"] else repr(fault["input"])
        lines.append(f"{variable(name)}: {shown} is not valid: {fault['msg'].removeprefix('Value error, ')}")
    return "\n".join([*lines, "next: pointsman config explain"])


def _shown(name: str, value: object) -> str:
    if value is None or value == () or value == "":
        return ""
    if name == "database_url" and isinstance(value, SecretStr):
        return _without_password(value.get_secret_value())
    if name in SECRETS:
        return ", ".join([MASK] * len(value)) if isinstance(value, tuple) else MASK
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user_and_host = parts.netloc.replace(f":{parts.password}@", f":{MASK}@", 1)
    return urlunsplit(parts._replace(netloc=user_and_host, query=""))


def _default(name: str, field: FieldInfo) -> str:
    # Told in words, because these depend on the machine that writes the reference.
    folders = {"data_dir": "the user's data folder", "database_url": "SQLite in the data folder"}
    if field.default_factory is not None:
        return folders.get(name, f"`{name.removesuffix('_dir')}s` in the data folder")
    return f"`{_shown(name, field.default)}`" if _shown(name, field.default) else "not set"
