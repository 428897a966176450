"""An agreement is the same whatever the order in which events come, and however often."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.sync import Agreed
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.sync.agreeing import (
    LINK_UPDATES_MAX,
    OWN_COMMENTS_MAX,
    advanced,
    commented,
    link_name,
    links_of,
    read_whole,
)

few = settings(max_examples=40)  # each law has many forms here, and there are many laws

EMPTY = Agreed(key=WorkItemKey(organisation="fabrikam", project="Web", id=1))
Step = dict[str, int | None]
steps = st.lists(st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3), min_size=1), max_size=8)


def after(history: list[Step], until: int) -> dict[str, Json]:
    """The item as it is at a revision; the first is 2."""
    fields: dict[str, Json] = {"a": 0}
    for step in history[: until - 1]:
        for name, value in step.items():
            fields.pop(name, None)
            if value is not None:
                fields[name] = value
    return fields


@few
@given(steps, st.integers(1, 9), st.integers(0, 5), st.integers(0, 9))
def test_events_in_any_order_and_twice_lead_to_the_item_as_it_is(
    history: list[Step], read_at: int, seed: int, moment: int
) -> None:
    events = [*enumerate(history, 2), *enumerate(history, 2)]
    random.Random(seed).shuffle(events)
    agreed = read_whole(EMPTY, 1, after(history, 1), [])
    for number, (rev, changes) in enumerate(events):
        if number == moment:
            agreed = read_whole(agreed, min(read_at, len(history) + 1), after(history, read_at), [])
        agreed = advanced(agreed, rev, dict(changes))
    assert agreed.fields == after(history, len(history) + 1)
    assert agreed.rev == len(history) + 1


@few
@given(steps)
def test_an_event_that_is_taken_in_again_changes_nothing(history: list[Step]) -> None:
    agreed = read_whole(EMPTY, 1, {}, [])
    for rev, changes in enumerate(history, 2):
        agreed = advanced(agreed, rev, dict(changes))
        assert advanced(agreed, rev, dict(changes)) == agreed


def test_a_look_that_is_older_than_the_last_changes_nothing() -> None:
    agreed = read_whole(EMPTY, 5, {"a": 5}, ["Related 7"])
    assert read_whole(agreed, 4, {"a": 4}, []) == agreed


def test_what_moves_with_every_save_and_what_was_said_are_no_fields() -> None:
    agreed = read_whole(EMPTY, 1, {}, [])
    assert advanced(agreed, 2, {"System.Rev": 2, "System.History": "<p>x</p>", "a": 1}).fields == {"a": 1}


def test_comments_keep_their_highest_version_and_memory_stays_bounded() -> None:
    agreed = advanced(advanced(EMPTY, 0, {}, comments={9: 3}), 0, {}, comments={9: 2, 10: 1})
    assert agreed.comments == {9: 3, 10: 1}
    for number in range(1, OWN_COMMENTS_MAX + 50):
        agreed = commented(agreed, number, is_status=number == 7)
        agreed = advanced(agreed, 0, {}, links=[], link_update=number)
    assert (len(agreed.own_comments), len(agreed.link_updates)) == (OWN_COMMENTS_MAX, LINK_UPDATES_MAX)
    assert agreed.status_comment == 7


def test_a_link_has_one_name_whatever_the_address_of_its_end() -> None:
    near, far = "https://dev.azure.com/f/_apis/wit/workItems/7", "https://f.visualstudio.com/guid/_apis/wit/workitems/7"
    assert link_name("Related", near) == link_name("Related", far) == "Related 7"
    build = {"rel": "ArtifactLink", "url": "vstfs:///Git/PullRequestId/p%2Fr%2F3"}
    assert links_of([build, {"rel": "Related", "url": near}, {"rel": "Related", "url": far}]) == (
        "ArtifactLink vstfs:///Git/PullRequestId/p/r/3",
        "Related 7",
    )
