"""Who may deliver, and what is kept of those who may not: an audit event each, up to a rate, then counts."""

import base64
import binascii
import hmac
import time
from hashlib import sha256

import structlog
from fastapi import Request
from fastapi.openapi.models import HTTPBase
from fastapi.security.base import SecurityBase

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import AuditEvent, Chain
from pointsman.domain.routing import DEFAULT_TENANT
from pointsman.observability import names
from pointsman.ports import Audit
from pointsman.store.ids import new_id
from starter.web.services import IntakeSettings, now

LOG = structlog.get_logger(__name__)
EVENTS_PER_MINUTE = 60
ANONYMOUS = "anonymous"
CHALLENGE = {"WWW-Authenticate": 'Basic realm="pointsman", charset="UTF-8"'}


class Basic(SecurityBase):
    """For the description of the interface only: `Credentials` checks, and answers in our own shape."""

    def __init__(self) -> None:
        self.model = HTTPBase(scheme="basic")
        self.scheme_name = "deliveries"

    async def __call__(self) -> None:
        return None


class Credentials:
    """Checks Basic credentials. Takes as long for a wrong secret as for a right one, and for each of them."""

    def __init__(self, settings: IntakeSettings) -> None:
        self._user = _digest(settings.user)
        self._secrets = [_digest(secret.get_secret_value()) for secret in settings.secrets]

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def hold(self, authorization: str) -> bool:
        """Whether the header carries our user and any of the active secrets."""
        user, password = _basic(authorization)
        known_user = hmac.compare_digest(_digest(user), self._user)
        presented = _digest(password)
        valid = False
        for secret in self._secrets:  # no early exit: the time must not tell which secret matched
            valid = hmac.compare_digest(presented, secret) | valid
        return known_user & valid


def _basic(authorization: str) -> tuple[str, str]:
    """User and password of `Basic ...` (RFC 7617); empty ones for anything else."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    user, colon, password = text.partition(":")
    return (user, password) if colon and scheme.casefold() == "basic" else ("", "")


def _digest(text: str) -> bytes:
    # Of equal length whatever was sent, or the comparison would tell the length of the secret.
    return sha256(text.encode("utf-8", "replace")).digest()


class Refusals:
    """Leaves `action` in the audit log and a line in ours. Whoever floods us fills a counter and not the disk."""

    def __init__(self, audit: Audit, action: Action = Action.DELIVERY_REFUSED) -> None:
        self._audit = audit
        self._action = action
        self._event = action.value.replace(".", " ")
        self._minute = 0
        self._told = 0
        self._untold = 0

    async def tell(self, request: Request, correlation_id: str, reason: str, **data: Json) -> None:
        """Never raises: a refusal stands whether or not it can be recorded."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._told = minute, 0
        if self._told >= EVENTS_PER_MINUTE:
            self._untold += 1
            return
        self._told += 1
        client = request.client.host if request.client else ""
        LOG.warning(self._event, reason=reason, client=client, not_told_before=self._untold)
        event = AuditEvent(
            id=new_id(),
            action=self._action,
            actor=ANONYMOUS,
            at=now(),
            chain=Chain(tenant=DEFAULT_TENANT, correlation_id=correlation_id),
            data={"reason": reason, "not_told_before": self._untold, **data},
        )
        try:
            await self._audit.append(event)
        except Exception:  # any store may fail in its own way, and the refusal stands all the same
            LOG.exception("refusal could not be recorded", **{names.CORRELATION_ID: correlation_id})
            self._untold += 1
        else:
            self._untold = 0
