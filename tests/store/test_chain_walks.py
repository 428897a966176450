"""Edges are kept with the rows that tell them, found from every end, and never across tenants."""

from pointsman.contracts.chains import Direction, Edge, EdgeKind
from pointsman.contracts.records import AttemptKind, Caller, DeliveryState, WriteIntent
from pointsman.domain.echoes import told
from pointsman.store.attempts import Attempts
from pointsman.store.chain_walks import Chains
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from tests.store.samples import CHAIN, FACTS, NOW, delivery, escalation

RUN = "ado/fabrikam/rail/42"
ITEM, BUILD = "item:fabrikam/42", "build:fabrikam/7"
CALLER = Caller(workflow_id=RUN, run_id="r")
TURN = Caller(workflow_id=f"{RUN}/turn-1", run_id="r-1")
ASKED = Caller(workflow_id=f"{RUN}/escalation-1", run_id="r-2")


def edge(cause: str, effect: str, **more: object) -> Edge:
    return Edge.model_validate({"cause": cause, "effect": effect, "kind": EdgeKind.CHILD, **more})


async def life(store: Store) -> tuple[str, str]:
    """From an event of the item to the echo of our write to it. Returns both deliveries."""
    inbox = Inbox(store)
    first = await inbox.accept(delivery(edges=(edge(ITEM, BUILD, kind=EdgeKind.LINKED),)))
    await inbox.settle(first.id, DeliveryState.DISPATCHED, workflow_id=RUN)
    await Items(store).take_in(FACTS, CHAIN, CALLER)
    await Attempts(store).begin(AttemptKind.MODEL, CHAIN, TURN, "gpt", "t/1")
    await Escalations(store).open(escalation(), ASKED)
    await Ledger(store).intend(WriteIntent(operation="op", chain=CHAIN, base_rev=1, values={"a": 1}), CALLER)
    echo = await inbox.accept(delivery())
    await inbox.settle(echo.id, DeliveryState.ECHO, told("op"), RUN)
    return first.id, echo.id


async def test_the_whole_chain_is_found_from_each_of_its_things(store: Store) -> None:
    first, echo = await life(store)
    everything = {
        f"event:{first}",
        f"event:{echo}",
        ITEM,
        BUILD,
        f"run:{RUN}",
        f"run:{TURN.workflow_id}",
        "escalation:ESC-1",
        "write:op",
    }
    chains = Chains(store)
    for start in everything:
        assert await chains.tenants(start) == ["default"], start
        found = await chains.walk(start, "default")
        assert set(found.things) == everything, start
        assert found.complete


async def test_effects_and_causes_are_told_apart(store: Store) -> None:
    first, echo = await life(store)
    chains = Chains(store)
    causes = await chains.walk(f"event:{echo}", "default", direction=Direction.CAUSES)
    assert set(causes.things) == {f"event:{echo}", "write:op", f"run:{RUN}", f"event:{first}"}
    effects = await chains.walk("write:op", "default", direction=Direction.EFFECTS)
    assert set(effects.things) == {"write:op", f"event:{echo}", ITEM, BUILD}


async def test_the_same_thing_told_again_adds_no_edge(store: Store) -> None:
    await life(store)
    before = await Chains(store).walk(ITEM, "default")
    await Items(store).take_in(FACTS, CHAIN, CALLER)
    await Attempts(store).begin(AttemptKind.MODEL, CHAIN, TURN, "gpt", "t/2")
    await Ledger(store).intend(WriteIntent(operation="op", chain=CHAIN, base_rev=1, values={"a": 1}), CALLER)
    assert (await Chains(store).walk(ITEM, "default")).edges == before.edges


async def test_a_duplicate_and_a_replay_hang_on_the_first(store: Store) -> None:
    inbox = Inbox(store)
    first = await inbox.accept(delivery("k", item_id=0, edges=(edge("item:x/1", "item:x/2"),)))
    twice = await inbox.accept(delivery("k", item_id=0, edges=(edge("item:x/3", "item:x/4"),)))
    again = await inbox.replay(first.id, "ada")
    more = await inbox.replay(again.id, "ada")
    found = await Chains(store).walk(f"event:{first.id}", "default", direction=Direction.EFFECTS)
    assert {(one.kind, one.effect) for one in found.edges} == {
        (EdgeKind.REPEATED, f"event:{twice.id}"),
        (EdgeKind.REPLAYED, f"event:{again.id}"),
        (EdgeKind.REPLAYED, f"event:{more.id}"),
    }
    assert await Chains(store).tenants("item:x/3") == []  # the duplicate has told nothing of its own


async def test_a_chain_never_leaves_its_tenant(store: Store) -> None:
    inbox = Inbox(store)
    await inbox.accept(delivery(item_id=0, edges=(edge("item:x/1", "item:x/2"),)))
    await inbox.accept(delivery(item_id=0, tenant="other", edges=(edge("item:x/2", "item:x/3"),)))
    chains = Chains(store)
    assert await chains.tenants("item:x/2") == ["default", "other"]
    assert (await chains.walk("item:x/2", "default")).things == ("item:x/2", "item:x/1")
    assert (await chains.walk("item:x/2", "other")).things == ("item:x/2", "item:x/3")


async def test_a_link_that_is_taken_away_and_made_again_stands(store: Store) -> None:
    inbox = Inbox(store)

    async def standing() -> list[bool]:
        return [one.removed for one in (await Chains(store).walk("item:x/1", "default")).edges]

    for number, removed in enumerate((False, True, False), start=1):
        at = NOW.replace(minute=number)
        told_by = edge("item:x/1", "item:x/2", removed=removed, evidence=f"e-{number}", at=at)
        await inbox.accept(delivery(item_id=0, edges=(told_by,)))
        assert await standing() == [removed]


async def test_a_walk_says_when_there_is_more(store: Store) -> None:
    inbox = Inbox(store)
    for _ in range(5):
        await inbox.accept(delivery())
    found = await Chains(store).walk(ITEM, "default", limit=4)
    assert (len(found.things), found.complete) == (4, False)
    whole = await Chains(store).walk(ITEM, "default", limit=6)
    assert (len(whole.things), whole.complete) == (6, True)


async def test_text_that_no_database_takes_is_kept_clean(store: Store) -> None:
    await Inbox(store).accept(delivery(item_id=0, edges=(edge("item:x\x00/1", "item:x/2"),)))
    assert await Chains(store).tenants("item:x/2") == ["default"]
