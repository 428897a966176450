"""The least that Temporal does for an item: the same children, stages and activities as ours, all of them empty."""

from datetime import timedelta

from temporalio import activity, workflow

TIMEOUT = timedelta(seconds=30)


@activity.defn(name="bare.nothing")
async def nothing(number: int) -> int:
    return number


@workflow.defn
class BareTurn:
    """One model call."""

    @workflow.run
    async def run(self, number: int) -> int:
        return await workflow.execute_activity(nothing, number, start_to_close_timeout=TIMEOUT)


@workflow.defn
class BareItem:
    """Six transitions, a read, a turn as a child, a look at what of its answer is so already, a write."""

    @workflow.run
    async def run(self, number: int) -> int:
        await self._locally()
        await workflow.execute_activity(nothing, number, start_to_close_timeout=TIMEOUT)
        for _ in range(3):
            await self._locally()
        await workflow.execute_child_workflow(BareTurn.run, number, id=f"{workflow.info().workflow_id}/turn")
        await self._locally()
        await self._locally()
        await workflow.execute_activity(nothing, number, start_to_close_timeout=TIMEOUT)
        await self._locally()
        return number

    @workflow.signal
    def deliver(self, number: int) -> None:
        """Starts with a signal, as ours do."""

    async def _locally(self) -> None:
        await workflow.execute_local_activity(nothing, 0, start_to_close_timeout=TIMEOUT)
