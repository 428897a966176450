"""What policy wants done when violations open: tell people, comment on the item, name those to ask about."""

from collections.abc import Sequence
from hashlib import sha256

from temporalio import activity

from activities.outside import beating, chain, outside
from activities.sync import Writer
from pointsman.contracts.tracker import ItemWrite
from pointsman.contracts.violations import ActOn, Called, ProcessViolation
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.process import calls
from pointsman.domain.sync.recognising import marked
from pointsman.ports import Notifier, Rejected, WorkTracker
from pointsman.ports_process import KeptViolations

COMMENTS_MAX, QUESTIONS_MAX = 20, 10  # at once: a first check of a large project must not flood its people


class ViolationCalls:
    """`worker.py` hands in the books and the outside."""

    def __init__(self, violations: KeptViolations, notifier: Notifier, tracker: WorkTracker, writer: Writer) -> None:
        self._violations = violations
        self._notifier = notifier
        self._tracker = tracker
        self._writer = writer

    @activity.defn(name="process.act")
    async def act(self, ask: ActOn) -> Called:
        """Tell people of violations that nobody was told of. At least once; a comment is written once.

        Each target gets one message, however many there are. Of one call at most 20 items get a comment, and about at
        most 10 violations people are asked: the message names the others, too.
        """
        place = f"{ask.organisation}/{ask.project}"
        with outside(f"violations in {place}"):
            async with beating():
                untold = await self._violations.untold(ask.organisation, ask.items)
                todo = [one for one in untold if calls.concerns(ask.on_open, one)]
                if not todo:
                    return Called()
                told = await self._notify(ask, place, todo)
                commented = await self._comment(ask, todo)
                questions = [one for one in todo if calls.wanted(ask.on_open, one).escalate][:QUESTIONS_MAX]
                await self._violations.told([one.id for one in todo], [one.id for one in questions])
                return Called(told=told, commented=commented, ask=tuple(questions))

    async def _notify(self, ask: ActOn, place: str, todo: Sequence[ProcessViolation]) -> tuple[str, ...]:
        targets: dict[str, list[ProcessViolation]] = {}
        for one in todo:
            for target in calls.wanted(ask.on_open, one).notify:
                targets.setdefault(target, []).append(one)
        return tuple(
            [
                await self._notifier.notify(target, calls.subject(place, found), calls.text(found))
                for target, found in targets.items()
            ]
        )

    async def _comment(self, ask: ActOn, todo: Sequence[ProcessViolation]) -> int:
        items: dict[WorkItemKey, list[ProcessViolation]] = {}
        for one in todo:
            if calls.wanted(ask.on_open, one).comment:
                items.setdefault(one.key, []).append(one)
        commented = list(items.items())[:COMMENTS_MAX]
        written = [await self._comment_on(ask, key, found) for key, found in commented]
        return sum(written)

    async def _comment_on(self, ask: ActOn, key: WorkItemKey, found: Sequence[ProcessViolation]) -> bool:
        """Whether it is there. A comment that is refused, or would be one write too many, is left out: people were told
        all the same."""
        names = "\n".join(one.id for one in found)
        operation = f"process/{key.organisation}/{key.id}/{sha256(names.encode()).hexdigest()[:16]}"
        whose = chain(ask.tenant, ask.correlation_id, key)
        try:
            item = await self._tracker.get(key)
            if await self._writer.recover(whose, item, await self._writer.rows(key, operation)):
                return True
            if item.deleted or await self._writer.stopped(whose, ask.breaker):
                return False
            comment = marked(calls.comment(found), operation)
            await self._writer.write(whose, operation, item, ItemWrite(comment=comment))
        except Rejected:
            return False
        return True
