"""Settings of the model service, by the names that people know, from the environment and from a file `.env`."""

import ast
from collections.abc import Mapping
from datetime import timedelta
from inspect import cleandoc, getsource
from itertools import pairwise
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pointsman.llm.aws_profile import region_of_profile
from pointsman.llm.errors import LLMError
from pointsman.llm.registry import BUILT_IN

# Those of the tiers, at every provider (models.yaml); a test holds the two together.
ALLOWED_BY_DEFAULT = (
    "gpt-6-luna",
    "gpt-6.1-terra",
    "gpt-6.1-sol",
    "claude-haiku-5-5",
    "claude-sonnet-5-5",
    "claude-opus-5-5",
    "gemini-3.5-flash-lite",
    "gemini-3.8-flash",
    "gemini-4-argon",
    "mistral-small-2603",
    "mistral-medium-3-5",
    "mistral-large-4",
    "global.anthropic.claude-haiku-5-5",
    "global.anthropic.claude-sonnet-5-5",
    "global.anthropic.claude-opus-5-5",
    "azure/gpt-6-luna",
    "azure/gpt-6.1-terra",
    "azure/gpt-6.1-sol",
)

EMBEDDING_MODELS_BY_DEFAULT = (
    "text-embedding-3-small",
    "text-embedding-3-large",
    "gemini-embedding-2",
    "mistral-embed",
    "amazon.titan-embed-text-v2:0",
    "cohere.embed-v4:0",
    "multilingual-e5-small-q4",
)


class SettingsError(LLMError):
    """A setting cannot be used: names it, its value and what is allowed."""


def _web_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("allowed: an http:// or https:// URL with a host")
    if parts.password is not None:
        raise ValueError("allowed: a URL without a password in it")
    return value.rstrip("/")


REGION = r"^[a-z]{2,}(-[a-z]+)+-\d+$"
Names = Annotated[tuple[str, ...], NoDecode, Field(min_length=1)]
WebUrl = Annotated[str, AfterValidator(_web_url)]


class LLMSettings(BaseSettings):
    """Read once, where a service is made. Keys are never shown."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    openai_api_key: SecretStr | None = None
    """Key of OpenAI."""
    anthropic_api_key: SecretStr | None = None
    """Key of Anthropic."""
    google_api_key: SecretStr | None = None
    """Key of the Gemini API."""
    mistral_api_key: SecretStr | None = None
    """Key of Mistral."""
    openai_base_url: WebUrl | None = None
    """Another address of OpenAI's API, with its version: `https://gateway.example.com/v1`."""
    anthropic_base_url: WebUrl | None = None
    """Another address of Anthropic's API, without its version."""
    google_base_url: WebUrl | None = None
    """Another address of the Gemini API, without its version."""
    mistral_base_url: WebUrl | None = None
    """Another address of Mistral's API."""
    bedrock_base_url: WebUrl | None = None
    """Another address of Bedrock, as of a VPC endpoint."""
    azure_openai_api_key: SecretStr | None = None
    """Key of the resource at Azure OpenAI. Without one, Microsoft Entra ID is asked for tokens."""
    azure_openai_endpoint: WebUrl | None = None
    """`https://NAME.openai.azure.com`: Azure OpenAI is used where this is set."""
    aws_region: str | None = Field(default=None, pattern=REGION)
    """Bedrock is used where this, the next or the profile of AWS_PROFILE names a region; the AWS chain has its keys."""
    aws_default_region: str | None = Field(default=None, pattern=REGION)
    """Taken where AWS_REGION is not set."""

    allowed_models: Names = ALLOWED_BY_DEFAULT
    """Models that may be used, by name or pattern (`gpt-6*`), separated by commas; nothing else is ever sent."""
    llm_default_model: str = ""
    """For requests that name neither model nor tier. Empty: chosen by what the request asks for."""
    allowed_embedding_models: Names = EMBEDDING_MODELS_BY_DEFAULT
    """The same as ALLOWED_MODELS, for models of vectors."""
    llm_embedding_model: str = "text-embedding-3-small"
    """Makes the vectors of requests that name no model. Vectors of two models do not compare, so keep to one."""
    llm_request_timeout: float = Field(default=60.0, gt=0, le=3_600, allow_inf_nan=False)
    """Seconds that a provider may be silent."""
    llm_max_retries: int = Field(default=3, ge=0, le=100)
    """Repetitions after a fault that may pass, in direct use. In a workflow, Temporal repeats."""
    llm_rate_limit_max_retries: int = Field(default=5, ge=0, le=100)
    """Repetitions after a rate limit, in direct use."""
    llm_retry_exponential_base: float = Field(default=2.0, ge=1, le=10, allow_inf_nan=False)
    """Factor by which the longest pause grows with each repetition, up to 32 s."""
    llm_response_cache_seconds: float = Field(default=0, ge=0, le=31_536_000, allow_inf_nan=False)
    """For so long a whole answer is given again to the same question of the same tenant. 0: never."""
    llm_governance_log: Path | None = None
    """Folder of the governance log: a file a day. Without it, violations are in the log of the process alone."""
    llm_governance_log_days: int = Field(default=90, ge=90)
    """Days for which files of the governance log are kept."""
    llm_ledger_days: int = Field(default=400, ge=90, le=36_500)
    """Days for which the store keeps each attempt at a model and its cost. Sums for budgets stay for ever."""
    pointsman_models: Path = BUILT_IN
    """A file of models of your own, in place of the built-in one."""

    @field_validator("allowed_models", "allowed_embedding_models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @property
    def bedrock_region(self) -> str | None:
        """Where Bedrock is asked; None where it is not used."""
        return self.aws_region or self.aws_default_region or region_of_profile()

    @property
    def timeout(self) -> timedelta:
        return timedelta(seconds=self.llm_request_timeout)


def descriptions() -> Mapping[str, str]:
    """What each setting is for: the text below it in this file. Looked up when somebody asks, as that takes 40 ms."""
    (found,) = ast.parse(getsource(LLMSettings)).body
    assert isinstance(found, ast.ClassDef)
    return {
        field.target.id: cleandoc(str(told.value.value))
        for field, told in pairwise(found.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(told, ast.Expr) and isinstance(told.value, ast.Constant)
    }


def load_settings(env_file: Path | None = Path(".env")) -> LLMSettings:
    """The settings of this process.

    Raises:
        SettingsError: one of them cannot be used.
    """
    try:
        return LLMSettings(_env_file=env_file)
    except ValidationError as error:
        lines = [_complaint(fault["loc"], fault["input"], fault["msg"]) for fault in error.errors(include_url=False)]
    except (OSError, UnicodeDecodeError) as error:
        lines = [f"file {env_file} cannot be read: {error}"]
    raise SettingsError("; ".join(lines) + ". Nothing was started.")


def _complaint(where: tuple[int | str, ...], value: object, text: str) -> str:
    name = str(where[0]).upper()
    # Whoever writes a password into an address does not want to see it again.
    shown = "" if "KEY" in name or "@" in str(value) else f" is {value!r}"
    return f"setting {name}{shown}: {text.removeprefix('Value error, ')}"
