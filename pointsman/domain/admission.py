"""Which deliveries may have an effect. What comes of others is kept, and nothing else: refused, it would be lost."""

from dataclasses import dataclass

from pointsman.domain.deliveries import NO_SUBSCRIPTION, Heard


@dataclass(frozen=True)
class Admission:
    subscriptions: frozenset[str] = frozenset()
    """In lower case; empty: all."""
    organisations: tuple[str, ...] = ()
    """Those that settings name, so that their items can be read; empty: all."""

    def why_not(self, heard: Heard) -> str:
        """Empty where it may have an effect."""
        if self.subscriptions and heard.subscription_id.lower() not in (NO_SUBSCRIPTION, *self.subscriptions):
            return f"subscription {heard.subscription_id or '(none)'} is not on the list"
        if self.organisations and heard.kind and heard.organisation not in self.organisations:
            known = ", ".join(self.organisations)
            return f"organisation {heard.organisation!r} is not among those of settings: {known}"
        return ""


ALL = Admission()
