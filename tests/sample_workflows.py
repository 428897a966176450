"""Small workflows for tests of the servers and of their set-up. No workflow of the product is like them."""

from datetime import datetime, timedelta

from temporalio import workflow

from pointsman.contracts.work_items import WorkItemKey


@workflow.defn
class SleepThreeDays:
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(timedelta(days=3))
        return "awake"


@workflow.defn
class WaitForWord:
    def __init__(self) -> None:
        self._word = ""

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._word != "", timeout=timedelta(minutes=5))
        return self._word

    @workflow.signal
    def say(self, word: str) -> None:
        self._word = word


@workflow.defn
class LookAtTheClock:
    """Does what no workflow may: the sandbox has to refuse it."""

    @workflow.run
    async def run(self) -> str:
        return datetime.now().isoformat()


@workflow.defn
class NameAnItem:
    """Takes a contract and builds one, which fails for an id of 0."""

    @workflow.run
    async def run(self, key: WorkItemKey) -> WorkItemKey:
        return WorkItemKey(organisation=key.organisation, project=key.project, id=key.id - 1)
