"""The subscriptions of service hooks that post to our receiver: read, event by event."""

import asyncio
from collections.abc import Sequence

from pointsman.clients.azure_devops.answers import Subscription
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.config import Misconfigured, Settings, variable
from pointsman.domain.deliveries import KINDS

RECEIVER_PATH = "/webhooks/azure-devops"


def receiver_url(settings: Settings) -> str:
    """Where subscriptions post to.

    Raises:
        Misconfigured: nobody said under which name Azure DevOps reaches us.
    """
    if not settings.public_url:
        raise Misconfigured(
            f"{variable('public_url')} is not set: it is what subscriptions post to, and by what ours are known. "
            "Set it to the https:// address of your reverse proxy. Nothing was asked or changed."
        )
    return f"{settings.public_url}{RECEIVER_PATH}"


async def subscriptions(client: AzureDevOps) -> Sequence[Subscription]:
    """Those to events of work items, one list for each event. A list that fails fails all of it."""
    lists = await asyncio.gather(*(client.hooks.list(event_type) for event_type in KINDS))
    return [subscription for found in lists for subscription in found]
