"""When a subscription lost events, as far as the history of its deliveries tells.

A delivery that fails for good puts a subscription on probation. From then on events are lost, until a delivery
succeeds again. Events of work items come back from their own history; of others only what became a delivery does.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from pointsman.contracts.recovery import NotificationTold, SubscriptionHistory, Unrecovered

ITEMS = "workitem."
ENABLED = "enabled"


def lost(histories: Sequence[SubscriptionHistory], floor: datetime | None) -> tuple[Unrecovered, ...]:
    """What cannot be brought back: spans since `floor` in which events of other things than work items were lost."""
    spans = [span for history in histories if not _of_items(history) for span in _spans(history)]
    return tuple(span for span in spans if floor is None or span.until is None or span.until >= floor)


def failed(history: SubscriptionHistory) -> tuple[NotificationTold, ...]:
    """Deliveries that never reached us, and that the service will not try again."""
    return tuple(one for one in history.notifications if not one.succeeded and not one.pending)


def _of_items(history: SubscriptionHistory) -> bool:
    return history.subscription.event_type.startswith(ITEMS)


def _spans(history: SubscriptionHistory) -> Iterator[Unrecovered]:
    begun: datetime | None = None
    is_down = False
    for one in history.notifications:
        if one.pending:
            continue
        if one.succeeded and is_down:
            yield _span(history, begun, one.at)
            is_down = False
        elif not one.succeeded and not is_down:
            is_down, begun = True, one.at
    if history.subscription.status != ENABLED:
        yield _span(history, begun if is_down else None, None)
    if history.unseen:
        oldest = min((one.at for one in history.notifications if one.at), default=None)
        hook = history.subscription
        yield Unrecovered(
            what=hook.event_type,
            reason=history.unseen,
            until=oldest,
            gap=f"deliveries of {hook.id or hook.event_type}",
            lasts=True,
        )


def _span(history: SubscriptionHistory, since: datetime | None, until: datetime | None) -> Unrecovered:
    hook = history.subscription
    state = f"subscription {hook.id} was on probation" if until else f"subscription {hook.id} is {hook.status}"
    return Unrecovered(
        what=hook.event_type,
        reason=f"{state}: the service keeps no events meanwhile",
        since=since,
        until=until,
        gap=f"subscription {hook.id}",
        lasts=until is None,
    )
