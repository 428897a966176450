"""Service hooks on the command line."""

from pointsman.clients.azure_devops.answers import Subscription
from pointsman.config import Settings
from starter.cli.output import Listing, Record
from starter.hooks import receiver_url, subscriptions
from starter.needs import tracker_accounts
from starter.organisations import client_of

COLUMNS = ("organisation", "subscription", "event", "status", "filters", "url")


async def listed(settings: Settings, *, every: bool) -> Listing:
    """Subscriptions that post to us; with `every` those of others, too."""
    ours = receiver_url(settings)
    rows: list[Record] = []
    for organisation in tracker_accounts(settings):
        async with client_of(organisation) as client:
            found = await subscriptions(client)
            rows += [_row(client.organisation, one) for one in found if every or _target(one) == ours]
    return Listing("hooks", COLUMNS, rows)


def _target(subscription: Subscription) -> str:
    return subscription.consumer_inputs.get("url") or ""


def _row(organisation: str, subscription: Subscription) -> Record:
    filters = {name: value for name, value in subscription.publisher_inputs.items() if value}
    return {
        "organisation": organisation,
        "subscription": subscription.id,
        "event": subscription.event_type,
        "status": subscription.status,
        "filters": filters,
        "url": _target(subscription),
    }
