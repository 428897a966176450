"""Signatures of agent cards: a JWS over the card's canonical form (A2A 1.0, section 8.4), by a key that policy names.

Where the card itself says that its keys are (`jku`) is not looked: whoever forges a card writes that, too.
"""

import json
from collections.abc import Callable

from a2a.types import AgentCard
from a2a.utils.signing import SignatureVerificationError, create_signature_verifier
from jwt import PyJWK
from jwt.exceptions import InvalidKeyError, PyJWTError

from pointsman.contracts.base import Json
from pointsman.contracts.policy import AgentService
from pointsman.domain.texts import clean
from pointsman.ports import Rejected

ALGORITHMS = ["ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]
"""Of keys of which one half is public: with a shared secret, whoever checks a card could sign one."""
KIDS_SHOWN = 5


def check_signature(card: AgentCard, service: AgentService, keys: str, place: str) -> None:
    """`keys` is a JWKS. One signature that holds is enough.

    Raises:
        Rejected: of code `CardNotSigned`; nothing but the card was asked for by then.
    """
    known = _known(keys, service, place)
    if not card.signatures:
        raise _refused(service, place, "the card carries no signature")
    try:
        create_signature_verifier(_finder(known), ALGORITHMS)(card)
    except (SignatureVerificationError, ValueError, TypeError, RecursionError) as error:
        named = ", ".join(sorted(clean(kid) or "(no name)" for kid in known)[:KIDS_SHOWN])
        why = f"no signature of the card is by a key of it ({named}) and fits what the card says"
        raise _refused(service, place, why) from error


def _finder(known: dict[str, PyJWK]) -> Callable[[str | None, str | None], PyJWK]:
    def find(kid: str | None, _: str | None) -> PyJWK:
        if kid not in known:
            raise InvalidKeyError("policy names no such key")
        return known[kid]

    return find


def _known(keys: str, service: AgentService, place: str) -> dict[str, PyJWK]:
    """Keys by their `kid`, those that can check a signature of a card."""
    try:
        content: Json = json.loads(keys)
    except (ValueError, RecursionError):
        content = None
    listed = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise _refused(service, place, "that is no JSON Web Key Set")
    found = [one for one in map(_key, listed) if one is not None]
    if not found:
        raise _refused(service, place, "no key there can check a signature")
    return {key.key_id or "": key for key in reversed(found)}


def _key(content: Json) -> PyJWK | None:
    if not isinstance(content, dict) or content.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK.from_dict(content)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None  # of a kind that is not known here; others may stand beside it
    return key if key.algorithm_name in ALGORITHMS else None


def _refused(service: AgentService, place: str, why: str) -> Rejected:
    return Rejected(
        f"{place}: policy wants the card signed by a key of {service.signed_by}: {why}; nothing was sent. Ask who runs "
        "the service; change `signed_by` of it only if its key has changed",
        code="CardNotSigned",
    )
