"""`ports.HookKeeper` over the subscriptions of service hooks: what `pointsman hooks ensure` would mend by hand."""

from collections.abc import Iterator, Sequence

from pointsman.config import Misconfigured, Settings
from pointsman.contracts.hooks import FoundHook, HookAction, HookPolicy, HookStatus, HookStep
from pointsman.contracts.recovery import HookProblem, HookState
from pointsman.ports import HookService, Rejected
from starter import hooks

PROBLEMS = {
    HookStatus.ON_PROBATION: HookProblem.PROBATION,
    HookStatus.DISABLED_BY_SYSTEM: HookProblem.DISABLED,
    HookStatus.DISABLED_BY_INACTIVE_IDENTITY: HookProblem.INACTIVE_OWNER,
    HookStatus.DISABLED_BY_USER: HookProblem.SWITCHED_OFF,
}


class HookKeeper:
    """Without a public URL nobody knows which subscriptions are ours, so none is looked after."""

    def __init__(self, service: HookService, settings: Settings, policy: HookPolicy) -> None:
        self._service = service
        self._settings = settings
        self._policy = policy

    async def look(self, organisation: str) -> tuple[Sequence[HookState], int]:
        if not self._settings.public_url:
            return [], 0
        standing = await self._standing(organisation)
        there = hooks.ours(standing, hooks.receiver_url(self._settings))
        unlisted = [_troubled(hook, HookProblem.UNLISTED) for hook in hooks.unlisted(self._settings, there)]
        states = [*_states(standing), *unlisted]
        return states, sum(hook.status == HookStatus.ENABLED for hook in there)

    async def replace(self, state: HookState) -> str:
        """Everything is read again: what somebody has mended meanwhile stays as it is.

        Raises:
            Rejected: there is no password to give to the new one, or policy no longer wants it.
        """
        try:
            hooks.newest_secret(self._settings)
        except Misconfigured as error:
            raise Rejected(str(error), "Misconfigured") from error
        standing = await self._standing(state.organisation)
        step = next((step for step in standing.steps if _names(step, state)), None)
        if step is None or step.wanted is None:
            raise Rejected(f"{state.event_type} {state.subscription_id}: policy does not want it; nothing was changed")
        if step.action not in (HookAction.CREATE, HookAction.RECREATE):
            return step.found.id if step.found else ""
        made = await self._service.create(step.wanted)  # first, so that no event falls between the two
        if step.found is not None:
            await self._service.remove(step.found)
        return made.id

    async def _standing(self, organisation: str) -> hooks.Standing:
        return await hooks.standing(self._service, self._settings, self._policy, organisation)


def _states(standing: hooks.Standing) -> Iterator[HookState]:
    for step in standing.steps:
        if step.action is HookAction.CREATE and step.wanted is not None:
            yield HookState(
                organisation=standing.organisation,
                event_type=step.wanted.event_type,
                problem=HookProblem.MISSING,
                filters=_filters(step.wanted.filters),
            )
        elif step.found is not None and step.found.status != HookStatus.ENABLED:
            known = step.found.status in set(HookStatus)
            problem = PROBLEMS[HookStatus(step.found.status)] if known else HookProblem.DISABLED
            yield _troubled(step.found, problem, is_wanted=step.wanted is not None)


def _troubled(hook: FoundHook, problem: HookProblem, *, is_wanted: bool = True) -> HookState:
    return HookState(
        organisation=hook.organisation,
        subscription_id=hook.id,
        event_type=hook.event_type,
        status=hook.status,
        problem=problem,
        filters=_filters(hook.filters),
        is_wanted=is_wanted,
    )


def _names(step: HookStep, state: HookState) -> bool:
    if state.subscription_id:
        return step.found is not None and step.found.id == state.subscription_id
    want = step.wanted
    return want is not None and want.event_type == state.event_type and _filters(want.filters) == state.filters


def _filters(filters: dict[str, str]) -> dict[str, str]:
    """Of the project and what policy names; the rest is the service's own."""
    return {name: value for name, value in filters.items() if value and name not in ("tfsSubscriptionId", "hostId")}
