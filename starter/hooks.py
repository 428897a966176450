"""The subscriptions of service hooks that post to our receiver: looked at, brought to what policy wants, rotated.

Everything is read before anything is written, and a list that fails ends it: who takes a list for empty that is not
makes each subscription again. Each step may be repeated, so whatever ends in the middle is begun anew.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from pointsman.clients.azure_devops.hook_service import HookService
from pointsman.config import Misconfigured, Settings, variable
from pointsman.contracts.hooks import (
    FoundHook,
    HookAction,
    HookNotification,
    HookPolicy,
    HookStatus,
    HookStep,
    WantedHook,
)
from pointsman.domain.hook_events import WORK_ITEMS, beside
from pointsman.domain.hooks import is_ours, plan, wanted
from pointsman.domain.words import how_many
from pointsman.ports import HookService as Service
from pointsman.ports import Missing, Rejected, Unavailable
from starter.organisations import clients

RECEIVER_PATH = "/webhooks/azure-devops"
NO_SECRET = SecretStr("")
"""For whoever only reads."""
FAILED = "failed"
KEPT_MAX = 1_000
WRITES = (HookAction.CREATE, HookAction.REPLACE, HookAction.RECREATE, HookAction.REMOVE)


@dataclass(frozen=True)
class Standing:
    """How one organisation stands: what is wanted, all that is there, and the steps from this to that."""

    organisation: str
    wants: tuple[WantedHook, ...]
    there: tuple[FoundHook, ...]
    steps: tuple[HookStep, ...]

    @property
    def writes(self) -> tuple[HookStep, ...]:
        return tuple(step for step in self.steps if step.action in WRITES)

    @property
    def left(self) -> tuple[HookStep, ...]:
        """What a human has to decide."""
        return tuple(step for step in self.steps if step.action is HookAction.LEAVE)


class Unfinished(Exception):
    """Some steps were done, and then one failed. The text says which, and that all may be done again."""


class NotTaken(Exception):
    """The service could not deliver to our receiver. Nothing was changed."""


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


def newest_secret(settings: Settings) -> SecretStr:
    """The last of the secrets: subscriptions are made with it.

    Raises:
        Misconfigured: there is none.
    """
    if not settings.webhook_secrets:
        raise Misconfigured(
            f"{variable('webhook_secrets')} is not set: subscriptions need the password that deliveries come with. "
            "Nothing was asked or changed."
        )
    return settings.webhook_secrets[-1]


@asynccontextmanager
async def service(settings: Settings, secret: SecretStr = NO_SECRET) -> AsyncGenerator[Service]:
    """Subscriptions of all organisations of the settings; what is made or replaced gets the secret."""
    async with clients(settings) as organisations:
        yield HookService(organisations, secret)


def unlisted(settings: Settings, there: Sequence[FoundHook]) -> list[FoundHook]:
    """Those whose deliveries settings give no effect. One that is made anew has another id than the one in settings."""
    listed = {name.lower() for name in settings.webhook_subscriptions}
    return [hook for hook in there if listed and hook.status == HookStatus.ENABLED and hook.id.lower() not in listed]


async def standings(
    hooks: Service, settings: Settings, policy: HookPolicy, *, prune: bool = False
) -> tuple[Standing, ...]:
    """Every organisation, read whole.

    Raises:
        Unavailable, Rejected: a list or a project could not be read; nothing of the others is used.
    """
    organisations = [one.name for one in settings.organisations()]
    return tuple([await standing(hooks, settings, policy, name, prune=prune) for name in organisations])


async def standing(
    hooks: Service, settings: Settings, policy: HookPolicy, organisation: str, *, prune: bool = False
) -> Standing:
    """One organisation, read whole. Errors are those of `standings`."""
    url = receiver_url(settings)
    rules = [
        rule for rule in policy.subscriptions if not rule.organisations or organisation in _lower(rule.organisations)
    ]
    ids = await hooks.project_ids(organisation, [name for rule in rules for name in rule.projects])
    wants = wanted(policy, organisation, url, settings.webhook_user, ids)
    there = await hooks.found(organisation, beside(frozenset(want.event_type for want in wants)))
    return Standing(organisation, wants, tuple(there), plan(wants, there, url, prune=prune))


def ours(one: Standing, url: str) -> tuple[FoundHook, ...]:
    return tuple(hook for hook in one.there if is_ours(hook, url))


async def probe(hooks: Service, standing: Standing) -> HookNotification | None:
    """Have the organisation deliver an invented event with the secret that is about to be used.

    Returns None where nothing is wanted, and so there is nothing to try with.

    Raises:
        NotTaken: it could not be delivered.
    """
    if not standing.wants:
        return None
    want = standing.wants[0]
    told = await hooks.test(want)
    if told.result == FAILED:
        raise NotTaken(
            f"{standing.organisation}: a test of {want.event_type} to {want.url} was not taken: "
            f"{told.error or 'no reason given'} Nothing was changed."
        )
    return told


async def unrecovered(hooks: Service, steps: Sequence[HookStep]) -> list[tuple[FoundHook, int]]:
    """Subscriptions that would be made anew although the service keeps deliveries that failed with them, and how many:
    its history goes with a subscription. Events of work items come back without it."""
    old = [step.found for step in steps if step.action is HookAction.RECREATE and step.found]
    kept = [(hook, await hooks.notifications(hook, KEPT_MAX)) for hook in old if hook.event_type not in WORK_ITEMS]
    failed = [(hook, sum(one.result == FAILED for one in told)) for hook, told in kept]
    return [(hook, count) for hook, count in failed if count]


async def carry_out(hooks: Service, steps: Sequence[HookStep]) -> None:
    """Do the steps one after another, each safe to be done again.

    Raises:
        Unfinished: one failed; those before it are done.
    """
    for number, step in enumerate(steps):
        try:
            await _do(hooks, step)
        except (Rejected, Unavailable) as error:
            raise Unfinished(
                f"{number} of {how_many(len(steps), 'change')} made, then one failed: {described(step)}: {error}. "
                "All of them may be made again."
            ) from error


async def _do(hooks: Service, step: HookStep) -> None:
    match step:
        case HookStep(action=HookAction.CREATE, wanted=WantedHook() as want):
            await hooks.create(want)
        case HookStep(action=HookAction.REPLACE, wanted=WantedHook() as want, found=FoundHook() as found):
            try:
                await hooks.replace(found, want)
            except Missing:
                await hooks.create(want)  # somebody took it away meanwhile
        case HookStep(action=HookAction.RECREATE, wanted=WantedHook() as want, found=FoundHook() as found):
            await hooks.create(want)  # first, so that no event falls between the two
            await hooks.remove(found)
        case HookStep(action=HookAction.REMOVE, found=FoundHook() as found):
            await hooks.remove(found)


def rotating(steps: Sequence[HookStep]) -> tuple[HookStep, ...]:
    """The steps with every subscription that could stay as it is replaced: the password that it has is not shown."""
    why = "it gets the new secret"
    return tuple(
        step.model_copy(update={"action": HookAction.REPLACE, "why": why}) if step.action is HookAction.KEEP else step
        for step in steps
    )


def about(step: HookStep) -> WantedHook | FoundHook:
    hook = step.wanted or step.found
    assert hook is not None, "a step is about something"
    return hook


def described(step: HookStep) -> str:
    hook = about(step)
    which = f" {step.found.id}" if step.found else ""
    return f"{step.action} {hook.event_type}{which} of {hook.organisation}"


def _lower(names: Sequence[str]) -> set[str]:
    return {name.lower() for name in names}
