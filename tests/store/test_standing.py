"""What gauges and pages ask the store for, on both databases."""

from datetime import timedelta
from pathlib import Path

from pointsman.contracts.escalations import Resolution
from pointsman.contracts.records import DeliveryState, Tally
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.inbox import Inbox
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from pointsman.store.standing import Standings
from tests.store.samples import CALLER, NOW, delivery, escalation, event


async def test_empty_books_stand_at_zero(store: Store) -> None:
    assert await Standings(store)() == Tally()


async def test_what_waits_and_what_is_dead_is_counted_and_the_oldest_that_waits_is_told(store: Store) -> None:
    inbox = Inbox(store)
    done = await inbox.accept(delivery(received_at=NOW - timedelta(hours=2)))
    await inbox.settle(done.id, DeliveryState.DISPATCHED)
    await inbox.accept(delivery(received_at=NOW - timedelta(hours=1)))
    await inbox.accept(delivery(received_at=NOW))
    await inbox.accept(delivery(state=DeliveryState.DEAD))
    tally = await Standings(store)()
    assert tally.inbox == {"pending": 2, "dead": 1}
    assert tally.oldest_pending_at == NOW - timedelta(hours=1)


async def test_only_open_escalations_count(store: Store) -> None:
    book = Escalations(store)
    first = await book.open(escalation(1), CALLER)
    await book.open(escalation(2), CALLER.model_copy(update={"run_id": "run-2"}))
    assert (await Standings(store)()).escalations == {"high": 2}
    await book.settle(first.id, None, Resolution(escalation_id=first.id, outcome="withdrawn"), CALLER)
    assert (await Standings(store)()).escalations == {"high": 1}


async def test_events_move_from_waiting_into_the_tree(store: Store, tmp_path: Path) -> None:
    log = Audit(store)
    for number in range(3):
        await log.append(event(number))
    assert (await Standings(store)()).audit_pending == 3
    await Sequencer(store, Signer.open(tmp_path / "keys")).drain()
    tally = await Standings(store)()
    assert (tally.audit_pending, tally.audit_size) == (0, 3)
