"""The load: people who file, edit, discuss, delete and restore work items through the REST API, and who decide."""

import asyncio
import random
from dataclasses import dataclass, field

from temporalio.client import Client
from temporalio.exceptions import TemporalError

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Decision, Verb
from pointsman.contracts.records import EscalationRow
from pointsman.ports import Missing, Rejected, Unavailable
from starter import escalations
from starter.demo.outside import Outside

OPEN_MAX = 12
"""Items that are under way at once; nobody files more until some have ended."""
RECENT = 15
PAUSE_SECONDS = (0.15, 0.7)
DELETED_SHARE, RESTORED_SHARE = 0.08, 0.08
"""How often, between two pauses, somebody throws an item away, and how often one is fetched back."""
DECIDE_SECONDS = 0.5
UPDATE_SECONDS = 4.0
BUG, STORY = "Bug", "User Story"
KINDS = ((BUG, ()), (BUG, ()), (STORY, ()), (STORY, ("ready-to-close",)))
SUBJECTS = ("Checkout", "Search page", "Invoice export", "Login form", "Delivery note", "Price list", "Stock report")
TROUBLES = (
    "answers 500 when a gift card pays for everything",
    "loses the last line when the list is long",
    "shows yesterday's numbers after midnight",
    "forgets the language of the customer",
    "takes ten seconds on a slow connection",
    "prints the total twice",
)
REMARKS = ("Seen again today.", "Only with the new browser.", "A customer asks when it is done.", "Not on staging.")
WORDS = {Verb.APPROVE: "", Verb.REJECT: "Not before the release.", Verb.RESPOND: "Decide as you see fit."}
PRIORITY, TITLE = "Microsoft.VSTS.Common.Priority", "System.Title"


@dataclass
class Load:
    """Files items until told to stop. `filed` grows, `ended` is kept by whoever looks into the books."""

    outside: Outside
    chance: random.Random
    open_max: int = OPEN_MAX
    filed: list[int] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)
    edits: int = 0
    comments: int = 0
    deletions: int = 0
    restorations: int = 0
    turned: int = 0
    """Items whose creation was delivered after a later event."""
    away: list[int] = field(default_factory=list)
    """In the recycle bin now."""

    async def run(self) -> None:
        while True:
            if len(self.filed) - len(self.ended) < self.open_max:
                await self._file()
            elif self.chance.random() < 0.1:
                await self._touch_any()
            await self._clear_up()
            await asyncio.sleep(self.chance.uniform(*PAUSE_SECONDS))

    async def _file(self) -> None:
        type_name, tags = self.chance.choice(KINDS)
        title = f"{self.chance.choice(SUBJECTS)} {self.chance.choice(TROUBLES)} ({len(self.filed) + 1})"
        late = self.chance.random() < 0.2
        change: dict[str, Json] = {"repeat": int(self.chance.random() < 0.3)}
        if late:
            change["hold"] = [{"event_type": "workitem.created"}]
        await self.outside.deliveries(**change)
        item = await self.outside.file(type_name, title, f"{title}. Expected: it works.", tags)
        self.filed.append(item)
        if late:
            self.turned += 1
            await self._touch(item)
        elif self.chance.random() < 0.25:
            await asyncio.sleep(self.chance.uniform(*PAUSE_SECONDS))
            await self._touch(item)

    async def _touch_any(self) -> None:
        if at_hand := self._at_hand():
            await self._touch(self.chance.choice(at_hand))

    def _at_hand(self) -> list[int]:
        """Empty where all of them are thrown away."""
        return [item for item in self.filed[-2 * RECENT :] if item not in self.away][-RECENT:]

    async def _clear_up(self) -> None:
        """Throw an item away as people do, whatever becomes of it just then, or fetch one back."""
        what = self.chance.random()
        at_hand = self._at_hand()
        if what < DELETED_SHARE and at_hand:
            item = self.chance.choice(at_hand)
            await self.outside.person.work_items.delete(item)
            self.away.append(item)
            self.deletions += 1
        elif what < DELETED_SHARE + RESTORED_SHARE and self.away:
            item = self.away.pop(self.chance.randrange(len(self.away)))
            await self.outside.person.work_items.restore(item)
            self.restorations += 1

    async def _touch(self, item: int) -> None:
        """Change the item as people do while others work on it."""
        what = self.chance.random()
        if what < 0.4:
            self.comments += 1
            text = f"<p>{self.chance.choice(REMARKS)} ({self.comments})</p>"
            await self.outside.person.work_items.add_comment("Fabrikam", item, text)
        elif what < 0.8:
            self.edits += 1
            title = f"{self.chance.choice(SUBJECTS)} {self.chance.choice(TROUBLES)} (changed {self.edits})"
            await self.outside.edit(item, TITLE, title)
        else:
            self.edits += 1
            await self.outside.edit(item, PRIORITY, self.chance.randint(1, 4))


@dataclass
class Deciders:
    """People who answer each question: mostly yes, by an update or by a plain signal."""

    client: Client
    chance: random.Random
    decided: dict[str, Verb] = field(default_factory=dict)
    by_signal: int = 0
    refused: list[str] = field(default_factory=list)

    async def answer(self, row: EscalationRow) -> None:
        """Decide, or fail to: whoever is asked still, is asked again. The same person does not change their mind."""
        if row.id not in self.decided:
            self.decided[row.id] = self._verb(row)
        verb = self.decided[row.id]
        choices = row.escalation.choices if verb is Verb.RESPOND else ()
        comment = choices[0] if choices else WORDS[verb]
        decision = Decision(verb=verb, by="ada", subject=row.escalation.subject, comment=comment)
        try:
            async with asyncio.timeout(UPDATE_SECONDS):
                if self.chance.random() < 0.5:
                    await escalations.decide(self.client, row.workflow_id, decision)
                else:
                    document = decision.model_dump(mode="json", include={"verb", "by", "subject", "comment"})
                    await self.client.get_workflow_handle(row.workflow_id).signal("decide", document)
                    self.by_signal += 1
        except (TimeoutError, TemporalError, Missing, Unavailable):
            return  # the server or the worker is down, or somebody was faster
        except Rejected as error:
            self.refused.append(f"{row.id}, {verb}: {error}")

    def _verb(self, row: EscalationRow) -> Verb:
        asked = row.escalation
        if Verb.APPROVE not in asked.allowed:
            return Verb.RESPOND
        return Verb.REJECT if asked.proposal and self.chance.random() < 0.15 else Verb.APPROVE
