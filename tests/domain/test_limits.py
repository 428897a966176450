"""A turn stops at the first limit that it reaches, and never before."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.policy import Limits
from pointsman.contracts.turns import ToolCallRef
from pointsman.contracts.work_items import Usage
from pointsman.domain.limits import add, before_model_call, before_tool_calls

LIMITS = Limits(
    steps=3, tool_calls=4, tokens=100, cost_usd=Decimal("0.50"), wall_time=timedelta(minutes=2), same_call=2
)
usages = st.builds(
    Usage,
    model_calls=st.integers(0, 10),
    tool_calls=st.integers(0, 10),
    input_tokens=st.integers(0, 1000),
    output_tokens=st.integers(0, 1000),
    cost_usd=st.decimals("0", "100", places=6).map(str),
)
calls = st.builds(
    ToolCallRef, call_id=st.just("c"), name=st.sampled_from(["get", "find"]), arguments_hash=st.sampled_from(["a", "b"])
)


def call(name: str = "get", arguments: str = "a") -> ToolCallRef:
    return ToolCallRef(call_id="c", name=name, arguments_hash=arguments)


@pytest.mark.parametrize(
    ("used", "elapsed", "told"),
    [
        (Usage(model_calls=3), timedelta(0), "steps reached 3 of 3"),
        (Usage(input_tokens=60, output_tokens=40), timedelta(0), "tokens reached 100 of 100"),
        (Usage(cost_usd="0.50"), timedelta(0), "cost_usd reached 0.50 of 0.50"),
        (Usage(), timedelta(minutes=2), "wall_time reached 120 s of 120 s"),
    ],
)
def test_a_reached_limit_forbids_another_model_call(used: Usage, elapsed: timedelta, told: str) -> None:
    assert str(before_model_call(LIMITS, used, elapsed)) == told


def test_just_below_every_limit_the_model_is_called() -> None:
    used = Usage(model_calls=2, input_tokens=60, output_tokens=39, cost_usd="0.4999")
    assert before_model_call(LIMITS, used, timedelta(seconds=119)) is None


@given(usages, usages, st.integers(0, 300))
def test_more_use_never_lifts_a_limit(used: Usage, more: Usage, seconds: int) -> None:
    elapsed = timedelta(seconds=seconds)
    if before_model_call(LIMITS, used, elapsed) is not None:
        assert before_model_call(LIMITS, add(used, more), elapsed) is not None


@given(st.lists(usages, max_size=5))
def test_usage_adds_up_to_the_last_digit(used: list[Usage]) -> None:
    total = Usage()
    for one in used:
        total = add(total, one)
    assert Decimal(total.cost_usd) == sum((Decimal(one.cost_usd) for one in used), Decimal(0))
    for name in ("model_calls", "tool_calls", "input_tokens", "output_tokens"):
        assert getattr(total, name) == sum(getattr(one, name) for one in used)


def test_calls_of_one_reply_count_together() -> None:
    different = [call(arguments=name) for name in "abcd"]
    assert before_tool_calls(LIMITS, Usage(), [], different) is None
    assert str(before_tool_calls(LIMITS, Usage(tool_calls=1), [], different)) == "tool_calls reached 5 of 4"


def test_an_equal_call_counts_over_the_turn_and_within_the_reply() -> None:
    made = [call(), call("find")]
    assert before_tool_calls(LIMITS, Usage(), made, [call()]) is None
    assert before_tool_calls(LIMITS, Usage(), [], [call(), call()]) is None
    for earlier, wanted in ([call(), call()], [call()]), ([call()], [call(), call()]), ([], [call()] * 3):
        reached = before_tool_calls(LIMITS, Usage(), earlier, wanted)
        assert str(reached) == "same_call of get reached 3 of 2"


def test_another_tool_or_other_arguments_are_another_call() -> None:
    assert before_tool_calls(LIMITS, Usage(), [call(), call()], [call("find"), call(arguments="b")]) is None


@given(st.lists(calls, max_size=6), st.lists(calls, min_size=1, max_size=4))
def test_a_reply_passes_exactly_if_no_call_of_it_is_made_too_often(
    made: list[ToolCallRef], wanted: list[ToolCallRef]
) -> None:
    limits = Limits(tool_calls=100, same_call=2)
    too_often = any((made + wanted).count(one) > 2 for one in wanted)
    assert (before_tool_calls(limits, Usage(), made, wanted) is not None) == too_often


def test_a_reply_without_calls_reaches_no_limit_of_calls() -> None:
    assert before_tool_calls(LIMITS, Usage(tool_calls=4), [call()] * 4, []) is None
