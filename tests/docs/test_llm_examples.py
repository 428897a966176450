"""The examples of the model service's pages run as they are printed, against providers on loopback.

They run in this process, because a fresh interpreter for each would take longer than all of them together.
"""

import asyncio
import threading
from collections.abc import Generator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm import setup
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.server import running
from tests.docs.blocks import ROOT, Block, blocks

KEY = "sk-example-4f1d0c7a9b2e"
HERE = "tests/docs/test_llm_examples.py::test_example_runs_as_it_is_printed"
EXAMPLES = [
    block
    for page in sorted((ROOT / "docs" / "llm").glob("*.md"))
    for block in blocks(page)
    if block.how == "tested by" and block.what == HERE
]


@pytest.fixture(scope="module")
def providers() -> Generator[str]:
    """The root URL of a server that speaks the wire format of each provider."""
    url, ready, done = [""], threading.Event(), threading.Event()

    async def serve() -> None:
        config = ModelsConfig(api_keys=(SecretStr(KEY),), first_token=timedelta(0), chunk=timedelta(0))
        async with running(config) as address:
            url[0] = address
            ready.set()
            await asyncio.to_thread(done.wait)

    serving = threading.Thread(target=asyncio.run, args=(serve(),))
    serving.start()
    ready.wait()
    yield url[0]
    done.set()
    serving.join()


@pytest.fixture
def environment(providers: str, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    keys = {f"{name}_API_KEY": KEY for name in ("OPENAI", "ANTHROPIC", "GOOGLE", "MISTRAL")}
    aws = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY}
    urls = {
        "OPENAI_BASE_URL": f"{providers}/v1",
        "ANTHROPIC_BASE_URL": f"{providers}/anthropic",
        "GOOGLE_BASE_URL": f"{providers}/gemini",
        "GOOGLE_GEMINI_BASE_URL": f"{providers}/gemini",
        "MISTRAL_BASE_URL": f"{providers}/mistral",
        "BEDROCK_BASE_URL": f"{providers}/bedrock",
    }
    house = {"HOUSE_URL": f"{providers}/vllm/v1", "HOUSE_KEY": KEY}
    for name, value in {**keys, **aws, **urls, **house}.items():
        monkeypatch.setenv(name, value)
    setup.llm_service.cache_clear()
    yield
    setup.llm_service.cache_clear()


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.place)
def test_example_runs_as_it_is_printed(block: Block, environment: None, capsys: pytest.CaptureFixture[str]) -> None:
    code = compile(block.text, block.place, "exec")
    failed: list[BaseException] = []

    def run() -> None:
        try:
            exec(code, {"__name__": "__main__"})  # noqa: S102 - the documentation's own code
        except BaseException as error:  # whatever an example raises fails it, SystemExit too
            failed.append(error)

    script = threading.Thread(target=run)  # a script has no event loop of somebody else's
    script.start()
    script.join()
    assert not failed, f"{block.place}: {failed[0]!r}"
    assert capsys.readouterr().out.strip(), f"{block.place} says nothing"


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 8
