"""Subscriptions of service hooks: which events are delivered where, and what became of each.

A list without filter is of the whole organisation and can time out, so the filter by event type is not optional.
Events of releases and of Advanced Security are subscribed to at hosts of their own.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import Field, SecretStr

from pointsman.clients.azure_devops.answers import Answer, Nothing, Subscription
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.hosts import Host
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, whole
from pointsman.contracts.base import Json
from pointsman.ports import Missing

PATH = "_apis/hooks/subscriptions"
RESOURCE_VERSION = "5.1-preview.3"  # pinned: identities in deliveries are objects
NO_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
PENDING = "pending"
_HOSTS = {"rm": Host.RELEASE, "advancedsecurity": Host.SECURITY}


@dataclass(frozen=True)
class Draft:
    """A subscription as it is to be. `inputs` are those of the consumer beside URL, user name and password."""

    event_type: str
    url: str
    filters: Mapping[str, str] = field(default_factory=dict)
    username: str = ""
    password: SecretStr | None = None
    resource_version: str = RESOURCE_VERSION
    """Empty: the service's newest."""
    publisher: str = "tfs"
    inputs: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Json]:
        consumer: dict[str, Json] = {**self.inputs, "url": self.url}
        if self.password is not None:
            secret = self.password.get_secret_value()
            consumer |= {"basicAuthUsername": self.username, "basicAuthPassword": secret}
        body: dict[str, Json] = {
            "publisherId": self.publisher,
            "eventType": self.event_type,
            "consumerId": "webHooks",
            "consumerActionId": "httpRequest",
            "publisherInputs": dict(self.filters),
            "consumerInputs": consumer,
        }
        return {**body, "resourceVersion": self.resource_version} if self.resource_version else body


class NotificationDetails(Answer):
    """`event` is the whole delivery as it was, or was to be, sent."""

    event: dict[str, Json] = Field(default_factory=dict)
    event_type: str = ""
    publisher_id: str = ""
    request: str = ""
    response: str = ""
    request_attempts: int = 0
    request_duration: float = 0.0
    error_message: str = ""
    error_detail: str = ""


class Notification(Answer):
    """One event for one subscription. `id` counts the notifications of the subscription."""

    id: int
    subscription_id: str = ""
    event_id: str = ""
    status: str = ""
    result: str = ""
    created_date: datetime | None = None
    modified_date: datetime | None = None
    details: NotificationDetails = NotificationDetails()

    @property
    def over(self) -> bool:
        return self.result not in ("", PENDING)


class ResultCount(Answer):
    result: str = ""
    notification_count: int = 0


class NotificationSummary(Answer):
    subscription_id: str = ""
    results: list[ResultCount] = Field(default_factory=list)


class NotificationResults(Answer):
    """What a query over several subscriptions has found."""

    results: list[Notification] = Field(default_factory=list)
    summary: list[NotificationSummary] = Field(default_factory=list)


class ServiceHooksApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self,
        event_type: str,
        url: str,
        *,
        filters: Mapping[str, str] | None = None,
        username: str = "",
        password: SecretStr | None = None,
        resource_version: str = RESOURCE_VERSION,
    ) -> Subscription:
        """Subscribe a URL to an event of work items. Not idempotent: look into `list` first.

        `filters` are the publisher's inputs: `projectId` (absent: the organisation), `areaPath`, `workItemType`,
        `tag`, `changedFields`. The password is sent with each delivery, and never shown again by the service.
        """
        return await self.make(Draft(event_type, url, filters or {}, username, password, resource_version))

    async def make(self, draft: Draft) -> Subscription:
        """As `create`, for any event. Not idempotent."""
        host = _host(draft.publisher)
        return await self._connection.call(Subscription, "POST", PATH, body=draft.body(), host=host)

    async def list(self, event_type: str, publisher: str = "tfs") -> list[Subscription]:
        """Subscriptions to one event that post to a URL, whoever made them."""
        query = {"publisherId": publisher, "eventType": event_type, "consumerId": "webHooks"}
        return await whole(self._connection, Listed[Subscription], PATH, query, host=_host(publisher))

    async def get(self, subscription_id: str, publisher: str = "tfs") -> Subscription:
        return await self._connection.call(Subscription, "GET", _path(subscription_id), host=_host(publisher))

    async def replace(self, subscription_id: str, draft: Draft) -> Subscription:
        """Put all of a subscription anew; idempotent. One that the system disabled is not enabled by it: make another.

        Without a password there is none afterwards.
        """
        body: dict[str, Json] = {**draft.body(), "id": subscription_id, "status": "enabled"}
        path, host = _path(subscription_id), _host(draft.publisher)
        return await self._connection.call(Subscription, "PUT", path, body=body, host=host)

    async def delete(self, subscription_id: str, publisher: str = "tfs") -> None:
        await self._connection.call(Nothing, "DELETE", _path(subscription_id), host=_host(publisher))

    async def notifications(
        self,
        subscription_id: str,
        *,
        status: str = "",
        result: str = "",
        limit: int = 100,
        publisher: str = "tfs",
    ) -> Sequence[Notification]:
        """History of a subscription, newest first: what the service kept, which is some days of it."""
        told = {"status": status, "result": result}
        query: Query = {"maxResults": limit, **{name: value for name, value in told.items() if value}}
        path = f"{_path(subscription_id)}/notifications"
        found = await self._connection.call(Listed[Notification], "GET", path, query=query, host=_host(publisher))
        return found.value

    async def notification(self, subscription_id: str, number: int, publisher: str = "tfs") -> Notification:
        """One of them with its event, request and answer."""
        path = f"{_path(subscription_id)}/notifications/{number}"
        return await self._connection.call(Notification, "GET", path, host=_host(publisher))

    async def query(
        self,
        subscription_ids: Sequence[str],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        status: str = "",
        result: str = "",
        details: bool = False,
        limit: int = 1_000,
        publisher: str = "tfs",
    ) -> NotificationResults:
        """Notifications of several subscriptions at once, with how many of each result there are."""
        ids: list[Json] = [*subscription_ids]
        body: dict[str, Json] = {
            "subscriptionIds": ids,
            "includeDetails": details,
            "maxResults": limit,
            "maxResultsPerSubscription": limit,
            "publisherId": publisher,
        }
        moments = {"minCreatedDate": since, "maxCreatedDate": until}
        body |= {name: moment.isoformat() for name, moment in moments.items() if moment}
        body |= {name: value for name, value in {"status": status, "resultType": result}.items() if value}
        path = "_apis/hooks/notificationsquery"
        return await self._connection.call(NotificationResults, "POST", path, body=body, host=_host(publisher))

    async def test(self, draft: Draft, patience: timedelta = timedelta(seconds=30)) -> Notification:
        """Have the service send an invented event, and wait for what becomes of it.

        No subscription is needed, and none is changed. After `patience`, or where the service keeps no history of
        tests, it comes back as it stands: see `over`.
        """
        details = {name: value for name, value in draft.body().items() if name != "resourceVersion"}
        body: dict[str, Json] = {"subscriptionId": NO_SUBSCRIPTION, "details": details}
        path, host = "_apis/hooks/testnotifications", _host(draft.publisher)
        sent = await self._connection.call(Notification, "POST", path, body=body, host=host)
        loop = asyncio.get_running_loop()
        end, wait = loop.time() + patience.total_seconds(), 0.02
        while not sent.over and loop.time() < end:
            await asyncio.sleep(wait)
            wait = min(wait * 2, 2.0)
            try:
                sent = await self.notification(sent.subscription_id or NO_SUBSCRIPTION, sent.id, draft.publisher)
            except Missing:
                return sent
        return sent


def _host(publisher: str) -> Host:
    return _HOSTS.get(publisher, Host.MAIN)


def _path(subscription_id: str) -> str:
    return f"{PATH}/{segment(subscription_id)}"
