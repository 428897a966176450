"""A durable check of a project: items of the stand-in, rules of the policy, violations in our books."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.worker import Worker

from activities import checking as room
from activities.escalations import Asking
from activities.inspections import Inspections
from activities.process import ProcessChecks
from activities.rule_books import RuleBooks
from activities.sync import Writer
from activities.violation_calls import ViolationCalls
from pointsman.clients.azure_devops.patches import add_relation, set_field
from pointsman.clients.azure_devops.process_facts import ProcessReader
from pointsman.clients.azure_devops.tracker import Tracker
from pointsman.config import load
from pointsman.contracts.actions import Action
from pointsman.contracts.escalations import Decision, Verb
from pointsman.contracts.process import CheckSeverity, ProcessPolicy
from pointsman.contracts.process_control import OnOpen
from pointsman.contracts.records import EscalationRow
from pointsman.contracts.violations import (
    CheckCarry,
    Checked,
    CheckItem,
    CheckResult,
    CheckScope,
    InspectItem,
    ProcessViolation,
    ViolationDecision,
    ViolationState,
    ViolationVerb,
)
from pointsman.contracts.work_items import WorkItemKey
from pointsman.policies.process_rules import load_processes
from pointsman.sandbox.azure_devops.config import Organisation, Project
from pointsman.store import schema
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.process_violations import ProcessViolations
from pointsman.temporal import activities_of
from pointsman.temporal_server import DevServer
from starter import escalations, process_checks
from starter.cli import violations as on_the_command_line
from starter.cli.call import Call
from starter.cli.errors import ExitCode
from starter.cli.output import Output
from tests.books import MemoryContents, MemoryLedger
from tests.books_sync import memory_sync
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops, config
from tests.workflows.rig import shown
from tests.worlds import FakePeople
from workflows.escalations import ResolveEscalation
from workflows.process import CheckProcess, CheckWorkItem, DecideViolation
from workflows.violations import AskAboutViolation, question_id

TOLD = OnOpen(severity=CheckSeverity.INFO, notify=("lead",), comment=True, escalate=True)
CMMI = load_processes()["cmmi"]
FABRIKAM = Organisation(name="fabrikam", projects=(Project(name="Fabrikam", process="CMMI"),))
CHILD = "System.LinkTypes.Hierarchy-Forward"


TELL_ALL = """
version: "1"
process:
  on_open:
    - {severity: info, notify: [lead], comment: true, escalate: true}
"""


@dataclass
class Checking:
    azure: Azure
    client: Client
    store: Store
    folder: Path
    queue: str
    people: FakePeople = field(default_factory=FakePeople)

    @property
    def violations(self) -> ProcessViolations:
        return ProcessViolations(self.store)

    async def check(
        self, project: str = "Fabrikam", on_open: tuple[OnOpen, ...] = (), rules: ProcessPolicy = CMMI
    ) -> CheckResult:
        scope = CheckScope(
            tenant="default",
            organisation="fabrikam",
            project=project,
            policy=rules,
            reason=self.queue,
            on_open=on_open,
        )
        handle = await process_checks.start(self.client, scope, self.queue)
        result = await handle.result()
        assert (await handle.query(CheckProcess.progress)).done
        return result

    async def happened(self, item_id: int, on_open: tuple[OnOpen, ...] = (), *, gone: bool = False) -> None:
        """Check the item as the dispatcher does."""
        key = WorkItemKey(organisation="fabrikam", project="Fabrikam", id=item_id)
        ask = InspectItem(key=key, tenant="default", correlation_id="c", on_open=on_open, gone=gone)
        await process_checks.check_item(self.client, CheckItem(item=ask), self.queue)

    async def looked_at(self, item_id: int) -> None:
        """Wait until what happened to the item has been checked."""
        await self.of_item(item_id).result()

    def of_item(self, item_id: int) -> WorkflowHandle[object, object]:
        key = WorkItemKey(organisation="fabrikam", project="Fabrikam", id=item_id)
        return self.client.get_workflow_handle(process_checks.item_workflow_id(key))

    async def decide(self, violation_id: str, verb: ViolationVerb, **told: object) -> ViolationState:
        decision = ViolationDecision.model_validate({"violation_id": violation_id, "verb": verb, "by": "ada", **told})
        return (await process_checks.decide(self.client, decision, self.queue)).state

    @asynccontextmanager
    async def worker(self) -> AsyncGenerator[None]:
        source = ProcessReader({"fabrikam": self.azure.service})
        tracker = Tracker({"fabrikam": self.azure.service})
        rooms = (
            ProcessChecks(source, self.violations, projects=source),
            Inspections(RuleBooks(source, {"cmmi": CMMI}, {}), self.violations),
            ViolationCalls(self.violations, self.people, tracker, Writer(tracker, MemoryLedger(), memory_sync())),
            Asking(Escalations(self.store), MemoryContents(), self.people),
        )
        async with Worker(
            self.client,
            task_queue=self.queue,
            workflows=[CheckProcess, CheckWorkItem, DecideViolation, AskAboutViolation, ResolveEscalation],
            activities=[one for each in rooms for one in activities_of(each)],
        ):
            yield

    async def asked(self, *violations: ProcessViolation) -> dict[str, EscalationRow]:
        """The questions about these, by violation, once they are put."""
        async with asyncio.timeout(60):
            while True:
                rows = {row.workflow_id: row for row in await Escalations(self.store).find(pending_only=False)}
                found = {one.id: rows.get(f"{question_id(one.id)}/escalation") for one in violations}
                if all(found.values()):
                    return {name: row for name, row in found.items() if row}
                await asyncio.sleep(0.02)

    async def close_questions(self) -> None:
        """Their names are those of violations, which each test counts from one."""
        for row in await Escalations(self.store).find():
            question = self.client.get_workflow_handle(row.workflow_id.removesuffix("/escalation"))
            await question.cancel()
            with suppress(WorkflowFailureError):
                await question.result()

    async def dry_run(self) -> list[tuple[str, str, str]]:
        """What would be done, about what, of which item."""
        policy = self.folder / "policy"
        policy.mkdir(exist_ok=True)
        (policy / "policy.yaml").write_text(TELL_ALL)
        printed = StringIO()
        call = Call(Output(as_json=True, stdout=printed, stderr=StringIO()), {})
        known = load(
            azure_devops_url=self.azure.base_url,
            azure_devops_token=SERVICE_TOKEN,
            data_dir=self.folder,
            policy_dir=policy,
        )
        wanted = on_the_command_line.Wanted("Fabrikam", "", "cmmi", "ada", dry_run=True)
        assert await on_the_command_line.check(call, known, wanted) == ExitCode.FINDINGS
        told = json.loads(printed.getvalue())["would"]
        return [(one["would"], one["check"], one["item"].removeprefix("fabrikam/")) for one in told]


@pytest.fixture
async def checking(dev_server: DevServer, tmp_path: Path) -> AsyncGenerator[Checking]:
    url = f"sqlite:///{tmp_path}/pointsman.db"
    await asyncio.to_thread(schema.upgrade, url)
    async with (
        azure_devops(of=config().model_copy(update={"organisations": (FABRIKAM,)})) as azure,
        Store.open(url) as store,
    ):
        made = Checking(azure, await dev_server.connect(), store, tmp_path, f"process-{uuid4()}")
        async with made.worker():
            yield made


async def test_a_violation_opens_is_taken_on_and_is_resolved_by_a_revision(checking: Checking) -> None:
    bug, task = await checking.azure.make("Bug"), await checking.azure.make("Task", "Alone")
    first = await checking.check()
    assert (first.scope, first.process, first.tally.items, first.tally.opened) == ("fabrikam/Fabrikam", "cmmi", 2, 2)
    (found,) = [one for one in await checking.violations.find() if one.key.id]
    assert (found.check, found.key.id, found.state) == ("RDM-1.task", task.id, ViolationState.OPEN)
    assert await checking.decide(found.id, ViolationVerb.ACKNOWLEDGE) is ViolationState.ACKNOWLEDGED
    await checking.azure.person.work_items.patch(bug.id, [add_relation(CHILD, task.url)])
    second = await checking.check()
    assert (second.tally.resolved, second.tally.standing) == (1, 1)
    assert [one.key.id for one in await checking.violations.find()] == [0]


async def test_what_a_project_breaks_as_a_whole_lives_as_what_its_items_break(checking: Checking) -> None:
    bug = await checking.azure.make("Bug")
    await checking.azure.make("Requirement")
    supposed = await checking.dry_run()
    assert {would for would, _, item in supposed if item == "Fabrikam"} == {"open", "tell", "no comment", "ask"}
    assert await checking.violations.find(every=True) == []
    assert not checking.people.told
    await checking.check(on_open=(TOLD,))
    whole = {one.check: one for one in await checking.violations.find(project="Fabrikam", whole=True)}
    assert set(whole) == {"PQA-1.share", "MPM-1.defects"}
    opened = sorted((one.check, str(one.key.id or one.key.project)) for one in await checking.violations.find())
    assert sorted((check, item) for would, check, item in supposed if would == "open") == opened
    defects, share = whole["MPM-1.defects"], whole["PQA-1.share"]
    assert defects.about == "Bug/Microsoft.VSTS.CMMI.HowFound"
    texts = "\n".join(text for target, text in checking.people.told if target == "lead")
    assert "the whole breaks PQA-1.share" in texts
    assert f"No comment on {share.id}, {defects.id}: a project as a whole has no discussion" in texts

    asked = await checking.asked(defects, share)
    taken = Decision(verb=Verb.RESPOND, by="noor", comment="on Monday", subject=asked[share.id].escalation.subject)
    await escalations.decide(checking.client, asked[share.id].workflow_id, taken)
    await checking.client.get_workflow_handle(question_id(share.id)).result()
    assert ("stay", "PQA-1.share", "Fabrikam") in await checking.dry_run()
    how_found = set_field("Microsoft.VSTS.CMMI.HowFound", "Peer Review")
    await checking.azure.person.work_items.patch(bug.id, [how_found])
    turns = await checking.dry_run()
    assert [turn for turn in turns if turn[1] == "MPM-1.defects"] == [
        ("resolve", "MPM-1.defects", "Fabrikam"),
        ("withdraw", "MPM-1.defects", "Fabrikam"),
    ]
    await checking.check(on_open=(TOLD,))
    with pytest.raises(WorkflowFailureError):
        await checking.client.get_workflow_handle(question_id(defects.id)).result()
    left = {one.id: one for one in await checking.violations.find(every=True, whole=True)}
    assert (left[defects.id].state, left[share.id].state) == (ViolationState.RESOLVED, ViolationState.ACKNOWLEDGED)
    assert (left[share.id].by, left[share.id].reason) == ("noor", "on Monday")
    await checking.close_questions()


async def test_what_broke_a_rule_and_is_gone_or_something_else_is_resolved_by_the_next_check(
    checking: Checking,
) -> None:
    deleted, changed = await checking.azure.make("Task"), await checking.azure.make("Task")
    await checking.check()
    assert {one.key.id for one in await checking.violations.find()} == {deleted.id, changed.id}
    await checking.azure.service.work_items.delete(deleted.id)
    await checking.azure.person.work_items.patch(changed.id, [set_field("System.WorkItemType", "Issue")])
    assert (await checking.check()).tally.resolved == 2
    assert not [one for one in await checking.violations.find() if one.check == "RDM-1.task"]


async def test_what_a_check_found_that_the_process_has_no_longer_is_resolved(checking: Checking) -> None:
    await checking.azure.make("Task")
    await checking.check()
    fewer = CMMI.model_copy(update={"checks": tuple(one for one in CMMI.checks if one.id != "RDM-1.task")})
    assert (await checking.check(rules=fewer.model_copy(update={"name": "other"}))).tally.resolved == 0
    assert (await checking.check(rules=fewer)).tally.resolved == 1
    assert await checking.violations.find() == []
    *_, told = await Audit(checking.store).find(action=Action.PROCESS_CHECKED)
    last = Checked.model_validate({**told.data, "tenant": told.chain.tenant, "at": told.at})
    assert (last.project, last.tally.items, last.version) == ("Fabrikam", 1, CMMI.version)
    assert set(last.unknown) == {"CM-1.branch", "CM-3.policy"}


async def test_a_waived_violation_stands_without_counting(checking: Checking) -> None:
    await checking.azure.make("Task")
    await checking.check()
    until = datetime.now(UTC) + timedelta(days=30)
    state = await checking.decide("VIO-1", ViolationVerb.WAIVE, reason="until the split", until=until)
    assert state is ViolationState.WAIVED
    assert (await checking.check()).tally.standing == 0


async def test_an_item_that_nobody_works_on_is_checked_as_things_happen_to_it(checking: Checking) -> None:
    risk = (await checking.azure.make("Risk", CMMI_Probability=50)).id
    await checking.happened(risk, (TOLD.model_copy(update={"escalate": False}),))
    await checking.looked_at(risk)
    (opened,) = await checking.violations.find()
    assert (opened.check, opened.key.id, opened.state) == ("RSK-1", risk, ViolationState.OPEN)
    assert [target for target, text in checking.people.told if f"item {risk} breaks RSK-1" in text] == ["lead"]
    await checking.azure.person.work_items.delete(risk)
    await checking.happened(risk, gone=True)
    await checking.looked_at(risk)
    assert await checking.violations.find() == []


async def test_what_happens_to_an_item_while_it_is_checked_has_it_checked_once_more(checking: Checking) -> None:
    risk = (await checking.azure.make("Risk", CMMI_Probability=50)).id
    await checking.azure.fail(path="/updates", delay_seconds=0.4)
    await checking.happened(risk)
    await checking.azure.person.work_items.delete(risk)
    await checking.happened(risk, gone=True)
    await checking.happened(risk)  # deliveries come in any order
    await checking.looked_at(risk)
    assert await checking.violations.find() == []


async def test_a_signal_of_no_known_name_is_shown_by_the_check_of_an_item(checking: Checking) -> None:
    risk = await checking.azure.make("Risk", CMMI_Probability=50)
    await checking.azure.fail(path="/updates", delay_seconds=0.4)
    await checking.happened(risk.id)
    running = checking.of_item(risk.id)
    await running.signal("look", "now")
    await checking.looked_at(risk.id)
    assert "- signal `look` with 1 input: no signal of that name is known here" in await shown(running)


async def test_nobody_is_asked_any_more_about_a_violation_on_which_somebody_has_decided(checking: Checking) -> None:
    risk = (await checking.azure.make("Risk", CMMI_Probability=50)).id
    await checking.happened(risk, (TOLD,))
    await checking.looked_at(risk)
    (opened,) = await checking.violations.find()
    question = (await checking.asked(opened))[opened.id]
    assert await checking.decide(opened.id, ViolationVerb.ACKNOWLEDGE) is ViolationState.ACKNOWLEDGED
    with pytest.raises(WorkflowFailureError):
        await checking.client.get_workflow_handle(question_id(opened.id)).result()
    assert question.id not in {row.id for row in await Escalations(checking.store).find()}


async def test_a_waiver_without_reason_or_for_nothing_is_refused(checking: Checking) -> None:
    for told in (
        {"violation_id": "VIO-1"},
        {"violation_id": "VIO-9", "reason": "why", "until": "2999-01-01T00:00:00Z"},
    ):
        with pytest.raises(WorkflowFailureError):
            await checking.decide(verb=ViolationVerb.WAIVE, **told)


async def test_a_project_is_checked_batch_by_batch(checking: Checking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ITEMS_AT_ONCE", 2)
    for number in range(5):
        await checking.azure.make("Task", f"Task {number}")
    await checking.azure.person.work_items.patch(1, [set_field("System.Title", "First")])
    tally = (await checking.check()).tally
    assert (tally.items, tally.opened, tally.counts) == (5, 5, {"Task": 5})


async def test_a_project_that_we_may_not_see_ends_the_check(checking: Checking) -> None:
    with pytest.raises(WorkflowFailureError):
        await checking.check("Nowhere")


def test_where_a_check_goes_on_is_all_that_it_carries() -> None:
    assert len(CheckCarry().model_dump_json()) < 300
