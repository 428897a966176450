"""Who calls: by bearer token (RFC 6750), and for whom a token speaks.

An entry of the setting is `TOKEN`, `TENANT:TOKEN` or `TENANT/USER:TOKEN`. Several entries may name the same tenant, so
that one can be replaced without refusing anybody.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from pydantic import SecretStr

from pointsman.domain.routing import DEFAULT_TENANT


@dataclass(frozen=True)
class Caller:
    """Whose data it is, and by which token. Two callers are the same if they came with the same token."""

    tenant: str
    user: str = ""
    """Empty where the token speaks for a whole tenant: its caller says which of the users it is."""
    token_digest: bytes = field(default=b"", repr=False)


class Callers:
    """Takes as long for a wrong token as for a right one, and for each of them."""

    def __init__(self, entries: Sequence[SecretStr] = ()) -> None:
        self._known = [_caller(entry) for entry in entries]

    def __bool__(self) -> bool:
        return bool(self._known)

    def of(self, authorization: str) -> Caller | None:
        """The caller with this header; None where its token is not ours."""
        presented = _digest(_bearer(authorization))
        found: Caller | None = None
        for known in self._known:  # no early exit: the time must not tell which token matched
            found = known if hmac.compare_digest(presented, known.token_digest) else found
        return found


def tokens_of(entries: Sequence[SecretStr]) -> list[SecretStr]:
    """The tokens alone, for those who keep them out of logs."""
    return [SecretStr(_parts(entry)[1]) for entry in entries]


def token_for(entries: Sequence[SecretStr], tenant: str = "", user: str = "") -> SecretStr | None:
    """The first token that may speak for them, for who asks a service with one of these; None where there is none."""
    for entry in entries:
        caller = _caller(entry)
        if tenant in ("", caller.tenant) and (not user or caller.user in ("", user)):
            return SecretStr(_parts(entry)[1])
    return None


def _caller(entry: SecretStr) -> Caller:
    name, token = _parts(entry)
    tenant, _, user = name.partition("/")
    return Caller(tenant or DEFAULT_TENANT, user, _digest(token))


def _parts(entry: SecretStr) -> tuple[str, str]:
    """Name and token; tokens have no colon."""
    name, _, token = entry.get_secret_value().rpartition(":")
    return name, token


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


def _digest(text: str) -> bytes:
    # Of equal length whatever was sent, or the comparison would tell the length of the token.
    return sha256(text.encode("utf-8", "replace")).digest()
