"""Subscriptions of service hooks: which events are delivered where.

A list without filter is of the whole organisation and can time out, so the filter by event type is not optional.
"""

from collections.abc import Mapping

from pydantic import SecretStr

from pointsman.clients.azure_devops.answers import Nothing, Subscription, Subscriptions
from pointsman.clients.azure_devops.connection import Connection
from pointsman.contracts.base import Json

PATH = "_apis/hooks/subscriptions"
RESOURCE_VERSION = "5.1-preview.3"  # pinned: identities in deliveries are objects


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
        inputs: dict[str, Json] = {"url": url}
        if password is not None:
            inputs |= {"basicAuthUsername": username, "basicAuthPassword": password.get_secret_value()}
        publisher_inputs: dict[str, Json] = dict(filters or {})
        body: dict[str, Json] = {
            "publisherId": "tfs",
            "eventType": event_type,
            "resourceVersion": resource_version,
            "consumerId": "webHooks",
            "consumerActionId": "httpRequest",
            "publisherInputs": publisher_inputs,
            "consumerInputs": inputs,
        }
        return await self._connection.call(Subscription, "POST", PATH, body=body)

    async def list(self, event_type: str, publisher: str = "tfs") -> list[Subscription]:
        """Subscriptions to one event that post to a URL, whoever made them."""
        query = {"publisherId": publisher, "eventType": event_type, "consumerId": "webHooks"}
        return (await self._connection.call(Subscriptions, "GET", PATH, query=query)).value

    async def get(self, subscription_id: str) -> Subscription:
        return await self._connection.call(Subscription, "GET", f"{PATH}/{subscription_id}")

    async def delete(self, subscription_id: str) -> None:
        await self._connection.call(Nothing, "DELETE", f"{PATH}/{subscription_id}")
