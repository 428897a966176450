"""How texts become batches, and what is no answer: the rules of every embedder, without any provider."""

from collections.abc import Callable, Sequence
from math import isclose, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.llm import errors
from pointsman.llm.embedder import Asked, Embedded, Embedder, Limits, batched, tokens_of, unit


class Canned(Embedder):
    """Answers by a rule of the test's."""

    provider, default_model = "openai", "text-embedding-3-small"

    def __init__(self, answer: Callable[[str], Embedded]) -> None:
        self._answer = answer

    def limits(self, model: str) -> Limits:
        return Limits(1, 1_000)

    async def ask(self, batch: Sequence[str], asked: Asked) -> Embedded:
        return self._answer(batch[0])

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    ("vectors", "why"),
    [
        ([], "0 vectors for 1 texts"),
        ([[1.0], [1.0]], "2 vectors for 1 texts"),
        ([[]], r"vectors of \[0\] numbers"),
        ([[0.0, float("nan")]], "no finite number"),
        ([[0.0, 0.0]], "points nowhere"),
    ],
)
async def test_vectors_that_are_none_are_an_invalid_response(vectors: list[list[float]], why: str) -> None:
    with pytest.raises(errors.InvalidResponseError, match=why) as caught:
        await Canned(lambda _: Embedded(vectors, 5)).embed(["x"])
    assert caught.value.usage is not None
    assert caught.value.usage.total_tokens == 5


async def test_error_of_one_batch_says_what_the_others_were_billed() -> None:
    def answer(text: str) -> Embedded:
        if text == "bad":
            raise errors.RateLimitedError("slow down")
        return Embedded([[1.0]], 7)

    with pytest.raises(errors.RateLimitedError) as caught:
        await Canned(answer).embed(["a", "b", "bad"])
    assert caught.value.usage is not None
    assert caught.value.usage.total_tokens == 14


async def test_tokens_that_nobody_counts_are_estimated_and_noted() -> None:
    found = await Canned(lambda _: Embedded([[3.0, 4.0]], None)).embed(["abcdef"])
    assert found.vectors == ((0.6, 0.8),)
    assert found.usage.prompt_tokens == tokens_of("abcdef") == 3
    assert found.notes == ("openai counts no tokens here: 3 is our estimate",)


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(1, 6), st.integers(1, 40))
def test_batches_hold_all_texts_in_order_within_limits(texts: list[str], texts_max: int, tokens_max: int) -> None:
    batches = list(batched(texts, Limits(texts_max, tokens_max)))
    assert [text for batch in batches for text in batch] == texts
    for batch in batches:
        assert 1 <= len(batch) <= texts_max
        assert len(batch) == 1 or sum(tokens_of(text) for text in batch) <= tokens_max


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50).filter(lambda numbers: any(abs(n) > 1e-3 for n in numbers))
)
def test_unit_vectors_have_length_one_and_their_direction(numbers: list[float]) -> None:
    made = unit(numbers)
    length = sqrt(sum(number * number for number in numbers))
    assert isclose(sqrt(sum(number * number for number in made)), 1, abs_tol=2e-3)
    assert all(
        isclose(one * length, other, rel_tol=2e-3, abs_tol=1e-9) for one, other in zip(made, numbers, strict=True)
    )
