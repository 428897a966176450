"""A log that is longer than what is read at once verifies as well."""

import asyncio

from pointsman.store.audit import Audit
from pointsman.store.contents import Contents
from pointsman.store.engine import Store
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from pointsman.store.verification import verify
from pointsman.store.witnesses import ROWS_AT_ONCE
from tests.store.samples import event


async def test_log_and_contents_of_more_than_one_batch_verify(store: Store, signer: Signer) -> None:
    numbers = range(ROWS_AT_ONCE + 1)
    await asyncio.gather(*(Audit(store).append(event(number)) for number in numbers))
    await asyncio.gather(*(Contents(store).put(f"{number}".encode()) for number in numbers))
    await Sequencer(store, signer).drain()
    report = await verify(store, signer)
    assert report.findings == ()
    assert [log.size for log in report.logs] == [ROWS_AT_ONCE + 1]
