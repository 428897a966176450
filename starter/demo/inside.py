"""Pointsman as the demo looks at it: its books, read-only, as any command does while the service runs."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pointsman.contracts.records import (
    Attempt,
    Delivery,
    EscalationRow,
    ItemRow,
    ItemTransition,
    StoredMessage,
    WriteRecord,
)
from pointsman.contracts.work_items import ENDED
from pointsman.store.attempts import Attempts
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.signing import Verifier
from pointsman.store.transcripts import Transcripts
from pointsman.store.verification import Report, verify
from starter.demo.processes import Stage

ROWS_MAX = 1_000


@dataclass(frozen=True)
class Told:
    """All that the books tell about one item."""

    row: ItemRow
    transitions: Sequence[ItemTransition]
    attempts: Sequence[Attempt]
    writes: Sequence[WriteRecord]
    escalations: Sequence[EscalationRow]
    messages: Sequence[StoredMessage]


class Inside:
    def __init__(self, store: Store, organisation: str) -> None:
        self._store = store
        self._organisation = organisation

    async def row(self, item_id: int) -> ItemRow | None:
        return await Items(self._store).get(self._organisation, item_id)

    async def ended(self, item_id: int) -> ItemRow | None:
        """The item once its run has ended."""
        row = await self.row(item_id)
        return row if row is not None and row.state in ENDED else None

    async def question(self, item_id: int) -> EscalationRow | None:
        """The item's open escalation, once people were told."""
        rows = await Escalations(self._store).find()
        return next((row for row in rows if row.escalation.key.id == item_id and row.rungs), None)

    async def deliveries(self) -> Sequence[Delivery]:
        return await Inbox(self._store).find(limit=ROWS_MAX)

    async def told(self, row: ItemRow) -> Told:
        escalations = await Escalations(self._store).find(pending_only=False, limit=ROWS_MAX)
        transcript = f"{row.workflow_id}@{row.run_id}"
        return Told(
            row=row,
            transitions=await Items(self._store).transitions(row.key),
            attempts=await Attempts(self._store).of_item(row.key),
            writes=await Ledger(self._store).writes(row.key),
            escalations=[one for one in escalations if one.escalation.key == row.key],
            messages=await Transcripts(self._store).messages(transcript),
        )

    async def verify(self, keys: Path) -> Report:
        return await verify(self._store, Verifier.open(keys))


@asynccontextmanager
async def opened(stage: Stage) -> AsyncGenerator[Inside]:
    async with Store.open(stage.database_url, read_only=True) as store:
        yield Inside(store, stage.organisation)
