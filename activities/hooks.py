"""Look after the subscriptions of service hooks: find those that lose events, and put new ones in their place."""

from collections.abc import Sequence

from temporalio import activity

from activities.outside import beating, caller, outside
from pointsman.contracts.recovery import HookProblem, HooksFound, HookState, WatchHooks
from pointsman.ports import HookKeeper, Recoveries

# What a person switched off stays off, and a silent one is told of only: nobody knows yet why it is.
REPAIRED = (HookProblem.PROBATION, HookProblem.DISABLED, HookProblem.INACTIVE_OWNER, HookProblem.MISSING)


class HookWatch:
    """`worker.py` hands in the keeper and the books."""

    def __init__(self, keeper: HookKeeper, recoveries: Recoveries) -> None:
        self._keeper = keeper
        self._recoveries = recoveries

    @activity.defn(name="hooks.watch")
    async def watch(self, ask: WatchHooks) -> HooksFound:
        """Find subscriptions in trouble, tell what changed, repair what a new subscription helps. Safe to repeat: what
        was repaired is well when it is looked at again."""
        with outside(f"subscriptions of {ask.organisation}"):
            async with beating():
                states, enabled = await self._keeper.look(ask.organisation)
                found = [*states, *await self._silent(ask, states)]
                if ask.dry_run:
                    return HooksFound(hooks=tuple(found), enabled=enabled)
                kept = await self._recoveries.keep_hooks(ask, found, caller())
                mended = [one for one in states if ask.repair and one.is_wanted and one.problem in REPAIRED]
                repaired = [await self._repair(ask, one) for one in mended]
        return HooksFound(hooks=tuple(kept), repaired=tuple(repaired), enabled=enabled)

    async def _repair(self, ask: WatchHooks, state: HookState) -> str:
        fresh = await self._keeper.replace(state)
        await self._recoveries.repaired(state, fresh, ask.tenant, caller())
        return f"{state.event_type}: {fresh} for {state.subscription_id or 'none'} ({state.problem})"

    async def _silent(self, ask: WatchHooks, states: Sequence[HookState]) -> list[HookState]:
        """Before a recovery: those that were silent the last time. After it: events that came back, of a type of which
        nothing was delivered, and whose subscriptions seem well, and seemed so before."""
        troubled = {*ask.deaf, *(one.event_type for one in states)}
        if ask.recovered is None:
            before = await self._recoveries.hooks(ask.organisation)
            return [one for one in before if one.problem is HookProblem.SILENT and one.event_type not in troubled]
        found = []
        for event_type, count in sorted(ask.recovered.items()):
            if not count or event_type in troubled:
                continue
            if not await self._recoveries.delivered_since(ask.organisation, event_type, ask.since):
                found.append(
                    HookState(organisation=ask.organisation, event_type=event_type, problem=HookProblem.SILENT)
                )
        return found
