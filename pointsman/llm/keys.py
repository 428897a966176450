"""Keys of providers: found when a call is made, by tenant and user, and never a part of what is kept or logged."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from pointsman.llm.errors import AuthenticationError

OPERATOR = "operator"
# Stands for the credentials that the AWS chain finds (environment, profile, role): they are no text of ours.
AWS_CHAIN = SecretStr("aws-chain")
# Stands for tokens of Microsoft Entra ID, which a credential of azure-identity is asked for.
ENTRA = SecretStr("entra")

# What to set for each provider, by the names that people know.
KEY_VARIABLES: Mapping[str, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GOOGLE_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "bedrock": "AWS_REGION",
    "azure_openai": "AZURE_OPENAI_ENDPOINT",
}


def limit_of(circuit: str) -> str:
    """What limits of a circuit's key go by: its provider where the key is the operator's, else provider and key.

    An own key has limits of its own: whoever uses one up makes nobody else wait, and policy speaks of the operator's.
    """
    provider, _, key = circuit.partition("/")
    return provider if key == OPERATOR else circuit


class Key(NamedTuple):
    """A secret, and the name that it may be spoken of by."""

    name: str
    secret: SecretStr


def how_to_set(provider: str) -> str:
    """What is to be set, to go on a sentence; empty for an operator's own server."""
    return f": set {KEY_VARIABLES[provider]}" if provider in KEY_VARIABLES else ""


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
                f"no key for {provider}{how_to_set(provider)}; there are keys for: {given}. Nothing was sent.",
                provider=provider,
            )
        return Key(OPERATOR, self._keys[provider])

    def has(self, provider: str, tenant: str = "", user: str = "") -> bool:
        """Whether a call would find a key."""
        return provider in self._keys


class KeyReference(NamedTuple):
    """Whose key it is, and its name. No tenant: everybody's, as the key of a server of the operator's own."""

    provider: str
    key: str
    tenant: str = ""
    user: str = ""


class ReferencedKeys:
    """Keys by their names, looked up when a call is made: a user's before the tenant's, before the operator's.

    `resolve` finds a secret by its name; None where there is none. A name that leads nowhere is an error, never a
    reason to let the operator pay.
    """

    def __init__(
        self, references: Sequence[KeyReference], resolve: Callable[[str], SecretStr | None], operator: OperatorKeys
    ) -> None:
        self._references = {(one.provider, one.tenant, one.user): one.key for one in references}
        self._resolve = resolve
        self._operator = operator

    def __repr__(self) -> str:
        return f"ReferencedKeys({sorted(set(self._references.values()))}, {self._operator!r})"

    async def find(self, provider: str, tenant: str, user: str) -> Key:
        name, is_own = self._named(provider, tenant, user)
        if not name:
            return await self._operator.find(provider, tenant, user)
        secret = self._resolve(name)
        if secret is None or not secret.get_secret_value():
            whose = f"tenant {tenant!r}, user {user!r}" if is_own else "the operator"
            raise AuthenticationError(
                f"the key {name} of {whose} for {provider} is not set. Nothing was sent; set it where the keys of "
                "this process are, or take it out of `models.keys` of the policy.",
                provider=provider,
            )
        return Key(name if is_own else OPERATOR, secret)

    def has(self, provider: str, tenant: str = "", user: str = "") -> bool:
        """Whether a call would find a key, or should."""
        return bool(self._named(provider, tenant, user)[0]) or self._operator.has(provider)

    def _named(self, provider: str, tenant: str, user: str) -> tuple[str, bool]:
        """Name of the key, and whether it is the caller's own."""
        own = [(tenant, user), (tenant, "")] if tenant else []
        for whose in own:
            if name := self._references.get((provider, *whose)):
                return name, True
        return self._references.get((provider, "", ""), ""), False
