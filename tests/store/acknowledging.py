"""A process of its own for `test_kill.py`: accepts deliveries, sequences, and says each id once it is acknowledged.

`python -m tests.store.acknowledging DATABASE_URL KEY_FOLDER`, until killed.
"""

import asyncio
import os
import sys
from pathlib import Path

from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from tests.store.samples import delivery


async def accept(inbox: Inbox, item_id: int) -> None:
    while True:
        receipt = await inbox.accept(delivery(item_id=item_id, body=os.urandom(500)))
        os.write(1, f"{receipt.id}\n".encode())  # at once, past every buffer that dies with the process


async def main(url: str, keys: Path) -> None:
    async with Store.open(url) as store:
        inbox = Inbox(store)
        sequencing = Sequencer(store, Signer.open(keys)).run()
        await asyncio.gather(sequencing, *[accept(inbox, item_id) for item_id in range(20)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
