"""What a process needs before it starts. Unlike the rooms that serve, this loads at once: mistakes are told at once."""

from collections.abc import Collection

from pydantic import SecretStr

from pointsman.config import Misconfigured, Settings, variable
from pointsman.policies.loading import load


def check(settings: Settings, parts: Collection[str]) -> None:
    """Look for what would end the process at once, before anything is made, opened or written.

    Raises:
        PolicyError, Misconfigured: the text says what to do.
    """
    load(settings.policy_dir)
    if "worker" in parts:
        credentials(settings)


def credentials(settings: Settings) -> tuple[SecretStr, SecretStr]:
    """What activities need: the model provider's key, and Azure DevOps' token.

    Raises:
        Misconfigured: one of them is missing.
    """
    return (
        _needed(settings.openai_api_key, "openai_api_key", "the key of the model provider"),
        _needed(settings.azure_devops_token, "azure_devops_token", "a personal access token with Work Items (R&W)"),
    )


def _needed(secret: SecretStr | None, name: str, what: str) -> SecretStr:
    if secret is None:
        raise Misconfigured(f"{variable(name)} is not set: the worker needs {what}. Nothing was started.")
    return secret
