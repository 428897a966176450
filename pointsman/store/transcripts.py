"""Conversations: append-only lists of messages. A body is a content, so that what is said twice is stored once."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.records import Chain, StoredMessage
from pointsman.store import audit, contents
from pointsman.store.chains import columns_of
from pointsman.store.engine import Store
from pointsman.store.locks import wait_turn
from pointsman.store.tables import Content, Message, col


class Transcripts:
    """`ports.Transcripts` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, transcript: str, chain: Chain, slot: str, role: str, body: bytes) -> StoredMessage:
        """Idempotent by (transcript, slot): a slot that is taken keeps its first body, which is returned."""

        def change(session: Session) -> StoredMessage:
            wait_turn(session, f"transcript:{transcript}")
            if (taken := _find(session, transcript, slot)) is not None:
                return taken
            last = select(func.max(col(Message.position))).where(col(Message.transcript) == transcript)
            position = session.scalar(last)
            where = columns_of(chain)
            message = Message(
                transcript=transcript,
                position=0 if position is None else position + 1,
                slot=slot,
                tenant=where["tenant"],
                correlation_id=where["correlation_id"],
                organisation=where["organisation"],
                item_id=where["item_id"],
                role=role,
                hash=contents.keep(session, body),
                at=datetime.now(UTC),
            )
            session.add(message)
            event = audit.event_of(
                Action.MESSAGE_APPENDED,
                "pointsman",
                chain,
                {"transcript": transcript, "slot": slot, "role": role, "sha256": message.hash},
                once=(transcript, slot),
            )
            audit.add(session, event)
            return _told(message, body)

        return await self._store.write(change)

    async def messages(self, transcript: str) -> Sequence[StoredMessage]:
        """All of it, in order of position."""
        query = (
            select(Message, Content)
            .join(Content, col(Content.hash) == col(Message.hash))
            .where(col(Message.transcript) == transcript)
            .order_by(col(Message.position))
        )
        return await self._store.read(
            lambda session: [_told(row, contents.unpacked(content)) for row, content in session.execute(query)]
        )

    async def find(self, transcript: str, slot: str) -> StoredMessage | None:
        return await self._store.read(lambda session: _find(session, transcript, slot))


def _find(session: Session, transcript: str, slot: str) -> StoredMessage | None:
    query = select(Message).where(col(Message.transcript) == transcript, col(Message.slot) == slot)
    message = session.scalar(query)
    return _told(message, contents.load(session, message.hash)) if message else None


def _told(row: Message, body: bytes) -> StoredMessage:
    return StoredMessage(slot=row.slot, position=row.position, role=row.role, hash=row.hash, body=body, at=row.at)
