"""Bedrock's faults as ours: its exceptions, what botocore and urllib3 raise, and what its streams report."""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import urllib3.exceptions
from botocore import exceptions, parsers
from botocore.eventstream import ParserError

from pointsman.llm.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextWindowExceededError,
    InvalidRequestError,
    InvalidResponseError,
    ModelNotAllowedError,
    ModelRetiredError,
    ProviderError,
    ProviderOverloadedError,
    ProviderTimeoutError,
    RateLimitedError,
)
from pointsman.llm.faults import ByText, Faults

# What a code leaves to the text (Amazon Bedrock user guide, "Troubleshooting API error codes").
_TOO_LONG = r"(?:input|prompt) is too long|exceeds? (?:the )?(?:model's )?(?:max\w* )?context"
_GONE = r"\bend of its life\b|marked by provider as legacy"
_NO_MODEL = r"model identifier is invalid|access to the model|on-demand throughput isn|model.*not (?:found|supported)"
_REFUSED = r"content filtering policy|blocked by (?:the )?guardrail"
_BY_TEXT: ByText = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (_TOO_LONG, ContextWindowExceededError),
        (_GONE, ModelRetiredError),
        (_NO_MODEL, ModelNotAllowedError),
        (_REFUSED, ContentRefusedError),
    )
)
_TEXT_DECIDES = frozenset({"ValidationException", "AccessDeniedException", "ResourceNotFoundException"})
# A refused signature is told with the request that it should have been made of, its session token included.
_CANONICAL = re.compile(r"\s*The Canonical String for this request.*", re.DOTALL)
_NO_CREDENTIALS = (
    exceptions.CredentialRetrievalError,
    exceptions.NoAuthTokenError,
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.ProfileNotFound,
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
)
SILENT = (exceptions.ReadTimeoutError, urllib3.exceptions.ReadTimeoutError, TimeoutError)
_LATE = (exceptions.ConnectTimeoutError, urllib3.exceptions.ConnectTimeoutError)
BROKEN = (exceptions.HTTPClientError, exceptions.ConnectionError, urllib3.exceptions.HTTPError, OSError)
UNREADABLE = (parsers.ResponseParserError, ParserError)


class BedrockFaults(Faults):
    by_text, vague = _BY_TEXT, _TEXT_DECIDES
    by_code: ClassVar[Mapping[str, type[ProviderError]]] = {
        "AccessDeniedException": AuthenticationError,
        "ConflictException": ProviderOverloadedError,
        "ExpiredTokenException": AuthenticationError,
        "IncompleteSignatureException": AuthenticationError,
        "InternalServerException": ProviderOverloadedError,
        "InvalidSignatureException": AuthenticationError,
        "MissingAuthenticationTokenException": AuthenticationError,
        "ModelErrorException": ProviderOverloadedError,
        "ModelNotReadyException": ProviderOverloadedError,
        "ModelStreamErrorException": ProviderOverloadedError,
        "ModelTimeoutException": ProviderTimeoutError,
        "OptInRequired": AuthenticationError,
        "ResourceNotFoundException": ModelNotAllowedError,
        "ServiceQuotaExceededException": RateLimitedError,
        "ServiceUnavailableException": ProviderOverloadedError,
        "ThrottlingException": RateLimitedError,
        "UnrecognizedClientException": AuthenticationError,
        "ValidationException": InvalidRequestError,
    }

    def __init__(self, provider: str, model: str, secrets: Sequence[str]) -> None:
        super().__init__(provider, model, "")
        self._secrets = secrets

    def safe(self, text: str) -> str:
        text = _CANONICAL.sub("", text)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return super().safe(text)

    def of_exception(self, error: Exception, request_id: str = "") -> ProviderError:
        """What came instead of an answer, or broke it."""
        match error:
            case exceptions.EventStreamError():
                return self._of_event(error, request_id)
            case exceptions.ClientError():
                return self._of_answer(error)
            case urllib3.exceptions.NewConnectionError() | exceptions.EndpointConnectionError():
                return self.not_reached(error, request_id)
        if isinstance(error, SILENT) and not isinstance(error, _LATE):
            return self.timed_out(request_id)
        if isinstance(error, BROKEN):
            return self.not_reached(error, request_id)
        if isinstance(error, _NO_CREDENTIALS):
            return self.make(AuthenticationError, f"no AWS credentials to sign with: {type(error).__name__}")
        if isinstance(error, UNREADABLE):
            return self.make(InvalidResponseError, f"an answer that cannot be read: {type(error).__name__}")
        # Its text may repeat the conversation.
        return self.make(InvalidRequestError, f"boto3 does not send this: {type(error).__name__}")

    def _of_answer(self, error: exceptions.ClientError) -> ProviderError:
        told, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        headers: Mapping[str, str] = meta.get("HTTPHeaders", {})
        code, reason = str(told.get("Code", "")), str(told.get("Message", "")) or "no message"
        return self.of_status(meta.get("HTTPStatusCode", 0), code, reason, headers, meta.get("RequestId", ""))

    def _of_event(self, error: exceptions.EventStreamError, request_id: str) -> ProviderError:
        """What came inside a stream: there is nothing to wait for."""
        told = error.response.get("Error", {})
        code, reason = str(told.get("Code", "")), str(told.get("Message", "")) or "no message"
        named = code[:1].upper() + code[1:]
        kind = self.kind_of(named, reason) or ProviderOverloadedError
        return self.make(kind, reason, code=named, request_id=request_id)
