"""The key that a stand-in signs its card with: made anew with each, and known by its public half only."""

import json

from a2a.types import AgentCard
from a2a.utils.signing import create_agent_card_signer
from cryptography.hazmat.primitives.asymmetric import ec
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm

from pointsman.contracts.base import Json

ALGORITHM = "ES256"


class CardKey:
    """`kid` is the name by which the signature tells its key."""

    def __init__(self, kid: str = "sandbox") -> None:
        self.kid = kid
        self._private = ec.generate_private_key(ec.SECP256R1())

    def sign(self, card: AgentCard, key_set_url: str) -> None:
        """Add a signature to the card as it is now."""
        key = PyJWK(ECAlgorithm.to_jwk(self._private, as_dict=True), ALGORITHM)
        create_agent_card_signer(key, {"kid": self.kid, "alg": ALGORITHM, "jku": key_set_url, "typ": "JOSE"})(card)

    def public(self) -> dict[str, Json]:
        """The public half as a JSON Web Key."""
        return {**ECAlgorithm.to_jwk(self._private.public_key(), as_dict=True), "kid": self.kid, "use": "sig"}

    def key_set(self) -> str:
        """As a JSON Web Key Set, for policy."""
        return json.dumps({"keys": [self.public()]})
