"""What comes without a name of its own is none the less known to have come, and no more than what came."""

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.records import Delivery
from pointsman.contracts.recovery import Snapshot
from pointsman.contracts.work_items import EventKind
from pointsman.domain import recovery
from pointsman.domain.recovery import Listened, Missed
from pointsman.domain.unnamed import KINDS, Unnamed, unheard
from tests.domain.test_recovery import START, STEPS, Item, all_of, history

HISTORIES = st.builds(history, st.lists(st.sampled_from(STEPS), max_size=25))
LAGS = st.integers(0, 50).map(lambda seconds: timedelta(seconds=seconds))


def missing(item: Item, came: list[Missed], lags: list[timedelta], *, with_rev: bool) -> set[str]:
    """What is missing when these came, those of `KINDS` without their names and so much after they happened."""
    keys = {one.key for one in came if one.kind not in KINDS}
    hints = [
        Unnamed(one.kind, at + lag, one.rev if with_rev else 0)
        for one, lag in zip(came, lags, strict=True)
        if one.kind in KINDS and (at := one.comment.at if one.comment else one.at)
    ]
    listened = Listened("fabrikam", 7, frozenset(keys), unnamed=hints)
    return {one.key for one in recovery.missing(listened, item.updates, item.comments).missed}


@given(HISTORIES, st.booleans(), st.data())
def test_what_came_without_a_name_is_not_missing_and_all_else_is(
    item: Item, with_rev: bool, data: st.DataObject
) -> None:
    everything = list(all_of(item))
    came = [one for one in everything if data.draw(st.booleans())]
    lags = [data.draw(LAGS) for _ in came]
    assert missing(item, came, lags, with_rev=with_rev) == {one.key for one in everything if one not in came}


def test_a_delivery_long_after_is_of_another_event() -> None:
    item = history(["comment"])
    (said,) = (one for one in all_of(item) if one.kind is EventKind.COMMENTED)
    assert missing(item, [said], [timedelta(minutes=4)], with_rev=False) == {one.key for one in all_of(item)} - {
        said.key
    }
    assert missing(item, [said], [timedelta(hours=1)], with_rev=False) == {one.key for one in all_of(item)}


def test_a_deletion_that_came_without_its_revision_is_not_told_once_more_by_the_stream() -> None:
    item = history(["delete"])
    at = item.updates[-1].at
    assert at is not None
    binned = Snapshot(rev=2, fields={"System.IsDeleted": True, "System.ChangedDate": at.isoformat()})
    hint = Unnamed(EventKind.DELETED, at + timedelta(seconds=3))
    assert list(recovery.deletion_of(Listened("fabrikam", 7, unnamed=(hint,)), [binned])) == []
    assert len(list(recovery.deletion_of(Listened("fabrikam", 7), [binned]))) == 1


def delivered(kind: str, **resource: Json) -> Delivery:
    body = json.dumps({"eventType": f"workitem.{kind}", "resource": {"workItemId": 7, **resource}})
    return Delivery(
        id="d",
        sequence=1,
        correlation_id="d",
        chain_id="d",
        received_at=START,
        tenant="default",
        organisation="fabrikam",
        idempotency_key="d",
        body=body.encode(),
    )


def test_a_revision_is_heard_of_by_itself_or_by_a_number_of_an_update_that_may_be_its_own() -> None:
    link_and_edit = [delivered("updated", id=2), delivered("updated", id=3), delivered("created", id=7)]
    assert unheard([1, 2], link_and_edit) == []
    assert unheard([1, 2, 3, 4], link_and_edit) == [4]
    assert unheard([2, 3, 4], [delivered("updated", id=9, rev=4), delivered("updated", id=4)]) == [2]
