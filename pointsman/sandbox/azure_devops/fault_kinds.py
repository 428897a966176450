"""Faults by the names that people give them, in the service's own words."""

import json
from collections.abc import Mapping
from typing import Literal

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, changed_by_others, invalid

FaultKind = Literal["", "race", "throttled", "slowed", "unavailable", "query_timeout", "sign_in"]
RETRY_SECONDS = 5
RATE: Mapping[str, str] = {
    "Retry-After": str(RETRY_SECONDS),
    "X-RateLimit-Resource": "core/TSTU",
    "X-RateLimit-Limit": "200",
    "X-RateLimit-Remaining": "0",
}
"""What comes near the limit, also with answers that succeed."""
SIGN_IN_PAGE = "<!DOCTYPE html><html><head><title>Sign In</title></head><body>Sign in to continue.</body></html>"


def words_of(kind: FaultKind) -> dict[str, Json]:
    """Status, headers and body of a kind; what somebody gives beside the kind counts more."""
    if kind == "slowed":
        return {"headers": dict(RATE), "delay_seconds": 0.05}
    if kind == "sign_in":
        return {"status": 203, "content_type": "text/html", "body": SIGN_IN_PAGE}
    if kind == "unavailable":
        return {"status": 503, "content_type": "text/html", "body": "<html><body>Service Unavailable</body></html>"}
    if kind == "race":
        return _refusal(changed_by_others())
    if kind == "query_timeout":
        message = (
            "VS402335: The timeout period (30 seconds) elapsed prior to completion of the query or the server is not "
            "responding."
        )
        return _refusal(invalid(message, "WorkItemTrackingQueryTimeoutException"))
    if kind == "throttled":
        message = (
            "TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource "
            "'Concurrency' in namespace 'User'."
        )
        return {**_refusal(invalid(message, "RequestBlockedException", 429)), "headers": dict(RATE)}
    return {}


def _refusal(error: ServiceError) -> dict[str, Json]:
    return {"status": error.status, "body": json.dumps(error.body)}
