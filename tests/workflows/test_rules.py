"""Rules of a process in an item's life: writes are held back, events open and resolve violations, people are told."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.escalations import EscalationKind
from pointsman.contracts.policy import Policy, Severity
from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.process_control import CheckedProject, ProcessControl
from pointsman.contracts.violations import ViolationState
from pointsman.contracts.work_items import EventKind, WorkItemState
from pointsman.llm.types import LLMResponse
from tests.workflows.rig import Rig, policy
from tests.workflows.rules_rig import PRIORITY, RESOLVED, TOLD, Rules
from tests.worlds import answer
from workflows.violations import question_id


class Ruled(Rig):
    """An item of a project with rules."""

    def __init__(self, env: WorkflowEnvironment, script: tuple[LLMResponse, ...], wanted: Policy) -> None:
        super().__init__(env, script, wanted)
        self.rules = Rules(self)

    @property
    def words(self) -> str:
        """What the model read last."""
        return str(self.model.requests[-1].messages)

    async def asked_no_more(self, violation_id: str = "VIO-1") -> None:
        """What is left open when the worker stops would stop the server's clock."""
        with suppress(WorkflowFailureError):
            await self.client.get_workflow_handle(question_id(violation_id)).result()


@asynccontextmanager
async def ruled(
    env: WorkflowEnvironment, *script: LLMResponse, control: ProcessControl | None = None
) -> AsyncGenerator[Ruled]:
    control = control or ProcessControl(enforce_from=CheckSeverity.MAJOR, rewrites=1)
    made = await Ruled(env, script, policy(needs_approval=()).model_copy(update={"process": control})).prompt()
    async with made.worker():
        yield made


async def test_a_write_that_breaks_a_rule_is_not_sent_and_the_agent_is_told_why(env: WorkflowEnvironment) -> None:
    async with ruled(env, RESOLVED, answer(System__State="Resolved", Microsoft__VSTS__Common__Priority=2)) as item:
        await item.deliver()
        result = await item.result()
    assert (result.state, result.turns, item.tracker.writes[1]) == (WorkItemState.DONE, 2, 1)
    assert "DONE (critical): A resolved bug has a priority" in item.words
    assert item.tracker.items[1].fields[PRIORITY] == 2
    assert item.rules.actions == ["write.held_back"]


async def test_people_are_asked_when_the_agent_proposes_it_again_and_their_word_counts(
    env: WorkflowEnvironment,
) -> None:
    async with ruled(env, RESOLVED, RESOLVED) as item:
        await item.deliver()
        row = await item.asked()
        await item.decide(row, "approve")
        result = await item.result()
    assert (row.escalation.kind, row.escalation.severity) == (EscalationKind.RULE, Severity.HIGH)
    assert "would break rules of the process: DONE. Approve: it is written." in row.escalation.summary
    assert (result.state, item.tracker.items[1].fields["System.State"]) == (WorkItemState.DONE, "Resolved")
    assert item.rules.actions == ["write.held_back", "write.held_back", "write.allowed"]
    assert list(item.rules.audit.kept.values())[-1].actor == "ada"


async def test_people_let_pass_what_they_saw_and_what_breaks_later_is_asked_about_by_itself(
    env: WorkflowEnvironment,
) -> None:
    control = ProcessControl(enforce_from=CheckSeverity.MAJOR, rewrites=0)
    async with ruled(env, RESOLVED, control=control) as item:
        await item.deliver()
        row = await item.asked()
        item.tracker.edit(1, System__State="Closed")
        await item.decide(row, "approve")
        conflict = await item.asked(2)
        await item.decide(conflict, "approve", by="grace")
        last = await item.asked(3)
        await item.decide(last, "approve")
        await item.result()
    assert (row.escalation.checks, conflict.escalation.fields) == (("DONE",), ("System.State",))
    assert (last.escalation.kind, last.escalation.checks) == (EscalationKind.RULE, ("FLOW",))
    assert item.tracker.items[1].fields["System.State"] == "Resolved"
    told = [(one.action, one.data["checks"]) for one in item.rules.audit.kept.values()]
    held, allowed = "write.held_back", "write.allowed"
    assert told == [(held, ["DONE"]), (held, ["FLOW"]), (allowed, ["DONE", "FLOW"])]


async def test_a_rule_that_was_let_pass_is_asked_about_anew_where_something_else_breaks_it(
    env: WorkflowEnvironment,
) -> None:
    control = ProcessControl(enforce_from=CheckSeverity.MAJOR, rewrites=0)
    async with ruled(env, answer(System__State="Done"), control=control) as item:
        await item.deliver()
        row = await item.asked()
        item.tracker.edit(1, System__State="Closed")
        await item.decide(row, "approve")
        await item.decide(await item.asked(2), "approve")
        last = await item.asked(3)
        await item.decide(last, "approve")
        await item.result()
    assert (row.escalation.checks, last.escalation.checks) == (("FLOW",), ("FLOW",))
    assert "it went from Active to Done" in row.escalation.details
    assert "it went from Closed to Done" in last.escalation.details
    assert item.rules.actions == ["write.held_back", "write.held_back", "write.allowed"]


async def test_what_a_rule_forbids_below_the_limit_is_written(env: WorkflowEnvironment) -> None:
    control = ProcessControl(enforce_from=CheckSeverity.CRITICAL)
    async with ruled(env, answer(System__State="Closed"), control=control) as item:
        await item.deliver()
        await item.result()
    assert (item.tracker.writes[1], item.rules.actions) == (1, [])


async def test_an_event_opens_a_violation_of_which_people_are_told_and_another_resolves_it(
    env: WorkflowEnvironment,
) -> None:
    control = ProcessControl(on_events=True, on_open=(TOLD,))
    async with ruled(env, answer(question="Who has it?"), answer(), control=control) as item:
        await item.deliver()
        mine = await item.asked(1)
        item.tracker.edit(1, System__State="Resolved")
        await item.deliver(EventKind.UPDATED, changed={"System.State": "Resolved"})
        theirs = await item.asked(2)
        assert theirs.escalation.kind is EscalationKind.VIOLATION
        assert item.rules.broken() == {"DONE": ViolationState.OPEN}
        assert [target for target, text in item.people.told if "item 1 breaks DONE" in text] == ["team"]
        (comment,) = [row.values["System.History"] for row in item.ledger.kept.values()]
        assert "A resolved bug has a priority" in str(comment)
        item.tracker.edit(1, Microsoft__VSTS__Common__Priority=1)
        await item.deliver(EventKind.UPDATED, changed={PRIORITY: 1})
        await item.until(lambda: item.rules.broken() == {"DONE": ViolationState.RESOLVED})
        (violation,) = item.rules.violations.kept.values()
        assert violation.resolved_rev == item.tracker.items[1].rev
        await item.until(lambda: item.escalations.kept[theirs.id].resolution is not None)
        await item.asked_no_more()
        await item.decide(mine, "respond", comment="Noor")
        await item.result()
    withdrawn = item.escalations.kept[theirs.id].resolution
    assert withdrawn is not None
    assert withdrawn.outcome == "withdrawn"


async def test_who_takes_a_violation_on_is_kept_with_it(env: WorkflowEnvironment) -> None:
    control = ProcessControl(on_events=True, on_open=(TOLD.model_copy(update={"comment": False}),))
    async with ruled(env, answer(question="Who has it?"), control=control) as item:
        item.tracker.edit(1, System__State="Resolved")
        await item.deliver()
        # The test server's clock stops for ever where a child ends behind its parent, so the item waits for an answer.
        questions = {row.escalation.kind: row for row in (await item.asked(1), await item.asked(2))}
        await item.decide(questions[EscalationKind.VIOLATION], "respond", comment="tomorrow")
        await item.until(lambda: item.rules.broken()["DONE"] is ViolationState.ACKNOWLEDGED)
        await item.asked_no_more()
        await item.decide(questions[EscalationKind.QUESTION], "reject", comment="nobody")
        await item.result()
    assert [(one.by, one.reason) for one in item.rules.violations.kept.values()] == [("ada", "tomorrow")]
    assert item.tracker.writes[1] == 0


@pytest.mark.parametrize(("named", "broken"), [("web", {"DONE": ViolationState.OPEN}), ("App", {})])
async def test_an_item_out_of_scope_of_which_only_the_number_was_told_is_checked_where_policy_names_its_project(
    env: WorkflowEnvironment, named: str, broken: dict[str, ViolationState]
) -> None:
    project = CheckedProject(organisation="fabrikam", project=named, process="ours")
    async with ruled(env, control=ProcessControl(on_events=True, projects=(project,))) as item:
        item.tracker.edit(1, System__State="Resolved", System__WorkItemType="Epic")
        await item.deliver()
        assert (await item.result()).state is WorkItemState.WITHDRAWN
    assert item.rules.broken() == broken


async def test_an_item_that_has_left_the_scope_is_checked_all_the_same(env: WorkflowEnvironment) -> None:
    async with ruled(env, answer(comment="Seen"), control=ProcessControl(on_events=True)) as item:
        await item.deliver()
        await item.result()
        item.tracker.edit(1, System__State="Resolved", System__WorkItemType="Epic")
        await item.deliver(EventKind.UPDATED, changed={"System.State": "Resolved"})
        assert (await item.result()).state is WorkItemState.WITHDRAWN
    assert item.rules.broken() == {"DONE": ViolationState.OPEN}


async def test_what_an_item_in_the_recycle_bin_broke_is_resolved(env: WorkflowEnvironment) -> None:
    async with ruled(env, answer(question="Why?"), control=ProcessControl(on_events=True)) as item:
        item.tracker.edit(1, System__State="Resolved")
        await item.deliver()
        await item.asked()
        assert item.rules.broken() == {"DONE": ViolationState.OPEN}
        item.tracker.remove(1)
        await item.deliver(EventKind.DELETED)
        await item.result()
    assert item.rules.broken() == {"DONE": ViolationState.RESOLVED}
