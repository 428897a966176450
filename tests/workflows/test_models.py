"""What a turn does where a model does not answer, and where the service says no before anything is sent."""

from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.records import AttemptKind
from pointsman.contracts.work_items import WorkItemState
from pointsman.llm.budgets import Budget, Scope
from pointsman.llm.errors import AuthenticationError, ContentRefusedError, ProviderError, ProviderOverloadedError
from pointsman.llm.service import LLMService
from tests.workflows.rig import Rig, policy
from tests.worlds import FakeModel, answer, calls, served

LOOKS = calls(("known__look", {"id": 7}))


class LimitedRig(Rig):
    """A rig whose service has a budget for each item, and a list of models."""

    budget = Budget(scope=Scope.WORK_ITEM, tokens=100)
    allowed = ("*",)

    def models(self) -> LLMService:
        return served(self.model, budgets=[self.budget], allowed=self.allowed)


def asked(item: Rig) -> list[tuple[str, str]]:
    """Whom the books say that was asked, and what came of it."""
    rows = [one for one in item.attempts.kept.values() if one.kind is AttemptKind.MODEL]
    return [(one.target, one.outcome) for one in rows]


async def fall_back(env: WorkflowEnvironment, error: ProviderError) -> Rig:
    """An item whose first model has only this error, and whose second one looks and then answers."""
    item = Rig(env, (error,), policy())
    item.other_models = [FakeModel(LOOKS, answer("Answered."), provider="other")]
    async with (await item.prompt()).worker():
        await item.deliver()
        assert (await item.result()).state is WorkItemState.DONE
    return item


async def test_another_model_answers_where_one_is_overloaded(env: WorkflowEnvironment) -> None:
    item = await fall_back(env, ProviderOverloadedError("overloaded", provider="fake"))
    tried = [("fake", "ProviderOverloadedError")] * 3
    # The turn does not go back to the one that did not answer.
    assert asked(item) == [*tried, ("other", "ok"), ("other", "ok")]


async def test_a_key_that_is_refused_is_not_tried_again(env: WorkflowEnvironment) -> None:
    item = await fall_back(env, AuthenticationError("key refused", provider="fake"))
    assert asked(item) == [("fake", "AuthenticationError"), ("other", "ok"), ("other", "ok")]


async def test_the_last_model_is_asked_as_patiently_as_a_single_one(env: WorkflowEnvironment) -> None:
    overloaded = ProviderOverloadedError("overloaded", provider="fake")
    item = Rig(env, (overloaded,), policy())
    item.other_models = [FakeModel(*[overloaded] * 8, answer(), provider="other")]
    async with (await item.prompt()).worker():
        await item.deliver()
        assert (await item.result()).state is WorkItemState.DONE
    assert [model for model, _ in asked(item)] == ["fake"] * 3 + ["other"] * 9


async def test_what_one_provider_refuses_to_talk_about_is_put_to_no_other(env: WorkflowEnvironment) -> None:
    item = Rig(env, (ContentRefusedError("not this", provider="fake"),), policy())
    item.other_models = [FakeModel(answer(), provider="other")]
    async with (await item.prompt()).worker():
        await item.deliver()
        row = await item.asked()
        await item.decide(row, "reject", comment="leave it")
        assert (await item.result()).state is WorkItemState.FAILED
    assert "ContentRefusedError" in row.escalation.summary
    assert asked(item) == [("fake", "ContentRefusedError")]


async def test_a_spent_budget_goes_to_a_human(env: WorkflowEnvironment) -> None:
    item = LimitedRig(env, (answer(),), policy())
    async with (await item.prompt()).worker():
        await item.deliver()
        row = await item.asked()
        assert "BudgetExceededError" in row.escalation.summary
        assert f"work_item 'default/{row.escalation.key}'" in row.escalation.summary
        await item.decide(row, "reject", comment="enough")
        assert (await item.result()).state is WorkItemState.FAILED
    assert (asked(item), item.model.requests) == ([("fake", "BudgetExceededError")], [])


async def test_a_model_that_is_not_allowed_goes_to_a_human(env: WorkflowEnvironment) -> None:
    item = LimitedRig(env, (answer(),), policy())
    item.allowed = ("gpt-6*",)
    async with (await item.prompt()).worker():
        await item.deliver()
        row = await item.asked()
        assert "ModelNotAllowedError: model fake" in row.escalation.summary
        await item.decide(row, "reject", comment="another model")
        assert (await item.result()).state is WorkItemState.FAILED
    assert (asked(item), item.model.requests) == ([], [])
