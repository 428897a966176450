"""A gap is counted by the recovery that finds it first, and again only when it is another one."""

from datetime import UTC, datetime, timedelta

from pointsman.contracts.records import Caller
from pointsman.contracts.recovery import RecoverResult, Tally, Unrecovered
from pointsman.store.engine import Store
from pointsman.store.recoveries import Recoveries

NOW = datetime.now(UTC)
UNREAD = Unrecovered(what="git.push", reason="403, request 1", gap="deliveries of git.push", lasts=True)
DOWN = Unrecovered(what="git.push", reason="s is disabled", gap="subscription s", lasts=True, since=NOW)
ITEM = Unrecovered(what="work item 7", reason="it is in the recycle bin", gap="work item 7, revisions 3")


class Recovered:
    """One recovery after another; each is a run of its own."""

    def __init__(self, store: Store) -> None:
        self._recoveries = Recoveries(store)
        self._runs = 0

    async def found(self, *gaps: Unrecovered, project: str = "", dry_run: bool = False, more: int = 0) -> list[str]:
        """What of it is named as a gap that nobody has named."""
        self._runs += 1
        tally = Tally(unrecovered=gaps, unrecovered_count=len(gaps) + more)
        result = RecoverResult(organisation="fabrikam", project=project, tally=tally, dry_run=dry_run)
        caller = Caller(workflow_id="recover/fabrikam/*", run_id=str(self._runs))
        kept = await self._recoveries.finish(result, caller)
        assert await self._recoveries.finish(result, caller) == kept
        assert {*kept.tally.unrecovered, *kept.tally.standing} == set(gaps)
        assert kept.tally.unrecovered_count == len(kept.tally.unrecovered) + more
        return [one.gap for one in kept.tally.unrecovered]


async def test_a_gap_is_counted_once_whatever_its_reason_says_today(store: Store) -> None:
    books = Recovered(store)
    assert await books.found(UNREAD, ITEM, dry_run=True) == [UNREAD.gap, ITEM.gap]
    assert await books.found(UNREAD, ITEM) == [UNREAD.gap, ITEM.gap]
    assert await books.found(UNREAD.model_copy(update={"reason": "403, request 2"})) == []
    assert await books.found(ITEM) == []


async def test_what_lasted_and_came_back_is_another_gap(store: Store) -> None:
    books = Recovered(store)
    await books.found(UNREAD)
    assert await books.found(project="Web") == []
    assert await books.found(more=1) == []
    assert await books.found(UNREAD, project="Web") == [], "neither another project nor a list cut short ends it"
    await books.found(project="Web")
    assert await books.found(UNREAD) == [UNREAD.gap]


async def test_an_outage_that_is_over_is_the_one_that_was_named_while_it_lasted(store: Store) -> None:
    books = Recovered(store)
    assert await books.found(DOWN) == [DOWN.gap]
    aged = DOWN.model_copy(update={"since": None})
    assert await books.found(aged) == []
    over = DOWN.model_copy(update={"lasts": False, "until": NOW + timedelta(hours=1)})
    later = NOW + timedelta(hours=2)
    assert await books.found(over) == []
    assert await books.found(over, DOWN.model_copy(update={"since": later})) == [DOWN.gap]
    assert await books.found(over.model_copy(update={"since": later})) == []
