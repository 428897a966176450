"""Settings of the model service, by the names that people know, from the environment and from a file `.env`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

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


class SettingsError(LLMError):
    """A setting cannot be used: names it, its value and what is allowed."""


class LLMSettings(BaseSettings):
    """Read once, where a service is made. Keys are never shown."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    google_api_key: SecretStr | None = None
    mistral_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    anthropic_base_url: str | None = None
    google_base_url: str | None = None
    mistral_base_url: str | None = None
    bedrock_base_url: str | None = None
    azure_openai_api_key: SecretStr | None = None
    azure_openai_endpoint: str | None = None
    """`https://NAME.openai.azure.com`. Without a key, Microsoft Entra ID is asked for tokens."""
    aws_region: str | None = None
    """Bedrock is used where this is set; its credentials are those of the AWS chain."""

    allowed_models: Annotated[tuple[str, ...], NoDecode] = ALLOWED_BY_DEFAULT
    """Names or patterns, separated by commas."""
    llm_default_model: str = ""
    """For requests that name neither model nor tier; empty: chosen by what the request asks for."""
    llm_request_timeout: float = Field(default=60.0, gt=0)
    """Seconds of silence."""
    llm_max_retries: int = Field(default=3, ge=0)
    llm_rate_limit_max_retries: int = Field(default=5, ge=0)
    llm_retry_exponential_base: float = Field(default=2.0, ge=1)
    llm_governance_log: Path | None = None
    """Folder of the governance log: a file a day. Without it, violations are in the log of the process alone."""
    llm_governance_log_days: int = Field(default=90, ge=90)
    """For so many days files of the governance log are kept."""
    pointsman_models: Path = BUILT_IN
    """The file of models."""

    @field_validator("allowed_models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @property
    def timeout(self) -> timedelta:
        return timedelta(seconds=self.llm_request_timeout)


def load_settings(env_file: Path | None = Path(".env")) -> LLMSettings:
    """The settings of this process.

    Raises:
        SettingsError: one of them cannot be used.
    """
    try:
        return LLMSettings(_env_file=env_file)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "_".join(str(step) for step in first["loc"]).upper()
        shown = "" if "KEY" in name else f" is {first['input']!r}"
        raise SettingsError(f"setting {name}{shown}: {first['msg']}. Nothing was started.") from None
