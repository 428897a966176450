"""How the stand-in behaves as long as nobody tells it otherwise."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, SecretStr

# Name to context window in tokens, as the provider publishes them.
MODELS = {
    "gpt-6-luna": 1_050_000,
    "gpt-6.1-terra": 1_050_000,
    "gpt-6.1-sol": 1_050_000,
    "gpt-6-sol": 1_050_000,
    "gpt-6-astra": 1_050_000,
    "gpt-5-mini": 400_000,
    "gpt-4.1-mini": 1_047_576,
}


class ModelsConfig(BaseModel):
    """Keys that are accepted, models that exist, and the pace of an answer."""

    model_config = ConfigDict(frozen=True)

    api_keys: tuple[SecretStr, ...] = Field(min_length=1)
    models: dict[str, int] = Field(default_factory=lambda: dict(MODELS))
    first_token: timedelta = timedelta(milliseconds=120)
    """From the request to the first token."""
    chunk: timedelta = timedelta(milliseconds=8)
    """From one chunk of a few tokens to the next."""
