"""Who signs the requests to Bedrock: credentials that were given, or those of the AWS chain."""

from pydantic import SecretStr

from pointsman.llm.errors import AuthenticationError
from pointsman.llm.keys import AWS_CHAIN
from pointsman.llm.types import Value


class AwsCredentials(Value):
    """An access key, and the token of its session where it is a temporary one. Shows no secret."""

    access_key_id: str
    secret_access_key: SecretStr
    session_token: SecretStr | None = None

    def secrets(self) -> tuple[str, ...]:
        """What must never be told."""
        token = self.session_token.get_secret_value() if self.session_token else ""
        return tuple(text for text in (self.secret_access_key.get_secret_value(), token) if text)


def credentials_of(key: SecretStr) -> AwsCredentials | None:
    """Credentials from one text, as keys are kept: `id:secret` or `id:secret:session token`. None: the AWS chain.

    Raises:
        AuthenticationError: it is neither of them.
    """
    if key == AWS_CHAIN:
        return None
    parts = key.get_secret_value().split(":")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise AuthenticationError(
            f"the key is {len(parts)} parts, not `access key id:secret` or `access key id:secret:session token`. "
            "Nothing was sent.",
            provider="bedrock",
        )
    token = SecretStr(parts[2]) if len(parts) == 3 else None
    return AwsCredentials(access_key_id=parts[0], secret_access_key=SecretStr(parts[1]), session_token=token)
