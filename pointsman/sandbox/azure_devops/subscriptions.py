"""Service hook subscriptions: what may be subscribed to, which events fit, how one reads back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.config import Identity, Organisation
from pointsman.sandbox.azure_devops.edits import HISTORY, Happened
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.occurrences import FILTERS as CODE_FILTERS
from pointsman.sandbox.azure_devops.occurrences import Told
from pointsman.sandbox.azure_devops.rendering import Links, identity_json
from pointsman.sandbox.azure_devops.rules import tags_of

EVENTS = ("created", "updated", "commented", "deleted", "restored")
ITEM_EVENTS = tuple(f"workitem.{event}" for event in EVENTS)
PLAIN_VERSIONS = ("1.0-preview.1", "1.0-preview.2", "1.0")
OBJECT_VERSIONS = ("3.1-preview.3", "5.1-preview.3", "latest")
FILTERS = ("projectId", "areaPath", "workItemType", "tag", "changedFields", "linksChanged", "commentPattern")
SERVER_INPUTS = ("tfsSubscriptionId", "hostId")
CONSUMER_INPUTS = (
    "url",
    "httpHeaders",
    "basicAuthUsername",
    "basicAuthPassword",
    "acceptUntrustedCerts",
    "resourceDetailsToSend",
    "messagesToSend",
    "detailedMessagesToSend",
)
MASK = "********"
NO_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
"""Stands for the subscription where somebody presses Test."""
KEPT_BY_SYSTEM = ("disabledBySystem", "disabledByInactiveIdentity")
"""No replacement takes these away: reported, not documented."""
PASSWORD_CHARS_MAX = 256


@dataclass
class Subscription:
    """`status` other than `enabled` loses events. `consumer` holds the password; nothing shows it."""

    organisation: Organisation
    event_type: str
    resource_version: str
    publisher: dict[str, str]
    consumer: dict[str, str] = field(repr=False)
    created_by: Identity
    created_at: str
    modified_by: Identity
    modified_at: str
    id: str = field(default_factory=lambda: str(uuid4()))
    source_id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "enabled"
    probation_retries: int = 0
    last_probation_retry: str = ""
    last_notification: int = 0

    @property
    def plain(self) -> bool:
        """Identities go out as strings."""
        return self.resource_version in PLAIN_VERSIONS

    def fits(self, happened: Happened | Told) -> bool:
        if isinstance(happened, Told):
            return happened.fits(self.organisation, self.event_type, self.publisher)
        item, filters = happened.item, self.publisher
        project = item.organisation.project(item.project)
        if item.organisation.name != self.organisation.name or self.event_type != f"workitem.{happened.kind}":
            return False
        if filters.get("projectId") and (not project or filters["projectId"] != project.id_in(item.organisation.name)):
            return False
        return self._item_fits(happened) and self._change_fits(happened)

    def _item_fits(self, happened: Happened) -> bool:
        fields, filters = happened.item.fields, self.publisher
        area, wanted = str(fields.get("System.AreaPath", "")).lower(), filters.get("areaPath", "").lower()
        if wanted and area != wanted and not area.startswith(f"{wanted}\\"):
            return False
        if filters.get("workItemType") and filters["workItemType"].lower() != happened.item.kind.name.lower():
            return False
        tags = [tag.lower() for tag in tags_of(fields.get("System.Tags"))]
        return not filters.get("tag") or filters["tag"].lower() in tags

    def _change_fits(self, happened: Happened) -> bool:
        update, filters = happened.update, self.publisher
        if happened.kind == "updated" and filters.get("changedFields"):
            changed = {name.lower() for name in update.changed}
            return filters["changedFields"].lower() in changed
        if happened.kind == "updated" and filters.get("linksChanged", "").lower() == "true":
            return bool(update.added or update.removed)
        if happened.kind == "commented" and filters.get("commentPattern"):
            return filters["commentPattern"].lower() in str(happened.item.fields.get(HISTORY, "")).lower()
        return True


def read(
    body: Json, organisation: Organisation, by: Identity, now: str, before: Subscription | None = None
) -> Subscription:
    """A subscription as asked for. With `before` it takes that one's place, and a masked password stays what it was.

    Raises:
        ServiceError: 400, an input that the service has not, or a value that it does not take.
    """
    if not isinstance(body, dict):
        raise invalid("A subscription must be an object.")
    event_type, version = _text(body, "eventType"), _text(body, "resourceVersion") or "latest"
    publisher, consumer = _inputs(body, "publisherInputs"), _inputs(body, "consumerInputs")
    _require_known(body, event_type, version, publisher, consumer)
    _require_places(organisation, publisher, consumer)
    made = Subscription(organisation, event_type, version, publisher, consumer, by, now, by, now)
    if _text(body, "status") == "disabledByUser":
        made.status = "disabledByUser"
    if before:
        made.id, made.source_id = before.id, before.source_id
        made.created_by, made.created_at = before.created_by, before.created_at
        made.last_notification = before.last_notification
        made.status = before.status if before.status in KEPT_BY_SYSTEM else made.status
        if consumer.get("basicAuthPassword") == MASK:
            consumer["basicAuthPassword"] = before.consumer.get("basicAuthPassword", "")
    return made


def subscription_json(subscription: Subscription, links: Links) -> dict[str, Json]:
    url = f"{links.root}/_apis/hooks/subscriptions/{subscription.id}"
    host = urlsplit(subscription.consumer["url"]).hostname or ""
    body: dict[str, Json] = {
        "id": subscription.id,
        "url": url,
        "status": subscription.status,
        "publisherId": "tfs",
        "eventType": subscription.event_type,
        "subscriber": None,
        "resourceVersion": subscription.resource_version,
        "eventDescription": _description(subscription),
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "actionDescription": f"To host {host}",
        "probationRetries": subscription.probation_retries,
        "createdBy": identity_json(subscription.created_by, links),
        "createdDate": subscription.created_at,
        "modifiedBy": identity_json(subscription.modified_by, links),
        "modifiedDate": subscription.modified_at,
        "publisherInputs": publisher_json(subscription),
        "consumerInputs": consumer_json(subscription),
        "_links": {"self": {"href": url}},
    }
    if subscription.last_probation_retry:
        body["lastProbationRetryDate"] = subscription.last_probation_retry
    return body


def publisher_json(subscription: Subscription) -> dict[str, Json]:
    """The filters with what the server adds to them: compared with what was asked for, they differ."""
    added = {"tfsSubscriptionId": subscription.source_id, "hostId": subscription.organisation.collection_id}
    return {**subscription.publisher, **added}


def consumer_json(subscription: Subscription) -> dict[str, Json]:
    return {
        name: MASK if name == "basicAuthPassword" and value else value for name, value in subscription.consumer.items()
    }


def _description(subscription: Subscription) -> str:
    filters = {name: value for name, value in subscription.publisher.items() if value and name != "projectId"}
    return ", ".join(f"{name} {value}" for name, value in filters.items()) or "Any event"


def _text(body: Mapping[str, Json], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _inputs(body: Mapping[str, Json], name: str) -> dict[str, str]:
    given = body.get(name)
    values = given if isinstance(given, dict) else {}
    return {key: str(value) for key, value in values.items() if value is not None and key not in SERVER_INPUTS}


def _require_known(
    body: Mapping[str, Json], event_type: str, version: str, publisher: dict[str, str], consumer: dict[str, str]
) -> None:
    if (_text(body, "consumerId"), _text(body, "consumerActionId")) != ("webHooks", "httpRequest"):
        raise _refused("consumerId and consumerActionId must be webHooks and httpRequest in the stand-in")
    if _text(body, "publisherId") != "tfs" or event_type not in {*ITEM_EVENTS, *CODE_FILTERS}:
        raise _refused(f"the stand-in has no event {event_type!r} of publisher {_text(body, 'publisherId')!r}")
    if version not in (*PLAIN_VERSIONS, *OBJECT_VERSIONS):
        raise _refused(f"resourceVersion {version!r} is not one of {', '.join((*PLAIN_VERSIONS, *OBJECT_VERSIONS))}")
    filters = ("projectId", *CODE_FILTERS[event_type]) if event_type in CODE_FILTERS else FILTERS
    unknown = [*(set(publisher) - set(filters)), *(set(consumer) - set(CONSUMER_INPUTS))]
    if unknown:
        raise _refused(f"there is no input {', '.join(sorted(unknown))}")


def _require_places(organisation: Organisation, publisher: dict[str, str], consumer: dict[str, str]) -> None:
    url = urlsplit(consumer.get("url", ""))
    if url.scheme not in ("http", "https") or not url.hostname:
        raise _refused(f"url {consumer.get('url', '')!r} is not an absolute URL")
    password = consumer.get("basicAuthPassword", "")
    if len(password) > PASSWORD_CHARS_MAX or any(character.isspace() for character in password):
        raise _refused(f"basicAuthPassword must have at most {PASSWORD_CHARS_MAX} characters and no white space")
    project = publisher.get("projectId", "")
    if project and (not _is_uuid(project) or organisation.project(project) is None):
        raise _refused(f"projectId {project!r} is no id of a project of {organisation.name}")


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _refused(why: str) -> ServiceError:
    return invalid(f"The subscription is not valid: {why}.", "SubscriptionInputException")
