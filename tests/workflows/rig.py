"""A work item under test: real workflows and activities, books in memory, a fake outside world."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import uuid4

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.api.testservice.v1 import LockTimeSkippingRequest, UnlockTimeSkippingRequest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.escalations import Asking
from activities.status import StatusComments
from activities.turns import Turns
from activities.work_items import WorkItems
from activities.write_guard import WriteGuard
from pointsman.contracts.base import Json
from pointsman.contracts.conflicts import SyncConflict
from pointsman.contracts.escalations import Decision, Standing
from pointsman.contracts.lifecycle import DeliverResult
from pointsman.contracts.policy import (
    AgentPolicy,
    Ladder,
    Limits,
    Match,
    Policy,
    Route,
    Rung,
    ScopeRule,
    Severity,
)
from pointsman.contracts.records import Caller, Chain, Delivery, EscalationRow, WriteIntent
from pointsman.contracts.work_items import EventKind, WorkItemEvent, WorkItemKey
from pointsman.domain.sync.recognising import LINKS
from pointsman.llm.service import LLMService
from pointsman.llm.types import LLMResponse
from pointsman.ports import Unavailable
from pointsman.temporal import activities_of
from starter import escalations, work_items
from tests.books import (
    MemoryAttempts,
    MemoryBodies,
    MemoryContents,
    MemoryEscalations,
    MemoryItems,
    MemoryLedger,
    MemoryTranscripts,
)
from tests.books_sync import FakeComments, MemoryConflicts, memory_sync
from tests.worlds import ACCOUNT, PERSON, FakeModel, FakePeople, FakeToolbox, FakeTracker, served
from workflows.agent_services import DelegateTurn
from workflows.escalations import ResolveEscalation
from workflows.turns import TakeTurn
from workflows.violations import AskAboutViolation
from workflows.work_items import DeliverWorkItem

PATIENCE = 60.0  # seconds until a test that waits for something gives up


def policy(**agent: object) -> Policy:
    """One agent for bugs, one three-day ladder; keywords change the agent."""
    limits = agent.pop("limits", Limits())
    return Policy(
        version="test",
        hash="test",
        scope=(ScopeRule(name="all bugs and tasks", match=Match(types=("Bug", "Task"))),),
        routes=(Route(name="bugs", match=Match(types=("Bug",)), agent="triage"),),
        agents=(
            AgentPolicy.model_validate(
                {
                    "name": "triage",
                    "model": "fake",
                    "prompt": "",
                    "may_change": ("System.State", "System.Tags", "Microsoft.VSTS.Common.Priority"),
                    "needs_approval": ("System.State",),
                    "limits": limits,
                    **agent,
                }
            ),
        ),
        ladders=tuple(
            Ladder(
                severity=severity,
                rungs=(
                    Rung(notify=("team",), wait=timedelta(days=1)),
                    Rung(notify=("team", "lead"), wait=timedelta(days=2)),
                ),
            )
            for severity in Severity
        ),
    )


TO_SEVEN: Json = {"rel": "System.LinkTypes.Hierarchy-Reverse", "url": "https://ado/f/_apis/wit/workItems/7"}


class Rig:
    """One item, its world and its books."""

    def __init__(self, env: WorkflowEnvironment, script: tuple[LLMResponse | Exception, ...], wanted: Policy) -> None:
        self.env = env
        self.client = env.client
        self.queue = f"test-{uuid4()}"
        self.key = WorkItemKey(organisation="fabrikam", project=self.queue, id=1)
        self.tracker = FakeTracker()
        self.tracker.add(1)
        self.model = FakeModel(*script)
        self.other_models: list[FakeModel] = []
        """Models of other providers, which are asked where the first does not answer."""
        self.toolbox = FakeToolbox()
        self.people = FakePeople()
        self.contents = MemoryContents()
        self.items = MemoryItems()
        self.ledger = MemoryLedger()
        self.sync = memory_sync()
        self.comments = FakeComments()
        self.bodies = MemoryBodies()
        self.transcripts = MemoryTranscripts()
        self.attempts = MemoryAttempts()
        self.escalations = MemoryEscalations()
        self.guard: WriteGuard | None = None
        self.rooms: tuple[object, ...] = ()
        """Those that other items have no use for."""
        self.policy = wanted
        self.delivered = 0

    def activities(self) -> list[Callable[..., object]]:
        """All activities, over the fakes and the books in memory."""
        item_room = WorkItems(
            self.tracker, self.contents, self.items, self.ledger, self.bodies, self.guard, sync=self.sync
        )
        turn_room = Turns(self.models(), self.toolbox, self.transcripts, self.contents, self.attempts)
        asking_room = Asking(self.escalations, self.contents, self.people)
        agreements, quarantines = self.sync.agreements, self.sync.quarantines
        status_room = StatusComments(self.tracker, self.comments, self.ledger, agreements, quarantines)
        rooms = (item_room, turn_room, asking_room, status_room, *self.rooms)
        return [activity for room in rooms for activity in activities_of(room)]

    def models(self) -> LLMService:
        """The model service of the turns."""
        return served(self.model, *self.other_models)

    def worker(self, activities: Sequence[Callable[..., object]] = ()) -> Worker:
        return Worker(
            self.client,
            task_queue=self.queue,
            workflows=[DeliverWorkItem, TakeTurn, DelegateTurn, ResolveEscalation, AskAboutViolation],
            activities=activities or self.activities(),
            max_heartbeat_throttle_interval=timedelta(milliseconds=200),
            # One or two tasks at a time: further polls would only be opened and given up again.
            max_concurrent_workflow_task_polls=2,
            max_concurrent_activity_task_polls=2,
        )

    @property
    def conflicts(self) -> list[SyncConflict]:
        """All that there were, oldest first."""
        kept = self.sync.conflicts
        assert isinstance(kept, MemoryConflicts)
        return kept.kept

    async def prompt(self) -> Self:
        """Put the agents' prompts into the contents, as start-up does."""
        digest = await self.contents.put(b"You triage bugs.")
        agents = tuple(agent.model_copy(update={"prompt": digest}) for agent in self.policy.agents)
        self.policy = self.policy.model_copy(update={"agents": agents})
        return self

    async def deliver(
        self,
        kind: EventKind = EventKind.CREATED,
        *,
        rev: int = 0,
        changed: dict[str, Json] | None = None,
        comment: str = "",
        key: str = "",
        linked: Sequence[Json] = (),
        by: str = PERSON,
    ) -> WorkItemEvent:
        """A delivery as the dispatcher hands it over, with its body in the inbox."""
        event = self.event(kind, rev=rev, changed=changed, comment=comment, key=key, linked=linked, by=by)
        await self.hand_over(event)
        return event

    async def hand_over(self, event: WorkItemEvent, *others: WorkItemEvent) -> None:
        """As the dispatcher does, with what else waited."""
        await work_items.hand_over(
            self.client, event, self.policy, "default", f"{self.queue}-1", others=others, task_queue=self.queue
        )

    def event(
        self,
        kind: EventKind = EventKind.UPDATED,
        *,
        rev: int = 0,
        changed: dict[str, Json] | None = None,
        comment: str = "",
        key: str = "",
        linked: Sequence[Json] = (),
        by: str = PERSON,
    ) -> WorkItemEvent:
        """A delivery that is in the inbox, and not handed over yet."""
        self.delivered += 1
        rev = rev or self.tracker.items[1].rev
        name = f"{self.queue}-{self.delivered}"
        fields = {**(changed or {}), **({"System.History": comment} if comment else {})}
        self.bodies.kept[name] = self._delivery(name, kind, rev, fields, linked, by)
        return WorkItemEvent(
            delivery_id=name,
            idempotency_key=key or name,
            correlation_id=name,
            kind=kind,
            key=self.key,
            rev=rev,
            actor=by,
            changed_fields=tuple(fields),
            links_changed=bool(linked),
        )

    def hint(self, kind: EventKind = EventKind.UPDATED) -> WorkItemEvent:
        """A delivery in the inbox that names the last entry of the item's history, or of a comment the item alone, and
        tells nothing of it."""
        event, is_update = self.event(kind), kind is EventKind.UPDATED
        update_id = self.tracker.history[1][-1].id if is_update else 0
        kept = self.bodies.kept[event.delivery_id]
        url = "https://dev.azure.com/fabrikam/_apis/wit/workItems/1"
        update: Json = {"id": update_id, "workItemId": 1, "url": f"{url}/updates/{update_id}"}
        hint: dict[str, Json] = {"resource": update if is_update else {"id": 1, "url": url}}
        hint["createdDate"] = datetime.now(UTC).isoformat()
        body = json.dumps(json.loads(kept.body) | hint).encode()
        self.bodies.kept[event.delivery_id] = kept.model_copy(update={"body": body})
        return event.model_copy(update={"rev": 0, "update_id": update_id, "actor": "", "untold": True})

    def overtaken(self, late: WorkItemEvent) -> None:
        """The next look at events takes an activity of its own, and `late` comes in before that is through."""

        async def away() -> None:
            raise Unavailable("the service is away")

        self.tracker.when_heard = [away, lambda: self.hand_over(late)]

    async def hears_of_our_link(self) -> None:
        """We linked item 7 to this one, which is its child: its end of the link comes in as an event."""
        chain = Chain(tenant="default", correlation_id="c", key=self.key.model_copy(update={"id": 7, "project": "Web"}))
        values: dict[str, Json] = {LINKS: ["System.LinkTypes.Hierarchy-Forward 1"]}
        whose = Caller(workflow_id="ado/fabrikam/7", run_id="run")
        await self.ledger.intend(WriteIntent(operation="run/1.1", chain=chain, base_rev=1, values=values), whose)
        await self.deliver(EventKind.UPDATED, linked=[TO_SEVEN], by=ACCOUNT)

    def _delivery(
        self, name: str, kind: EventKind, rev: int, fields: dict[str, Json], linked: Sequence[Json], by: str
    ) -> Delivery:
        updated = kind is EventKind.UPDATED
        inner: dict[str, Json] = {field: {"newValue": value} for field, value in fields.items()} if updated else fields
        resource: dict[str, Json] = {"id": 1, "workItemId": 1, "rev": rev, "fields": inner}
        if updated:
            resource["revisedBy"] = {"uniqueName": by}
        if linked:
            resource["relations"] = {"added": [*linked]}
        url = "https://dev.azure.com/fabrikam/"
        body: Json = {
            "id": name,
            "eventType": f"workitem.{kind}",
            "publisherId": "tfs",
            "resource": resource,
            "resourceContainers": {"collection": {"baseUrl": url}, "account": {"baseUrl": url}},
        }
        return Delivery(
            id=name,
            sequence=self.delivered,
            correlation_id=name,
            chain_id=name,
            received_at=datetime.now(UTC),
            tenant="default",
            idempotency_key=name,
            body=json.dumps(body).encode(),
        )

    @property
    def handle(self) -> WorkflowHandle[DeliverWorkItem, DeliverResult]:
        return self.client.get_workflow_handle_for(DeliverWorkItem.run, work_items.workflow_id(self.key))

    async def result(self) -> DeliverResult:
        """How it ended. The test server skips the time that nothing happens in."""
        clock = self.client.test_service
        await clock.unlock_time_skipping(UnlockTimeSkippingRequest())
        try:
            return await self.handle.result()
        finally:
            await clock.lock_time_skipping(LockTimeSkippingRequest())

    async def later(self, passed: timedelta) -> None:
        """When so much has passed on the server's clock, which skips what nobody works in, as before a retry."""
        await self.env.sleep(passed)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for something that happens in this process."""
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)

    async def asked(self, number: int = 1) -> EscalationRow:
        """The n-th question, once it is open and people were told."""
        name = f"ESC-{number}"
        await self.until(lambda: name in self.escalations.kept and self.escalations.kept[name].rungs)
        row = self.escalations.kept[name]
        question = self.client.get_workflow_handle(row.workflow_id)
        # The clock of the time-skipping server stands still for ever when an activity is under way at a cancellation.
        while (await question.describe()).raw_description.pending_activities:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
        return row

    async def decide(self, row: EscalationRow, verb: str, **rest: object) -> Standing:
        """Decide as the CLI does."""
        content = {"verb": verb, "by": "ada", "subject": row.escalation.subject, **rest}
        return await escalations.decide(self.client, row.workflow_id, Decision.model_validate(content))

    async def signal(self, row: EscalationRow, document: Json) -> None:
        """Decide as a person in Temporal's UI does."""
        await self.client.get_workflow_handle(row.workflow_id).signal("decide", document)


@asynccontextmanager
async def rig(
    env: WorkflowEnvironment, *script: LLMResponse | Exception, wanted: Policy | None = None
) -> AsyncGenerator[Rig]:
    """A rig whose worker runs."""
    made = await Rig(env, script, wanted or policy()).prompt()
    async with made.worker():
        yield made


async def shown(handle: WorkflowHandle[Any, Any]) -> str:
    """What Temporal's UI shows; it offers no signal without a name."""
    told = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert all(one.name for one in told.definition.signal_definitions)
    details: str = told.current_details
    return details
