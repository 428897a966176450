"""Signatures of AWS, version 4, checked by computing them again ("Signature Version 4 signing process").

Credentials: the access key id is `ACCESS_KEY_ID` for everybody, and each of `ModelsConfig.api_keys` is a secret of it.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

from pointsman.sandbox.models.bedrock_converse.faults import fault
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.formats import Sent

ACCESS_KEY_ID = "SANDBOX-ACCESS-KEY"
SKEW_MAX = timedelta(minutes=15)
SERVICE = "bedrock"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/,]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, *"
    r"SignedHeaders=(?P<headers>[^,]+), *Signature=(?P<signature>[0-9a-f]{64})"
)


class _Scope(NamedTuple):
    day: str
    region: str
    service: str


def check_signature(sent: Sent, config: ModelsConfig) -> None:
    """Raises 403 unless the request is signed, now, with one of the secrets."""
    found = _AUTHORIZATION.fullmatch(sent.headers.get("authorization", ""))
    if found is None:
        raise fault(403, "Missing Authentication Token", "MissingAuthenticationTokenException")
    moment = sent.headers.get("x-amz-date", "")
    _check_time(moment)
    if found["id"] != ACCESS_KEY_ID:
        raise fault(403, "The security token included in the request is invalid.", "UnrecognizedClientException")
    scope = _Scope(found["day"], found["region"], found["service"])
    canonical = _canonical(sent, found["headers"])
    digest = sha256(canonical.encode()).hexdigest()
    told = "\n".join(("AWS4-HMAC-SHA256", moment, f"{'/'.join(scope)}/aws4_request", digest))
    signatures = [_signature(key.get_secret_value(), scope, told) for key in config.api_keys]
    known = any(hmac.compare_digest(own, found["signature"]) for own in signatures)
    if not known or scope.service != SERVICE:
        text = "The request signature we calculated does not match the signature you provided."
        raise fault(403, f"{text}\n\nThe Canonical String for this request should have been\n'{canonical}'", _MISMATCH)


_MISMATCH = "InvalidSignatureException"


def _check_time(moment: str) -> None:
    try:
        signed_at = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise fault(
            403, f"Date must be in ISO-8601 'basic format'. Got '{moment}'.", "IncompleteSignatureException"
        ) from None
    if abs(datetime.now(UTC) - signed_at) > SKEW_MAX:
        raise fault(403, f"Signature expired: {moment} is too far from now", _MISMATCH)


def _canonical(sent: Sent, signed: str) -> str:
    path = quote(sent.raw_path, safe="/-_.~")
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parse_qsl(sent.query, True))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    headers = "".join(f"{name}:{_squeezed(sent.headers, name)}\n" for name in signed.split(";"))
    return "\n".join((sent.method, path, query, headers, signed, sha256(sent.body).hexdigest()))


def _squeezed(headers: Mapping[str, str], name: str) -> str:
    return " ".join(headers.get(name, "").split())


def _signature(secret: str, scope: _Scope, told: str) -> str:
    key = f"AWS4{secret}".encode()
    for step in (*scope, "aws4_request"):
        key = hmac.digest(key, step.encode(), sha256)
    return hmac.digest(key, told.encode(), sha256).hex()
