"""Keys of providers: found when a call is made, by tenant and user, and never a part of what is kept or logged."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from pointsman.llm.errors import AuthenticationError

OPERATOR = "operator"
# Stands for the credentials that the AWS chain finds (environment, profile, role): they are no text of ours.
AWS_CHAIN = SecretStr("aws-chain")


class Key(NamedTuple):
    """A secret, and the name that it may be spoken of by."""

    name: str
    secret: SecretStr


class Keys(Protocol):
    """Where keys are. Own keys of a tenant or user come before the operator's."""

    async def find(self, provider: str, tenant: str, user: str) -> Key:
        """Raises `AuthenticationError` where there is none."""


class OperatorKeys:
    """The operator's own keys, for everybody: those of the settings."""

    def __init__(self, keys: Mapping[str, SecretStr | None]) -> None:
        self._keys = {provider: key for provider, key in keys.items() if key is not None and key.get_secret_value()}

    def __repr__(self) -> str:
        return f"OperatorKeys({sorted(self._keys)})"

    async def find(self, provider: str, tenant: str, user: str) -> Key:
        if provider not in self._keys:
            given = ", ".join(sorted(self._keys)) or "no provider"
            raise AuthenticationError(
                f"no key for {provider}; there are keys for: {given}. Nothing was sent.", provider=provider
            )
        return Key(OPERATOR, self._keys[provider])
