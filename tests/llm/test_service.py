"""The service against providers on loopback: governance, selection, money, retries, and one line for each request."""

import asyncio
import logging
from datetime import date, timedelta
from decimal import Decimal

import pytest

from pointsman.llm import errors
from pointsman.llm.breakers import BreakerPolicy, Breakers, BreakerState
from pointsman.llm.budgets import Budget, MemoryBudgets, Scope
from pointsman.llm.errors import ProviderError
from pointsman.llm.events import Retrying, StreamFinished, TextDelta, texts
from pointsman.llm.governance import Governance
from pointsman.llm.limits import MemoryRateLimits, RateLimit
from pointsman.llm.response_cache import MemoryResponseCache
from pointsman.llm.retries import RetryPolicy
from pointsman.llm.types import LLMResponse
from pointsman.sandbox.models.control import FaultKind, Hold, Outcome
from pointsman.sandbox.models.replies import Reply
from tests.llm.service_rig import REGISTRY, SECRET, Bench, request
from tests.llm.standin import KEY
from tests.llm.wiring import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_answer_says_how_it_came_about(bench: Bench) -> None:
    bench.provider.says(Reply(text="Yes."))
    response = await bench.service().complete(request(tier="fast"))
    assert response.text == "Yes."
    assert response.rationale == "gpt-6-luna: tier fast was asked for"
    assert response.attempts == 1
    assert response.trace_id == "t-1"
    assert response.cost_usd > 0


async def test_every_request_is_one_line_without_content_or_key(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    service = bench.service()
    bench.provider.says(Reply(text="A secret answer."))
    with caplog.at_level(logging.DEBUG, "pointsman.llm"):
        await service.complete(request(source_agent="triage", session_id="s-1"))
        with pytest.raises(errors.ModelRetiredError):
            await service.complete(request(model="gpt-4"))
    assert (bench.observer.records[-1].provider, bench.observer.records[-1].model) == ("openai", "gpt-4")
    lines = [record for record in caplog.records if record.name == "pointsman.llm"]
    assert [vars(line)["outcome"] for line in lines] == ["success", "ModelRetiredError"]
    told = vars(lines[0])
    assert (told["trace_id"], told["provider"], told["model"]) == ("t-1", "openai", "gpt-6-luna")
    assert (told["source_agent"], told["session_id"], told["tenant"]) == ("triage", "s-1", "rail")
    assert told["prompt_tokens"] > 0
    assert Decimal(told["cost_usd"]) > 0
    everything = " ".join(str(vars(record)) for record in caplog.records)
    for hidden in (SECRET, "A secret answer.", KEY):
        assert hidden not in everything


@pytest.mark.parametrize(
    ("faults", "outcome", "attempts"),
    [
        ([(503, "")] * 3, "well", 4),
        ([(503, "")] * 4, "ProviderOverloadedError", 4),
        ([(429, "0.01")] * 5, "well", 6),
        ([(429, "0.01")] * 6, "RateLimitedError", 6),
        ([(503, ""), (429, "0.01"), (503, ""), (429, "0.01")], "well", 5),
        ([(400, "")], "InvalidRequestError", 1),
        ([(401, "")], "AuthenticationError", 1),
        ([(429, "300")], "RateLimitedError", 1),
    ],
)
async def test_attempts_at_the_provider_are_as_many_as_the_rules_say(
    bench: Bench, faults: list[tuple[int, str]], outcome: str, attempts: int
) -> None:
    for status, wait in faults:
        bench.provider.fails(FaultKind.STATUS, status=status, retry_after=wait)
    service = bench.service(breakers=Breakers(BreakerPolicy(failures_max=100)))
    if outcome == "well":
        assert (await service.complete(request())).attempts == attempts
    else:
        with pytest.raises(ProviderError) as caught:
            await service.complete(request())
        assert type(caught.value).__name__ == outcome
    assert len(bench.provider.control.seen) == attempts
    assert bench.observer.ends[-1] == outcome
    assert bench.observer.records[-1].attempts == attempts


@pytest.mark.parametrize("status", [503, 429, 400])
async def test_an_attempt_is_one_attempt_and_never_sleeps(bench: Bench, status: int) -> None:
    bench.provider.fails(FaultKind.STATUS, status=status, retry_after="600")
    async with asyncio.timeout(60):
        with pytest.raises(ProviderError) as caught:
            await bench.service().attempt(request())
    assert len(bench.provider.control.seen) == 1
    assert caught.value.retry_after == (timedelta(seconds=600) if status != 400 else None)
    assert bench.observer.pauses == ([600.0] if status == 429 else []), "whoever repeats it puts it off so long"


async def test_an_attempt_beyond_our_own_limit_says_when_to_come_back(bench: Bench) -> None:
    service = bench.service(limits=MemoryRateLimits({"openai": RateLimit(requests_per_minute=1)}))
    assert (await service.attempt(request())).attempts == 1
    with pytest.raises(errors.RateLimitedError, match="Nothing was sent") as caught:
        await service.attempt(request())
    assert caught.value.retry_after is not None
    assert 50 < caught.value.retry_after.total_seconds() <= 60
    assert len(bench.provider.control.seen) == 1


async def test_a_stream_that_breaks_begins_again_and_says_so(bench: Bench) -> None:
    bench.provider.says(Reply(text="one two three four"), Reply(text="five six"))
    bench.provider.fails(FaultKind.CUT, after=7)
    events = [event async for event in bench.service().stream(request())]
    again = next(index for index, event in enumerate(events) if isinstance(event, Retrying))
    retrying = events[again]
    assert isinstance(retrying, Retrying)
    assert retrying.attempt == 2
    assert "without its terminal event" in retrying.error
    said = "".join(event.text for event in events[again:] if isinstance(event, TextDelta))
    last = events[-1]
    assert isinstance(last, StreamFinished)
    assert said == last.response.text == "five six"
    assert last.response.attempts == 2


async def test_a_stream_that_goes_on_breaking_fails(bench: Bench) -> None:
    for _ in range(4):
        bench.provider.fails(FaultKind.DROP, after=2)
    with pytest.raises(errors.TruncatedStreamError):
        [event async for event in bench.service().stream(request())]
    assert len(bench.provider.control.seen) == 4


async def test_another_model_answers_where_the_first_cannot(bench: Bench) -> None:
    for _ in range(4):
        bench.provider.fails(FaultKind.STATUS, status=503, model="gpt-6-luna")
    bench.provider.says(Reply(text="Yes."))
    response = await bench.service(["gpt-6.1-terra"]).complete(request())
    assert response.model == "gpt-6.1-terra"
    assert response.attempts == 5
    assert any(note.startswith("gpt-6-luna did not answer: HTTP 503") for note in response.notes)


async def test_another_model_streams_where_the_first_cannot(bench: Bench) -> None:
    bench.provider.fails(FaultKind.STATUS, status=400, code="context_length_exceeded", model="gpt-6-luna")
    events = [event async for event in bench.service(["gpt-6.1-terra"]).stream(request())]
    last = events[-1]
    assert isinstance(last, StreamFinished)
    assert last.response.model == "gpt-6.1-terra"


async def test_a_stream_that_goes_over_to_another_model_says_that_it_begins_again(bench: Bench) -> None:
    bench.provider.says(Reply(text="one two three four"), Reply(text="five six"))
    bench.provider.fails(FaultKind.CUT, after=7, model="gpt-6-luna")
    service = bench.service(["gpt-6.1-terra"], retries=RetryPolicy(retries_max=0))
    said = ""
    async for event in service.stream(request()):
        match event:
            case Retrying(wait_seconds=seconds):
                assert said, "the first had begun to speak"
                assert seconds == 0
                said = ""
            case TextDelta(text=text):
                said += text
            case StreamFinished(response=response):
                assert (said, response.text, response.model) == ("five six", "five six", "gpt-6.1-terra")


async def test_text_alone_is_never_two_answers_in_one(bench: Bench) -> None:
    bench.provider.says(Reply(text="one two three four"), Reply(text="five six"))
    bench.provider.fails(FaultKind.CUT, after=7)
    said: list[str] = []

    async def hear() -> None:
        async for text in texts(bench.service().stream(request())):
            said.append(text)

    with pytest.raises(errors.TruncatedStreamError, match="begins again") as caught:
        await hear()
    assert said
    assert caught.value.received == "".join(said)
    assert [text async for text in texts(bench.service().stream(request()))]


async def test_a_request_without_a_name_gets_one(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pointsman.llm"):
        response = await bench.service().complete(request(trace_id=""))
    assert len(response.trace_id) == 32
    assert bench.observer.records[-1].trace_id == response.trace_id
    assert bench.provider.last.metadata["trace_id"] == response.trace_id


async def test_a_wait_beyond_the_deadline_is_an_error_at_once_and_no_queue(bench: Bench) -> None:
    limits = MemoryRateLimits()
    await limits.limited("openai", timedelta(hours=1))
    with pytest.raises(errors.RateLimitedError, match=r"longer than this call may wait\. Nothing was sent") as caught:
        await bench.service(limits=limits).complete(request())
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > timedelta(minutes=59)
    assert bench.provider.control.seen == []


@pytest.mark.parametrize("said", ["The model does not exist.", "The model is retired."])
async def test_another_model_answers_where_the_provider_has_the_first_no_more(bench: Bench, said: str) -> None:
    bench.provider.fails(FaultKind.STATUS, status=404, code="model_not_found", message=said, model="gpt-6-luna")
    response = await bench.service(["gpt-6.1-terra"]).complete(request())
    assert (response.model, response.attempts) == ("gpt-6.1-terra", 2)
    assert any(note.startswith("gpt-6-luna did not answer: HTTP 404") for note in response.notes)


async def test_a_model_that_its_provider_has_retired_has_its_successor_named(bench: Bench) -> None:
    bench.provider.fails(FaultKind.STATUS, status=404, code="model_not_found", message="gpt-5-mini is retired.")
    with pytest.raises(errors.ModelRetiredError) as caught:
        await bench.service().complete(request(model="gpt-5-mini"))
    assert caught.value.replacement == "gpt-6-luna"
    assert caught.value.since == date(2026, 11, 21)
    assert "retired. Since 2026-11-21 at the latest: use gpt-6-luna" in str(caught.value)


async def test_a_tier_goes_to_a_provider_that_there_is_a_key_for(bench: Bench) -> None:
    response = await bench.service().complete(request(tier="fast"), prefer=("anthropic", "openai"))
    assert response.provider == "openai"
    assert "no provider 'anthropic' is set up" in response.notes[0]


async def test_without_any_key_the_first_error_is_told(bench: Bench) -> None:
    with pytest.raises(
        errors.AuthenticationError, match=r"no key for openai: set OPENAI_API_KEY; there are keys for: mistral\."
    ):
        await bench.service(keys={"mistral": KEY}).complete(request())
    assert bench.provider.control.seen == []


async def test_money_is_reserved_at_the_price_of_the_model_that_bills(bench: Bench) -> None:
    # Ten cents are enough for 128,000 tokens of luna, and not for as many of terra.
    budgets = MemoryBudgets([Budget(scope=Scope.TENANT, cost_usd=Decimal("0.10"))])
    for _ in range(4):
        bench.provider.fails(FaultKind.STATUS, status=503, model="gpt-6-luna")
    with pytest.raises(errors.BudgetExceededError) as caught:
        await bench.service(["gpt-6.1-terra"], budgets=budgets).complete(request())
    assert caught.value.model == "gpt-6.1-terra"
    assert [seen.model for seen in bench.provider.control.seen] == ["gpt-6-luna"] * 4


async def test_what_was_used_is_settled(bench: Bench) -> None:
    budgets = MemoryBudgets()
    service = bench.service(budgets=budgets)
    response = await service.complete(request())
    spending = budgets.spending(Scope.TENANT, "rail")
    assert (spending.tokens, spending.cost_usd) == (response.usage.total_tokens, response.cost_usd)
    assert spending.reserved_tokens == 0
    bench.provider.fails(FaultKind.STATUS, status=400)
    with pytest.raises(errors.InvalidRequestError):
        await service.complete(request())
    assert budgets.spending(Scope.TENANT, "rail").tokens == response.usage.total_tokens


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.DROP])
async def test_a_broken_stream_counts_as_all_that_it_may_have_cost(bench: Bench, kind: FaultKind) -> None:
    budgets = MemoryBudgets()
    bench.provider.fails(kind, after=3)
    service = bench.service(budgets=budgets, retries=RetryPolicy(retries_max=0))
    with pytest.raises(errors.TruncatedStreamError):
        [event async for event in service.stream(request(max_tokens=500))]
    spending = budgets.spending(Scope.TENANT, "rail")
    assert spending.tokens > 500
    assert spending.cost_usd > 0
    assert spending.reserved_tokens == 0


async def test_a_response_that_failed_is_settled_as_reported(bench: Bench) -> None:
    budgets = MemoryBudgets()
    bench.provider.fails(FaultKind.FAILED)
    with pytest.raises(ProviderError) as caught:
        await bench.service(budgets=budgets, retries=RetryPolicy(retries_max=0)).complete(request())
    assert caught.value.usage is not None
    assert budgets.spending(Scope.TENANT, "rail").reserved_tokens == 0


async def test_a_call_that_is_refused_does_not_keep_others_from_trying_the_provider_again(bench: Bench) -> None:
    now = [0.0]
    breakers = Breakers(BreakerPolicy(failures_max=1, open_seconds=10), lambda: now[0])
    bench.provider.fails(FaultKind.STATUS, status=503)
    service = bench.service(
        breakers=breakers,
        retries=RetryPolicy(retries_max=0),
        budgets=MemoryBudgets([Budget(scope=Scope.TENANT, tokens=500)]),
    )
    with pytest.raises(errors.ProviderOverloadedError):
        await service.complete(request(max_tokens=20))
    now[0] = 11.0
    with pytest.raises(errors.BudgetExceededError):
        await service.complete(request(max_tokens=1_000))
    assert (await service.complete(request(max_tokens=20))).attempts == 1


async def test_two_hundred_calls_against_a_budget_for_one_hundred(bench: Bench) -> None:
    service = bench.service(budgets=MemoryBudgets())
    asked = request(max_tokens=100)
    response = await service.complete(asked)
    # Each call reserves the same; what a call really takes is less, so some more than a hundred may pass.
    budgets = MemoryBudgets([Budget(scope=Scope.TENANT, tokens=100 * response.usage.total_tokens)])
    service = bench.service(budgets=budgets)
    ends = await asyncio.gather(*(service.complete(asked) for _ in range(200)), return_exceptions=True)
    refused = [end for end in ends if isinstance(end, errors.BudgetExceededError)]
    assert len(refused) >= 100
    assert all(isinstance(end, LLMResponse | errors.BudgetExceededError) for end in ends)
    spending = budgets.spending(Scope.TENANT, "rail")
    assert spending.tokens <= 100 * response.usage.total_tokens
    assert spending.reserved_tokens == 0


async def test_a_cancelled_call_closes_the_connection_and_counts(bench: Bench) -> None:
    budgets = MemoryBudgets()
    bench.provider.control.add_hold(Hold())
    calling = asyncio.create_task(bench.service(budgets=budgets).complete(request()))
    await until(lambda: bool(bench.provider.control.seen) and bench.provider.last.outcome is Outcome.HELD)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await until(lambda: bench.provider.last.outcome is Outcome.ABORTED)
    spending = budgets.spending(Scope.TENANT, "rail")
    assert spending.tokens > 0
    assert spending.reserved_tokens == 0
    assert bench.observer.records[-1].outcome == "cancelled"


async def test_a_stream_that_is_left_counts_too(bench: Bench) -> None:
    budgets = MemoryBudgets()
    bench.provider.says(Reply(text="word " * 5_000))
    stream = bench.service(budgets=budgets).stream(request())
    async for event in stream:
        if isinstance(event, TextDelta):
            break
    await stream.aclose()
    assert budgets.spending(Scope.TENANT, "rail").tokens > 0
    assert bench.observer.records[-1].outcome == "cancelled"


async def test_a_provider_that_fails_is_left_alone(bench: Bench) -> None:
    service = bench.service(breakers=Breakers(BreakerPolicy(failures_max=4)))
    for _ in range(4):
        bench.provider.fails(FaultKind.STATUS, status=503)
    with pytest.raises(errors.ProviderOverloadedError):
        await service.complete(request())
    assert service.circuit("openai/operator") is BreakerState.OPEN
    with pytest.raises(errors.CircuitOpenError):
        await service.complete(request())
    assert len(bench.provider.control.seen) == 4


async def test_while_a_provider_limits_us_calls_wait_for_it(bench: Bench) -> None:
    now = 0.0
    service = bench.service(limits=MemoryRateLimits(now=lambda: now))
    bench.provider.fails(FaultKind.STATUS, status=429, retry_after="0.02")
    first = asyncio.create_task(service.complete(request()))
    await until(lambda: bool(bench.observer.ends))
    others = [asyncio.create_task(service.complete(request())) for _ in range(3)]
    await until(lambda: service.waiting("openai") == 4)
    now = 0.02
    await asyncio.gather(first, *others)
    # Nobody ran into the limit again: the first twice, the others once each.
    assert len(bench.provider.control.seen) == 5
    assert bench.observer.pauses == [0.02]


async def test_a_kept_answer_costs_nothing_and_shows_what_it_saved(bench: Bench) -> None:
    service = bench.service(cache=MemoryResponseCache())
    first = await service.complete(request(stop=("END",)))
    second = await service.complete(request(stop=("END",), trace_id="t-2"))
    assert second.text == first.text
    assert second.trace_id == "t-2"
    assert set(first.notes) < set(second.notes), "what was left out of the question is left out of this answer, too"
    assert (second.attempts, second.usage.total_tokens) == (0, 0)
    assert str(second.cost_usd) == "0", "and no 0E-7 in JSON"
    assert f"from the cache: {first.cost_usd} USD saved" in second.notes
    assert bench.observer.records[-1].outcome == "cached"
    await service.complete(request(stop=("END",), tenant="road"))
    assert len(bench.provider.control.seen) == 2


async def test_a_model_near_its_end_says_so(bench: Bench) -> None:
    governance = Governance(REGISTRY, ("*",), today=lambda: date(2026, 12, 8))
    response = await bench.service(governance=governance).complete(request(model="gpt-5-mini"))
    assert any("is shut down on 2026-12-11, in 3 days" in note for note in response.notes)
