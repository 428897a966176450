"""The examples of models over JSON-RPC run as they are printed, against a whole web process on loopback."""

import asyncio
import threading
from collections.abc import Generator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.sandbox.models.app import create_app
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.serving import hosting
from pointsman.store import schema
from pointsman.store.engine import Store
from tests.docs.blocks import ROOT, Block, blocks
from tests.llm.standin import KEY, Provider
from tests.starter.rpc.rig import TOKEN, endpoint

HERE = "tests/docs/test_rpc_examples.py::test_example_runs_as_it_is_printed"
EXAMPLES = [block for block in blocks(ROOT / "docs" / "llm" / "json-rpc.md") if block.what == HERE]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The web process in a thread of its own: a script waits for it without a loop."""
    database = f"sqlite:///{tmp_path_factory.mktemp('rpc') / 'pointsman.db'}"
    schema.upgrade(database)
    found, ready, done = [""], threading.Event(), threading.Event()

    async def serve() -> None:
        app = create_app(ModelsConfig(api_keys=(SecretStr(KEY),), first_token=timedelta(0), chunk=timedelta(0)))
        async with (
            Store.open(database) as store,
            hosting(app) as models,
            endpoint(store, Provider(models, app.state.control)) as rpc,
        ):
            found[0] = rpc.url
            ready.set()
            await asyncio.to_thread(done.wait)

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()  # whoever waits must not wait for ever

    serving = threading.Thread(target=run)
    serving.start()
    ready.wait()
    yield found[0]
    done.set()
    serving.join()


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.place)
def test_example_runs_as_it_is_printed(
    block: Block, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"POINTSMAN_URL": url, "POINTSMAN_TOKEN": TOKEN, "no_proxy": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    exec(compile(block.text, block.place, "exec"), {"__name__": "__main__"})  # noqa: S102 - the documentation's own
    assert capsys.readouterr().out.strip(), f"{block.place} says nothing"


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 3
