"""A person and an agent write to one item, whatever goes wrong on the way: a model that Hypothesis drives.

`python -m tests.activities.sync_machine 10000` drives it for about so many steps; the test takes a few.
"""

import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from pointsman.clients.azure_devops.patches import Operation, add_comment, add_relation, remove_relation, set_field
from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import Classify, FieldConflict, Publish, Published, TakeIn
from pointsman.contracts.sync import LoopBreaker, SyncPolicy
from pointsman.contracts.work_items import Judgement, Proposal, ProposedLink, Verdict, WorkItemEvent, WorkItemKey
from pointsman.domain.echoes import equal, is_noise, is_of_fields, tags_of
from pointsman.domain.links import read_links
from pointsman.domain.proposals import canonical
from pointsman.domain.sync.agreeing import links_of
from pointsman.domain.sync.kinds import TAGS
from pointsman.domain.sync.recognising import HISTORY, links_in
from pointsman.ports import Rejected
from tests.activities.sync_rig import PLACE, Both, Killed, both

T = TypeVar("T")
PRIORITY, TITLE, STEPS, STATE = (
    "Microsoft.VSTS.Common.Priority",
    "System.Title",
    "Microsoft.VSTS.TCM.ReproSteps",
    "System.State",
)
RELATED = "System.LinkTypes.Related"
US, PERSON = "pointsman@fabrikam.example", "ada@fabrikam.example"
LINES = "<p>one</p><p>two</p><p>three</p>"
TROUBLES = (
    "",
    "request lost",
    "answer lost",
    "overtaken",
    "killed before the request",
    "killed before the result",
    "killed behind the result",
)
values = {
    PRIORITY: st.integers(1, 4),
    TITLE: st.sampled_from(["Basket is empty", "Basket is lost", "Basket"]),
    STEPS: st.sampled_from(
        [LINES, LINES.replace("one", "ONE"), LINES.replace("three", "THREE"), f"{LINES}<p>four</p>"]
    ),
    STATE: st.sampled_from(["New", "Active", "Resolved"]),
}
fields = st.sampled_from(sorted(values)).flatmap(lambda name: st.tuples(st.just(name), values[name]))
changes = st.dictionaries(st.sampled_from(sorted(values)), st.none(), min_size=0, max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: values[name] for name in names})
)
links = st.lists(st.tuples(st.sampled_from(["Related", "Child"]), st.integers(0, 1)), max_size=2)
tags = st.lists(st.sampled_from(["crane", "noon"]), max_size=2)
# No breaker here: the machine writes to one item as often as it likes, and that is no loop.
POLICY = SyncPolicy(breaker=LoopBreaker(writes=10_000))


class TwoWriters(RuleBasedStateMachine):
    """`both` and `loop` are set by whoever runs it: one world for all runs, and an item for each."""

    both: ClassVar[Both]
    loop: ClassVar[asyncio.Runner]
    steps: ClassVar[int] = 0

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

    # The person

    async def person_writes(self, operations: list[Operation]) -> None:
        try:
            await self.both.person.work_items.patch(self.key.id, operations)
        except Rejected:
            return  # a state that the process does not lead to

    @rule(change=fields)
    def person_sets(self, change: tuple[str, Json]) -> None:
        type(self).steps += 1
        self.run(self.person_writes([set_field(*change)]))

    @rule(names=tags)
    def person_tags(self, names: list[str]) -> None:
        type(self).steps += 1
        self.run(self.person_writes([{"op": "replace", "path": f"/fields/{TAGS}", "value": "; ".join(names)}]))

    @rule(text=st.sampled_from(["Look at the crane", "At noon"]))
    def person_says(self, text: str) -> None:
        type(self).steps += 1
        self.run(self.person_writes([add_comment(text)]))

    @rule(place=st.integers(0, 1))
    def person_links(self, place: int) -> None:
        type(self).steps += 1
        self.run(self.person_writes([add_relation(RELATED, self.address(self.others[place]))]))

    @rule(place=st.integers(0, 3))
    def person_unlinks(self, place: int) -> None:
        type(self).steps += 1
        self.run(self.person_writes([remove_relation(place)]))

    def address(self, other: WorkItemKey) -> str:
        return f"{PLACE}/fabrikam/_apis/wit/workItems/{other.id}"

    # The way of events

    @rule(place=st.integers(0, 50), again=st.booleans())
    def an_event_arrives(self, place: int, again: bool) -> None:
        """Whichever of those under way, and perhaps it comes once more."""
        type(self).steps += 1
        waiting = self.both.held.waiting
        if waiting:
            at = place % len(waiting)
            body = waiting[at] if again and len(waiting) < 8 else waiting.pop(at)
            self.arrive(body)

    def arrive(self, body: dict[str, Json]) -> None:
        event = self.run(self.both.arrive(body))
        if event is not None and event.key.id == self.key.id:
            self.queue.append(event)

    @rule(lost=st.booleans())
    def the_run_hears(self, lost: bool) -> None:
        """All that waits, judged at once; where the answer is lost, once more."""
        type(self).steps += 1
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
        self.has_read = True

    @precondition(lambda self: self.asked is None)
    @rule()
    def a_turn_begins(self) -> None:
        type(self).steps += 1
        self.take_in()

    # A run reads the item anew after each proposal: no two are made from one reading.
    @precondition(lambda self: self.asked is None and self.has_read)
    @rule(change=changes, names=tags, comment=st.sampled_from(["", "Done."]), linked=links)
    def the_agent_proposes(
        self, change: dict[str, Json], names: list[str], comment: str, linked: list[tuple[str, int]]
    ) -> None:
        type(self).steps += 1
        wanted = read_links(
            [ProposedLink(relation=kind, target=str(self.others[place].id)) for kind, place in linked], self.key
        )
        proposal = Proposal(fields=change, tags=tuple(dict.fromkeys(names)), comment=comment, links=wanted)
        digest = self.run(self.both.contents.put(canonical(proposal)))
        self.ask(proposal=digest, base=self.base, base_rev=self.known_rev, heard_rev=self.news_rev)
        assert self.asked is not None
        self.has_read = False
        self.knew[self.asked.operation] = dict(self.knows)

    def ask(self, **told: Any) -> None:
        self.operations += 1
        operation = f"{self.key.id}/1.{self.operations}"
        self.asked = Publish(
            key=self.key, tenant="default", correlation_id="c", operation=operation, sync=POLICY, **told
        )
        self.made[operation] = self.asked

    @precondition(lambda self: self.asked is not None)
    @rule(trouble=st.sampled_from(TROUBLES), faster=fields, mine=st.booleans())
    def the_run_writes(self, trouble: str, faster: tuple[str, Json], mine: bool) -> None:
        type(self).steps += 1
        self.write(trouble, faster, mine)

    def write(self, trouble: str, faster: tuple[str, Json], mine: bool) -> None:
        assert self.asked is not None
        self.both.trouble.name = trouble
        self.both.trouble.overtake = lambda: self.person_writes([set_field(*faster)])
        try:
            published: Published = self.run(ActivityEnvironment().run(self.both.room.publish, self.asked))
        except ApplicationError as error:
            if error.non_retryable:
                self.asked = None  # the process refuses the state: a human is asked, and gives it up
            return
        except Killed:
            return
        finally:
            self.both.trouble.name = ""
        if published.status == "conflict":
            self.decide(published.conflicts, mine)
        elif published.impossible:
            # Nothing that it asks for is beyond it: no item has a parent but the one that it says.
            raise AssertionError(published.impossible)
        else:
            self.asked = None

    def decide(self, conflicts: tuple[FieldConflict, ...], mine: bool) -> None:
        """A human sees both values, and takes one of them in each field."""
        assert self.asked is not None
        before = self.asked
        proposal = Proposal.model_validate_json(self.run(self.both.contents.get(before.proposal)))
        if not mine:
            left = {name: value for name, value in proposal.fields.items() if name not in {c.field for c in conflicts}}
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
            self.write("", (PRIORITY, 1), mine=True)
        assert self.asked is None, "what is to be written is written in the end"
        while self.both.held.waiting:
            self.arrive(self.both.held.waiting.pop(random.randrange(len(self.both.held.waiting))))
        self.the_run_hears(lost=False)
        self.both_sides_agree()
        self.each_write_was_made_once_over_what_was_known()
        self.each_link_of_ours_was_made_once()
        self.each_comment_of_ours_was_made_once()

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
        assert Counter(name for update in ours for name in links_of(update.links_added)) == intended
        assert not any(update.links_removed for update in ours), "nobody's link is taken away"

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


def drive(steps: int, examples: int, *, fixed: bool = False) -> None:
    """Run so many examples of at most so many steps each, in a world of their own; `fixed`: the same each time."""
    with asyncio.Runner() as loop, tempfile.TemporaryDirectory() as folder:
        world = both(Path(folder))
        TwoWriters.both, TwoWriters.loop, TwoWriters.steps = loop.run(world.__aenter__()), loop, 0
        try:
            chosen = settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                derandomize=fixed,
                suppress_health_check=list(HealthCheck),
            )
            run_state_machine_as_test(TwoWriters, settings=chosen)
        finally:
            loop.run(world.__aexit__(None, None, None))


if __name__ == "__main__":
    drive(steps=50, examples=max(1, int(sys.argv[1]) // 50))
    print(f"{TwoWriters.steps} steps")
