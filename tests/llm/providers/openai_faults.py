"""How OpenAI says what is wrong, whichever of its APIs is asked."""

from collections.abc import Mapping

from pointsman.llm import errors
from pointsman.llm.errors import ProviderError
from tests.llm.wiring import Said

FAULTS: Mapping[type[ProviderError], Said] = {
    errors.RateLimitedError: Said(429, "rate_limit_exceeded"),
    errors.ProviderOverloadedError: Said(503, "server_is_overloaded"),
    errors.AuthenticationError: Said(401, "invalid_api_key"),
    errors.InvalidRequestError: Said(400, "unknown_parameter"),
    errors.ContextWindowExceededError: Said(400, "context_length_exceeded"),
    errors.ModelNotAllowedError: Said(404, "model_not_found"),
}
