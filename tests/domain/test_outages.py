"""From failed deliveries follows when events were lost, and which of them cannot come back."""

from datetime import UTC, datetime, timedelta

from pointsman.contracts.recovery import NotificationTold, SubscriptionHistory, SubscriptionTold
from pointsman.domain.outages import failed, lost

START = datetime(2026, 11, 20, tzinfo=UTC)


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def history(results: str, event_type: str = "git.push", status: str = "enabled") -> SubscriptionHistory:
    """One letter an hour: `+` succeeded, `-` failed, `?` is yet to be tried."""
    return SubscriptionHistory(
        subscription=SubscriptionTold(id="s", event_type=event_type, status=status),
        notifications=tuple(
            NotificationTold(id=hour, at=at(hour), succeeded=sign == "+", pending=sign == "?")
            for hour, sign in enumerate(results)
        ),
    )


def test_events_are_lost_from_a_failure_until_something_succeeds() -> None:
    spans = lost([history("+--?+-+")], None)
    assert [(span.what, span.since, span.until) for span in spans] == [
        ("git.push", at(1), at(4)),
        ("git.push", at(5), at(6)),
    ]


def test_a_subscription_that_is_down_loses_events_still() -> None:
    (span,) = lost([history("+-", status="disabledBySystem")], at(9))
    assert (span.since, span.until) == (at(1), None)
    assert "subscription s is disabledBySystem" in span.reason
    (unseen,) = lost([history("++", status="onProbation")], None)
    assert (unseen.since, unseen.until) == (None, None)


def test_events_of_items_come_back_from_their_own_history() -> None:
    assert lost([history("+-", "workitem.updated", "disabledBySystem")], None) == ()


def test_what_was_lost_before_we_listened_is_not_named() -> None:
    assert lost([history("+-+")], at(3)) == ()


def test_what_failed_and_is_not_tried_again_can_be_brought_back() -> None:
    assert [one.id for one in failed(history("+-?-"))] == [1, 3]


def test_what_the_service_keeps_and_does_not_tell_is_named() -> None:
    (span,) = lost([history("++").model_copy(update={"unseen": "it keeps more"})], None)
    assert (span.what, span.reason, span.until) == ("git.push", "it keeps more", at(0))
