"""Which deliveries settings let have an effect: asked when they come in, and before they are replayed."""

from pointsman.config import Settings
from pointsman.domain.admission import Admission


def admission(settings: Settings) -> Admission:
    return Admission(
        subscriptions=frozenset(name.lower() for name in settings.webhook_subscriptions),
        organisations=tuple(one.name for one in settings.organisations()),
    )
