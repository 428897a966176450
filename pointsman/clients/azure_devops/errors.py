"""An answer of Azure DevOps as an error of `pointsman.ports`: by status, `typeKey`, TF or VS number, never by text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx2
from pydantic import ValidationError

from pointsman.clients.azure_devops.answers import Fault
from pointsman.domain.organisations import organisation_of
from pointsman.domain.texts import clean, read_json
from pointsman.ports import Conflict, Missing, Rejected, Unavailable

RETRY_AFTER_MAX = timedelta(minutes=5)  # the window of the service's own rate limit: waiting longer gains nothing
MESSAGE_CHARS_MAX = 600
WHO_WE_ARE = "_apis/connectionData"
"""What every organisation answers."""

_ITEM = re.compile(r"/_apis/wit/workitems/(\d+)", re.IGNORECASE)
_ASKED_BY_POST = re.compile(
    r"/_apis/(?:wit/(?:wiql|workitemsbatch|artifacturiquery)|hooks/notificationsquery|testresults/results/testhistory)"
    r"(?:[?]|$)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\b(?:TF|VS)\d{5,6}\b")
_CONFLICTS = {"TF26071", "VS403351", "TestPatchOperationFailedException", "WorkItemRevisionMismatchException"}
_MISSING = {"TF401232", "TF200016", "WorkItemUnauthorizedAccessException", "ProjectDoesNotExistWithNameException"}
_NO_ITEM = {"TF401232", "WorkItemUnauthorizedAccessException"}
_LATER = {"TF400733", "VS402335"}  # usage blocked; query over its 30 s
_TOO_MANY = {"VS402337", "WorkItemTrackingQueryResultSizeLimitExceededException"}
_NOT_SIGNED_IN = {"TF400813", "UnauthorizedRequestException"}
_RULES = {"RuleValidationException", "TF401320"}
_STATUSES_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class NotSignedIn(Rejected):
    """The service does not know us: the token is unknown, expired, revoked, or of another organisation."""


class NotPermitted(Rejected):
    """The service knows us, and the account may not do this."""


class UnknownOrganisation(Missing):
    """Nothing answers for the organisation: its name, or the address that it is asked at, is wrong."""


class TooManyResults(Rejected):
    """A query found more than the service answers with: ask in slices."""


class NotWhole(Rejected):
    """A list that cannot be read to its end, so that nothing of it may be taken for all of it."""


@dataclass(frozen=True)
class BrokenRule:
    """A rule of the process. `flags` are the service's names, for example `required`, `invalidListValue`."""

    field: str
    flags: str
    message: str


class RuleBroken(Rejected):
    """A write against the rules of the process. `rules` may be empty: not every refusal says which."""

    def __init__(self, message: str, code: str = "", rules: Sequence[BrokenRule] = ()) -> None:
        super().__init__(message, code)
        self.rules = tuple(rules)


def only_reads(method: str, url: str) -> bool:
    """Whether the request changes nothing, however often it is made."""
    return method == "GET" or (method == "POST" and _ASKED_BY_POST.search(url) is not None)


def in_doubt(method: str, url: str) -> str:
    """What to say of a request without a usable answer."""
    reads = only_reads(method, url)
    return "nothing was changed" if reads else "it may have been carried out: read before trying again"


def is_sign_in_page(response: httpx2.Response) -> bool:
    """True when the service asks to sign in instead of answering: 203, a redirect, or success without JSON."""
    if response.status_code == HTTPStatus.NON_AUTHORITATIVE_INFORMATION or response.is_redirect:
        return True
    return response.is_success and bool(response.content) and "json" not in response.headers.get("content-type", "")


def sign_in_refusal(response: httpx2.Response, what: str) -> NotSignedIn:
    return _shut_out(what, f"HTTP {response.status_code} with a sign-in page; nothing was changed", "SignInRequired")


def refusal(response: httpx2.Response, what: str) -> Rejected | Unavailable:
    """The error for an answer that is no success."""
    fault = _fault(response)
    names = _names(fault)
    status = response.status_code
    said = _said(response, fault)
    text = f"{what}: {said}"
    code = fault.type_key or next(iter(names), "") or _phrase(status)
    if names & _CONFLICTS or status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
        return Conflict(text, code)
    if names & _LATER or status in _STATUSES_LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(text, retry_after(response))
    if status == HTTPStatus.UNAUTHORIZED or names & _NOT_SIGNED_IN:
        return _shut_out(what, said, code)
    if status == HTTPStatus.FORBIDDEN:
        return NotPermitted(f"{text}. The account lacks the permission or the token the scope.", code)
    if status == HTTPStatus.NOT_FOUND and what.endswith(WHO_WE_ARE):
        place, asked = _asked(what)
        return UnknownOrganisation(f"there is no {place}: {asked}, which each has, was answered with {said}", code)
    if status == HTTPStatus.NOT_FOUND or names & _MISSING:
        return Missing(_no_item(what, said, names) or text, code)
    return _kept(text, code, names, fault)


def _no_item(what: str, said: str, names: set[str]) -> str:
    """In words, where it is a work item that is not there. Empty for anything else."""
    found = _ITEM.search(what)
    if found is None or not names & _NO_ITEM:
        return ""
    place, _ = _asked(what)
    told = said.partition(", ")[2]
    return (
        f"{place} has no work item {found[1]} for our account. Look whether number and organisation are right; else it "
        f"was deleted, or its area is closed to the account. It says: {told}"
    )


def _shut_out(what: str, said: str, code: str) -> NotSignedIn:
    place, asked = _asked(what)
    why = "The token is not accepted: it is unknown, expired, revoked, or of another organisation"
    told = f"{place} does not let us in: {asked} was answered with {said}. {why}. Set another one in its place"
    return NotSignedIn(told, code)


def _asked(what: str) -> tuple[str, str]:
    """The organisation that was asked, and for what."""
    method, _, url = what.partition(" ")
    address, found, path = url.partition("/_apis/")
    try:
        return f"organisation {organisation_of(url)!r} at {address}", f"{method} _apis/{path}" if found else method
    except ValueError:
        return "Azure DevOps", what


def _kept(text: str, code: str, names: set[str], fault: Fault) -> Rejected:
    """A refusal of what was asked, by what the caller can do about it."""
    if names & _TOO_MANY:
        return TooManyResults(text, code)
    if names & _RULES:
        return RuleBroken(text, code, _rules(fault))
    if "VssVersionOutOfRangeException" in names:
        return Rejected(f"{text}. Name the release of this server in the settings.", code)
    return Rejected(text, code)


def _rules(fault: Fault) -> list[BrokenRule]:
    listed = fault.custom_properties.get("RuleValidationErrors")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    keys = ("fieldReferenceName", "fieldStatusFlags", "errorMessage")
    return [BrokenRule(*(str(entry.get(key) or "") for key in keys)) for entry in entries]


def retry_after(response: httpx2.Response) -> timedelta | None:
    """How long the service asks to wait: seconds or a date, at most `RETRY_AFTER_MAX`. None if it does not."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        wait = timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        wait = _until(value)
    return min(max(wait, timedelta()), RETRY_AFTER_MAX)


def _until(date: str) -> timedelta:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return timedelta()
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC)


def _fault(response: httpx2.Response) -> Fault:
    """The error envelope; of a body that is none, only plain text is worth showing."""
    try:
        return Fault.model_validate(read_json(response.content))
    except (ValueError, ValidationError):
        plain = response.headers.get("content-type", "").startswith("text/plain")
        return Fault(message=clean(response.text if plain else response.headers.get("x-tfs-serviceerror", "")))


def _names(fault: Fault) -> set[str]:
    number = _NUMBER.search(fault.message)
    return {name for name in (fault.type_key, number.group() if number else "") if name}


def _said(response: httpx2.Response, fault: Fault) -> str:
    said = " ".join(fault.message.split())[:MESSAGE_CHARS_MAX] or "no reason given"
    activity = response.headers.get("activityid", "")
    trace = f" (activity {activity})" if activity else ""
    refused = response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    state = "nothing was changed" if refused else in_doubt(response.request.method, str(response.request.url))
    return f"HTTP {response.status_code}, {said}{trace}; {state}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.title().replace(" ", "")
    except ValueError:
        return f"Http{status}"
