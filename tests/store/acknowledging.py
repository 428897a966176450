"""What a process of its own does for `test_kill.py`: it accepts deliveries, sequences, and says each id that it has
acknowledged, until it is killed."""

import asyncio
import os
from multiprocessing.connection import Connection
from pathlib import Path

from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from tests.store.samples import delivery


def serve(url: str, keys: Path, told: Connection) -> None:
    asyncio.run(_accept_all(url, keys, told))


async def _accept_all(url: str, keys: Path, told: Connection) -> None:
    async with Store.open(url) as store:
        inbox = Inbox(store)
        sequencing = Sequencer(store, Signer.open(keys)).run()
        await asyncio.gather(sequencing, *[_accept(inbox, item_id, told) for item_id in range(20)])


async def _accept(inbox: Inbox, item_id: int, told: Connection) -> None:
    while True:
        receipt = await inbox.accept(delivery(item_id=item_id, body=os.urandom(500)))
        told.send(receipt.id)  # at once, past every buffer that dies with the process
