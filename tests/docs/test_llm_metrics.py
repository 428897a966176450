"""The example of the page about metrics serves what a request comes to."""

from datetime import timedelta
from http.server import HTTPServer
from threading import Thread
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from pointsman.llm.service import LLMService
from pointsman.llm.types import LLMRequest, ModelTier, Role, text_message
from pointsman.sandbox.models.app import create_app
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.serving import hosting
from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs" / "llm" / "metrics.md"
HERE = "tests/docs/test_llm_metrics.py::test_the_example_counts"
KEY = "sk-example-4f1d0c7a9b2e"


@pytest.mark.slow
async def test_the_example_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = (block.text for block in blocks(PAGE) if block.what == HERE)
    app = create_app(ModelsConfig(api_keys=(SecretStr(KEY),), first_token=timedelta(0), chunk=timedelta(0)))
    async with hosting(app) as url:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        made: dict[str, Any] = {}
        # On a free port, because another test may hold the one that the page names.
        exec(compile(example.replace("9465", "0"), str(PAGE), "exec"), made)  # noqa: S102 - the page is ours
        service, server, thread = made["service"], made["server"], made["thread"]
        assert isinstance(service, LLMService)
        assert isinstance(server, HTTPServer)
        assert isinstance(thread, Thread)
        try:
            async with service:
                await service.complete(LLMRequest(tier=ModelTier.FAST, messages=(text_message(Role.USER, "hello"),)))
                async with aiohttp.request("GET", f"http://127.0.0.1:{server.server_port}/metrics") as answer:
                    told = await answer.text()
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
    assert 'llm_requests_total{model="gpt-6-luna",provider="openai",status="success"} 1.0' in told
    assert 'llm_queue_depth{provider="openai"} 0.0' in told
