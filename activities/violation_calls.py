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

        Each target gets one message, however many there are; comments and questions have limits, see `calls.planned`:
        the message names the others, too.
        """
        place = f"{ask.organisation}/{ask.project}"
        with outside(f"violations in {place}"):
            async with beating():
                untold = await self._violations.untold(ask.organisation, ask.items, ask.project)
                plan = calls.planned(ask.on_open, untold)
                if not plan.told:
                    return Called()
                told = await self._notify(place, plan)
                written = [await self._comment_on(ask, key, found) for key, found in plan.comments.items()]
                await self._violations.told([one.id for one in plan.told], [one.id for one in plan.questions])
                return Called(
                    told=told,
                    commented=sum(written),
                    ask=plan.questions,
                    uncommented=tuple(one.id for one in plan.uncommented),
                )

    async def _notify(self, place: str, plan: calls.Plan) -> tuple[str, ...]:
        return tuple(
            [
                await self._notifier.notify(target, calls.subject(place, found), calls.text(found, plan.uncommented))
                for target, found in plan.messages.items()
            ]
        )

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
