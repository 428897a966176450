"""What a run of an item left open at agents elsewhere, stopped by the question that outlived it."""

from temporalio import activity

from activities.agents import RemoteTurns
from activities.outside import beating, outside
from pointsman.contracts.agents import SettledElsewhere, SettleLeft
from pointsman.ports_reconciliation import ItemRuns


class LeftBehind:
    """`worker.py` hands in Temporal's runs and the room that speaks to the services."""

    def __init__(self, runs: ItemRuns, remote: RemoteTurns) -> None:
        self._runs = runs
        self._remote = remote

    @activity.defn(name="agents.settle_left")
    async def settle(self, ask: SettleLeft) -> SettledElsewhere:
        """As `agents.settle`, where the run is over; one that goes on stops what it has open itself, and tells of it.
        Idempotent."""
        with outside(f"run {ask.run_id} of {ask.request.key}"):
            async with beating():
                is_over = await self._runs.is_over(ask.workflow_id, ask.run_id)
        return await self._remote.settle(ask) if is_over else SettledElsewhere()
