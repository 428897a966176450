"""Which subscriptions of service hooks are to be made, replaced or taken away: what policy wants, beside what is there.

Two subscriptions are the same when publisher, event, URL and filters are. Only what we set is compared: the service
adds inputs of its own (`tfsSubscriptionId`, `hostId`), and whoever compares these makes a new subscription each time.
A subscription that posts elsewhere is of somebody else, and in no step.
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from pointsman.contracts.hooks import (
    FoundHook,
    HookAction,
    HookPolicy,
    HookRule,
    HookStatus,
    HookStep,
    WantedHook,
)
from pointsman.domain.hook_events import KNOWN, PROJECT, WORK_ITEMS, publisher_of

CONSUMER, ACTION = "webHooks", "httpRequest"
USERNAME, PASSWORD = "basicAuthUsername", "basicAuthPassword"  # pragma: allowlist secret
DETAILS, MESSAGES, DETAILED_MESSAGES = "resourceDetailsToSend", "messagesToSend", "detailedMessagesToSend"
_WHOLE = {DETAILS, MESSAGES, DETAILED_MESSAGES}
"""Inputs whose empty value means `all`."""
_PORTS = {"http": 80, "https": 443}
_BROKEN = {
    HookStatus.ON_PROBATION: "it is on probation, where events are lost",
    HookStatus.DISABLED_BY_SYSTEM: "the service disabled it after too many failures",
    HookStatus.DISABLED_BY_INACTIVE_IDENTITY: "its owner has left or lost a permission",
}

Key = tuple[str, str, str, tuple[tuple[str, str], ...]]


def wanted(
    policy: HookPolicy, organisation: str, url: str, username: str, project_ids: Mapping[str, str]
) -> tuple[WantedHook, ...]:
    """What policy wants of one organisation. `project_ids` holds each project named, by its name in lower case.

    Raises:
        KeyError: a project that a rule names is not among `project_ids`.
    """
    found: dict[Key, WantedHook] = {}
    for rule in policy.subscriptions:
        if _is_of(rule, organisation):
            for hook in _of_rule(rule, policy, organisation, url, username, project_ids):
                found.setdefault(_wanted_key(hook), hook)
    return tuple(found.values())


def events_wanted(policy: HookPolicy, organisation: str) -> frozenset[str]:
    """Types of events that policy subscribes to there."""
    rules = (one for one in policy.subscriptions if _is_of(one, organisation))
    return frozenset(event for rule in rules for event in rule.events)


def _is_of(rule: HookRule, organisation: str) -> bool:
    return not rule.organisations or organisation in {name.lower() for name in rule.organisations}


def _of_rule(
    rule: HookRule,
    policy: HookPolicy,
    organisation: str,
    url: str,
    username: str,
    project_ids: Mapping[str, str],
) -> Iterator[WantedHook]:
    inputs = {
        USERNAME: username,
        DETAILS: policy.details.value,
        MESSAGES: policy.messages.value,
        DETAILED_MESSAGES: policy.messages.value,
    }
    for event in rule.events:
        version = policy.resource_version if event in WORK_ITEMS else KNOWN[event].resource_version
        for project in rule.projects or ("",):
            place = {PROJECT: project_ids[project.lower()]} if project else {}
            yield WantedHook(
                organisation=organisation,
                publisher=publisher_of(event),
                event_type=event,
                url=url,
                filters={**rule.filters, **place},
                inputs=inputs,
                resource_version=version,
                rule=rule.name,
                project=project,
            )


def is_ours(hook: FoundHook, url: str) -> bool:
    """It posts to our receiver, whoever made it."""
    return (hook.consumer, hook.action) == (CONSUMER, ACTION) and _place(hook.url) == _place(url)


def same_place(url: str, other: str) -> bool:
    """Both lead to the same receiver, however they are written."""
    return _place(url) == _place(other)


def plan(
    wants: Sequence[WantedHook], there: Sequence[FoundHook], url: str, *, prune: bool = False
) -> tuple[HookStep, ...]:
    """Steps after which each wanted subscription is there once and in force. `there` is all, read to its end.

    With `prune` those of ours go that policy does not want; without it they are told and left. What somebody disabled
    by hand is left, too.
    """
    by_key: dict[Key, list[FoundHook]] = {}
    for hook in sorted((hook for hook in there if is_ours(hook, url)), key=_age):
        by_key.setdefault(_found_key(hook), []).append(hook)
    steps: list[HookStep] = []
    for want in wants:
        candidates = by_key.pop(_wanted_key(want), [])
        steps += _steps(want, candidates)
    for hook in [hook for hooks in by_key.values() for hook in hooks]:
        action = HookAction.REMOVE if prune else HookAction.LEAVE
        steps.append(HookStep(action=action, found=hook, why="it posts to us, and policy does not want it"))
    return tuple(steps)


def differences(want: WantedHook, hook: FoundHook) -> tuple[str, ...]:
    """Names of what we set and what reads back otherwise. A password reads back masked: only its absence shows."""
    told = [
        name for name, value in want.inputs.items() if _input(name, value) != _input(name, hook.inputs.get(name, ""))
    ]
    if want.resource_version and want.resource_version != hook.resource_version:
        told.append("resourceVersion")
    return (*told, *(() if hook.inputs.get(PASSWORD) else (PASSWORD,)))


def _steps(want: WantedHook, candidates: Sequence[FoundHook]) -> Iterator[HookStep]:
    if not candidates:
        yield HookStep(action=HookAction.CREATE, wanted=want, why="there is none")
        return
    best, *others = sorted(candidates, key=_health)
    yield _step(want, best)
    for hook in others:
        yield HookStep(action=HookAction.REMOVE, found=hook, why=f"it is the same as {best.id}")


def _step(want: WantedHook, hook: FoundHook) -> HookStep:
    if hook.status == HookStatus.DISABLED_BY_USER:
        why = "somebody disabled it by hand: enable or delete it there"
        return HookStep(action=HookAction.LEAVE, wanted=want, found=hook, why=why)
    if hook.status != HookStatus.ENABLED:
        known = hook.status in set(HookStatus)
        why = _BROKEN[HookStatus(hook.status)] if known else f"its status is {hook.status!r}"
        return HookStep(action=HookAction.RECREATE, wanted=want, found=hook, why=why)
    if differing := differences(want, hook):
        why = f"it differs in {', '.join(differing)}"
        return HookStep(action=HookAction.REPLACE, wanted=want, found=hook, why=why)
    return HookStep(action=HookAction.KEEP, wanted=want, found=hook, why="it is as policy wants it")


def _health(hook: FoundHook) -> int:
    """The one to keep sorts first. What a human disabled comes next, or we would work against the human."""
    order = (HookStatus.ENABLED, HookStatus.DISABLED_BY_USER, HookStatus.ON_PROBATION)
    return next((place for place, status in enumerate(order) if hook.status == status), len(order))


def _age(hook: FoundHook) -> tuple[float, str]:
    return (hook.created_at.timestamp() if hook.created_at else 0.0, hook.id)


def _wanted_key(hook: WantedHook) -> Key:
    return (hook.publisher, hook.event_type, _place(hook.url), _filters(hook.event_type, hook.filters))


def _found_key(hook: FoundHook) -> Key:
    return (hook.publisher, hook.event_type, _place(hook.url), _filters(hook.event_type, hook.filters))


def filters_told(event_type: str, filters: Mapping[str, str]) -> dict[str, str]:
    """What limits a subscription, for people: the service adds ids of its own to what it was given."""
    has = {name.lower() for name in KNOWN[event_type].filters} if event_type in KNOWN else None
    return {name: value for name, value in filters.items() if value and (has is None or name.lower() in has)}


def _filters(event_type: str, filters: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Filters that the event has; empty ones are none. Upper and lower case are the same, as to the service."""
    has = {name.lower() for name in KNOWN[event_type].filters} if event_type in KNOWN else None
    told = {name.lower(): value.casefold() for name, value in filters.items() if value}
    return tuple(sorted((name, value) for name, value in told.items() if has is None or name in has))


def _input(name: str, value: str) -> str:
    return (value or "all").lower() if name in _WHOLE else value


def _place(url: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        port = 0
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}{parts.path.rstrip('/')}?{parts.query}"
