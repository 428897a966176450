"""Items, ledger, transcripts, contents, attempts, escalations: said twice, kept once; and each change is in the log."""

import asyncio
import zlib
from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy import text

from pointsman.contracts.escalations import Decision, Refusal, Resolution, Verb
from pointsman.contracts.records import AttemptKind, AuditEvent, Caller, Chain, WriteIntent
from pointsman.contracts.work_items import Transition, Usage, WorkItemKey, WorkItemState
from pointsman.domain import limits
from pointsman.ports import Missing, Rejected
from pointsman.store.attempts import Attempts
from pointsman.store.audit import Audit
from pointsman.store.contents import Contents, unpacked
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from pointsman.store.tables import Content
from pointsman.store.transcripts import Transcripts
from tests.store.samples import CALLER, CHAIN, FACTS, KEY, NOW, escalation, event

OTHER_RUN = CALLER.model_copy(update={"run_id": "run-2"})
USAGE = Usage(model_calls=2, input_tokens=10, cost_usd="0.125")


async def log(store: Store) -> list[str]:
    return [event.action for event in await Audit(store).find()]


def step(number: int, after: WorkItemState, agent: str = "") -> Transition:
    at = NOW + timedelta(seconds=number)
    return Transition(number=number, before=None, after=after, reason=f"step {number}", at=at, agent=agent)


async def test_an_item_stands_where_its_last_transition_put_it(store: Store) -> None:
    items = Items(store)
    taken = await items.take_in(FACTS, CHAIN, CALLER)
    assert await items.take_in(FACTS, CHAIN, CALLER) == taken
    for _ in range(2):
        await items.record(step(1, WorkItemState.ROUTED, "signals"), CHAIN, CALLER, Usage(), 0.0)
        await items.record(step(2, WorkItemState.WORKING), CHAIN, CALLER, USAGE, 1.5)
    await items.record(step(1, WorkItemState.RECEIVED), CHAIN, CALLER, Usage(), 0.0)
    row = await items.get("fabrikam", 42)
    assert row is not None
    assert (row.state, row.agent, row.usage, row.waited_seconds) == ("working", "signals", USAGE, 1.5)
    assert row.changed_at == NOW + timedelta(seconds=2)
    assert row.facts == FACTS
    assert [found.transition.after for found in await items.transitions(KEY)] == ["routed", "working"]
    assert await log(store) == ["item.taken_in", "item.changed", "item.changed"]
    routed, working = await Audit(store).find(action="item.changed")
    assert (routed.data["reason"], "reason" in working.data) == ("step 1", False)
    assert await items.get("fabrikam", 43) is None


async def test_a_run_that_asked_nobody_does_not_hide_what_the_item_has_cost(store: Store) -> None:
    items = Items(store)
    await items.record(step(1, WorkItemState.DONE), CHAIN, CALLER, USAGE, 1.5)
    await items.record(step(1, WorkItemState.RECEIVED), CHAIN, OTHER_RUN, Usage(), 0.0)
    row = await items.get("fabrikam", 42)
    assert row is not None
    assert (row.state, row.usage, row.waited_seconds) == ("received", USAGE, 1.5)


async def test_an_item_has_cost_what_all_its_runs_have_and_each_run_once(store: Store) -> None:
    items = Items(store)
    continued = CALLER.model_copy(update={"run_id": "run-1-continued"})
    twice = limits.add(USAGE, USAGE)
    for _ in range(2):  # told again, nothing is counted again
        await items.record(step(1, WorkItemState.RECEIVED), CHAIN, CALLER, Usage(), 0.0)
        await items.record(step(2, WorkItemState.WAITING), CHAIN, CALLER, USAGE, 0.0)
        await items.record(step(3, WorkItemState.DONE), CHAIN, continued, twice, 1.5)
        await items.record(step(1, WorkItemState.RECEIVED), CHAIN, OTHER_RUN, Usage(), 0.0)
        await items.record(step(2, WorkItemState.DONE), CHAIN, OTHER_RUN, USAGE, 2.0)
    row = await items.get("fabrikam", 42)
    assert row is not None
    assert (row.usage, row.waited_seconds) == (limits.add(twice, USAGE), 3.5)


async def test_transitions_told_at_once_leave_one_row_each(store: Store) -> None:
    items = Items(store)
    told = [items.record(step(at % 5 + 1, WorkItemState.WORKING), CHAIN, CALLER, Usage(), 0.0) for at in range(20)]
    await asyncio.gather(*told)
    assert sorted(found.transition.number for found in await items.transitions(KEY)) == [1, 2, 3, 4, 5]
    assert await log(store) == ["item.changed"] * 5


async def test_items_are_found_by_state_newest_change_first(store: Store) -> None:
    items = Items(store)
    for number, state in enumerate((WorkItemState.DONE, WorkItemState.WAITING, WorkItemState.DONE), 1):
        key = WorkItemKey(organisation="fabrikam", project="rail", id=number)
        chain = CHAIN.model_copy(update={"key": key})
        await items.record(step(number, state), chain, CALLER, Usage(), 0.0)
    assert [row.key.id for row in await items.find()] == [3, 2, 1]
    assert [row.key.id for row in await items.find(state="done")] == [3, 1]
    assert [row.key.id for row in await items.find(limit=1)] == [3]


async def test_turns_and_escalations_of_all_runs_are_counted(store: Store) -> None:
    items = Items(store)
    assert await items.counts(KEY) == (0, 0)
    await items.record(step(1, WorkItemState.WORKING), CHAIN, CALLER, Usage(), 0.0)
    await items.record(step(1, WorkItemState.WORKING), CHAIN, OTHER_RUN, Usage(), 0.0)
    await Transcripts(store).append("turn-1", CHAIN, "0", "user", b"hello")
    await Escalations(store).open(escalation(), CALLER)
    assert await items.counts(KEY) == (1, 2)


async def test_a_chain_without_an_item_is_a_mistake(store: Store) -> None:
    nowhere = Chain(tenant="default", correlation_id="c")
    with pytest.raises(ValueError, match="chain 'c' names no work item"):
        await Items(store).record(step(1, WorkItemState.DONE), nowhere, CALLER, Usage(), 0.0)


async def test_the_first_intent_stands_and_is_settled_once(store: Store) -> None:
    ledger = Ledger(store)
    intent = WriteIntent(operation="op-1", chain=CHAIN, base_rev=3, values={"System.State": "Resolved", "tags": ["a"]})
    first = await ledger.intend(intent, CALLER)
    assert await ledger.intend(intent.model_copy(update={"base_rev": 9}), OTHER_RUN) == first
    assert (first.status, first.rev, first.values) == ("intended", 0, intent.values)
    await ledger.settle("op-1", "abandoned", 0, CALLER)
    await ledger.settle("op-1", "written", 4, CALLER)
    await ledger.settle("op-1", "written", 9, CALLER)
    await ledger.settle("op-1", "abandoned", 0, CALLER)
    (record,) = await ledger.writes(KEY)
    assert (record.status, record.rev) == ("written", 4)
    assert await log(store) == ["write.intended", "write.abandoned", "write.written"]
    assert b"Resolved" not in b"".join([found.model_dump_json().encode() for found in await Audit(store).find()])


async def test_writes_come_back_oldest_first_and_of_this_item_only(store: Store) -> None:
    ledger = Ledger(store)
    elsewhere = CHAIN.model_copy(update={"key": WorkItemKey(organisation="fabrikam", project="rail", id=7)})
    for number, chain in enumerate((CHAIN, elsewhere, CHAIN)):
        await ledger.intend(WriteIntent(operation=f"op-{number}", chain=chain, base_rev=1, values={}), CALLER)
    assert [record.operation for record in await ledger.writes(KEY)] == ["op-0", "op-2"]


async def test_a_settlement_needs_an_intent_and_a_known_status(store: Store) -> None:
    with pytest.raises(Missing, match="no write 'gone' in the ledger: nothing was changed"):
        await Ledger(store).settle("gone", "written", 1, CALLER)
    with pytest.raises(Rejected, match="settled as 'written' or 'abandoned', not 'lost'"):
        await Ledger(store).settle("gone", "lost", 1, CALLER)


async def test_a_slot_keeps_its_first_body(store: Store) -> None:
    transcripts = Transcripts(store)
    first = await transcripts.append("t", CHAIN, "step-1", "assistant", b"first")
    again = await transcripts.append("t", CHAIN, "step-1", "assistant", b"second")
    assert again == first
    assert (first.position, first.body) == (0, b"first")
    assert await transcripts.find("t", "step-1") == first
    assert await transcripts.find("t", "step-2") is None
    assert await log(store) == ["message.appended"]


async def test_messages_that_come_at_once_all_get_a_place(store: Store) -> None:
    transcripts = Transcripts(store)
    await asyncio.gather(*[transcripts.append("t", CHAIN, f"tool-{at}", "tool", b"%d" % (at % 3)) for at in range(20)])
    messages = await transcripts.messages("t")
    assert [message.position for message in messages] == list(range(20))
    assert {message.slot for message in messages} == {f"tool-{at}" for at in range(20)}
    assert all(message.body == b"%d" % (int(message.slot[5:]) % 3) for message in messages)
    assert await transcripts.messages("other") == []


async def test_the_same_content_is_stored_once_and_compressed_where_that_helps(store: Store) -> None:
    contents = Contents(store)
    digests = await asyncio.gather(*[contents.put(b"railway " * 1000) for _ in range(5)])
    assert len(set(digests)) == 1
    short = await contents.put(b"\x00\x01")
    assert (await contents.get(digests[0]), await contents.get(short)) == (b"railway " * 1000, b"\x00\x01")
    sizes = await store.read(
        lambda session: sorted(session.execute(text("SELECT length(data), encoding FROM content")).all())
    )
    assert sizes[0] == (2, "raw")
    assert sizes[1][0] < 200
    with pytest.raises(Missing, match="no content 'gone'"):
        await contents.get("gone")


async def test_a_damaged_content_is_not_handed_out(store: Store) -> None:
    digest = await Contents(store).put(b"approve")
    await store.write(lambda session: session.execute(text("UPDATE content SET encoding = 'zlib'")))
    with pytest.raises(Rejected, match="is damaged"):
        await Contents(store).get(digest)


async def test_each_flipped_bit_of_a_compressed_content_is_noticed(store: Store) -> None:
    digest = await Contents(store).put(b"abc" * 200)
    kept = await store.read(lambda session: session.get_one(Content, digest))
    for at in range(8 * len(kept.data)):
        flipped = bytearray(kept.data)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(Rejected, match="is damaged"):
            unpacked(Content(hash=digest, encoding=kept.encoding, data=bytes(flipped), at=kept.at))


def test_a_content_of_the_first_schema_can_be_read() -> None:
    data = b"abc" * 200
    row = Content(hash=sha256(data).hexdigest(), encoding="zlib", data=zlib.compress(data), at=NOW)
    assert unpacked(row) == data


async def test_an_attempt_is_in_doubt_until_its_first_outcome(store: Store) -> None:
    attempts = Attempts(store)
    begun = await attempts.begin(AttemptKind.MODEL, CHAIN, CALLER, "gpt", "step-1")
    assert (begun.ended_at, begun.outcome) == (None, "")
    assert await attempts.of_item(KEY) == [begun]
    await attempts.end(begun, "ok", USAGE, "req-1")
    await attempts.end(begun, "TimeoutError")
    (ended,) = await attempts.of_item(KEY)
    assert (ended.outcome, ended.usage, ended.request_id) == ("ok", USAGE, "req-1")
    assert ended.ended_at is not None
    second = await attempts.begin(AttemptKind.MODEL, CHAIN, CALLER, "gpt", "step-1")
    assert [found.id for found in await attempts.of_item(KEY)] == [begun.id, second.id]
    assert await log(store) == ["attempt.begun", "attempt.ended", "attempt.begun"]
    with pytest.raises(Missing, match="no attempt"):
        await attempts.end(begun.model_copy(update={"id": "gone"}), "ok")


async def test_an_escalation_is_opened_once_and_numbered_on(store: Store) -> None:
    escalations = Escalations(store)
    first = await escalations.open(escalation(), CALLER)
    assert await escalations.open(escalation(9), CALLER) == first
    second = await escalations.open(escalation(2), OTHER_RUN)
    assert (first.id, second.id) == ("ESC-1", "ESC-2")
    assert await escalations.get("esc-1") == await escalations.get("1") == first
    assert [await escalations.get(name) for name in ("ESC-3", "ESC-", "x", "ESC-" + "9" * 30)] == [None] * 4
    assert [row.id for row in await escalations.find()] == ["ESC-2", "ESC-1"]
    assert await log(store) == ["escalation.opened"] * 2


async def test_the_first_settlement_stands(store: Store) -> None:
    escalations = Escalations(store)
    opened = await escalations.open(escalation(), CALLER)
    decision = Decision(verb=Verb.APPROVE, by="ada", subject="cd" * 32, channel="cli")
    resolution = Resolution(escalation_id=opened.id, verb=Verb.APPROVE, by="ada")
    settled = await escalations.settle(opened.id, decision, resolution, CALLER)
    late = Resolution(escalation_id=opened.id, outcome="expired")
    assert await escalations.settle(opened.id, None, late, CALLER) == settled
    assert (settled.decision, settled.resolution) == (decision, resolution)
    assert await escalations.find() == []
    assert await escalations.find(pending_only=False) == [settled]
    assert await log(store) == ["escalation.opened", "escalation.decided"]


@pytest.mark.parametrize("outcome", ["expired", "withdrawn"])
async def test_an_end_without_decision_is_told_as_what_it_is(store: Store, outcome: str) -> None:
    escalations = Escalations(store)
    opened = await escalations.open(escalation(), CALLER)
    await escalations.settle(opened.id, None, Resolution(escalation_id=opened.id, outcome=outcome), CALLER)
    assert await log(store) == ["escalation.opened", f"escalation.{outcome}"]


async def test_rungs_and_refusals_are_told_once(store: Store) -> None:
    escalations = Escalations(store)
    opened = await escalations.open(escalation(), CALLER)
    for _ in range(2):
        await escalations.notified(opened.id, 0, "told ops", CALLER)
        await escalations.notified(opened.id, 1, "told all", CALLER)
        await escalations.refuse(opened.id, Refusal(number=1, reason="stale", by="bob"), CALLER)
    row = await escalations.get(opened.id)
    assert row is not None
    assert row.rungs == ("told ops", "told all")
    notified = ["escalation.notified", "escalation.notified"]
    assert await log(store) == ["escalation.opened", *notified, "escalation.refused"]
    for change in (
        escalations.notified("ESC-9", 0, "x", CALLER),
        escalations.refuse("ESC-9", Refusal(number=1, reason="late"), CALLER),
        escalations.settle("ESC-9", None, Resolution(escalation_id="ESC-9"), CALLER),
    ):
        with pytest.raises(Missing, match="no escalation 'ESC-9'"):
            await change


async def test_an_event_is_appended_once_and_found_in_order_of_the_log(store: Store, signer: Signer) -> None:
    audit = Audit(store)
    for number in (1, 2, 1):
        await audit.append(event(number))
    await Sequencer(store, signer).drain()
    await audit.append(event(3))
    assert [found.id for found in await audit.find()] == [f"event-default-{number}" for number in (1, 2, 3)]
    assert await audit.find() == [event(1), event(2), event(3)]
    assert [found.id for found in await audit.find(limit=2)] == ["event-default-2", "event-default-3"]


@pytest.mark.parametrize("in_tree", [False, True])
async def test_events_are_found_by_chain_item_and_action(store: Store, signer: Signer, in_tree: bool) -> None:
    audit = Audit(store)
    lone = Chain(tenant="default", correlation_id="other")
    refused = AuditEvent(id="r", action="delivery.refused", actor="web", at=NOW, chain=lone, data={"why": "\ud800\x00"})
    await audit.append(refused)
    await audit.append(event(1))
    if in_tree:
        await Sequencer(store, signer).drain()
    assert [found.id for found in await audit.find(correlation_id="other")] == ["r"]
    assert [found.id for found in await audit.find(key=KEY)] == ["event-default-1"]
    assert [found.id for found in await audit.find(action="delivery.refused")] == ["r"]
    assert await audit.find(correlation_id="other", key=KEY) == []
    assert [found.id for found in await audit.find(key=KEY, action="item.routed")] == ["event-default-1"]
    assert await audit.find(key=KEY, action="delivery.refused") == []


async def test_a_search_finds_the_newest_in_the_tree_and_before_it(store: Store, signer: Signer) -> None:
    audit = Audit(store)
    for numbers in ((1, 2, 3), (4, 5)):
        for number in numbers:
            await audit.append(event(number))
        if 1 in numbers:
            await Sequencer(store, signer).drain()
    for chosen in ({"key": KEY}, {"correlation_id": "chain-1"}, {"key": KEY, "correlation_id": "chain-1"}):
        found = await audit.find(**chosen, limit=4)
        assert [one.id for one in found] == [f"event-default-{number}" for number in (2, 3, 4, 5)]


async def test_a_change_that_fails_leaves_no_event(store: Store) -> None:
    caller = Caller(workflow_id="w", run_id="r")
    with pytest.raises(Missing):
        await Ledger(store).settle("gone", "written", 1, caller)
    assert await log(store) == []


async def test_why_a_question_was_withdrawn_is_in_the_log(store: Store) -> None:
    escalations = Escalations(store)
    row = await escalations.open(escalation(), CALLER)
    ended = Resolution(escalation_id=row.id, outcome="withdrawn", reason="terminated in Temporal")
    settled = await escalations.settle(row.id, None, ended, OTHER_RUN)
    again = await escalations.settle(row.id, None, ended.model_copy(update={"reason": "another"}), OTHER_RUN)
    assert (settled.resolution, again.resolution) == (ended, ended)
    (told,) = await Audit(store).find(action="escalation.withdrawn")
    assert (told.data["reason"], told.data["outcome"]) == ("terminated in Temporal", "withdrawn")
    assert (await escalations.open(escalation(), CALLER)).closed_at is not None


async def test_a_question_that_a_terminated_run_left_open_is_closed_when_the_next_one_reads_the_item(
    store: Store,
) -> None:
    escalations, items = Escalations(store), Items(store)
    await items.take_in(FACTS, CHAIN, CALLER)
    left = await escalations.open(escalation(), CALLER)
    other = await escalations.open(
        escalation(2).model_copy(update={"key": KEY.model_copy(update={"id": 43})}),
        OTHER_RUN.model_copy(update={"workflow_id": "another"}),
    )
    for _ in range(2):
        await items.take_in(FACTS, CHAIN, OTHER_RUN)
    assert [row.id for row in await escalations.find()] == [other.id]
    closed = await escalations.get(left.id)
    assert closed is not None
    assert closed.resolution is not None
    assert (closed.resolution.outcome, closed.decision) == ("withdrawn", None)
    assert "ended from outside" in closed.resolution.reason
    assert (await log(store)).count("escalation.withdrawn") == 1


async def test_a_question_that_a_reset_run_asked_twice_is_closed_when_the_item_ends(store: Store) -> None:
    escalations, items = Escalations(store), Items(store)
    await items.take_in(FACTS, CHAIN, CALLER)
    asked = [await escalations.open(escalation(), CALLER.model_copy(update={"run_id": run})) for run in ("q1", "q2")]
    await items.record(step(1, WorkItemState.WAITING), CHAIN, OTHER_RUN, USAGE, 0.0)
    assert len(await escalations.find()) == len(asked)
    await items.record(step(2, WorkItemState.DONE), CHAIN, OTHER_RUN, USAGE, 0.0)
    assert await escalations.find() == []
