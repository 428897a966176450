"""Subscriptions are brought to what policy wants: none twice, none of others touched, none lost on the way."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.hooks import (
    FoundHook,
    HookAction,
    HookDetails,
    HookPolicy,
    HookRule,
    HookStatus,
    HookStep,
    WantedHook,
)
from pointsman.domain.hook_events import KNOWN, beside
from pointsman.domain.hooks import ACTION, CONSUMER, PASSWORD, differences, filters_told, is_ours, plan, wanted

URL = "https://pointsman.example/webhooks/azure-devops"
IDS = {"web": "id-of-web", "shop": "id-of-shop"}
EVENTS = tuple(KNOWN)[:4]
ADDED = {"tfsSubscriptionId": "0d1f", "hostId": "11aa"}


def of_policy(*rules: HookRule, details: HookDetails = HookDetails.ALL) -> tuple[WantedHook, ...]:
    return wanted(HookPolicy(subscriptions=rules, details=details), "fabrikam", URL, "pointsman", IDS)


def made(want: WantedHook, name: str, status: str = HookStatus.ENABLED, **changes: object) -> FoundHook:
    """What the service tells of a subscription that was made as wanted."""
    hook = FoundHook(
        organisation=want.organisation,
        id=name,
        publisher=want.publisher,
        event_type=want.event_type,
        consumer=CONSUMER,
        action=ACTION,
        url=want.url,
        filters={**want.filters, **ADDED},
        inputs={**want.inputs, PASSWORD: "********"},
        resource_version=want.resource_version,
        status=status,
    )
    return hook.model_copy(update=changes)


class Service:
    """What a service does with steps. `numbers` name what is made."""

    def __init__(self, there: Sequence[FoundHook]) -> None:
        self.there = list(there)
        self._numbers = count()

    def calls(self, steps: Sequence[HookStep]) -> list[tuple[str, HookStep]]:
        """The single calls of the steps, in order: a process may end after each."""
        parts = {
            HookAction.CREATE: ("create",),
            HookAction.REPLACE: ("replace",),
            HookAction.RECREATE: ("create", "delete"),
            HookAction.REMOVE: ("delete",),
        }
        return [(part, step) for step in steps for part in parts.get(step.action, ())]

    def take(self, part: str, step: HookStep) -> None:
        if part != "create" and step.found:
            self.there = [hook for hook in self.there if hook.id != step.found.id]
        if part != "delete" and step.wanted:
            name = step.found.id if part == "replace" and step.found else f"made-{next(self._numbers)}"
            self.there.append(made(step.wanted, name))


rules = st.builds(
    HookRule,
    name=st.sampled_from(["a", "b"]),
    events=st.lists(st.sampled_from(EVENTS), min_size=1, max_size=3).map(tuple),
    projects=st.lists(st.sampled_from(["Web", "Shop"]), max_size=2).map(tuple),
    filters=st.sampled_from([{}, {"areaPath": "Web\\Basket"}, {"tag": "ai", "workItemType": ""}]),
)
wishes = st.lists(rules, max_size=3).map(lambda listed: of_policy(*listed))

CHANGES: list[dict[str, Any]] = [
    {},
    {"url": "https://elsewhere.example/hook"},
    {"action": "queue"},
    {"resource_version": "latest"},
    {"inputs": {}},
    {"url": "HTTPS://Pointsman.Example:443/webhooks/azure-devops/"},
]


@st.composite
def organisations(draw: st.DrawFn) -> tuple[tuple[WantedHook, ...], list[FoundHook]]:
    """What is wanted, and what is there: some of it, some twice, some broken, some of others, some of old policy."""
    wants = draw(wishes)
    pool = [*wants, *draw(wishes)]
    there: list[FoundHook] = []
    for number in range(draw(st.integers(0, 6)) if pool else 0):
        want = draw(st.sampled_from(pool))
        status = draw(st.sampled_from([*HookStatus, "asleep"]))
        changes = draw(st.sampled_from(CHANGES))
        there.append(made(want, f"there-{number}", status, **changes))
    return wants, there


@given(organisations(), st.booleans())
def test_after_the_steps_nothing_is_left_to_do(
    world: tuple[tuple[WantedHook, ...], list[FoundHook]], prune: bool
) -> None:
    wants, there = world
    service = Service(there)
    for part, step in service.calls(plan(wants, there, URL, prune=prune)):
        service.take(part, step)
    again = plan(wants, service.there, URL, prune=prune)
    assert {step.action for step in again} <= {HookAction.KEEP, HookAction.LEAVE}
    assert len([step for step in again if step.wanted]) == len(wants)


@given(organisations(), st.integers(0, 20))
def test_process_that_ends_anywhere_is_taken_up_again(
    world: tuple[tuple[WantedHook, ...], list[FoundHook]], calls: int
) -> None:
    wants, there = world
    service = Service(there)
    for part, step in service.calls(plan(wants, there, URL))[:calls]:
        service.take(part, step)
    for part, step in service.calls(plan(wants, service.there, URL)):
        service.take(part, step)
    for step in plan(wants, service.there, URL):
        assert step.action in (HookAction.KEEP, HookAction.LEAVE)


@given(organisations(), st.integers(0, 20))
def test_event_that_is_delivered_goes_on_being_delivered(
    world: tuple[tuple[WantedHook, ...], list[FoundHook]], calls: int
) -> None:
    wants, there = world
    before = [want for want in wants if any(delivers(hook, want) for hook in there)]
    service = Service(there)
    for part, step in service.calls(plan(wants, there, URL))[:calls]:
        service.take(part, step)
        assert all(any(delivers(hook, want) for hook in service.there) for want in before)


def delivers(hook: FoundHook, want: WantedHook) -> bool:
    told = {name: value for name, value in hook.filters.items() if value and name not in ADDED}
    same = (hook.event_type, told) == (want.event_type, {name: value for name, value in want.filters.items() if value})
    return same and is_ours(hook, want.url) and hook.status == HookStatus.ENABLED


@given(organisations(), st.booleans())
def test_what_posts_elsewhere_is_never_touched(
    world: tuple[tuple[WantedHook, ...], list[FoundHook]], prune: bool
) -> None:
    wants, there = world
    foreign = {hook.id for hook in there if not is_ours(hook, URL)}
    touched = {step.found.id for step in plan(wants, there, URL, prune=prune) if step.found}
    assert not foreign & touched


@given(organisations())
def test_without_pruning_only_doubles_go(world: tuple[tuple[WantedHook, ...], list[FoundHook]]) -> None:
    wants, there = world
    for step in plan(wants, there, URL):
        assert step.action is not HookAction.REMOVE or step.why.startswith("it is the same as ")


ITEM = of_policy(HookRule(name="items", events=("workitem.updated",), projects=("Web",)))[0]


@pytest.mark.parametrize(
    ("status", "action"),
    [
        ("enabled", HookAction.KEEP),
        ("onProbation", HookAction.RECREATE),
        ("disabledBySystem", HookAction.RECREATE),
        ("disabledByInactiveIdentity", HookAction.RECREATE),
        ("disabledByUser", HookAction.LEAVE),
        ("asleep", HookAction.RECREATE),
    ],
)
def test_each_status_has_its_remedy(status: str, action: HookAction) -> None:
    assert [step.action for step in plan([ITEM], [made(ITEM, "one", status)], URL)] == [action]


def test_what_the_service_adds_makes_no_difference() -> None:
    added = {**ITEM.filters, **ADDED, "areaPath": "", "invented": "by the service"}
    hook = made(ITEM, "one", filters=added)
    assert [step.action for step in plan([ITEM], [hook], URL)] == [HookAction.KEEP]


def test_people_are_shown_the_filters_that_are_set_and_no_ids_of_the_service() -> None:
    assert filters_told("workitem.created", {**ADDED, "areaPath": "Web", "tag": ""}) == {"areaPath": "Web"}
    assert filters_told("of.tomorrow", {"kind": "x"}) == {"kind": "x"}


def test_narrower_filter_is_another_subscription() -> None:
    hook = made(ITEM, "one", filters={**ITEM.filters, "areaPath": "Web\\Basket"})
    assert [step.action for step in plan([ITEM], [hook], URL)] == [HookAction.CREATE, HookAction.LEAVE]


def test_difference_in_what_we_set_is_replaced_and_named() -> None:
    minimal = of_policy(HookRule(name="items", events=("workitem.updated",)), details=HookDetails.MINIMAL)[0]
    hook = made(minimal, "one", inputs={**minimal.inputs, "resourceDetailsToSend": ""}, resource_version="1.0")
    assert differences(minimal, hook) == ("resourceDetailsToSend", "resourceVersion", PASSWORD)
    (step,) = plan([minimal], [hook], URL)
    assert step.action is HookAction.REPLACE


def test_empty_means_all() -> None:
    hook = made(ITEM, "one", inputs={"basicAuthUsername": "pointsman", PASSWORD: "********"})
    assert differences(ITEM, hook) == ()


def test_enabled_one_of_several_is_kept() -> None:
    there = [made(ITEM, "a", HookStatus.ON_PROBATION), made(ITEM, "b"), made(ITEM, "c")]
    told = [(step.action, step.found.id if step.found else "") for step in plan([ITEM], there, URL)]
    assert told == [(HookAction.KEEP, "b"), (HookAction.REMOVE, "c"), (HookAction.REMOVE, "a")]


def test_rules_for_other_organisations_want_nothing_here() -> None:
    assert of_policy(HookRule(name="a", events=("git.push",), organisations=("Contoso",))) == ()
    assert len(of_policy(HookRule(name="a", events=("git.push",), organisations=("Fabrikam",)))) == 1


def test_project_that_nobody_has_looked_up_is_refused() -> None:
    with pytest.raises(KeyError, match="unheard"):
        of_policy(HookRule(name="a", events=("git.push",), projects=("Unheard",)))


def test_only_publishers_in_use_are_looked_at() -> None:
    assert {KNOWN[event].publisher for event in beside(frozenset())} == {"tfs"}
    looked = beside(frozenset({"ms.vss-release.release-created-event"}))
    assert {KNOWN[event].publisher for event in looked} == {"tfs", "rm"}
