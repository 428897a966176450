"""Errors as Bedrock tells them: a message, and the type in a header."""

import re
from collections.abc import Mapping

from pointsman.sandbox.models.formats import ApiFault

BY_STATUS: Mapping[int, str] = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def fault(status: int, message: str, code: str | None = None) -> ApiFault:
    refused = ApiFault(status, message, {"message": message})
    refused.headers["x-amzn-errortype"] = f"{code or BY_STATUS.get(status, 'InternalServerException')}:"
    return refused


def invalid(message: str) -> ApiFault:
    return fault(400, message)


def of_model(refused: ApiFault) -> ApiFault:
    """What the model behind the service refuses, in the service's words."""
    said = str(refused)
    if refused.status == 404:
        return invalid("The provided model identifier is invalid.")
    if re.match(r"prompt is too long", said):
        return invalid("Input is too long for requested model.")
    return invalid(f"The model returned the following errors: {said}")
