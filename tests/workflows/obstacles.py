"""Worlds and books that wait, refuse or forget, so that something can happen in between."""

import asyncio
from collections.abc import Sequence

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Decision, Escalation, Resolution
from pointsman.contracts.records import Caller, Delivery, EscalationRow
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.ports import Rejected, Unavailable
from tests.books import MemoryBodies, MemoryContents, MemoryEscalations
from tests.worlds import FakePeople, FakeResult, FakeToolbox, FakeTracker


class Hold:
    """A place where something waits until the test lets it go."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    async def wait(self) -> None:
        self.reached.set()
        await self.released.wait()


class HeldBodies(MemoryBodies):
    """Books that are away at first, so that an activity of its own asks them again; and that answers when it is let."""

    def __init__(self, hold: Hold) -> None:
        super().__init__()
        self._hold = hold
        self._asked = 0

    async def get(self, delivery_id: str) -> Delivery | None:
        self._asked += 1
        if self._asked == 1:
            raise Unavailable("the books are away")
        await self._hold.wait()
        return await super().get(delivery_id)


class RefusingBodies(MemoryBodies):
    """Books that cannot tell what a delivery said, and never will."""

    async def get(self, delivery_id: str) -> Delivery | None:
        raise Rejected(f"body of {delivery_id} is damaged")


class HeldEscalations(MemoryEscalations):
    """Keeps what it is told at once, and answers when it is let."""

    def __init__(self, opening: Hold | None = None, settling: Hold | None = None) -> None:
        super().__init__()
        self.asked = 0
        self._opening = opening
        self._settling = settling

    async def open(self, escalation: Escalation, caller: Caller) -> EscalationRow:
        known = next((row for row in self.kept.values() if row.workflow_id == caller.workflow_id), None)
        row = known or await super().open(escalation, caller)
        self.asked += 1
        if self._opening is not None:
            await self._opening.wait()
        return row

    async def settle(
        self, escalation_id: str, decision: Decision | None, resolution: Resolution, caller: Caller
    ) -> EscalationRow:
        if self._settling is not None:
            await self._settling.wait()
        return await super().settle(escalation_id, decision, resolution, caller)


class DeafPeople(FakePeople):
    """The team cannot be told; the lead can."""

    async def notify(self, target: str, subject: str, text: str) -> str:
        if target == "team":
            raise Rejected("channel archived")
        return await super().notify(target, subject, text)


class ForgetfulContents(MemoryContents):
    """Cannot read one text the first time."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text.encode()
        self.refused = 0

    async def get(self, digest: str) -> bytes:
        if self._text in self.kept[digest] and not self.refused:
            self.refused += 1
            raise Rejected("damaged block")
        return await super().get(digest)


class HeldTracker(FakeTracker):
    """Answers a write when it is let."""

    def __init__(self, hold: Hold) -> None:
        super().__init__()
        self._hold = hold

    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        written = await super().write(key, rev, change)
        await self._hold.wait()
        return written


class HalfToolbox(FakeToolbox):
    """One tool is refused at once, the other takes its time."""

    async def call(self, allowed: Sequence[str], name: str, arguments: Json) -> FakeResult:
        if name != "known__look":
            raise Rejected("this server is gone")
        await asyncio.sleep(0.1)
        return await super().call(allowed, name, arguments)
