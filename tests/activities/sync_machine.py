"""A person and an agent write to one item, whatever goes wrong on the way: a model that Hypothesis drives.

`python -m tests.activities.sync_machine 10000 [SEED]` drives it for about so many steps; the test takes a few.
"""

import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from pointsman.clients.azure_devops.patches import Operation, add_comment, add_relation, remove_relation, set_field
from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import Classify, FieldConflict, Publish, Published, TakeIn
from pointsman.contracts.records import Caller
from pointsman.contracts.sync import LoopBreaker, SyncPolicy
from pointsman.contracts.work_items import Judgement, Proposal, ProposedLink, Verdict, WorkItemEvent, WorkItemKey
from pointsman.domain.echoes import equal, is_noise, is_of_fields, tags_of
from pointsman.domain.links import read_links
from pointsman.domain.proposals import canonical
from pointsman.domain.reconciliation import settled_writes
from pointsman.domain.sync.agreeing import links_of
from pointsman.domain.sync.kinds import TAGS
from pointsman.domain.sync.recognising import HISTORY, links_in
from pointsman.ports import Rejected
from tests.activities.sync_happenings import (
    LINES,
    PRIORITY,
    STEPS,
    VALUES,
    Act,
    Arrival,
    Attempt,
    Going,
    Hearing,
    Turn,
    happenings,
)
from tests.activities.sync_rig import PLACE, Both, Killed, both

T = TypeVar("T")
CALLER = Caller(workflow_id="comparison", run_id="r")
RELATED = "System.LinkTypes.Related"
US, PERSON = "pointsman@fabrikam.example", "ada@fabrikam.example"
A_SEED = 10
# No breaker here: the machine writes to one item as often as it likes, and that is no loop.
POLICY = SyncPolicy(breaker=LoopBreaker(writes=10_000))


class TwoWriters(RuleBasedStateMachine):
    """`both` and `loop` are set by whoever runs it: one world for all runs, and an item for each."""

    both: ClassVar[Both]
    loop: ClassVar[asyncio.Runner]
    steps: ClassVar[int] = 0
    seed: ClassVar[int] = 0
    came_to: ClassVar[Counter[str]] = Counter()
    """What each attempt to write came to."""

    @initialize()
    def begin(self) -> None:
        self.key = self.run(self.both.item())
        self.others = [self.run(self.both.item()) for _ in range(2)]
        self.run(self.person_writes([set_field(STEPS, LINES)]))
        self.queue: list[WorkItemEvent] = []
        self.knows: dict[str, Json] = {}
        self.asked: Publish | None = None
        self.news_rev, self.operations = 0, 0
        self.made: dict[str, Publish] = {}
        self.knew: dict[str, dict[str, Json]] = {}
        self.take_in()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(work)

    @rule(what=happenings)
    def something_happens(self, what: Act | Arrival | Hearing | Going) -> None:
        """One rule: of several, Hypothesis leaves out some in most of its runs, and without turns nothing happens."""
        type(self).steps += 1
        match what:
            case Act():
                self.act(what)
            case Arrival():
                self.one_arrives(what)
            case Hearing(lost):
                self.hear(lost=lost)
            case Going(turn, _) if self.asked is None:
                self.take_turn(turn)
            case Going(_, attempt):
                self.write(attempt)

    # The person

    async def person_writes(self, operations: list[Operation]) -> None:
        try:
            await self.both.person.work_items.patch(self.key.id, operations)
        except Rejected:
            return  # a state that the process does not lead to

    def act(self, what: Act) -> None:
        match what.kind:
            case "set":
                operation = set_field(*what.told)
            case "tag":
                operation = {"op": "replace", "path": f"/fields/{TAGS}", "value": "; ".join(what.told)}
            case "say":
                operation = add_comment(what.told)
            case "link":
                operation = add_relation(RELATED, self.address(self.others[what.told]))
            case _:
                operation = remove_relation(what.told)
        self.run(self.person_writes([operation]))

    def address(self, other: WorkItemKey) -> str:
        return f"{PLACE}/fabrikam/_apis/wit/workItems/{other.id}"

    # The way of events

    def one_arrives(self, which: Arrival) -> None:
        waiting = self.both.held.waiting
        if waiting:
            at = which.place % len(waiting)
            self.arrive(waiting[at] if which.again and len(waiting) < 8 else waiting.pop(at))

    def arrive(self, body: dict[str, Json]) -> None:
        event = self.run(self.both.arrive(body))
        if event is not None and event.key.id == self.key.id:
            self.queue.append(event)

    def all_arrive(self) -> None:
        while self.both.held.waiting:
            self.arrive(self.both.held.waiting.pop(0))

    def hear(self, *, lost: bool = False) -> None:
        """All that waits, judged at once; where the answer is lost, once more."""
        events, self.queue = tuple(self.queue), []
        if not events:
            return
        ask = Classify(key=self.key, tenant="default", correlation_id="c", known_rev=self.known_rev, events=events)
        for _ in range(2 if lost else 1):
            judgements: list[Judgement] = self.run(ActivityEnvironment().run(self.both.room.classify, ask))
        for event, judgement in zip(events, judgements, strict=True):
            self.judged(event, judgement)

    def judged(self, event: WorkItemEvent, judgement: Judgement) -> None:
        """Nobody's change is taken for another's."""
        ours = event.actor == US
        assert not (ours and judgement.verdict is Verdict.NEWS), (event, judgement)
        assert ours or judgement.verdict is not Verdict.ECHO, (event, judgement)
        if judgement.verdict is Verdict.NEWS:
            self.news_rev = max(self.news_rev, event.rev)
            for name, (rev, value) in self.told(event).items():
                if rev >= self.known_at.get(name, self.known_rev):
                    self.knows[name], self.known_at[name] = value, rev

    def told(self, event: WorkItemEvent) -> dict[str, tuple[int, Json]]:
        delivery = self.run(self.both.inbox.get(event.delivery_id))
        assert delivery is not None
        changed = json.loads(delivery.body)["resource"].get("fields") or {}
        return {name: (event.rev, changed[name].get("newValue")) for name in event.changed_fields if name in changed}

    # The agent and its run

    def take_in(self) -> None:
        ask = TakeIn(key=self.key, tenant="default", correlation_id="c")
        facts = self.run(ActivityEnvironment().run(self.both.room.take_in, ask)).facts
        self.base, self.known_rev = facts.snapshot, facts.rev
        self.knows = json.loads(self.run(self.both.contents.get(facts.snapshot)))
        self.known_at: dict[str, int] = {}

    def take_turn(self, turn: Turn) -> None:
        self.take_in()
        for what in turn.heard:
            self.act(what)
        if turn.heard:
            self.all_arrive()
            self.hear()
        for what in turn.unheard:
            self.act(what)
        wanted = read_links(
            [ProposedLink(relation=kind, target=str(self.others[place].id)) for kind, place in turn.links], self.key
        )
        tags = tuple(dict.fromkeys(turn.tags))
        proposal = Proposal(fields=turn.fields, tags=tags, comment=turn.comment, links=wanted)
        digest = self.run(self.both.contents.put(canonical(proposal)))
        self.ask(proposal=digest, base=self.base, base_rev=self.known_rev, heard_rev=self.news_rev)
        assert self.asked is not None
        self.knew[self.asked.operation] = dict(self.knows)

    def ask(self, **told: Any) -> None:
        self.operations += 1
        operation = f"{self.key.id}/1.{self.operations}"
        self.asked = Publish(
            key=self.key, tenant="default", correlation_id="c", operation=operation, sync=POLICY, **told
        )
        self.made[operation] = self.asked

    def write(self, attempt: Attempt) -> None:
        assert self.asked is not None
        for what in attempt.before:
            self.act(what)
        self.both.trouble.name = attempt.trouble
        self.both.trouble.overtake = lambda: self.person_writes([set_field(*attempt.faster)])
        try:
            published: Published = self.run(ActivityEnvironment().run(self.both.room.publish, self.asked))
        except ApplicationError as error:
            type(self).came_to["refused" if error.non_retryable else "tried again"] += 1
            if error.non_retryable:
                self.asked = None  # the process refuses the state: a human is asked, and gives it up
            return
        except Killed:
            type(self).came_to["killed"] += 1
            return
        finally:
            self.both.trouble.name = ""
        again = "conflict behind a decision" if self.asked.decided else "conflict"
        came_to = again if published.status == "conflict" else published.status
        type(self).came_to[came_to] += 1
        if published.status == "conflict":
            self.decide(published.conflicts, attempt.mine)
        elif published.impossible:
            # Nothing that it asks for is beyond it: no item has a parent but the one that it says.
            raise AssertionError(published.impossible)
        else:
            self.asked = None

    def decide(self, conflicts: tuple[FieldConflict, ...], mine: Collection[str]) -> None:
        """A human sees both values, and takes one of them in each field. Meanwhile both sides are compared."""
        assert self.asked is not None
        self.run(self.compare())
        before = self.asked
        proposal = Proposal.model_validate_json(self.run(self.both.contents.get(before.proposal)))
        theirs = {one.field for one in conflicts if one.field not in mine}
        left = {name: value for name, value in proposal.fields.items() if name not in theirs}
        proposal = proposal.model_copy(update={"fields": left})
        digest = self.run(self.both.contents.put(canonical(proposal)))
        told = {"base": before.base, "base_rev": before.base_rev, "heard_rev": before.heard_rev}
        decided = {one.field: one for one in (*before.decided, *conflicts)}
        self.ask(proposal=digest, decided=tuple(decided.values()), decided_by="ada", **told)
        seen = {one.field: one.theirs for one in conflicts}
        self.knew[self.asked.operation] = {**self.knew[before.operation], **seen}

    # What holds in the end

    def teardown(self) -> None:
        if not hasattr(self, "key"):
            return
        for _ in range(20):
            if self.asked is None:
                break
            self.write(Attempt([], "", (PRIORITY, 1), frozenset(VALUES)))
        assert self.asked is None, "what is to be written is written in the end"
        while self.both.held.waiting:
            self.arrive(self.both.held.waiting.pop(random.randrange(len(self.both.held.waiting))))
        self.hear()
        self.run(self.compare())
        self.both_sides_agree()
        self.each_write_was_made_once_over_what_was_known()
        self.each_link_of_ours_was_made_once()
        self.each_comment_of_ours_was_made_once()
        self.nothing_stays_in_doubt()

    async def compare(self) -> None:
        """Settle what is in doubt by the item's history, as the comparison of both sides does. For whenever the run is
        not at a write.
        """
        rows = await self.both.ledger.writes(self.key)
        updates = await self.both.tracker.updates(self.key)
        for one in settled_writes([row for row in rows if row.status == "intended"], updates, US, rows):
            status = "written" if one.is_written else "abandoned"
            await self.both.ledger.settle(one.write.operation, status, one.rev, CALLER)

    def both_sides_agree(self) -> None:
        item = self.run(self.both.tracker.get(self.key))
        agreed = self.run(self.both.agreements.get(self.key))
        assert agreed is not None
        names = {name for name in {*item.fields, *agreed.fields} if not is_noise(name) and name != "System.History"}
        differ = {
            name: (agreed.fields.get(name), item.fields.get(name))
            for name in names
            if not equal(agreed.fields.get(name), item.fields.get(name))
        }
        assert not differ, differ
        assert agreed.links == links_of(item.relations)
        assert not self.run(self.both.conflicts.find(item_id=self.key.id))

    def each_link_of_ours_was_made_once(self) -> None:
        """As often as the ledger says, and never over one that was there."""
        rows = self.run(self.both.ledger.writes(self.key))
        intended = Counter(name for row in rows if row.status == "written" for name in links_in(row))
        updates = self.run(self.both.tracker.updates(self.key))
        ours = [update for update in updates if update.revised_by == US]
        made = Counter(name for update in ours for name in links_of(update.links_added))
        assert made == intended, (made, intended, rows, ours)
        assert not any(update.links_removed for update in ours), "nobody's link is taken away"

    def nothing_stays_in_doubt(self) -> None:
        rows = self.run(self.both.ledger.writes(self.key))
        assert not [row for row in rows if row.status == "intended"], rows

    def each_comment_of_ours_was_made_once(self) -> None:
        rows = self.run(self.both.ledger.writes(self.key))
        intended = sum(row.status == "written" and HISTORY in row.values for row in rows)
        said = self.both.held.world.items[self.key.organisation][self.key.id].comments
        assert sum(one.versions[0].by.unique_name == US for one in said) == intended

    def each_write_was_made_once_over_what_was_known(self) -> None:
        rows = [row for row in self.run(self.both.ledger.writes(self.key)) if is_of_fields(row)]
        written = {row.rev: row.operation.partition("~")[0] for row in rows if row.status == "written"}
        updates = self.run(self.both.tracker.updates(self.key))
        kept = self.run(self.both.conflicts.find(item_id=self.key.id, every=True))
        settled = {(one.operation, one.conflict.field) for one in kept if one.by == "policy"}
        own = {update.rev: update for update in updates if update.revised_by == US and update.changed}
        assert own.keys() == written.keys(), "each revision of ours is in the ledger, and no other is"
        assert len(set(written.values())) == len(written), "one revision for each intended change"
        for rev, update in own.items():
            operation = written[rev]
            proposal = json.loads(self.run(self.both.contents.get(self.made[operation].proposal)))
            for name in proposal["fields"]:
                if name in update.changed and (operation, name) not in settled:
                    old = update.changed[name][0]
                    assert equal(old, self.knew[operation].get(name)), (name, update, self.knew[operation])
            if TAGS in update.changed:
                old, new = update.changed[TAGS]
                assert tags_of(old) <= tags_of(new), "nobody's tag is taken away"


def drive(steps: int, examples: int, first_seed: int) -> None:
    """Run so many examples of at most so many steps each, in a world of their own.

    A few for each seed, because Hypothesis varies what it has drawn before, and the more so the longer it runs.
    """
    chosen = settings(
        max_examples=min(examples, A_SEED),
        stateful_step_count=steps,
        deadline=None,
        phases=[Phase.generate],  # to make what it finds smaller takes an hour; the seed repeats it
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    with asyncio.Runner() as loop, tempfile.TemporaryDirectory() as folder:
        world = both(Path(folder))
        TwoWriters.both, TwoWriters.loop, TwoWriters.steps = loop.run(world.__aenter__()), loop, 0
        TwoWriters.came_to.clear()
        try:
            for number in range(0, examples, A_SEED):
                TwoWriters.seed = first_seed + number
                run_state_machine_as_test(seed(TwoWriters.seed)(TwoWriters), settings=chosen)
        finally:
            loop.run(world.__aexit__(None, None, None))


if __name__ == "__main__":
    begin = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    print(f"from seed {begin}", flush=True)
    try:
        drive(steps=50, examples=max(1, int(sys.argv[1]) // 50), first_seed=begin)
    except BaseException:
        print(f"again: python -m tests.activities.sync_machine 500 {TwoWriters.seed}", flush=True)
        raise
    print(f"{TwoWriters.steps} steps; attempts to write: {dict(TwoWriters.came_to.most_common())}")
